"""``get_access_token`` with a store: what is used, renewed, got anew, and who waits for whom."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from stored import PASSWORD, Overtaken, Shelf, owner, soon

from django_bitbucket_auth import flight, tokens
from django_bitbucket_auth.exceptions import (
    BitbucketUnavailable,
    ConfigurationError,
    ReauthenticationRequired,
)
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.stores import DatabaseTokenStore, FunctionTokenStore, Record
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider
from django_bitbucket_auth.tokens import get_access_token

pytestmark = pytest.mark.django_db


# -- with a store ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grant", ["authorization_code", "password", "refresh_token", "bitbucket_jwt"])
def test_with_a_store_a_grant_that_stands_for_a_person_needs_a_key(grant: str) -> None:
    with pytest.raises(TypeError, match="needs a key"):
        get_access_token(grant=grant, store=Shelf())


def test_a_stored_token_is_used_while_it_is_fresh_and_credentials_are_not_asked_for(
    bitbucket: BitbucketSimulator,
) -> None:
    asked: list[int] = []
    store = Shelf()

    def credentials() -> Mapping[str, str]:
        asked.append(1)
        return PASSWORD

    bitbucket.rules.retired_grants_taken = True
    with pytest.warns(UserWarning, match="password grant"):
        first = get_access_token(grant="password", store=store, key="jane", credentials=credentials)
    for _ in range(2):
        assert get_access_token(grant="password", store=store, key="jane", credentials=credentials) == first
    store.end()
    renewed = get_access_token(grant="password", store=store, key="jane", credentials=credentials)
    assert renewed != first
    assert len(asked) == 1
    forms = [request.form["grant_type"] for request in bitbucket.requests_to("token")]
    assert forms == ["password", "refresh_token"]


def test_a_token_that_cannot_be_renewed_is_got_anew(bitbucket: BitbucketSimulator) -> None:
    store = Shelf()
    first = get_access_token(store=store)
    store.end()
    assert get_access_token(store=store) != first
    assert list(store.records) == ["application:default"]


@pytest.mark.filterwarnings("ignore:Bitbucket Cloud has not taken the password grant:UserWarning")
@pytest.mark.parametrize(
    ("use", "grants"),
    [
        (None, ["refresh_token"]),
        (True, ["refresh_token"]),
        (False, ["password"]),
        (lambda token: token.refresh_token, ["refresh_token"]),
        (lambda token: False, ["password"]),
    ],
)
def test_whether_a_refresh_token_is_used_can_be_said(
    bitbucket: BitbucketSimulator, use: bool | Callable[[Token], object] | None, grants: list[str]
) -> None:
    bitbucket.rules.retired_grants_taken = True
    store = Shelf()
    get_access_token(grant="password", store=store, key="jane", **PASSWORD)
    store.end()
    get_access_token(grant="password", store=store, key="jane", use_refresh_token=use, **PASSWORD)
    assert [request.form["grant_type"] for request in bitbucket.requests_to("token")] == ["password", *grants]


@pytest.mark.filterwarnings("ignore:Bitbucket Cloud has not taken the password grant:UserWarning")
def test_a_dead_refresh_token_falls_back_to_the_credentials(bitbucket: BitbucketSimulator) -> None:
    bitbucket.rules.retired_grants_taken = True
    store = Shelf()
    get_access_token(grant="password", store=store, key="jane", **PASSWORD)
    store.end()
    bitbucket.revoke("jane")
    token = get_access_token(grant="password", store=store, key="jane", **PASSWORD)
    assert owner(bitbucket, token) == "jdoe"
    assert store.records["jane"].refused_at is None


def test_credentials_can_be_forced(bitbucket: BitbucketSimulator) -> None:
    store = Shelf()
    first = get_access_token(store=store)
    second = get_access_token(store=store, force_credentials=True)
    assert second != first
    assert get_access_token(store=store) == second


@pytest.mark.parametrize(
    "change",
    [
        {"grant": "bitbucket_jwt"},
        {"instance": "elsewhere"},
        {"client_id": "another"},
        {"scopes": ("account",)},
        {"provider": "second"},
    ],
)
def test_a_record_that_differs_is_a_miss(bitbucket: BitbucketSimulator, change: dict[str, Any]) -> None:
    store = Shelf()
    first = get_access_token(store=store)
    store.records = {key: replace(record, **change) for key, record in store.records.items()}
    second = get_access_token(store=store)
    assert second != first
    assert get_access_token(store=store) == second


def test_the_scopes_that_were_asked_for_count_in_any_order(bitbucket: BitbucketSimulator) -> None:
    store = DatabaseTokenStore()
    first = get_access_token(store=store, scopes="account repository")
    assert get_access_token(store=store, scopes=["repository", "account", "account"]) == first
    assert get_access_token(store=store, scopes="account") != first


def test_a_store_of_functions_may_keep_plain_values(bitbucket: BitbucketSimulator) -> None:
    files: dict[str, str] = {}
    store = FunctionTokenStore(
        load=lambda key: json.loads(files[key]) if key in files else None,
        save=lambda key, record: files.update({key: json.dumps(record.as_dict())}),
    )
    first = get_access_token(store=store)
    assert get_access_token(store=store) == first


def test_what_a_store_gives_that_is_no_token_is_none_and_one_line_in_the_log(
    bitbucket: BitbucketSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    store = FunctionTokenStore(load=lambda key: {"access_token": 5, "x": "CANARY"}, save=lambda key, record: None)
    assert get_access_token(store=store).access_token
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert "CANARY" not in caplog.text


def test_a_store_is_checked_before_anything_is_sent(bitbucket: BitbucketSimulator) -> None:
    class Broken(Shelf):
        def check(self) -> None:
            raise ConfigurationError("no such folder")

    with pytest.raises(ConfigurationError, match="folder"):
        get_access_token(store=Broken())
    assert bitbucket.requests == []


def test_a_store_that_forgets_gets_no_refresh_tokens(bitbucket: BitbucketSimulator) -> None:
    class Forgetful(Shelf):
        keeps_refresh_tokens = False

    with pytest.raises(ConfigurationError, match="refresh token"):
        get_access_token(grant="password", store=Forgetful(), key="jane", **PASSWORD)
    assert get_access_token(store=Forgetful()).access_token
    assert len(bitbucket.requests) == 1


def test_a_row_that_cannot_be_read_is_not_overwritten(
    bitbucket: BitbucketSimulator, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    get_access_token(store=DatabaseTokenStore(), key="nightly")
    before = BitbucketToken.objects.values().get()
    settings.BITBUCKET_AUTH_TOKEN_KEYS = ["another key of thirty-two characters"]
    token = get_access_token(store=DatabaseTokenStore(), key="nightly")
    assert owner(bitbucket, token) == "app_user"
    after = BitbucketToken.objects.values().get()
    assert (before["sealed"], before["version"]) == (after["sealed"], after["version"])
    assert "can't be decrypted" in caplog.text


# -- who waits ---------------------------------------------------------------------------------------------------------


class Queue(Shelf):
    """A store whose lock somebody else has, for so many tries; then ``release`` is called."""

    def __init__(self, tries: int, release: Callable[[Queue], object] = lambda store: None) -> None:
        super().__init__()
        self.tries, self.release = tries, release

    def lock(self, key: str) -> Any:
        if self.tries:
            self.tries -= 1
            if not self.tries:
                self.release(self)
            return nullcontext(None)
        return super().lock(key)


def a_record(bitbucket: BitbucketSimulator, **changes: Any) -> Record:
    """What is stored for the application."""
    shelf = Shelf()
    get_access_token(store=shelf)
    return replace(shelf.records["application:default"], **changes)


def test_who_waits_gets_the_token_that_the_other_got(bitbucket: BitbucketSimulator) -> None:
    record = a_record(bitbucket)
    store = Queue(2, lambda store: store.records.update({"application:default": record}))
    assert get_access_token(store=store) == record.token
    assert len(bitbucket.requests_to("token")) == 1


def test_who_gets_the_lock_looks_again_first(bitbucket: BitbucketSimulator) -> None:
    """Somebody may have renewed the token between the look and the lock."""
    record = a_record(bitbucket)

    class Late(Shelf):
        looks = 0

        def load(self, key: str) -> Record | None:
            self.looks += 1
            return record if self.looks == 2 else None

    assert get_access_token(store=Late()) == record.token
    assert len(bitbucket.requests_to("token")) == 1


def test_who_waits_looks_more_often_than_it_tries(bitbucket: BitbucketSimulator) -> None:
    """A try may cost a connection."""
    record = a_record(bitbucket)

    class Slow(Queue):
        looks = 0

        def load(self, key: str) -> Record | None:
            self.looks += 1
            return record if self.looks == 5 else None

    store = Slow(9)
    assert get_access_token(store=store) == record.token
    assert store.tries == 8  # one of nine


def test_what_is_kept_for_one_session_is_locked_among_its_threads() -> None:
    store = tokens._Memory()
    with store.lock("key") as first, store.lock("key") as second:
        assert first is store and second is None
    with store.lock("key") as third:
        assert third is store


def test_who_forces_waits_for_its_own_turn(bitbucket: BitbucketSimulator) -> None:
    record = a_record(bitbucket)
    store = Queue(2, lambda store: store.records.update({"application:default": record}))
    assert get_access_token(store=store, force_credentials=True) != record.token
    assert len(bitbucket.requests_to("token")) == 2


def test_who_waits_is_told_that_bitbucket_refused(bitbucket: BitbucketSimulator) -> None:
    """Forty workers don't ask forty times."""
    record = a_record(bitbucket, refused_at=soon(0))
    record = replace(record, token=replace(record.token, expires_at=soon(-1)))
    store = Queue(1, lambda store: store.records.update({"application:default": record}))
    with pytest.raises(ReauthenticationRequired, match="just refused"):
        get_access_token(store=store)
    assert len(bitbucket.requests_to("token")) == 1


class Given(Shelf):
    """A store whose lock the one before has let go of, without a new token."""

    was_given_up = True


def test_who_has_waited_for_one_who_failed_fails_with_them(bitbucket: BitbucketSimulator) -> None:
    """Forty workers don't wait in turn for a Bitbucket that is down."""

    class Waited(Queue, Given):
        pass

    with pytest.raises(BitbucketUnavailable, match="a moment ago"):
        get_access_token(store=Waited(1))
    assert bitbucket.requests == []
    ended = a_record(bitbucket, refused_at=soon(-30))
    store = Waited(1)
    store.records["application:default"] = replace(ended, token=replace(ended.token, expires_at=soon(-1)))
    with pytest.raises(ReauthenticationRequired, match="just refused"):
        get_access_token(store=store)
    assert len(bitbucket.requests) == 1
    assert get_access_token(store=Given()).access_token  # who hasn't waited, tries
    assert get_access_token(store=Waited(1), force_credentials=True).access_token  # and who insists


def test_a_lock_that_does_not_last_is_not_used(bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another would send at the same time."""

    class Short(Shelf):
        tries = 2

        def lasts(self, seconds: float) -> bool:
            self.tries -= 1
            return not self.tries

    monkeypatch.setattr(flight, "TRY_EVERY", 0)
    store = Short()
    assert get_access_token(store=store).access_token
    assert store.tries == 0 and len(bitbucket.requests) == 1


@pytest.mark.filterwarnings("ignore:Bitbucket Cloud has not taken the password grant:UserWarning")
def test_a_dead_token_whose_grant_cannot_be_made_again_says_that_it_is_dead(bitbucket: BitbucketSimulator) -> None:
    bitbucket.rules.retired_grants_taken = True
    store = Shelf()
    get_access_token(grant="password", store=store, key="jane", **PASSWORD)
    store.end()
    bitbucket.revoke("jane")
    with pytest.raises(ReauthenticationRequired, match="Invalid refresh_token"):
        get_access_token(grant="password", store=store, key="jane")


def test_a_store_that_gives_something_else_is_told_what_to_give(bitbucket: BitbucketSimulator) -> None:
    load: Any = lambda key: b"{}"  # noqa: E731
    with pytest.raises(TypeError, match=r"FunctionTokenStore.load\(\) has to return a Record.*not bytes"):
        get_access_token(store=FunctionTokenStore(load, lambda key, record: None))


def test_a_new_token_that_cannot_be_kept_is_said_in_the_log(
    bitbucket: BitbucketSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(Shelf):
        def save(self, key: str, record: Record) -> None:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        get_access_token(store=Full())
    assert "could not be kept: OSError" in caplog.text


def test_a_lock_that_fails_is_unavailable_or_does_not_matter_yet(bitbucket: BitbucketSimulator) -> None:
    class Locked(Shelf):
        def lock(self, key: str) -> Any:
            raise BitbucketUnavailable("the database is read-only")

    store = Locked()
    with pytest.raises(BitbucketUnavailable, match="read-only"):
        get_access_token(store=store)
    record = a_record(bitbucket)
    near = replace(record.token, expires_at=soon(60))
    store.records["application:default"] = replace(record, token=near, obtained_at=None)
    assert get_access_token(store=store).access_token == record.token.access_token


def test_who_keeps_nothing_waits_for_nobody(bitbucket: BitbucketSimulator) -> None:
    """Two people's passwords are two people's business."""
    both = threading.Barrier(2, timeout=20)
    Overtaken.acts = [both.wait, both.wait]
    with override_provider("default", KIND="stored.Overtaken"), ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: get_access_token(), range(2))
    assert first != second


def test_of_two_who_get_a_first_token_at_the_same_time_one_is_kept(bitbucket: BitbucketSimulator) -> None:
    record = a_record(bitbucket)
    Overtaken.acts = [lambda: DatabaseTokenStore().save("nightly", record)]
    with override_provider("default", KIND="stored.Overtaken"):
        token = get_access_token(store=DatabaseTokenStore(), key="nightly")
    assert token.access_token == record.token.access_token
    assert BitbucketToken.objects.count() == 1


def test_a_store_that_keeps_an_ended_token_does_not_hand_it_out(bitbucket: BitbucketSimulator) -> None:
    ended = a_record(bitbucket)
    ended = replace(ended, token=replace(ended.token, expires_at=soon(-1)))
    store = FunctionTokenStore(lambda key: ended, lambda key, record: False)
    token = get_access_token(store=store)
    assert not token.expired() and token.access_token != ended.token.access_token
