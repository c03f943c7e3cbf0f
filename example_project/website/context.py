"""What every template knows."""

from django.conf import settings
from django.http import HttpRequest

from .bitbucket import is_data_center, own_workspaces


def bitbucket(request: HttpRequest) -> dict[str, object]:
    """``simulator_url``: where the simulated Bitbucket runs, or empty; ``is_data_center``: which kind it is;
    ``has_workspace``: whether the site belongs to one.
    """
    return {
        "simulator_url": getattr(settings, "SIMULATOR_URL", ""),
        "is_data_center": is_data_center(),
        "has_workspace": bool(own_workspaces()),
    }
