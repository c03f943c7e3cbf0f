"""Sessions for the tests: on the loopback server, with tokens that are counted."""

from __future__ import annotations

import threading
from typing import Any

from bitbucket.answers import settings
from oauth.loopback import Loopback

from django_bitbucket_auth.bitbucket import BitbucketSession, CloudProvider, Provider
from django_bitbucket_auth.oauth.token import Token


class Tokens:
    """A token source that renews by counting up: ``canary-1``, ``canary-2``, …"""

    def __init__(self, *faults: Exception, last: int = 1000) -> None:
        self.number, self.last = 1, last
        self.faults = list(faults)
        #: How often a token was asked for, and which were to be renewed.
        self.asked = 0
        self.stale: list[str] = []
        self._lock = threading.Lock()

    def current(self) -> Token:
        with self._lock:
            self.asked += 1
            return Token(f"canary-{self.number}")

    def renew(self, stale: Token) -> Token:
        with self._lock:
            self.stale.append(stale.access_token)
            if self.faults:
                raise self.faults.pop(0)
            if stale.access_token == f"canary-{self.number}":
                self.number = min(self.number + 1, self.last)
            return Token(f"canary-{self.number}")


def session_at(url: str, tokens: Any = None, *, kind: type[Provider] = CloudProvider, **keys: Any) -> BitbucketSession:
    """A session whose API is at ``url``."""
    given = {"api_url": url, "timeout": (2, 5), "retries": 0, **keys}
    return BitbucketSession(kind(settings(**given)), Tokens() if tokens is None else tokens)


def sent(server: Loopback) -> list[tuple[str, str]]:
    """Which requests arrived, and with which token."""
    return [
        (f"{request.method} {request.target}", request.headers.get("authorization", "").removeprefix("Bearer canary-"))
        for request in server.requests
    ]
