"""Django's cache as a store: encrypted, and for tokens that can be had again."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

from ..exceptions import ConfigurationError
from . import sealed
from .base import LEASE, Record, TokenStore

_PURPOSE = "token cache"


class CacheTokenStore(TokenStore):
    """Keeps records in the cache ``alias``, for ``timeout`` seconds (default: until they are evicted).

    A cache may forget. An application token can be had again; a refresh token that is gone takes a person's consent
    along, so grants that give one are refused unless ``eviction_is_fine``.
    """

    def __init__(self, alias: str = "default", *, timeout: float | None = None, eviction_is_fine: bool = False) -> None:
        self.alias, self.timeout = alias, timeout
        self.keeps_refresh_tokens = eviction_is_fine

    @property
    def _cache(self) -> BaseCache:
        return caches[self.alias]

    def load(self, key: str) -> Record | None:
        found = self._cache.get(_name("token", key))
        return None if found is None else sealed.unseal(_PURPOSE, key, found)

    def save(self, key: str, record: Record) -> None:
        """Keep the record.

        Raises:
            ConfigurationError: it has a refresh token, and eviction isn't fine.
        """
        if record.token.refresh_token and not self.keeps_refresh_tokens:
            raise ConfigurationError(
                "A cache can forget a refresh token, and its person would have to consent again. Use "
                "DatabaseTokenStore, or say CacheTokenStore(eviction_is_fine=True)."
            )
        self._cache.set(_name("token", key), sealed.seal(_PURPOSE, key, record), timeout=self.timeout)

    def delete(self, key: str) -> None:
        self._cache.delete(_name("token", key))

    @contextmanager
    def lock(self, key: str) -> Iterator[TokenStore | None]:
        """A lock among all processes that share the cache."""
        name, owner = _name("lock", key), secrets.token_hex(16)
        if not self._cache.add(name, owner, timeout=LEASE):
            yield None
            return
        try:
            yield self
        finally:
            if self._cache.get(name) == owner:  # else it lapsed, and is somebody else's by now
                self._cache.delete(name)

    def check(self) -> None:
        """Refuse a cache that each process has for itself: tokens would be got, and renewed, once in each."""
        if isinstance(self._cache, (LocMemCache, DummyCache)):
            raise ConfigurationError(
                f"The cache {self.alias!r} isn't shared between processes. Name a shared one: CacheTokenStore('redis')."
            )


def _name(kind: str, key: str) -> str:
    # Hashed: a key may be longer than a cache takes, or hold what it doesn't.
    return f"bitbucket_auth:{kind}:{hashlib.sha256(key.encode()).hexdigest()}"
