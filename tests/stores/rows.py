"""Rows of tokens, and others who have something to do with them at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar

import requests
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from stores.keeping import KEY, elsewhere, newer

from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import Record, TokenStore

HAS_ROW_LOCKS = connection.vendor != "sqlite"


@contextmanager
def statements(using: str = "default") -> Iterator[list[str]]:
    """The verbs of the statements that this thread's connection runs, but those of transactions."""
    found: list[str] = []
    with CaptureQueriesContext(connections[using]) as captured:
        yield found
    verbs = [query["sql"].split()[0] for query in captured.captured_queries]
    found += [verb for verb in verbs if verb not in {"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"}]


class HeldBack(CloudProvider):
    """Bitbucket doesn't answer before somebody has had a look."""

    looks: ClassVar[list[Callable[[], object]]] = []

    def send(self, request: requests.Request) -> requests.Response:
        for look in self.looks:
            look()
        return super().send(request)


class Undone(Exception):
    """Rolls a transaction back."""


def columns(*left_out: str) -> list[dict[str, Any]]:
    """All rows."""
    found = list(BitbucketToken.objects.order_by("pk").values())
    return [{name: value for name, value in row.items() if name not in left_out} for row in found]


def the_row(key: str = KEY) -> BitbucketToken:
    return BitbucketToken.objects.get(key=key)


def renew(store: TokenStore, key: str = KEY) -> bool | None:
    """As the single flight does, without asking Bitbucket."""
    with store.lock(key) as held:
        assert held is not None
        record = held.load(key)
        assert isinstance(record, Record)
        return held.save(key, newer(record))


@contextmanager
def undone() -> Iterator[None]:
    """A transaction that is rolled back."""
    try:
        with transaction.atomic():
            yield
            raise Undone
    except Undone:
        pass


@contextmanager
def somebody(act: Callable[[], object]) -> Iterator[None]:
    """Somebody else has done something in a transaction, and isn't through with it."""
    done, end = threading.Event(), threading.Event()

    def transact() -> None:
        with transaction.atomic():
            act()
            done.set()
            assert end.wait(60)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(elsewhere, transact)
        try:
            assert done.wait(30)
            yield
        finally:
            end.set()
            other.result()
