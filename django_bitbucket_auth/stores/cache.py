"""Django's cache as a store: encrypted, and for tokens that can be had again."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

from ..exceptions import BitbucketUnavailable, ConfigurationError
from . import sealed
from .base import LEASE, Held, Record, TokenStore

logger = logging.getLogger("django_bitbucket_auth")

_PURPOSE = "token cache"
_NOT_ASKED = object()


class CacheTokenStore(TokenStore):
    """Keeps records in the cache ``alias``, for ``timeout`` seconds (default: until they are evicted).

    A cache may forget. An application token can be had again; a refresh token that is gone takes a person's consent
    along, so grants that give one are refused unless ``eviction_is_fine``.

    Its lock is as good as the cache's ``add()``: atomic with Redis and Memcached; with Django's file-based cache two
    may get it at once, and with its database cache it is part of the caller's transaction, if there is one.
    """

    def __init__(self, alias: str = "default", *, timeout: float | None = None, eviction_is_fine: bool = False) -> None:
        self.alias, self.timeout = alias, timeout
        self.keeps_refresh_tokens = eviction_is_fine

    @property
    def _cache(self) -> BaseCache:
        return caches[self.alias]

    def load(self, key: str) -> Record | None:
        try:
            found = self._cache.get(_name("token", key))
        except Exception as error:
            # Out of reach, which the lock will tell, or a value that was altered so that it can't even be unpickled.
            logger.warning("The cache failed (%s): the token %s counts as none", type(error).__name__, key)
            return None
        return None if found is None else sealed.unseal(_PURPOSE, key, found)

    def save(self, key: str, record: Record) -> None:
        """Keep the record.

        Raises:
            ConfigurationError: it has a refresh token, and eviction isn't fine.
            BitbucketUnavailable: the cache failed.
        """
        if record.token.refresh_token and not self.keeps_refresh_tokens:
            raise ConfigurationError(
                "A cache can forget a refresh token, and its person would have to consent again. Use "
                "DatabaseTokenStore, or say CacheTokenStore(eviction_is_fine=True)."
            )
        with _failing():
            self._cache.set(_name("token", key), sealed.seal(_PURPOSE, key, record), timeout=self.timeout)

    def delete(self, key: str) -> None:
        with _failing():
            self._cache.delete(_name("token", key))

    @contextmanager
    def lock(self, key: str) -> Iterator[TokenStore | None]:
        """A lock among all processes that share the cache.

        Raises:
            BitbucketUnavailable: the cache failed: what can't be locked isn't renewed.
        """
        name, owner = _name("lock", key), secrets.token_hex(16)
        with _failing():
            got = self._cache.add(name, owner, timeout=LEASE)
        if not got:
            yield None
            return
        try:
            yield _Owned(self)
        finally:
            with suppress(Exception):  # then it lapses
                if self._cache.get(name) == owner:  # else it lapsed, and may be somebody else's by now
                    self._cache.delete(name)

    def check(self) -> None:
        """Refuse a cache that each process has for itself: tokens would be got, and renewed, once in each."""
        try:
            cache = self._cache
        except InvalidCacheBackendError as error:
            raise ConfigurationError(f"There is no cache {self.alias!r} to keep tokens in ({error}).") from None
        if isinstance(cache, (LocMemCache, DummyCache)):
            raise ConfigurationError(
                f"The cache {self.alias!r} isn't shared between processes. Name a shared one: CacheTokenStore('redis')."
            )


class _Owned(Held):
    """The store while its lock is held. Locks lapse, or are evicted: then somebody else may save a newer pair."""

    def __init__(self, store: CacheTokenStore) -> None:
        super().__init__(store)
        self._until = time.monotonic() + LEASE
        self._known: Any = _NOT_ASKED

    def load(self, key: str) -> Any:
        self._known = super().load(key)
        return self._known

    def save(self, key: str, record: Record) -> bool | None:
        # If only the lock is gone, or all is, this one is the newest.
        if self._known is not _NOT_ASKED and super().load(key) not in (None, self._known):
            return False
        kept = super().save(key, record)
        self._known = record
        return kept

    def lasts(self, seconds: float) -> bool:
        return time.monotonic() + seconds < self._until


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise BitbucketUnavailable(f"the cache failed ({type(error).__name__}: {error})") from None


def _name(kind: str, key: str) -> str:
    # Hashed: a key may be longer than a cache takes, or hold what it doesn't.
    return f"bitbucket_auth:{kind}:{hashlib.sha256(key.encode()).hexdigest()}"
