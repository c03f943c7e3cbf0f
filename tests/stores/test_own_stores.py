"""A store of one's own: two methods, in ten lines."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from stored import renewals
from stores.keeping import KEY, PLAIN, RECORD, at_once, in_a_child

import django_bitbucket_auth
from django_bitbucket_auth import stores
from django_bitbucket_auth.stores import FunctionTokenStore, Record, TokenStore
from django_bitbucket_auth.stores.base import Held, process_lock
from django_bitbucket_auth.testing import BitbucketSimulator
from django_bitbucket_auth.tokens import get_access_token


class OwnStore(TokenStore):
    """Keeps records as they are."""

    def __init__(self) -> None:
        self.kept: dict[str, Record] = {}

    def load(self, key: str) -> Record | None:
        return self.kept.get(key)

    def save(self, key: str, record: Record) -> None:
        self.kept[key] = record


class JSONStore(TokenStore):
    """Keeps records as text."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def load(self, key: str) -> dict[str, Any] | None:
        return json.loads(self.kept[key]) if key in self.kept else None

    def save(self, key: str, record: Record) -> None:
        self.kept[key] = json.dumps(record.as_dict())


def functions() -> TokenStore:
    kept: dict[str, Any] = {}
    return FunctionTokenStore(kept.get, lambda key, record: kept.update({key: record.as_dict()}), kept.pop)


def token(bitbucket: BitbucketSimulator, store: TokenStore) -> str:
    """What there is for the holder of a refresh token."""
    refresh_token = str(bitbucket.issue("jane")["refresh_token"])
    return get_access_token(grant="refresh_token", store=store, key=KEY, refresh_token=refresh_token).access_token


@pytest.mark.parametrize("make", [OwnStore, JSONStore, functions])
def test_a_store_of_ones_own_keeps_a_token_until_it_ends(bitbucket: BitbucketSimulator, make: Any) -> None:
    store: TokenStore = make()
    first = token(bitbucket, store)
    assert token(bitbucket, store) == first
    assert renewals(bitbucket) == 1
    record = store.load(KEY)
    if not isinstance(record, Record):
        record = Record.from_dict(record or {})
    ended = {**record.as_dict(), "expires_at": "2020-01-01T00:00:00+00:00"}
    store.save(KEY, Record.from_dict(ended))
    second = token(bitbucket, store)
    assert second != first
    # By the refresh token that the store had, not by the one that was handed in.
    assert [sent.form["refresh_token"] for sent in bitbucket.requests_to("token")][1] == record.token.refresh_token


@pytest.mark.parametrize("kept", [{}, {"access_token": "CANARY"}, {**RECORD.as_dict(), "expires_at": "CANARY"}])
def test_what_ones_own_store_gives_and_is_no_record_is_no_token(
    bitbucket: BitbucketSimulator, kept: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = FunctionTokenStore(lambda key: kept, lambda key, record: None)
    with caplog.at_level(logging.WARNING):
        assert token(bitbucket, store)
    messages = [record.getMessage() for record in caplog.records if record.name == "django_bitbucket_auth"]
    assert messages and all("FunctionTokenStore.load() gave no token" in message for message in messages)
    assert "CANARY" not in caplog.text


def test_the_two_methods_are_needed() -> None:
    half = type("Half", (TokenStore,), {"load": OwnStore.load})
    with pytest.raises(TypeError, match="save"):
        half()


def test_the_others_have_answers_of_their_own() -> None:
    store, told = OwnStore(), []
    assert store.keeps_refresh_tokens
    store.check()
    assert store.lasts(60) and not store.was_given_up
    store.after_commit(lambda: told.append("told"))
    assert told == ["told"]
    with pytest.raises(TypeError, match=r"OwnStore has no delete\(\)"):
        store.delete(KEY)


def test_functions_can_delete_or_not() -> None:
    store = functions()
    store.save(KEY, RECORD)
    assert store.load(KEY) == RECORD.as_dict()
    store.delete(KEY)
    assert store.load(KEY) is None
    with pytest.raises(TypeError, match="FunctionTokenStore has no delete"):
        FunctionTokenStore(lambda key: None, lambda key, record: None).delete(KEY)


def test_functions_may_say_that_a_record_was_dropped() -> None:
    assert FunctionTokenStore(lambda key: None, lambda key, record: False).save(KEY, RECORD) is False


# -- the lock that they all have ---------------------------------------------------------------------------------------


def test_of_many_threads_one_gets_the_lock() -> None:
    store = OwnStore()
    assert sorted(at_once(8, store)) == [False] * 7 + [True]
    with store.lock(KEY) as held:
        assert held is store


def test_one_key_and_one_class_of_store_is_one_lock() -> None:
    with OwnStore().lock(KEY) as first, OwnStore().lock(KEY) as second:
        assert first is not None and second is None
        with OwnStore().lock("other") as other, JSONStore().lock(KEY) as another:
            assert None not in (other, another)


def test_the_lock_ends_with_its_block_even_if_that_fails() -> None:
    store = OwnStore()
    with pytest.raises(ZeroDivisionError), store.lock(KEY):
        raise ZeroDivisionError
    with store.lock(KEY) as held:
        assert held is store


def test_a_lock_that_was_held_at_a_fork_is_free_in_the_child() -> None:
    """Its thread isn't there, so nobody would ever let it go."""
    store, holds, done = OwnStore(), threading.Event(), threading.Event()

    def hold() -> None:
        with store.lock(KEY):
            holds.set()
            done.wait(30)

    def get() -> bool:
        with store.lock(KEY) as held:
            return held is not None

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(30)
    try:
        assert in_a_child(get)
        assert not get()
    finally:
        done.set()
        thread.join()
    assert get()


def test_a_store_whose_lock_is_held_is_the_store() -> None:
    kept = {KEY: RECORD}
    held = Held(FunctionTokenStore(kept.get, kept.__setitem__, kept.pop))
    assert held.load(KEY) is RECORD
    held.save(KEY, PLAIN)
    assert kept == {KEY: PLAIN}
    held.delete(KEY)
    assert not kept


def test_a_lock_of_ones_own_is_used(bitbucket: BitbucketSimulator) -> None:
    used: list[str] = []

    class Locked(OwnStore):
        @contextmanager
        def lock(self, key: str) -> Iterator[TokenStore | None]:
            used.append(key)
            with process_lock(self, key) as held:
                yield held

    store = Locked()
    assert token(bitbucket, store) == store.kept[KEY].token.access_token
    assert used == [KEY]


# -- the package -------------------------------------------------------------------------------------------------------


def imported(code: str) -> subprocess.CompletedProcess[str]:
    """What a program without any settings says."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(django_bitbucket_auth.__file__).parents[1])},
    )


def test_it_can_be_imported_without_settings_and_knows_no_database() -> None:
    ran = imported("import sys, django_bitbucket_auth.stores; print('django.db' in sys.modules)")
    assert ran.stdout == "False\n", ran.stderr


def test_all_but_the_database_can_be_made_without_settings() -> None:
    ran = imported(
        "from django_bitbucket_auth.stores import CacheTokenStore, FileTokenStore, FunctionTokenStore\n"
        "print(CacheTokenStore('shared').alias, FileTokenStore('/x').folder)"
    )
    assert ran.stdout == "shared /x\n", ran.stderr


def test_it_has_what_the_contract_says() -> None:
    for name in stores.__all__:
        assert getattr(stores, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'RedisTokenStore'"):
        stores.RedisTokenStore  # noqa: B018
