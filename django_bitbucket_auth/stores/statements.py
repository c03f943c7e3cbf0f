"""Statements that are committed at once, whatever becomes of the caller's transaction, and that never wait for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TypeVar, cast

from django.db import InterfaceError, InternalError, OperationalError, connections, transaction

from ..exceptions import BitbucketUnavailable

#: Seconds that a statement waits for a row that somebody has locked: the caller itself, perhaps.
LOCK_WAIT = 3
#: Seconds between tries.
_PAUSES = (0.1, 0.3)
#: Locked, cut off, out of connections, or (PostgreSQL's InternalError) read-only while another server takes over.
_TROUBLE = (OperationalError, InterfaceError, InternalError)

#: Until the end of a transaction.
_POSTGRESQL_WAITS = f"SET LOCAL lock_timeout = '{LOCK_WAIT}s'"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Statements:
    """Runs statements on this thread's connection, or on the one of a thread of its own.

    On this thread's they are a transaction, or in a caller's transaction a savepoint: an error must not spoil that.
    """

    using: str
    thread: ThreadPoolExecutor | None = None

    def run(self, call: Callable[[], T], *, patience: float = LOCK_WAIT) -> T:
        """What ``call`` returns; it is called up to three times where others are in the way.

        Raises:
            BitbucketUnavailable: the database can't do it now. Not after ``patience`` seconds is it tried again.
        """
        until = time.monotonic() + patience
        with _told():
            for pause in _PAUSES:
                try:
                    return self._once(call)
                except _TROUBLE:
                    if time.monotonic() > until:
                        raise
                    time.sleep(pause)
            return self._once(call)

    def after_commit(self, tell: Callable[[], object]) -> None:
        """Call ``tell`` when what was run is committed for good."""
        if self.thread is None and connections[self.using].in_atomic_block:
            transaction.on_commit(lambda: cast(None, tell()), using=self.using)
        else:
            tell()

    def _once(self, call: Callable[[], T]) -> T:
        if self.thread is None:
            return _transact(self.using, call)
        return self.thread.submit(_transact, self.using, call).result()  # needs: row-locks


def in_transaction(using: str) -> bool:
    """Whether what is written on this thread's connection isn't committed at once, and another's would be.

    Not so with SQLite, which has one writer.
    """
    connection = connections[using]
    with _told():
        return connection.vendor != "sqlite" and not connection.get_autocommit()


@contextmanager
def committed(using: str, seen: Callable[[], bool]) -> Iterator[Statements]:
    """How to run statements that have to be committed at once.

    In a caller's transaction that is on a connection of its own, except with SQLite, which has one writer, and if the
    query ``seen`` says that others don't see yet what it is about, since this very transaction has inserted it.
    """
    here = Statements(using)
    if not in_transaction(using):
        yield here
        return
    with ExitStack() as stack:  # needs: row-locks
        own = stack.enter_context(_own_connection(using))
        if not own.run(seen):
            stack.close()  # before Bitbucket is waited for: connections are scarce
            own = here
        yield own


@contextmanager
def _own_connection(using: str) -> Iterator[Statements]:  # needs: row-locks
    # Connections are per thread.
    with ThreadPoolExecutor(1, thread_name_prefix="bitbucket-auth") as thread:
        try:
            with _told():
                thread.submit(_prepare, using).result()
            yield Statements(using, thread)
        finally:
            thread.submit(connections.close_all).result()


def _prepare(using: str) -> None:  # needs: row-locks
    connections[using].set_autocommit(True)  # the setting may say otherwise, and nothing here would be committed


def _transact(using: str, call: Callable[[], T]) -> T:
    connection = connections[using]
    try:
        # In a caller's transaction what it has said of waiting holds.
        vendor = connection.vendor if connection.get_autocommit() else ""
        with _mysql_waits(using) if vendor == "mysql" else nullcontext():
            return _atomically(using, call, _POSTGRESQL_WAITS if vendor == "postgresql" else "")
    except _TROUBLE:
        if not connection.in_atomic_block and connection.connection is not None and not connection.is_usable():
            # It broke, perhaps while Bitbucket was waited for, and a new pair is at stake: the next try opens another.
            # (With PostgreSQL it breaks inside of the transaction, and then Django closes it.)
            connection.close()  # needs: mysql
        raise


def _atomically(using: str, call: Callable[[], T], first: str = "") -> T:
    with transaction.atomic(using=using):
        if first:  # needs: postgresql
            with connections[using].cursor() as cursor:
                cursor.execute(first)
        return call()


@contextmanager
def _mysql_waits(using: str) -> Iterator[None]:  # needs: mysql
    """A session's own waits, for as long as this lasts: here they are not a transaction's."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SET @bitbucket_auth_row = @@SESSION.innodb_lock_wait_timeout, @bitbucket_auth_table = "
            f"@@SESSION.lock_wait_timeout, SESSION innodb_lock_wait_timeout = {LOCK_WAIT}, "
            f"SESSION lock_wait_timeout = {LOCK_WAIT}"
        )
        try:
            yield
        finally:
            with suppress(*_TROUBLE):  # it broke
                cursor.execute(
                    "SET SESSION innodb_lock_wait_timeout = @bitbucket_auth_row, "
                    "SESSION lock_wait_timeout = @bitbucket_auth_table"
                )


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except _TROUBLE as error:
        cause = str(error).partition("\n")[0]
        raise BitbucketUnavailable(f"the database refused to lease or keep a token ({cause})") from None
