"""The pytest plugin.

Loading it imports nothing of the app's; that happens when a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .simulator import BitbucketSimulator


@pytest.fixture(scope="session")
def bitbucket_server() -> Iterator[BitbucketSimulator]:
    """A simulator that runs for the whole session; no provider points at it yet."""
    from .simulator import BitbucketSimulator

    with BitbucketSimulator().serving() as simulator:
        yield simulator


@pytest.fixture
def bitbucket(bitbucket_server: BitbucketSimulator) -> Iterator[BitbucketSimulator]:
    """The simulator, as new for each test, with the provider ``default`` pointed at it."""
    from .overriding import pointed_at

    bitbucket_server.reset()
    with pointed_at(bitbucket_server):
        yield bitbucket_server


@pytest.fixture
def bitbucket_login(bitbucket: BitbucketSimulator) -> Callable[..., Any]:
    """``bitbucket_login(client, person="jane", *, next=None, alias="default")``: see `log_in`."""
    from .browsing import log_in

    return log_in
