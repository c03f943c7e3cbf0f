"""The single flight: one renews a token, however many ask, and all get the new one.

::

    load ─ fresh? ─────────────────────────────────────────> use it
      │ no
    lock ─ taken? ─ still valid? ──────────────────────────> use it
      │               │ no
      │               wait ─ renewed by then? ─────────────> use it
    load ─ renewed meanwhile? ─────────────────────────────> use it
      │ no
    renew or get anew (once: nothing repeats it) ─ save ───> use it
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeGuard

from django.dispatch import Signal

from . import conf, pauses
from .conf import ProviderSettings
from .exceptions import BitbucketUnavailable, NotConnected, OAuthError, ReauthenticationRequired
from .oauth.grants import Grant, RefreshToken
from .oauth.token import Token
from .signals import reauthentication_required, token_refreshed
from .stores import Record, TokenStore

if TYPE_CHECKING:
    from .bitbucket import Provider
    from .models import BitbucketAccount

logger = logging.getLogger("django_bitbucket_auth")

#: Seconds before its end at which a token is renewed: those who find the renewal under way go on with the old one.
EARLY = 300
#: Seconds before its end from which on a token isn't used any more: it has to last for the way to Bitbucket.
LATE = 10
#: Most seconds that renewing takes: less than the lease of a process that died.
DEADLINE = 15
#: Most seconds that the others wait for it: the lease of a process that died, and another's try.
PATIENCE = 45
#: Seconds between two tries to get the lock, which may cost a connection; the token is looked at more often.
TRY_EVERY = 2
#: Seconds between two refusals that together mean that a token is lost (a single one can be a passing fault).
TWICE = 60


class MissingArguments(TypeError):
    """A grant can't be made of the arguments that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """Where a token is kept, and how it is got where there is none or it can't be renewed.

    ``grant`` makes the grant to send, and may ask for credentials; ``asked`` are the name of that grant and the scopes
    it asks for. Without them the token is an account's, whatever it was got by. ``may_refresh`` decides about each
    token.
    """

    configuration: ProviderSettings
    instance: str
    store: TokenStore
    key: str
    grant: Callable[[], Grant] | None = field(default=None, repr=False)
    asked: tuple[str, tuple[str, ...]] | None = None
    may_refresh: Callable[[Token], object] = bool
    account: BitbucketAccount | None = None

    def token(self, stale: Token | None = None, *, force: bool = False) -> Token:
        """The token of ``record()``."""
        return self.record(stale, force=force).token

    def record(self, stale: Token | None = None, *, force: bool = False) -> Record:
        """A usable token: the stored one, else renewed, else got by the grant.

        ``stale`` is a token that Bitbucket refused, so it isn't that one; ``force`` asks for the grant in any case.

        Raises:
            ReauthenticationRequired: the token is dead, and there is no other way to one.
            NotConnected: there is no token.
            BitbucketAuthError: what ``Provider.fetch_token`` raises.
        """
        record = None if force else self.load(self.store)
        if is_good(record, stale):
            return record
        turn = _Turn(self, stale, force, spare=record if is_good(record, stale, LATE) else None)
        if turn.spare is not None and pauses.is_paused(turn.spare.token):
            return turn.spare
        if turn.spare is None and record is not None:
            self._give_up(record)
        try:
            return self._in_turn(turn, record)
        finally:
            for tell in turn.tell:
                tell()

    def _give_up(self, record: Record) -> None:
        """Raise what is known without asking anybody: the token is called for again and again, perhaps."""
        if self.grant is None and (refusal := self.cannot_refresh(record)):
            raise refusal
        if error := pauses.binding(record.token):
            raise error

    def _in_turn(self, turn: _Turn, record: Record | None) -> Record:
        """What this caller's turn gives, or somebody else's that it waits for."""
        until, pause, look = time.monotonic() + PATIENCE, 0.05, 0.0
        while True:
            if turn.force or time.monotonic() >= look:
                look = time.monotonic() + TRY_EVERY
                try:
                    with self.store.lock(self.key) as held:
                        if held is not None and (taken := turn.take(held)):
                            return taken
                except BitbucketUnavailable:
                    if turn.spare is None:
                        raise
            if turn.spare is not None:
                return turn.spare
            if time.monotonic() > until:
                raise BitbucketUnavailable("another process renews the token, and has not come to an end")
            turn.has_waited = True
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
            newer = self.load(self.store)
            if is_good(newer, turn.stale, LATE) and not turn.force:
                return newer
            if newer is not None and newer.refused_at is not None and (record is None or record.refused_at is None):
                # The one who renews was just told: all who wait for it have their answer.
                raise _refused_just_now()

    def renew(self, held: TokenStore, stale: Token) -> Record | None:
        """Another token than ``stale``, for a caller who holds the lock: ``held`` is what ``lock()`` gave.

        ``None`` if the lock doesn't last for it.

        Raises:
            ReauthenticationRequired, NotConnected, BitbucketAuthError: as ``token``.
        """
        turn = _Turn(self, stale, force=False, spare=None)
        try:
            return turn.take(held)
        finally:
            for tell in turn.tell:
                tell()

    def load(self, store: TokenStore) -> Record | None:
        """The stored record, if it is what is asked for."""
        found = loaded(store, self.key)
        return found if self.fits(found) else None

    def fits(self, record: Record | None) -> TypeGuard[Record]:
        """Whether a record is what is asked for: a token of another Bitbucket must not be sent to this one."""
        if record is None or record.instance != self.instance:
            return False
        asked = (record.grant, record.scopes, record.provider, record.client_id)
        return self.asked is None or asked == (*self.asked, self.configuration.alias, self.configuration.client_id)

    def cannot_refresh(self, current: Record) -> ReauthenticationRequired | None:
        """Why the record can't be renewed, as far as it is known without asking."""
        if current.lost_at is not None:
            return ReauthenticationRequired("lost", f"Bitbucket refused to renew the token {self.key} for good")
        if not current.token.refresh_token:
            return ReauthenticationRequired("no_refresh_token", f"the token {self.key} can't be renewed")
        if current.client_id != self.configuration.client_id:
            # Bitbucket would refuse it, and that would count against the token.
            return ReauthenticationRequired("other_client", f"the token {self.key} is another OAuth client's")
        return None


@dataclass(slots=True)
class _Turn:
    """One caller's turn: what it asks for, the token that still works for a while, and what is to be told after it."""

    flight: Flight
    stale: Token | None
    force: bool
    spare: Record | None
    has_waited: bool = False
    tell: list[Callable[[], object]] = field(default_factory=list)

    def take(self, held: TokenStore) -> Record | None:
        """Renew the token, with the lock held, or find that somebody has; ``None`` if the lock doesn't last for it."""
        flight = self.flight
        found = loaded(held, flight.key)
        current = found if flight.fits(found) else None
        if is_good(current, self.stale) and not self.force:
            return current
        self._share_failure(held, current)
        if not held.lasts(DEADLINE):
            return None
        limit = min(flight.configuration.deadline, DEADLINE)
        provider = conf.provider(replace(flight.configuration, deadline=limit))
        try:
            fresh = self._fetch(held, provider, current)
        except (BitbucketUnavailable, OAuthError) as error:
            if self.spare is None:
                if current is not None:
                    pauses.heed(current, error)
                raise
            pauses.pause(self.spare.token)
            logger.info("The token %s could not be renewed, and is good for a while yet: %s", flight.key, error)
            return self.spare
        if (
            self._saved(
                held, replace(fresh, version=found.version if found else None, row=found.row if found else None)
            )
            is False
        ):
            # A sign-in was faster, and its pair is the newer one.
            if newer := flight.load(held):
                return newer if is_good(newer, self.stale, LATE) else fresh
            if flight.grant is None:
                # A pair that comes back to a row that was deleted meanwhile is nobody's.
                raise NotConnected(f"the token {flight.key} was deleted meanwhile")
        elif current is not None:
            self._announce(held, token_refreshed)
        return fresh

    def _share_failure(self, held: TokenStore, current: Record | None) -> None:
        """Forty callers don't ask in turn what one was told: whom this one has waited for couldn't do it."""
        if self.has_waited and held.was_given_up and not self.force:
            if current is not None and current.refused_at is not None:
                raise _refused_just_now()
            raise BitbucketUnavailable("the token couldn't be renewed a moment ago")

    def _saved(self, held: TokenStore, fresh: Record) -> bool | None:
        try:
            return held.save(self.flight.key, fresh)
        except Exception as error:
            # Bitbucket has replaced the old pair by now, and takes it for some minutes more.
            logger.error("The new token %s could not be kept: %s", self.flight.key, type(error).__name__)
            raise

    def _fetch(self, held: TokenStore, provider: Provider, current: Record | None) -> Record:
        """A pair from Bitbucket: by the refresh token, else by the grant."""
        flight = self.flight
        refusal = flight.cannot_refresh(current) if current else None
        if current is not None and refusal is None and not self.force and flight.may_refresh(current.token):
            try:
                return _renewal(provider, current)
            except ReauthenticationRequired as error:
                if newer := self._mark(held, current, error):
                    return newer
                refusal = error
        if flight.grant is None:
            raise refusal or NotConnected(f"there is no token {flight.key}")
        try:
            grant = flight.grant()
        except MissingArguments:
            if refusal is None:
                raise
            raise refusal from None  # it was kept to be renewed, and can't be
        token = provider.fetch_token(grant)
        if isinstance(grant, RefreshToken) and not token.refresh_token:
            token = replace(token, refresh_token=grant.refresh_token)
        name, scopes = flight.asked or (grant.name, ())
        return Record(
            token=token,
            provider=flight.configuration.alias,
            grant=name,
            instance=flight.instance,
            client_id=flight.configuration.client_id,
            scopes=scopes,
            redirect_uri=getattr(grant, "redirect_uri", ""),
            obtained_at=datetime.now(UTC),
        )

    def _mark(self, held: TokenStore, current: Record, error: ReauthenticationRequired) -> Record | None:
        """Note that Bitbucket refused this pair. Returns the pair that has replaced it meanwhile, if one has."""
        now, key = datetime.now(UTC), self.flight.key
        if current.refused_at is None:
            marked = replace(current, refused_at=now)
        elif now - current.refused_at >= timedelta(seconds=TWICE):
            marked = replace(current, lost_at=now)
        else:
            return None
        if held.save(key, marked) is False:
            newer = self.flight.load(held)
            return newer if is_good(newer, current.token, LATE) else None
        if marked.lost_at is not None:
            logger.warning("The token %s is lost: its person has to sign in again (%s)", key, error)
            self._announce(held, reauthentication_required, error=error)
        return None

    def _announce(self, held: TokenStore, signal: Signal, **arguments: Any) -> None:
        flight = self.flight
        send = partial(
            signal.send_robust,
            sender=type(flight.store),
            key=flight.key,
            provider=flight.configuration.alias,
            account=flight.account,
            **arguments,
        )
        self.tell.append(partial(held.after_commit, send))


def loaded(store: TokenStore, key: str) -> Record | None:
    """What a store holds, as a record; ``None``, and a line in the log, for what is no record."""
    found = store.load(key)
    if not isinstance(found, (Record, Mapping, NoneType)):
        raise TypeError(
            f"{type(store).__name__}.load() has to return a Record, its as_dict(), or None, not {type(found).__name__}"
        )
    if isinstance(found, Mapping):
        try:
            return Record.from_dict(found)
        except ValueError as error:
            logger.warning("%s.load() gave no token: %s", type(store).__name__, error)
            return None
    return found


def is_good(record: Record | None, stale: Token | None, leeway: float | None = None) -> TypeGuard[Record]:
    """Whether a record's token can be used: it isn't the stale one, and lasts for ``leeway`` seconds yet.

    Without a ``leeway``: until it is to be renewed.
    """
    if record is None or (stale is not None and record.token.access_token == stale.access_token):
        return False
    return not record.token.expired(early(record) if leeway is None else leeway)


def early(record: Record) -> float:
    """Seconds before its end at which a token is renewed: ``EARLY``, or a quarter of a life that is short."""
    if record.token.expires_at is None or record.obtained_at is None:
        return EARLY
    return min(EARLY, max(0, (record.token.expires_at - record.obtained_at).total_seconds() / 4))


def _refused_just_now() -> ReauthenticationRequired:
    return ReauthenticationRequired("refused", "Bitbucket has just refused to renew the token")


def _renewal(provider: Provider, current: Record) -> Record:
    token = provider.fetch_token(provider.refresh_grant(current.token, current.redirect_uri))
    token = replace(
        token,
        # Not every answer brings a new one: then the old one stays good.
        refresh_token=token.refresh_token or current.token.refresh_token,
        scopes=token.scopes or current.token.scopes,
    )
    return replace(current, token=token, obtained_at=datetime.now(UTC), refused_at=None, lost_at=None)
