"""Each test opens its own connections, and leaves none behind; and single answers for those who want them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from own_connections import own_connections
from responses import RequestsMock

__all__ = ["own_connections"]


@pytest.fixture
def bitbucket() -> Iterator[RequestsMock]:
    """Plays single answers, to the very URLs only."""
    with RequestsMock(assert_all_requests_are_fired=False) as played:
        yield played
