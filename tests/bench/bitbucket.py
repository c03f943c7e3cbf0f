"""The simulated Bitbucket in a process of its own, so that its work isn't counted as ours.

It keeps no log, only counts, and knows the refresh tokens of ``stock`` without having them: with those of a hundred
thousand people and as many new ones it would be the largest thing in the bench.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from typing import cast

from django_bitbucket_auth.testing import BitbucketSimulator, LoggedRequest
from django_bitbucket_auth.testing.vault import Grant, IssuedToken, Vault

from . import tokens

_STOCK = Grant("jane", ("account", "email", "repository"))


class _Counts(list[LoggedRequest]):
    """In place of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.by_endpoint: Counter[str] = Counter()

    def append(self, logged: LoggedRequest) -> None:
        self.by_endpoint[logged.endpoint] += 1


class _Vault(Vault):
    """Takes each refresh token of the stock, and counts how often it was used."""

    def __init__(self) -> None:
        super().__init__()
        self.used: Counter[int] = Counter()

    def find_refresh(self, token: str, now: float) -> IssuedToken | None:
        if tokens.number_of(token) is None:
            return super().find_refresh(token, now)
        return IssuedToken(_STOCK, math.inf)

    def use_refresh(self, token: str, now: float, grace: float) -> None:
        number = tokens.number_of(token)
        if number is None:
            super().use_refresh(token, now, grace)
        else:
            self.used[number] += 1


class _Simulator(BitbucketSimulator):
    def __init__(self) -> None:
        super().__init__()
        self.counts = self.requests = _Counts()
        self.vault = self.renewals = _Vault()

    def keep(self, grant: Grant, told: Mapping[str, object]) -> None:
        # The new pairs of the stock aren't kept: who renewed one of them again would be refused, and that is seen.
        if grant is not _STOCK:
            super().keep(grant, told)


class Bitbucket:
    """What can be asked of the other process."""

    def __init__(self) -> None:
        self._simulator = _Simulator()
        self._open = ExitStack()
        self._open.enter_context(self._simulator.serving())

    def address(self) -> tuple[str, str, str]:
        """URL, client id and client secret."""
        return self._simulator.url, self._simulator.client_id, self._simulator.client_secret

    def issue(self) -> dict[str, object]:
        """A pair of tokens, as in the answer of the token endpoint."""
        return self._simulator.issue("jane")

    def slow(self, endpoint: str, seconds: float) -> None:
        """Let an endpoint take its time; 0: no more."""
        self._simulator.heal(endpoint)
        if seconds:
            self._simulator.slow(endpoint, seconds)

    def requests_to(self, endpoint: str) -> int:
        """How many there were since the start."""
        return self._simulator.counts.by_endpoint[endpoint]

    def take_used(self) -> tuple[int, int]:
        """How many tokens of the stock were renewed since this was asked last, and the most times for one of them."""
        used = self._simulator.renewals.used
        found = len(used), max(used.values(), default=0)
        used.clear()
        return found

    def stop(self) -> None:
        """Hang up."""
        self._open.close()


class _Manager(BaseManager):
    pass


_Manager.register("Bitbucket", Bitbucket)


@contextmanager
def elsewhere() -> Iterator[Bitbucket]:
    """A Bitbucket in another process, for the length of the block."""
    with _Manager(ctx=get_context("spawn")) as manager:
        bitbucket = cast(Bitbucket, manager.Bitbucket())  # type: ignore[attr-defined] # registered above
        try:
            yield bitbucket
        finally:
            with suppress(OSError, EOFError):  # who stops the bench may have stopped it, too
                bitbucket.stop()
