"""Stores to try."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings
from own_connections import own_connections
from stores.keeping import shared

from django_bitbucket_auth.stores import CacheTokenStore, DatabaseTokenStore, FileTokenStore

__all__ = ["own_connections"]


@pytest.fixture
def cache_store(tmp_path: Path) -> Iterator[CacheTokenStore]:
    """In a cache that processes share."""
    with override_settings(CACHES=shared(tmp_path / "cache")):
        yield CacheTokenStore("shared")


@pytest.fixture
def file_store(tmp_path: Path) -> FileTokenStore:
    """In a folder that isn't there yet."""
    return FileTokenStore(tmp_path / "tokens")


@pytest.fixture
def database_store() -> DatabaseTokenStore:
    """In the database."""
    return DatabaseTokenStore()
