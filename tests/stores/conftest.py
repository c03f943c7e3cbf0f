"""Stores to try."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings
from logins import sign_in
from own_connections import own_connections
from stores.keeping import shared

from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import CacheTokenStore, DatabaseTokenStore, FileTokenStore
from django_bitbucket_auth.stores.database import AccountTokenStore

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


@pytest.fixture
def jane() -> AccountTokenStore:
    """The store of a person's token."""
    return AccountTokenStore(sign_in().bitbucket_accounts.get())


@pytest.fixture
def janes_key(jane: AccountTokenStore) -> str:
    """The key of that token."""
    return BitbucketToken.key_of(jane.account.pk, "default")
