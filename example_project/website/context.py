"""What every template knows."""

from django.conf import settings
from django.http import HttpRequest


def simulator(request: HttpRequest) -> dict[str, str]:
    """``simulator_url``: where the simulated Bitbucket runs; empty when the real one is used."""
    return {"simulator_url": getattr(settings, "SIMULATOR_URL", "")}
