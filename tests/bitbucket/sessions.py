"""Sessions for the tests: on the loopback server, with tokens that are counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import requests
from bitbucket.answers import settings
from oauth.loopback import Exchange, Loopback, reply

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
    given = {"api_url": url, "timeout": (5, 20), "retries": 0, **keys}
    return BitbucketSession(kind(settings(**given)), Tokens() if tokens is None else tokens)


def sent(server: Loopback) -> list[tuple[str, str]]:
    """Which requests arrived, and with which token."""
    return [
        (f"{request.method} {request.target}", request.headers.get("authorization", "").removeprefix("Bearer canary-"))
        for request in server.requests
    ]


def refusing(*numbers: str, status: int = 401, body: str = '{"error": {"message": "expired"}}') -> Any:
    """Refuses these tokens, and answers to the others with what it got."""

    def script(exchange: Exchange) -> bytes:
        if exchange.request.headers["authorization"].removeprefix("Bearer canary-") in numbers:
            return reply(status, body)
        return reply(body=exchange.request.body or b"{}")

    return script


def ways(session: BitbucketSession) -> list[Callable[..., Any]]:
    """Of asking; each gives what was answered, as JSON."""

    def by_request(method: str, path: str, **arguments: Any) -> Any:
        return session.request(method, path, **arguments).json()

    def by_json(method: str, path: str, **arguments: Any) -> Any:
        return session.json(path, method=method, **arguments)

    def prepared(method: str, path: str, **arguments: Any) -> Any:
        return session.send(session.prepare_request(requests.Request(method, path, **arguments))).json()

    return [by_request, by_json, prepared]


#: The ways that ``ways`` gives.
WAYS = [0, 1, 2]
