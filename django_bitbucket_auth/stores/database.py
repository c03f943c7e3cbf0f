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
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from django.db import IntegrityError, router, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from ..exceptions import BitbucketUnavailable, NotConnected
from ..models import BitbucketAccount, BitbucketToken, aware, storable
from .base import LEASE, Held, Record, TokenStore, process_lock
from .statements import LOCK_WAIT, Statements, committed, in_transaction

logger = logging.getLogger("django_bitbucket_auth")

_LONGEST_KEY = 200


def replace_pair(
    rows: QuerySet[BitbucketToken],
    key: str,
    values: dict[str, Any],
    *,
    version: int | None = None,
    row: int | None = None,
    renewed: bool = True,
) -> bool:
    """Write token columns of the row ``key``, if it is there and, where given, still this ``row`` in this ``version``.

    A row that was deleted and made anew has the same key, and counts its versions from 1 again.

    All that writes a pair comes by here: sign-ins, renewals, marks, rotated keys. ``renewed=False`` for what is no
    newer pair: then ``updated_at``, from which disuse is counted, stays.
    """
    rows = rows.filter(key=key) if version is None else rows.filter(key=key, version=version)
    rows = rows if row is None else rows.filter(pk=row)
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
        row = self._rows(key).filter(key=key).select_related("account__user").first()
        # Compared again: a collation may take one key for another.
        if row is None or row.key != key:
            return None
        check_active(row)
        return record_of(row)

    def save(self, key: str, record: Record) -> bool:
        rows = self._rows(key)
        if record.version is None:
            return self._insert(rows, key, record)
        if _is_marked(record):
            return replace_pair(rows, key, _marks(record), version=record.version, row=record.row, renewed=False)
        return replace_pair(rows, key, _columns(key, record), version=record.version, row=record.row)

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
        if in_transaction(rows.db) and Statements(rows.db).run(partial(_is_leased, rows, key)):  # needs: row-locks
            # Without a connection of its own for each look of each who waits.
            yield None
            return
        with committed(rows.db, rows.filter(key=key).exists) as statements:
            claimed = statements.run(partial(_claim, rows, key, lease))
            if claimed is None:
                with process_lock(self, key) as alone:
                    yield _Leased(self, statements) if alone else None
            elif claimed == "busy":
                yield None
            else:
                with self._holding(key, lease, statements) as held:
                    held.was_given_up = claimed == "given up"
                    yield held

    def holding(self, key: str, lease: str, until: float) -> AbstractContextManager[TokenStore]:
        """The store while a lease is held that was claimed elsewhere (``leased``); it ends with the block.

        ``until`` is when it lapses, by ``time.monotonic()``.
        """
        return self._holding(key, lease, Statements(all_rows().db), until)

    @contextmanager
    def _holding(self, key: str, lease: str, statements: Statements, until: float | None = None) -> Iterator[_Leased]:
        rows = self._rows(key)
        held = _Leased(self, statements, partial(_prolong, rows, key, lease), until)
        try:
            yield held
        finally:
            if not held.ended:
                with suppress(BitbucketUnavailable):  # then it lapses
                    statements.run(partial(_release, rows, key, lease))

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

    was_given_up = False

    def __init__(
        self,
        store: DatabaseTokenStore,
        statements: Statements,
        prolong: Callable[[], bool] = lambda: True,
        until: float | None = None,
    ) -> None:
        super().__init__(store)
        self._statements, self._prolong = statements, prolong
        self._until = time.monotonic() + LEASE if until is None else until
        #: Whether the lease is over already.
        self.ended = False

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
        self.ended = kept and not _is_marked(record)
        return kept

    def lasts(self, seconds: float) -> bool:
        """Whether it does; one that hardly lasts is prolonged, if nobody has taken it over."""
        if time.monotonic() + seconds < self._until:
            return True
        self._until = time.monotonic() + LEASE
        return self._statements.run(self._prolong)

    def after_commit(self, tell: Callable[[], object]) -> None:
        self._statements.after_commit(tell)


def all_rows() -> QuerySet[BitbucketToken]:
    """The tokens, in the database where they are written: a replica may lag behind a renewal."""
    return BitbucketToken.objects.using(router.db_for_write(BitbucketToken))


def check_active(row: BitbucketToken) -> None:
    """See to it that an inactive user's token isn't used.

    Raises:
        NotConnected: it is one's.
    """
    if row.account is not None and not getattr(row.account.user, "is_active", True):
        raise NotConnected(f"the user {row.account.user_id} is inactive")


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
        row=row.pk,
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


def _claim(rows: QuerySet[BitbucketToken], key: str, lease: str) -> Literal["given up", "lapsed", "busy"] | None:
    """Try to take the lease. What had become of the one before, or ``None`` if there is no such row."""
    now = datetime.now(UTC)
    if rows.filter(key=key, lease="").update(**leased(lease, now)):
        return "given up"
    if rows.filter(free(now), key=key).update(**leased(lease, now)):
        return "lapsed"
    return "busy" if rows.filter(key=key).exists() else None


def _is_leased(rows: QuerySet[BitbucketToken], key: str) -> bool:  # needs: row-locks
    return rows.filter(key=key, lease_until__gte=storable(datetime.now(UTC))).exclude(lease="").exists()


def _prolong(rows: QuerySet[BitbucketToken], key: str, lease: str) -> bool:
    now = datetime.now(UTC)
    return bool(rows.filter(Q(lease=lease) | free(now), key=key).update(**leased(lease, now)))


def _release(rows: QuerySet[BitbucketToken], key: str, lease: str) -> None:
    rows.filter(key=key, lease=lease).update(lease="", lease_until=None)
