"""The example's pages and commands in this process, with the settings that make them, and a simulated Bitbucket."""

from collections.abc import Iterator

import pytest
from django.test import override_settings
from example.sites import OF_THE_SITE, simulated

from django_bitbucket_auth.testing import BitbucketSimulator


@pytest.fixture
def site(bitbucket: BitbucketSimulator, db: None) -> Iterator[BitbucketSimulator]:
    """The site with the simulated Bitbucket Cloud."""
    settings = simulated(bitbucket)
    with override_settings(**{name: settings[name] for name in OF_THE_SITE}):
        yield bitbucket
