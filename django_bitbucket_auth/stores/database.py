"""The database as a store, and the one place that replaces a pair of tokens there.

A lease says who renews a token, a version which pair is the latest: no lock and no transaction is held while Bitbucket
is waited for. Where the caller is in a transaction, lease and new pair are written over a connection of their own:
Bitbucket has replaced the old pair by then, whatever becomes of the transaction. These are written in the caller's:
with SQLite, which has one writer, all; elsewhere a row that isn't there yet, or that this very transaction inserted,
since no other connection sees it. There a rollback leaves the old pair, which Bitbucket takes for some minutes more,
or none.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, router, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from ..exceptions import BitbucketUnavailable
from ..models import BitbucketAccount, BitbucketToken, aware, storable
from .base import LEASE, Held, Record, TokenStore, process_lock
from .statements import LOCK_WAIT, Statements, committed

logger = logging.getLogger("django_bitbucket_auth")

_LONGEST_KEY = 200


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

    A key has at most 200 characters and doesn't begin with ``account:``; any other raises ``ValueError``. Keys that
    differ in case only are one to some databases, which keep the first.
    """

    def load(self, key: str) -> Record | None:
        row = self._rows(key).filter(key=key).first()
        # Compared again: a collation may take one key for another.
        return record_of(row) if row is not None and row.key == key else None

    def save(self, key: str, record: Record) -> bool:
        rows = self._rows(key)
        if record.version is None:
            return self._insert(rows, key, record)
        if _is_marked(record):
            return replace_pair(rows, key, _marks(record), version=record.version, renewed=False)
        return replace_pair(rows, key, _columns(key, record), version=record.version)

    def delete(self, key: str) -> None:
        rows = self._rows(key)
        found = rows.filter(key=key).values_list("pk", "key")
        rows.filter(pk__in=[pk for pk, known in found if known == key]).delete()

    @contextmanager
    def lock(self, key: str) -> Iterator[TokenStore | None]:
        """A lease, among all processes that share the database; of a row that isn't there yet, among threads.

        Raises:
            BitbucketUnavailable: the lease can't be written. What can't be claimed isn't renewed: another would renew
                it at the same time.
        """
        rows, lease = self._rows(key), secrets.token_hex(16)
        with committed(rows.db, rows.filter(key=key).exists) as statements:
            claimed = statements.run(partial(_claim, rows, key, lease))
            if claimed is None:
                with process_lock(self, key) as alone:
                    yield _Leased(self, statements) if alone else None
            elif claimed:
                with self._holding(key, lease, statements) as held:
                    yield held
            else:
                yield None

    def holding(self, key: str, lease: str) -> AbstractContextManager[TokenStore]:
        """The store while a lease is held that was claimed elsewhere (``leased``); it ends with the block."""
        return self._holding(key, lease, Statements(all_rows().db))

    @contextmanager
    def _holding(self, key: str, lease: str, statements: Statements) -> Iterator[TokenStore]:
        held = _Leased(self, statements)
        try:
            yield held
        finally:
            if not held.left:
                with suppress(BitbucketUnavailable):  # then it lapses
                    statements.run(partial(_release, self._rows(key), key, lease))

    def _insert(self, rows: QuerySet[BitbucketToken], key: str, record: Record) -> bool:
        try:
            with transaction.atomic(using=rows.db):
                rows.create(key=key, **(_columns(key, record) | _marks(record)))
        except IntegrityError:
            if not all_rows().filter(key=key).exists():
                raise
            return False  # there is one: newer, or one that can't be decrypted, which isn't overwritten
        return True

    def _rows(self, key: str) -> QuerySet[BitbucketToken]:
        # A key that comes from outside must not open a person's token, nor delete it, by whatever a collation takes for
        # its key.
        if BitbucketToken.is_account_key(key):
            raise ValueError("keys that begin with 'account:' are those of accounts: use get_session()")
        if len(key) > _LONGEST_KEY:  # which would be noticed when the token is there, and can't be kept
            raise ValueError(f"a key has at most {_LONGEST_KEY} characters")
        return all_rows().filter(account=None)


class AccountTokenStore(DatabaseTokenStore):
    """The tokens of accounts. Rows are inserted by a sign-in alone: what was deleted meanwhile stays away."""

    def __init__(self, account: BitbucketAccount) -> None:
        self.account = account

    def _insert(self, rows: QuerySet[BitbucketToken], key: str, record: Record) -> bool:
        return False

    def _rows(self, key: str) -> QuerySet[BitbucketToken]:
        return all_rows().filter(account=self.account.pk)


class _Leased(Held):
    """The store while its lease is held, on the connection that the lease is on."""

    def __init__(self, store: DatabaseTokenStore, statements: Statements) -> None:
        super().__init__(store)
        self._statements = statements

    def load(self, key: str) -> Any:
        return self._statements.run(partial(super().load, key))

    def save(self, key: str, record: Record) -> bool:
        try:
            # More patient than all others: Bitbucket has replaced the old pair by now.
            kept = bool(self._statements.run(partial(super().save, key, record), patience=3 * LOCK_WAIT))
        except BitbucketUnavailable as error:
            logger.warning("What Bitbucket answered for the token %s is lost: %s", key, error)
            raise
        # A new pair ends the lease; a mark doesn't.
        self.left = kept and not _is_marked(record)
        return kept

    def after_commit(self, tell: Callable[[], object]) -> None:
        self._statements.after_commit(tell)


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
        obtained_at=aware(row.updated_at),
        refused_at=aware(row.refused_at),
        lost_at=aware(row.lost_at),
        version=row.version,
    )


def free(now: datetime) -> Q:
    """Rows that nobody has a lease of. By this host's clock: hosts that share the work need theirs within seconds."""
    return Q(lease="") | Q(lease_until=None) | Q(lease_until__lt=storable(now))


def leased(lease: str, now: datetime, seconds: float = LEASE) -> dict[str, Any]:
    """The columns of a lease."""
    return {"lease": lease, "lease_until": storable(now + timedelta(seconds=seconds))}


def _is_marked(record: Record) -> bool:
    """Whether it says that Bitbucket refused the pair; else it is a new one."""
    return record.refused_at is not None or record.lost_at is not None


def _marks(record: Record) -> dict[str, Any]:
    return {"refused_at": storable(record.refused_at), "lost_at": storable(record.lost_at)}


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
