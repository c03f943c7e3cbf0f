"""``get_access_token``: every grant, with and without a store."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from steps import code_for, start
from stored import Overtaken, soon

from django_bitbucket_auth import conf, flight, tokens
from django_bitbucket_auth.bitbucket.connect import sign
from django_bitbucket_auth.exceptions import (
    BitbucketUnavailable,
    ClientRefused,
    ConfigurationError,
    OAuthError,
    ReauthenticationRequired,
    StateError,
)
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.stores import DatabaseTokenStore, FunctionTokenStore, Record, TokenStore
from django_bitbucket_auth.testing import BitbucketSimulator, SimulatorRequest, override_provider
from django_bitbucket_auth.testing.browsing import _press
from django_bitbucket_auth.tokens import get_access_token

pytestmark = pytest.mark.django_db

PASSWORD: dict[str, Any] = {"username": "jdoe", "password": "password-of-jane"}


class Shelf(TokenStore):
    """Two methods are all that a store needs."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def load(self, key: str) -> Record | None:
        return self.records.get(key)

    def save(self, key: str, record: Record) -> None:
        self.records[key] = record

    def end(self) -> None:
        """Let every access token run out."""
        for key, record in self.records.items():
            self.records[key] = replace(record, token=replace(record.token, expires_at=soon(-1)))


def owner(bitbucket: BitbucketSimulator, token: Token) -> Any:
    """Whom a token stands for, as Bitbucket says."""
    headers = {"host": "127.0.0.1", "authorization": f"Bearer {token.access_token}"}
    body = bitbucket.handle(SimulatorRequest("GET", "/2.0/user", headers=headers)).json()
    assert isinstance(body, dict)
    return body.get("username") or body.get("type") or body


def jwt_arguments(bitbucket: BitbucketSimulator) -> dict[str, Any]:
    client = bitbucket.client
    return {"app_key": client.app_key, "client_key": client.client_key, "shared_secret": client.shared_secret}


# -- each grant --------------------------------------------------------------------------------------------------------


def test_client_credentials_are_the_default_and_stand_for_the_application(bitbucket: BitbucketSimulator) -> None:
    token = get_access_token()
    assert owner(bitbucket, token) == "app_user"
    assert token.refresh_token == ""
    assert bitbucket.requests_to("token")[0].form == {"grant_type": "client_credentials"}


@pytest.mark.parametrize("scopes", ["account repository", ["repository", "account"], ("account", "repository")])
def test_scopes_can_be_asked_for(bitbucket: BitbucketSimulator, scopes: Any) -> None:
    assert get_access_token(scopes=scopes).scopes == ("account", "repository")


def test_an_authorization_code_is_redeemed(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", PKCE=False):
        started = start(client)
    code = code_for(bitbucket, started)
    arguments: dict[str, Any] = {"code": code, "redirect_uri": started.parameters["redirect_uri"]}
    token = get_access_token(grant="authorization_code", **arguments)
    assert owner(bitbucket, token) == "jdoe"
    assert token.refresh_token
    with pytest.raises(OAuthError, match="invalid_grant"):
        get_access_token(grant="authorization_code", **arguments)


def test_a_refresh_token_is_exchanged(bitbucket: BitbucketSimulator) -> None:
    refresh_token = str(bitbucket.issue("jane")["refresh_token"])
    token = get_access_token(grant="refresh_token", refresh_token=refresh_token)
    assert owner(bitbucket, token) == "jdoe" and token.refresh_token not in ("", refresh_token)
    bitbucket.rules.refresh_answer_has_refresh_token = False
    again = get_access_token(grant="refresh_token", refresh_token=token.refresh_token)
    assert again.refresh_token == token.refresh_token  # nothing is lost
    with pytest.raises(ReauthenticationRequired):
        get_access_token(grant="refresh_token", refresh_token="unknown")


def test_a_password_is_taken_where_it_still_is(bitbucket: BitbucketSimulator) -> None:
    bitbucket.rules.retired_grants_taken = True
    with pytest.warns(UserWarning, match="October 2024"):
        token = get_access_token(grant="password", **PASSWORD, scopes="account")
    assert (owner(bitbucket, token), token.scopes) == ("jdoe", ("account",))
    with pytest.warns(UserWarning, match="password grant"), pytest.raises(OAuthError, match="invalid_grant"):
        get_access_token(grant="password", username="jdoe", password="wrong")


def test_a_password_is_refused_where_it_is_not_taken_any_more(bitbucket: BitbucketSimulator) -> None:
    with pytest.warns(UserWarning, match="client_credentials"), pytest.raises(ClientRefused) as caught:
        get_access_token(grant="password", **PASSWORD)
    assert "Unsupported grant type" in str(caught.value) and "since October 2024" in caught.value.hint


def test_a_connect_app_signs_or_hands_in_its_jwt(bitbucket: BitbucketSimulator) -> None:
    token = get_access_token(grant="bitbucket_jwt", **jwt_arguments(bitbucket))
    assert owner(bitbucket, token) == "app_user"
    endpoint = conf.provider(conf.provider_settings()).endpoint("token")
    assertion = sign(**jwt_arguments(bitbucket), endpoint=endpoint).assertion
    assert owner(bitbucket, get_access_token(grant="bitbucket_jwt", assertion=assertion)) == "app_user"
    with pytest.raises(ClientRefused, match="JWT"):
        get_access_token(grant="bitbucket_jwt", assertion="x.y.z")


def test_the_key_of_a_connect_app_is_the_clients_id_if_none_is_given(bitbucket: BitbucketSimulator) -> None:
    bitbucket.client.app_key = bitbucket.client.client_id
    arguments = jwt_arguments(bitbucket)
    del arguments["app_key"]
    assert owner(bitbucket, get_access_token(grant="bitbucket_jwt", **arguments)) == "app_user"


def consent(bitbucket: BitbucketSimulator, state: str) -> str:
    """Where somebody ends who is asked by an implicit grant, and allows it."""
    provider = conf.provider(conf.provider_settings())
    with pytest.warns(UserWarning, match="implicit grant since August 2026"):
        url = provider.implicit_url("https://testserver/done/", state, ("account",))
    return _press(bitbucket, url, "jane").headers.get("Location", "")


def test_the_fragment_of_an_implicit_grant_is_read_where_there_is_one(bitbucket: BitbucketSimulator) -> None:
    bitbucket.rules.retired_grants_taken = True
    token = conf.provider(conf.provider_settings()).implicit_token(consent(bitbucket, "s"), state="s")
    assert (owner(bitbucket, token), token.scopes, token.refresh_token) == ("jdoe", ("account",), "")


def test_an_implicit_grant_is_refused_where_it_is_not_taken_any_more(bitbucket: BitbucketSimulator) -> None:
    led_to = consent(bitbucket, "s")
    provider = conf.provider(conf.provider_settings())
    with pytest.raises(ClientRefused, match=r"unsupported_response_type.*since August 2026"):
        provider.implicit_token(led_to, state="s")
    with pytest.raises(StateError):
        provider.implicit_token(led_to, state="another")


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "client_id",
        "client_secret",
        "token_url",
        "endpoint",
        "base_url",
        "api_url",
        "consumer_key",
        "url",
        "refresh_token",
    ],
)
def test_an_argument_that_names_an_endpoint_or_a_client_is_a_type_error(
    bitbucket: BitbucketSimulator, name: str
) -> None:
    arguments: dict[str, Any] = {name: "x"}
    with pytest.raises(TypeError, match=name):
        get_access_token(**arguments)
    with pytest.raises(TypeError, match=name):
        get_access_token(credentials=lambda: arguments)
    assert bitbucket.requests == []


@pytest.mark.parametrize(
    ("grant", "arguments", "missing"),
    [
        ("password", {"username": "x"}, "username and password"),
        ("password", {}, "username and password"),
        ("authorization_code", {"redirect_uri": "x"}, "needs code"),
        ("refresh_token", {"refresh_token": ""}, "needs refresh_token"),
        ("bitbucket_jwt", {"client_key": "x"}, "assertion, or client_key and shared_secret"),
    ],
)
def test_a_missing_argument_is_named(
    bitbucket: BitbucketSimulator, grant: str, arguments: dict[str, Any], missing: str
) -> None:
    with pytest.raises(TypeError, match=missing):
        get_access_token(grant=grant, **arguments)
    assert bitbucket.requests == []


def test_an_unknown_grant_is_named() -> None:
    with pytest.raises(ValueError, match="'implicit'"):
        get_access_token(grant="implicit")


def test_an_unknown_provider_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        get_access_token("nowhere")


def test_credentials_are_a_callable_that_returns_a_mapping(bitbucket: BitbucketSimulator) -> None:
    wrong: list[Any] = [PASSWORD, lambda: "jdoe"]
    for credentials in wrong:
        with pytest.raises(TypeError, match="mapping"):
            get_access_token(grant="password", credentials=credentials)
    assert bitbucket.requests == []


def test_without_a_store_nothing_is_kept(bitbucket: BitbucketSimulator) -> None:
    assert get_access_token() != get_access_token()
    assert not BitbucketToken.objects.exists()


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
