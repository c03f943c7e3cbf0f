"""The lock of Django's cache as a store."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from stores.keeping import (
    KEY,
    PLAIN,
    another_process,
    at_once,
    heard,
    held_by,
    let_go,
    loaded,
)

from django_bitbucket_auth.stores import CacheTokenStore
from django_bitbucket_auth.stores.base import LEASE
from django_bitbucket_auth.stores.cache import _name


def lapse() -> None:
    caches["shared"].touch(_name("lock", KEY), timeout=-1)


def test_one_gets_the_lock_and_uses_the_store(cache_store: CacheTokenStore) -> None:
    with cache_store.lock(KEY) as held:
        assert held is not None
        held.save(KEY, PLAIN)
        assert held.load(KEY) == PLAIN
        assert not held_by(cache_store)
        assert held_by(cache_store, "another key")
    assert held_by(cache_store)


def test_the_lock_ends_with_its_block_even_if_that_fails(cache_store: CacheTokenStore) -> None:
    with pytest.raises(ZeroDivisionError), cache_store.lock(KEY):
        raise ZeroDivisionError
    assert held_by(cache_store)


def test_a_lock_lasts_for_its_time(cache_store: CacheTokenStore) -> None:
    with cache_store.lock(KEY) as held:
        assert held is not None
        assert held.lasts(LEASE - 5) and not held.lasts(LEASE + 1)


def test_what_comes_after_the_lock_has_lapsed_does_not_replace_what_others_have_saved(
    cache_store: CacheTokenStore,
) -> None:
    with cache_store.lock(KEY) as late:
        assert late is not None and late.load(KEY) is None
        lapse()
        with cache_store.lock(KEY) as held:
            assert held is not None
            held.save(KEY, PLAIN)
        assert late.save(KEY, replace(PLAIN, client_id="late")) is False
    assert cache_store.load(KEY) == PLAIN


def test_what_somebody_saved_without_the_lock_is_newer(cache_store: CacheTokenStore) -> None:
    cache_store.save(KEY, PLAIN)
    with cache_store.lock(KEY) as held:
        assert held is not None and held.load(KEY) == PLAIN
        cache_store.save(KEY, replace(PLAIN, client_id="sign-in"))
        assert held.save(KEY, replace(PLAIN, client_id="late")) is False
    assert loaded(cache_store).client_id == "sign-in"


def test_a_mark_and_then_a_new_pair_are_both_kept(cache_store: CacheTokenStore) -> None:
    cache_store.save(KEY, PLAIN)
    with cache_store.lock(KEY) as held:
        assert held is not None and held.load(KEY) == PLAIN
        for record in (replace(PLAIN, refused_at=datetime.now(UTC)), replace(PLAIN, client_id="new")):
            assert held.save(KEY, record) is not False
            assert loaded(cache_store) == record


@pytest.mark.parametrize("also_the_token", [False, True])
def test_what_comes_after_the_lock_was_evicted_is_kept_if_nobody_has_saved_another(
    cache_store: CacheTokenStore, also_the_token: bool
) -> None:
    cache_store.save(KEY, PLAIN)
    with cache_store.lock(KEY) as held:
        assert held is not None and held.load(KEY) == PLAIN
        lapse()
        if also_the_token:
            caches["shared"].clear()
        assert held.save(KEY, replace(PLAIN, client_id="late")) is not False
    assert loaded(cache_store).client_id == "late"


def test_a_lock_that_has_lapsed_is_somebody_elses_and_is_left_to_them(cache_store: CacheTokenStore) -> None:
    with cache_store.lock(KEY):
        lapse()
        caches["shared"].add(_name("lock", KEY), "somebody else", timeout=LEASE)
    assert not held_by(cache_store)


def test_the_lock_lapses_before_the_others_lose_patience(cache_store: CacheTokenStore) -> None:
    with cache_store.lock(KEY):
        cache: Any = caches["shared"]
        with Path(cache._key_to_file(_name("lock", KEY))).open("rb") as file:
            left = pickle.load(file) - time.time()  # noqa: S301 - our own
    assert 0 < left <= LEASE


def test_of_many_threads_one_gets_the_lock(cache_store: CacheTokenStore) -> None:
    assert sorted(at_once(8, cache_store)) == [False] * 7 + [True]


def test_of_two_processes_one_gets_the_lock(cache_store: CacheTokenStore, tmp_path: Path) -> None:
    with another_process("cache", str(tmp_path / "cache")) as process:
        assert heard(process) == "held"
        assert not held_by(cache_store)
        with another_process("cache", str(tmp_path / "cache")) as second:
            assert heard(second) == "taken"
            let_go(second)
        let_go(process)
    assert held_by(cache_store)


def test_the_lock_of_a_process_that_died_lapses(cache_store: CacheTokenStore, tmp_path: Path) -> None:
    with another_process("cache", str(tmp_path / "cache")) as process:
        assert heard(process) == "held"
        process.kill()
        process.wait(60)
    assert not held_by(cache_store)
    lapse()
    assert held_by(cache_store)
