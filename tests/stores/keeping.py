"""What the tests of the stores share: records, caches, and others who act at the same time."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.filebased import FileBasedCache
from django.db import connection, connections

from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.stores import Record, TokenStore

T = TypeVar("T")

TESTS = Path(__file__).parents[1]
KEY = "nightly"
SECRETS = ("access-secret", "secret-of-1.0a", "refresh-secret")
TOKEN = Token(*SECRETS, "bearer", ("account", "email"), datetime(2030, 1, 1, 12, 30, 15, 250, tzinfo=UTC))
RECORD = Record(
    token=TOKEN,
    provider="default",
    grant="authorization_code",
    instance="bitbucket.org",
    client_id="client-7",
    scopes=("account",),
    redirect_uri="https://testserver/bitbucket/callback/",
)
#: A token of the application: a cache keeps it.
PLAIN = replace(RECORD, token=replace(TOKEN, refresh_token=""), grant="client_credentials", redirect_uri="")


def newer(record: Record, name: str = "newer") -> Record:
    """The record with another pair."""
    token = replace(record.token, access_token=f"{name}-access", refresh_token=f"{name}-refresh")
    return replace(record, token=token, refused_at=None, lost_at=None)


def loaded(store: TokenStore, key: str = KEY) -> Record:
    """The record that is there."""
    found = store.load(key)
    assert isinstance(found, Record)
    return found


class SharedCache(FileBasedCache):
    """A cache that processes share and whose ``add()`` is atomic, as that of Redis is."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(location, params)
        self.folder = Path(location)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            return super().add(*args, **kwargs)


class BrokenCache(BaseCache):
    """A cache whose server is down."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("refused")

    add = set = delete = get


class Forgetful(SharedCache):
    """A cache that goes down while a lock is held."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("refused")


def shared(folder: Path, backend: str = "SharedCache") -> dict[str, Any]:
    """The setting ``CACHES``, with a cache in a folder."""
    return {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "shared": {"BACKEND": f"stores.keeping.{backend}", "LOCATION": str(folder)},
    }


def elsewhere(call: Callable[[], T]) -> T:
    """What a call gives in another thread, which has database connections of its own."""

    def act() -> T:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result()


def held_by(store: TokenStore, key: str = KEY) -> bool:
    """Whether somebody who tries now gets the lock."""
    with store.lock(key) as held:
        return held is not None


def at_once(number: int, store: TokenStore, key: str = KEY) -> list[bool]:
    """Which of so many threads get the lock, while none of them lets go of it."""
    begin, tried = (threading.Barrier(number, timeout=30) for _ in range(2))

    def act(_: int) -> bool:
        try:
            begin.wait()
            with store.lock(key) as held:
                tried.wait()
                return held is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(act, range(number)))


def in_a_child(call: Callable[[], bool]) -> bool:
    """What a call gives in a forked child; ``False`` if it raises."""
    with warnings.catch_warnings():
        # Forking beside threads is what this is about.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            status = int(not call())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextmanager
def another_process(kind: str, where: str = "", key: str = KEY) -> Iterator[subprocess.Popen[str]]:
    """A process that has tried to get a lock, and holds it until its standard input ends."""
    urls = {
        "sqlite": "sqlite:///{NAME}",
        "postgresql": "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}",
        "mysql": "mysql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}",
    }
    url = urls[connection.vendor].format(**connection.settings_dict)
    with subprocess.Popen(
        [sys.executable, str(TESTS / "stores" / "holding.py"), json.dumps([kind, where, key])],
        cwd=TESTS,
        env={**os.environ, "DATABASE_URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that a process says."""
    assert process.stdout
    return process.stdout.readline().strip()


def let_go(process: subprocess.Popen[str]) -> None:
    """Let it leave the block of its lock, and wait until it is gone."""
    assert process.stdin
    process.stdin.close()
    assert process.wait(60) == 0
