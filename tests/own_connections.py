"""Tests that open their own connections, and leave none behind: imported by the folders that want it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_bitbucket_auth.oauth.transport import close_pools

#: What the machine that runs this may have set.
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle", "netrc")


@pytest.fixture(autouse=True)
def own_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    close_pools()
    yield
    close_pools()
