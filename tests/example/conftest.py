"""The example's pages and commands in this process, with the settings that make them, and a simulated Bitbucket."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from django_bitbucket_auth.testing import BitbucketSimulator

# Behind all else: what is called alike there must not be found instead of what others mean.
sys.path.append(str(Path(__file__).parents[2] / "example_project"))

#: The other settings say who runs it and where, which is these tests' business.
OF_THE_SITE = ("ROOT_URLCONF", "MIDDLEWARE", "SECURE_CSP", "TEMPLATES", "STATICFILES_DIRS", "LOGIN_REDIRECT_URL")


@pytest.fixture
def site(bitbucket: BitbucketSimulator, db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[BitbucketSimulator]:
    """The site with the simulated Bitbucket that it asks, which is what tests get to see of it."""
    monkeypatch.setenv("DEBUG", "1")
    from website import settings

    with override_settings(**{name: getattr(settings, name) for name in OF_THE_SITE}):
        yield bitbucket
