"""Django's cache as a store."""

from __future__ import annotations

import pickle
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings
from stored import renewals
from stores.keeping import (
    KEY,
    PLAIN,
    RECORD,
    SECRETS,
    loaded,
    newer,
    shared,
)

from django_bitbucket_auth.exceptions import BitbucketUnavailable, ConfigurationError
from django_bitbucket_auth.stores import CacheTokenStore, sealed
from django_bitbucket_auth.stores.cache import _name
from django_bitbucket_auth.testing import BitbucketSimulator
from django_bitbucket_auth.tokens import get_access_token

NEW_KEY = "a-new-secret-of-thirty-two-characters!"


class OwnLocMemCache(LocMemCache):
    """A project's own kind of a cache for one process."""


class OwnDummyCache(DummyCache):
    """The same of one that keeps nothing."""


def raw(key: str = KEY) -> Any:
    return caches["shared"].get(_name("token", key))


def put(value: object, key: str = KEY) -> None:
    caches["shared"].set(_name("token", key), value)


# -- what it keeps -----------------------------------------------------------------------------------------------------


def test_a_record_is_kept_until_it_is_deleted(cache_store: CacheTokenStore) -> None:
    assert cache_store.load(KEY) is None
    cache_store.save(KEY, PLAIN)
    assert cache_store.load(KEY) == PLAIN
    cache_store.save(KEY, replace(PLAIN, client_id="other"))
    assert loaded(cache_store).client_id == "other"
    assert cache_store.load("another key") is None
    cache_store.delete(KEY)
    cache_store.delete(KEY)
    assert cache_store.load(KEY) is None


def test_the_cache_holds_neither_a_secret_nor_the_key(cache_store: CacheTokenStore, tmp_path: Path) -> None:
    CacheTokenStore("shared", eviction_is_fine=True).save("jane@example.com", RECORD)
    assert raw("jane@example.com").startswith("1.")
    files = [path.read_bytes() for path in (tmp_path / "cache").iterdir()]
    plain = b"".join(zlib.decompress(data[data.index(b"x\x9c") :]) for data in files)
    assert b"1." in plain
    for secret in (*SECRETS, "jane", "client-7"):
        assert secret.encode() not in plain


@pytest.mark.parametrize("key", ["", "x" * 5000, "with space\n", "jané", "a:b/../c"])
def test_any_text_is_a_key(cache_store: CacheTokenStore, key: str) -> None:
    cache_store.save(key, PLAIN)
    assert cache_store.load(key) == PLAIN


def test_it_keeps_records_as_long_as_it_is_told(cache_store: CacheTokenStore) -> None:
    CacheTokenStore("shared", timeout=0).save(KEY, PLAIN)
    assert cache_store.load(KEY) is None
    CacheTokenStore("shared", timeout=1000).save(KEY, PLAIN)
    assert cache_store.load(KEY) == PLAIN


def test_a_renewal_keeps_the_refresh_token_where_eviction_is_fine(
    bitbucket: BitbucketSimulator, cache_store: CacheTokenStore
) -> None:
    store = CacheTokenStore("shared", eviction_is_fine=True)
    refresh_token = str(bitbucket.issue("jane")["refresh_token"])
    token = get_access_token(grant="refresh_token", store=store, key=KEY, refresh_token=refresh_token)
    assert loaded(store).token == token
    store.save(KEY, newer(loaded(store)))
    assert get_access_token(grant="refresh_token", store=store, key=KEY, refresh_token="x").access_token == (
        "newer-access"
    )


# -- what it refuses ---------------------------------------------------------------------------------------------------


def test_it_refuses_refresh_tokens_unless_it_is_told_that_eviction_is_fine(cache_store: CacheTokenStore) -> None:
    with pytest.raises(ConfigurationError, match=r"DatabaseTokenStore.*eviction_is_fine=True"):
        cache_store.save(KEY, RECORD)
    assert cache_store.load(KEY) is None
    told = CacheTokenStore("shared", eviction_is_fine=True)
    told.save(KEY, RECORD)
    assert cache_store.load(KEY) == RECORD
    assert (cache_store.keeps_refresh_tokens, told.keeps_refresh_tokens) == (False, True)


def test_a_grant_that_brings_a_refresh_token_is_refused_before_it_is_sent(
    bitbucket: BitbucketSimulator, cache_store: CacheTokenStore
) -> None:
    with pytest.raises(ConfigurationError, match="can lose a refresh token"):
        get_access_token(grant="authorization_code", code="c", store=cache_store, key=KEY)
    assert bitbucket.requests == []


def test_the_application_gets_one_token_for_all_who_ask(
    bitbucket: BitbucketSimulator, cache_store: CacheTokenStore
) -> None:
    tokens = {get_access_token(store=CacheTokenStore("shared")).access_token for _ in range(3)}
    assert len(tokens) == len(bitbucket.requests_to("token")) == 1
    assert renewals(bitbucket) == 0


@pytest.mark.parametrize(
    "backend",
    [
        "django.core.cache.backends.locmem.LocMemCache",
        "django.core.cache.backends.dummy.DummyCache",
        "stores.test_cache_store.OwnLocMemCache",
        "stores.test_cache_store.OwnDummyCache",
    ],
)
def test_a_cache_that_processes_do_not_share_is_refused(bitbucket: BitbucketSimulator, backend: str) -> None:
    with override_settings(CACHES={"default": {"BACKEND": backend}}):
        with pytest.raises(ConfigurationError, match="'default' isn't shared"):
            CacheTokenStore().check()
        with pytest.raises(ConfigurationError, match="'default' isn't shared"):
            get_access_token(store=CacheTokenStore())
    assert bitbucket.requests == []


def test_a_cache_that_is_shared_or_unknown_is_taken(cache_store: CacheTokenStore) -> None:
    cache_store.check()
    with override_settings(CACHES={"default": {"BACKEND": "stores.keeping.BrokenCache"}}):
        assert CacheTokenStore().check() is None  # type: ignore[func-returns-value]


def test_a_cache_that_is_not_configured_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'redis'"):
        CacheTokenStore("redis").check()


# -- what was altered --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "1.", "1.AAAAAAAA.AAAA", "secret", 5, b"bytes", ["list"], {"access_token": "a"}])
def test_what_is_not_ours_is_no_token_and_one_log_line(
    cache_store: CacheTokenStore, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    put(value)
    assert cache_store.load(KEY) is None
    [record] = caplog.records
    assert (record.levelname, KEY in record.getMessage()) == ("WARNING", True)


def test_every_altered_character_is_noticed(cache_store: CacheTokenStore) -> None:
    cache_store.save(KEY, PLAIN)
    sealed = raw()
    for place in range(0, len(sealed) - 1, 7):
        put(sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :])
        assert cache_store.load(KEY) is None


def test_a_value_that_was_moved_to_another_key_is_no_token(
    cache_store: CacheTokenStore, caplog: pytest.LogCaptureFixture
) -> None:
    cache_store.save("mallory", PLAIN)
    put(raw("mallory"), "jane")
    assert cache_store.load("jane") is None
    assert len(caplog.records) == 1
    assert cache_store.load("mallory") == PLAIN


def test_what_was_sealed_for_a_file_is_no_token_here(cache_store: CacheTokenStore) -> None:
    put(sealed.seal("token file", KEY, PLAIN))
    assert cache_store.load(KEY) is None


def test_a_value_that_can_not_even_be_unpickled_is_no_token_and_is_replaced(
    cache_store: CacheTokenStore, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    cache_store.save(KEY, PLAIN)
    for path in (tmp_path / "cache").glob("*.djcache"):
        path.write_bytes(pickle.dumps(time.time() + 100) + b"garbage")
    assert cache_store.load(KEY) is None
    [record] = caplog.records
    assert KEY in record.getMessage()
    cache_store.save(KEY, PLAIN)
    assert cache_store.load(KEY) == PLAIN


def test_a_key_that_is_gone_opens_nothing(cache_store: CacheTokenStore) -> None:
    cache_store.save(KEY, PLAIN)
    with override_settings(BITBUCKET_AUTH_TOKEN_KEYS=[NEW_KEY]):
        assert cache_store.load(KEY) is None
    assert cache_store.load(KEY) == PLAIN


# -- a cache that is down ----------------------------------------------------------------------------------------------


def test_a_cache_that_is_down_is_unavailable_and_nothing_is_sent(
    bitbucket: BitbucketSimulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with override_settings(CACHES=shared(tmp_path, "BrokenCache")):
        store = CacheTokenStore("shared")
        assert store.load(KEY) is None
        for act in (lambda: store.save(KEY, PLAIN), lambda: store.delete(KEY), lambda: get_access_token(store=store)):
            with pytest.raises(BitbucketUnavailable, match=r"the cache failed \(ConnectionError: refused\)"):
                act()
    assert bitbucket.requests == []
    assert {record.getMessage() for record in caplog.records} == {
        f"The cache failed (ConnectionError): the token {key} counts as none" for key in (KEY, "application:default")
    }


def test_a_cache_that_goes_down_while_the_lock_is_held_lets_it_lapse(tmp_path: Path) -> None:
    with override_settings(CACHES=shared(tmp_path, "Forgetful")):
        with CacheTokenStore("shared").lock(KEY) as held:
            assert held is not None
        with CacheTokenStore("shared").lock(KEY) as again:
            assert again is None
