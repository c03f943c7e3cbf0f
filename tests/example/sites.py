"""The example site in this process, with the settings that make it, and a simulated Bitbucket."""

import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.signals import user_logged_in
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test import override_settings
from django.test.testcases import LiveServerThread

from django_bitbucket_auth.testing import BitbucketSimulator

EXAMPLE = Path(__file__).parents[2] / "example_project"
# Behind all else: what is called alike there must not be found instead of what others mean.
sys.path.append(str(EXAMPLE))

#: The other settings say who runs it and where, which is these tests' business.
OF_THE_SITE = (
    "ROOT_URLCONF",
    "MIDDLEWARE",
    "SECURE_CSP",
    "TEMPLATES",
    "STATICFILES_DIRS",
    "LOGIN_REDIRECT_URL",
    "LOGOUT_REDIRECT_URL",
)

#: What would steer the site from outside.
STEERING = (
    "DATABASE_URL",
    "BITBUCKET_KIND",
    "BITBUCKET_WORKSPACES",
    "BITBUCKET_RECHECK",
    "BITBUCKET_BASE_URL",
    "BITBUCKET_TRUST_EMAILS",
    "BITBUCKET_RSA_KEY",
    "BITBUCKET_CLIENT_ID",
    "BITBUCKET_CLIENT_ID_FILE",
    "BITBUCKET_CLIENT_SECRET",
    "BITBUCKET_CLIENT_SECRET_FILE",
    "BITBUCKET_SIMULATOR",
    "BITBUCKET_SIMULATOR_PORT",
    "BITBUCKET_SIMULATOR_CONTEXT_PATH",
)


def settings_with(**environment: str) -> dict[str, Any]:
    """The site's settings as they are with these variables of the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in STEERING:
            patch.delenv(name, raising=False)
        for name, value in {"DEBUG": "1", **environment}.items():
            patch.setenv(name, value)
        return runpy.run_path(str(EXAMPLE / "website" / "settings.py"))


def simulated(simulator: BitbucketSimulator) -> dict[str, Any]:
    """The site's settings with a simulator that runs."""
    return settings_with(
        BITBUCKET_KIND=simulator.kind,
        BITBUCKET_SIMULATOR="1",
        BITBUCKET_SIMULATOR_PORT=str(urlsplit(simulator.url).port),
        BITBUCKET_SIMULATOR_CONTEXT_PATH=simulator.context_path,
    )


@contextmanager
def site_of(kind: str, context_path: str = "") -> Iterator[BitbucketSimulator]:
    """The site with a simulated Bitbucket of a kind, which is what tests get to see of it."""
    with BitbucketSimulator(kind, context_path=context_path).serving() as simulator:
        settings = simulated(simulator)
        names = (*OF_THE_SITE, "BITBUCKET_AUTH")
        with override_settings(**{name: settings[name] for name in names}), _as_started():
            yield simulator


@contextmanager
def _as_started() -> Iterator[None]:
    """What the site does when Django starts it and when it migrates: here it is no installed app."""
    from website import owners

    owners.create_groups()
    user_logged_in.connect(owners.become_staff)
    try:
        yield
    finally:
        user_logged_in.disconnect(owners.become_staff)


@contextmanager
def served() -> Iterator[str]:
    """The site on a port of its own, in threads of this process, which need to see what is in the database."""
    thread = LiveServerThread("localhost", StaticFilesHandler)
    thread.daemon = True
    thread.start()
    try:
        thread.is_ready.wait()
        yield f"http://{thread.host}:{thread.port}"
    finally:
        thread.terminate()
