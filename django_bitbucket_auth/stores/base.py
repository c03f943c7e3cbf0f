"""What a store is, and what it keeps. Knows no Django."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from weakref import WeakValueDictionary

from ..oauth.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A token and what it was got by: a record that differs in any of it is somebody else's.

    ``provider`` is the alias. ``scopes`` is what was asked for (``token.scopes`` is what was granted). ``obtained_at``
    is when the pair was got, ``refused_at`` when Bitbucket first refused to renew it, ``lost_at`` when it is lost for
    good. ``version`` and ``row`` belong to the store. ``repr`` shows no secret; ``as_dict`` holds them all.
    """

    token: Token
    provider: str
    grant: str
    instance: str
    client_id: str
    scopes: tuple[str, ...] = ()
    redirect_uri: str = ""
    obtained_at: datetime | None = field(default=None, compare=False)
    refused_at: datetime | None = None
    lost_at: datetime | None = None
    version: int | None = field(default=None, compare=False)
    row: int | None = field(default=None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """All of it in the types of JSON, the secrets in the clear: encrypt it where others can read."""
        return {
            "access_token": self.token.access_token,
            "token_secret": self.token.token_secret,
            "refresh_token": self.token.refresh_token,
            "token_type": self.token.token_type,
            "granted": list(self.token.scopes),
            "expires_at": _text(self.token.expires_at),
            "provider": self.provider,
            "grant": self.grant,
            "instance": self.instance,
            "client_id": self.client_id,
            "scopes": list(self.scopes),
            "redirect_uri": self.redirect_uri,
            "obtained_at": _text(self.obtained_at),
            "refused_at": _text(self.refused_at),
            "lost_at": _text(self.lost_at),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What ``as_dict`` gave.

        Raises:
            ValueError: something is missing, or isn't what it should be.
        """
        try:
            token = Token(
                access_token=_secret(values["access_token"]),
                token_secret=_secret(values["token_secret"]),
                refresh_token=_secret(values["refresh_token"]),
                token_type=_string(values["token_type"]),
                scopes=_strings(values["granted"]),
                expires_at=_moment(values["expires_at"]),
            )
            if not token.access_token:
                raise ValueError
            return cls(
                token=token,
                provider=_string(values["provider"]),
                grant=_string(values["grant"]),
                instance=_string(values["instance"]),
                client_id=_string(values["client_id"]),
                scopes=_strings(values["scopes"]),
                redirect_uri=_string(values["redirect_uri"]),
                obtained_at=_moment(values["obtained_at"]),
                refused_at=_moment(values["refused_at"]),
                lost_at=_moment(values["lost_at"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            # `from None`: the error may quote a value.
            raise ValueError(f"not the record of a token ({type(error).__name__})") from None


#: Seconds after which the lock of a process that died is free again: longer than renewing a token may take.
LEASE = 20


class TokenStore(ABC):
    """Keeps records by key. ``load`` and ``save`` are all that a store needs; the others make it better."""

    #: Whether what is saved stays. A refresh token that is evicted takes its person's consent along.
    keeps_refresh_tokens = True

    @abstractmethod
    def load(self, key: str) -> Record | Mapping[str, Any] | None:
        """The record, as such or as ``as_dict`` gave it; ``None`` if there is none."""

    @abstractmethod
    def save(self, key: str, record: Record) -> bool | None:
        """Keep the record in place of the one that was loaded.

        ``False`` says that it was dropped, since the store holds a newer one by now.
        """

    def delete(self, key: str) -> None:
        """Forget the record.

        Raises:
            TypeError: this store can't.
        """
        raise TypeError(f"{type(self).__name__} has no delete()")

    def lock(self, key: str) -> AbstractContextManager[TokenStore | None]:
        """Try to be the one who renews the token; never waits.

        Gives the store to use meanwhile, or ``None`` if somebody else has the lock. This one holds among the threads of
        a process; override it for more.
        """
        return process_lock(self, key)

    def check(self) -> None:  # noqa: B027 - a store that has nothing to check is fine
        """See whether the store can be used at all.

        Raises:
            ConfigurationError: it can't; the message says what to do.
        """

    def after_commit(self, tell: Callable[[], object]) -> None:
        """Call ``tell`` once what was saved is saved for good."""
        tell()

    def lasts(self, seconds: float) -> bool:
        """Asked of a store that is locked: whether the lock lasts for so many seconds yet."""
        return True

    @property
    def was_given_up(self) -> bool:
        """Asked of a store that is locked: whether the one before let go of the lock without a new token.

        ``False`` where that isn't known, or where the one before has died.
        """
        return False


class Held(TokenStore):
    """A store whose lock is held: the same store, until its block ends."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store

    def load(self, key: str) -> Record | Mapping[str, Any] | None:
        return self._store.load(key)

    def save(self, key: str, record: Record) -> bool | None:
        return self._store.save(key, record)

    def delete(self, key: str) -> None:
        self._store.delete(key)


_locks: WeakValueDictionary[tuple[type, str], threading.Lock] = WeakValueDictionary()
_locks_lock = threading.Lock()


@contextmanager
def process_lock(store: TokenStore, key: str) -> Iterator[TokenStore | None]:
    """A lock among the threads of this process, for stores of one class."""
    with _locks_lock:
        lock = _locks.setdefault((type(store), key), threading.Lock())
    if not lock.acquire(blocking=False):
        yield None
        return
    try:
        yield store
    finally:
        lock.release()


def _forget_locks() -> None:
    # The threads that held one at a fork aren't in the child, so there nobody would ever let it go.
    global _locks, _locks_lock
    _locks, _locks_lock = WeakValueDictionary(), threading.Lock()


os.register_at_fork(after_in_child=_forget_locks)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(_string(value))
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC)


def _secret(value: object) -> str:
    text = _string(value)
    # It goes into a header, where a line break would start another one.
    if not text.isascii() or not text.isprintable():
        raise ValueError
    return text


def _strings(value: object) -> tuple[str, ...]:
    # A string is a sequence of strings, too.
    if not isinstance(value, (list, tuple)):
        raise TypeError
    return tuple(map(_string, value))


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
