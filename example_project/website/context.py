"""What every template knows."""

from django.conf import settings
from django.http import HttpRequest

from .bitbucket import is_data_center


def bitbucket(request: HttpRequest) -> dict[str, object]:
    """``simulator_url``: where the simulated Bitbucket runs, or empty; ``is_data_center``: which kind it is."""
    return {"simulator_url": getattr(settings, "SIMULATOR_URL", ""), "is_data_center": is_data_center()}
