"""The database as a store, and the one place that replaces a pair of tokens there.

A lease says who renews a token, a version which pair is the latest: no lock and no transaction is held while Bitbucket
is waited for. Where the caller is in a transaction, lease and new pair are written over a connection of their own:
Bitbucket has replaced the old pair by then, whatever becomes of the transaction. Two exceptions use the caller's:
SQLite, which has one writer, and a row that this very transaction inserted, which no other connection sees. There a
rollback leaves the old pair, which Bitbucket takes for some minutes more.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

from django.db import IntegrityError, OperationalError, connections, router, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from ..exceptions import BitbucketUnavailable
from ..models import BitbucketAccount, BitbucketToken, aware, storable
from .base import LEASE, Record, TokenStore, process_lock

#: Seconds that a statement on a connection of its own waits for a row that somebody has locked: the caller, perhaps.
_LOCK_WAIT = 3

T = TypeVar("T")
Run = Callable[[Callable[[], Any]], Any]


def replace_pair(
    rows: QuerySet[BitbucketToken],
    key: str,
    values: dict[str, Any],
    *,
    version: int | None = None,
    renewed: bool = True,
) -> bool:
    """Write token columns of the row ``key``, if it is there and, where given, still of this ``version``.

    All that writes a pair comes by here: sign-ins, renewals, marks, rotated keys. ``renewed=False`` for what is no
    newer pair: then ``updated_at``, from which disuse is counted, stays.
    """
    rows = rows.filter(key=key) if version is None else rows.filter(key=key, version=version)
    if renewed:
        values = {**values, "version": F("version") + 1, "updated_at": timezone.now()}
    return bool(rows.update(**values))


class DatabaseTokenStore(TokenStore):
    """Keeps records as ``BitbucketToken`` rows without an account: for the application, and for people who never signed
    in here. Tokens of accounts are ``api.get_session``'s.
    """

    def load(self, key: str) -> Record | None:
        """The record of a row.

        Raises:
            ValueError: the key is one of an account's.
        """
        return _load(self._rows(key), key)

    def save(self, key: str, record: Record) -> bool:
        return _save(self._rows(key), key, record, insert=True)

    def delete(self, key: str) -> None:
        self._rows(key).filter(key=key).delete()

    @contextmanager
    def lock(self, key: str) -> Iterator[TokenStore | None]:
        """A lease, among all processes that share the database; of a row that isn't there yet, among threads."""
        rows, lease = self._rows(key), secrets.token_hex(16)
        try:
            with _connection(rows.db, key) as (run, own):
                claimed = _stubbornly(run, partial(_claim, rows, key, lease))
                if claimed is None:
                    with process_lock(self, key) as held:
                        yield held
                elif claimed:
                    with self._holding(key, lease, run, own) as held:
                        yield held
                else:
                    yield None
        except OperationalError as error:
            # What can't be claimed isn't renewed: another would renew it at the same time.
            cause = str(error).partition("\n")[0]
            raise BitbucketUnavailable(f"the database refused to lease or keep a token ({cause})") from None

    def holding(self, key: str, lease: str) -> AbstractContextManager[TokenStore]:
        """The store while a lease is held that was claimed elsewhere (``leased``); it ends with the block."""
        return self._holding(key, lease, partial(_atomically, all_rows().db), own=False)

    @contextmanager
    def _holding(self, key: str, lease: str, run: Run, own: bool) -> Iterator[TokenStore]:
        leased = _Leased(self, run, own)
        try:
            yield leased
        finally:
            if not leased.ended:
                with suppress(OperationalError):  # then it lapses
                    run(partial(_release, self._rows(key), key, lease))

    def _rows(self, key: str) -> QuerySet[BitbucketToken]:
        if BitbucketToken.is_account_key(key):
            # A key that comes from outside must not open a person's token.
            raise ValueError("keys that begin with 'account:' are those of accounts: use get_session()")
        return all_rows()


class AccountTokenStore(DatabaseTokenStore):
    """The tokens of accounts. Rows are inserted by a sign-in alone: what was deleted meanwhile stays away."""

    def __init__(self, account: BitbucketAccount) -> None:
        self.account = account

    def save(self, key: str, record: Record) -> bool:
        return _save(self._rows(key), key, record, insert=False)

    def _rows(self, key: str) -> QuerySet[BitbucketToken]:
        return all_rows().filter(account=self.account.pk)


class _Leased(TokenStore):
    """The store while its lease is held, on the connection that the lease is on."""

    def __init__(self, store: DatabaseTokenStore, run: Run, own: bool) -> None:
        self._store, self._run, self._own = store, run, own
        self.ended = False

    def load(self, key: str) -> Record | None:
        return _stubbornly(self._run, partial(self._store.load, key))

    def save(self, key: str, record: Record) -> bool:
        kept = _stubbornly(self._run, partial(self._store.save, key, record))
        # A new pair ends the lease; a mark doesn't.
        self.ended = kept and record.refused_at is None
        return kept

    def after_commit(self, tell: Callable[[], object]) -> None:
        if self._own:
            tell()
        else:
            transaction.on_commit(lambda: cast(None, tell()), using=all_rows().db)

    def linger(self) -> None:
        self.ended = True


def all_rows() -> QuerySet[BitbucketToken]:
    """The tokens, in the database where they are written: a replica may lag behind a renewal."""
    return BitbucketToken.objects.using(router.db_for_write(BitbucketToken))


def record_of(row: BitbucketToken) -> Record | None:
    """What a row holds; ``None`` if it can't be decrypted, which is logged."""
    opened = row.open()
    if opened is None:
        return None
    token, asked = opened
    return Record(
        token=token,
        provider=row.provider,
        grant=row.grant,
        instance=row.instance,
        client_id=row.client_id,
        scopes=asked,
        redirect_uri=row.redirect_uri,
        refused_at=aware(row.refused_at),
        lost_at=aware(row.lost_at),
        version=row.version,
    )


def free(now: datetime) -> Q:
    """Rows that nobody has a lease of. By this host's clock: hosts that share the work need theirs within seconds."""
    return Q(lease="") | Q(lease_until__lt=storable(now))


def leased(lease: str, now: datetime, seconds: float = LEASE) -> dict[str, Any]:
    """The columns of a lease."""
    return {"lease": lease, "lease_until": storable(now + timedelta(seconds=seconds))}


def _load(rows: QuerySet[BitbucketToken], key: str) -> Record | None:
    row = rows.filter(key=key).first()
    # Compared again: a collation may take one key for another.
    return record_of(row) if row is not None and row.key == key else None


def _save(rows: QuerySet[BitbucketToken], key: str, record: Record, *, insert: bool) -> bool:
    marks = {"refused_at": storable(record.refused_at), "lost_at": storable(record.lost_at)}
    if record.version is not None:
        if record.refused_at is not None or record.lost_at is not None:
            return replace_pair(rows, key, marks, version=record.version, renewed=False)
        return replace_pair(rows, key, _columns(key, record), version=record.version)
    if not insert:
        return False
    try:
        with transaction.atomic(using=rows.db):
            rows.create(key=key, **_columns(key, record))
    except IntegrityError:
        return False  # there is one: newer, or one that can't be decrypted, which isn't overwritten
    return True


def _columns(key: str, record: Record) -> dict[str, Any]:
    return {
        **BitbucketToken.columns(key, record.token, record.scopes),
        "provider": record.provider,
        "instance": record.instance,
        "client_id": record.client_id,
        "grant": record.grant,
        "redirect_uri": record.redirect_uri,
    }


def _claim(rows: QuerySet[BitbucketToken], key: str, lease: str) -> bool | None:
    """Take the lease: whether it was free; ``None`` if there is no such row."""
    now = datetime.now(UTC)
    if rows.filter(free(now), key=key).update(**leased(lease, now)):
        return True
    return False if rows.filter(key=key).exists() else None


def _release(rows: QuerySet[BitbucketToken], key: str, lease: str) -> None:
    rows.filter(key=key, lease=lease).update(lease="", lease_until=None)


@contextmanager
def _connection(using: str, key: str) -> Iterator[tuple[Run, bool]]:
    """How to run a statement that has to be committed now, and whether that is on a connection of its own."""
    connection = connections[using]
    if connection.vendor == "sqlite" or connection.get_autocommit():
        yield partial(_atomically, using), False
        return
    # Connections are per thread.
    with ThreadPoolExecutor(1, thread_name_prefix="bitbucket-auth") as thread:  # needs: postgresql, mysql
        try:
            there = BitbucketToken.objects.using(using).filter(key=key)
            if thread.submit(there.exists).result():
                yield lambda call: thread.submit(_impatiently, using, call).result(), True
            else:
                yield partial(_atomically, using), False
        finally:
            thread.submit(connections.close_all).result()


def _atomically(using: str, call: Callable[[], T]) -> T:
    # In a caller's transaction a savepoint: an error must not spoil it.
    with transaction.atomic(using=using):
        return call()


def _impatiently(using: str, call: Callable[[], T]) -> T:
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}s'")
        else:
            cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {_LOCK_WAIT}")
        return call()


def _stubbornly(run: Run, call: Callable[[], T]) -> T:
    """Run a statement, up to three times where others are in the way."""
    for pause in (0.1, 0.3):
        try:
            return cast(T, run(call))
        except OperationalError:
            time.sleep(pause)
    return cast(T, run(call))
