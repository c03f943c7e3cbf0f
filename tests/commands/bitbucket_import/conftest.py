"""Two providers, one of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings
from former.rows import CLOUD, DATA_CENTER


@pytest.fixture(autouse=True)
def providers() -> Iterator[None]:
    with override_settings(BITBUCKET_AUTH={"default": CLOUD, "dc": DATA_CENTER}):
        yield
