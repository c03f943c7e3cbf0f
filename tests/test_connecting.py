"""One more account for whoever is signed in: who may begin, who may finish, and whose it is then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, connection
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from logins import verified_by
from steps import (
    CALLBACK,
    CONNECT,
    CONNECTIONS,
    SENT_BACK,
    attempts_of,
    begin_connecting,
    code_for,
    come_back,
    connect,
    listening,
    reason_of,
    signed_answer,
    start,
)

from django_bitbucket_auth import connecting, crypto
from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.exceptions import LoginRefused
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.signals import account_connected, login_refused
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider, simulated_bitbucket

pytestmark = pytest.mark.django_db
KINDS = ["cloud", "cloud-oauth1", "data-center", "data-center-oauth1"]


@pytest.fixture
def anna() -> User:
    """Signs in with a password."""
    return User.objects.create_user("anna", "anna@example.org", "correct horse")


@pytest.fixture
def mallory() -> User:
    return User.objects.create_user("mallory", password="her own")


@pytest.fixture
def client(anna: User) -> Client:
    """Anna's browser."""
    client = Client()
    client.force_login(anna, "django.contrib.auth.backends.ModelBackend")
    return client


def signed_in_as(client: Client) -> str:
    return client.get("/private/").content.decode()


def check_nothing(client: Client, simulator: BitbucketSimulator, status: int, reason: str, **answer: Any) -> Any:
    """The callback refuses, asks Bitbucket nothing, writes nothing, and the attempt is over."""
    before = len(simulator.requests)
    response = come_back(client, **answer)
    assert (response.status_code, reason_of(response)) == (status, reason), response.content
    assert len(simulator.requests) == before and not attempts_of(client)
    assert not BitbucketAccount.objects.exists() and not BitbucketToken.objects.exists()
    return response


# -- it works --------------------------------------------------------------------------------------------------------


def test_an_account_is_tied_to_whoever_is_signed_in(bitbucket: BitbucketSimulator, client: Client, anna: User) -> None:
    session = client.session.session_key
    response = connect(client, bitbucket)
    assert (response.status_code, response.headers["Location"]) == (302, CONNECTIONS)
    account = BitbucketAccount.objects.get()
    assert (account.user, account.uid) == (anna, bitbucket.person("jane").uuid)
    assert get_session(anna).json("user")["uuid"] == account.uid
    assert client.session.session_key == session and signed_in_as(client) == "anna" and not attempts_of(client)
    anna.refresh_from_db()
    assert (anna.email, anna.first_name) == ("anna@example.org", "") and anna.check_password("correct horse")


def test_and_signs_in_as_that_user_from_then_on(bitbucket: BitbucketSimulator, client: Client) -> None:
    connect(client, bitbucket)
    fresh = Client()
    log_in(fresh, "jane")
    assert signed_in_as(fresh) == "anna"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_connected(client: Client, anna: User, kind: str) -> None:
    with simulated_bitbucket(kind=kind) as simulator:
        assert connect(client, simulator).headers.get("Location") == CONNECTIONS
        assert connect(client, simulator, "outsider").headers.get("Location") == CONNECTIONS
    assert {account.user for account in BitbucketAccount.objects.all()} == {anna}
    assert BitbucketAccount.objects.count() == BitbucketToken.objects.count() == 2


def test_several_accounts_of_several_providers_are_one_users(client: Client, anna: User) -> None:
    with simulated_bitbucket() as cloud, simulated_bitbucket("dc", kind="data-center") as dc:
        for person in ("jane", "outsider"):
            connect(client, cloud, person)
            connect(client, dc, person, alias="dc")
    found = BitbucketAccount.objects.filter(user=anna).values_list("provider", flat=True)
    assert sorted(found) == ["dc", "dc", "default", "default"]


def test_who_came_by_bitbucket_connects_another(bitbucket: BitbucketSimulator) -> None:
    client = Client()
    log_in(client, "jane")
    user = User.objects.get()
    with CaptureQueriesContext(connection) as queries:
        connect(client, bitbucket, "outsider")
    assert user.bitbucket_accounts.count() == 2 and User.objects.get() == user
    # An unusable password is nothing to be written, as it is where a sign-in joins a user.
    assert not [query for query in queries.captured_queries if 'SET "password"' in query["sql"].replace("`", '"')]


def test_people_come_back_to_where_they_wanted(bitbucket: BitbucketSimulator, client: Client) -> None:
    for wish, place in (("/private/?a=1", "/private/?a=1"), ("https://evil.example/", CONNECTIONS)):
        started = begin_connecting(client, next=wish)
        response = come_back(client, code=code_for(bitbucket, started), state=started.state)
        assert response.headers["Location"] == place


def test_no_tokens_are_kept_where_that_is_switched_off(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", STORE_TOKENS=False):
        connect(client, bitbucket)
    assert BitbucketAccount.objects.exists() and not BitbucketToken.objects.exists()


def test_ones_own_account_is_refreshed(bitbucket: BitbucketSimulator) -> None:
    client = Client()
    log_in(client, "jane")
    bitbucket.person("jane").display_name = "Jane Roe"
    heard: list[Any] = []
    with listening(account_connected, lambda **told: heard.append(told)):
        assert connect(client, bitbucket).headers["Location"] == CONNECTIONS
    assert BitbucketAccount.objects.get().display_name == "Jane Roe" and BitbucketToken.objects.get().version == 2
    # As at a sign-in: what the account says now and the user doesn't would never be brought over.
    assert User.objects.get().last_name == "Roe" and heard == []


@pytest.mark.django_db(transaction=True)
def test_a_new_account_is_told_of_after_commit(bitbucket: BitbucketSimulator, client: Client, anna: User) -> None:
    heard: list[dict[str, Any]] = []

    def hear(**told: Any) -> None:
        heard.append({**told, "open": connection.in_atomic_block})

    with listening(account_connected, hear):
        connect(client, bitbucket)
    [told] = heard
    assert (told["user"], told["account"], told["created"]) == (anna, BitbucketAccount.objects.get(), False)
    assert told["open"] is False and told["request"].path == CALLBACK


def test_what_it_costs(bitbucket: BitbucketSimulator, client: Client) -> None:
    with CaptureQueriesContext(connection) as begun:
        started = begin_connecting(client)
    assert len(begun) == 2, begun.captured_queries  # session and user; nothing is written
    noise = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    # Session, user, whose it is; then the user's row locked, whose it is by now, and the two that are written.
    for most in (8, 7):
        code = code_for(bitbucket, started)
        with CaptureQueriesContext(connection) as finished:
            assert come_back(client, code=code, state=started.state).status_code == 302
        written = [query["sql"] for query in finished.captured_queries if not query["sql"].startswith(noise)]
        assert len(written) == most, written
        started = begin_connecting(client)


# -- who may begin ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_only_a_post_begins(bitbucket: BitbucketSimulator, client: Client, method: str) -> None:
    response = getattr(client, method)(CONNECT)
    assert response.status_code == 405 and not attempts_of(client) and bitbucket.requests == []
    assert "no-store" in response.headers["Cache-Control"]


def test_a_post_from_elsewhere_begins_nothing(bitbucket: BitbucketSimulator, anna: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(anna, "django.contrib.auth.backends.ModelBackend")
    assert client.post(CONNECT).status_code == 403
    assert not attempts_of(client)
    client.get(CONNECTIONS)
    form = {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}
    assert client.post(CONNECT, form).status_code == 200 and attempts_of(client)


def test_who_isnt_signed_in_is_sent_to_sign_in(bitbucket: BitbucketSimulator) -> None:
    client = Client()
    response = client.post(CONNECT)
    assert response.status_code == 403 and not attempts_of(client)
    assert response.headers["Refresh"] == f"0;url=/bitbucket/login/?next={CONNECTIONS}"


def test_who_is_inactive_begins_nothing(bitbucket: BitbucketSimulator, client: Client, anna: User) -> None:
    backend = "django.contrib.auth.backends.AllowAllUsersModelBackend"
    with override_settings(AUTHENTICATION_BACKENDS=["django_bitbucket_auth.backends.BitbucketBackend", backend]):
        client.force_login(anna, backend)
        started = begin_connecting(client)
        User.objects.update(is_active=False)
        response = client.post(CONNECT)
        assert response.status_code == 403 and reason_of(response) == "inactive"
        code = code_for(bitbucket, started)
        check_nothing(client, bitbucket, 403, "inactive", code=code, state=started.state)


def test_an_alias_that_isnt_configured_is_not_found(bitbucket: BitbucketSimulator, client: Client) -> None:
    assert client.post("/bitbucket/other/connect/").status_code == 404


def test_bad_settings_are_said_and_nothing_is_begun(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", RETRIES="many"):
        response = client.post(CONNECT)
    assert response.status_code == 503 and reason_of(response) == "misconfigured"
    assert "Connecting isn" in response.content.decode() and not attempts_of(client)


def test_it_begins_on_the_host_that_the_callback_comes_to(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", CALLBACK_URL="http://localhost/bitbucket/callback/"):
        response = client.post(CONNECT)
        place = response.headers["Refresh"].partition("url=")[2]
        assert place == f"http://localhost{CONNECTIONS}?hop=1" and not attempts_of(client)
        # Where a proxy hides the host, that page would lead to itself for ever.
        page = client.get(CONNECTIONS, {"hop": "1"}).content.decode()
        assert f'action="{CONNECT}?hop=1"' in page
        response = client.post(f"{CONNECT}?hop=1")
    assert response.status_code == 503 and reason_of(response) == "misconfigured"


# -- who may finish --------------------------------------------------------------------------------------------------


def test_nobody_else_finishes_it(bitbucket: BitbucketSimulator, client: Client, mallory: User) -> None:
    """Mallory begins on a shared computer, Jane signs in, and consents to what looks like a sign-in."""
    client.force_login(mallory, "django.contrib.auth.backends.ModelBackend")
    started = begin_connecting(client)
    client.logout()
    client.cookies.update(dict(started.response.cookies.items()))
    log_in(client, "jane")
    assert User.objects.count() == 3
    code = code_for(bitbucket, started, "outsider")
    before = len(bitbucket.requests)
    response = come_back(client, code=code, state=started.state)
    assert (response.status_code, reason_of(response)) == (400, "connect_mismatch")
    assert len(bitbucket.requests) == before and BitbucketAccount.objects.count() == 1
    assert not mallory.bitbucket_accounts.exists() and signed_in_as(client) == "jdoe"


def test_a_signed_out_browser_finishes_nothing(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = begin_connecting(client)
    del client.cookies["sessionid"]
    code = code_for(bitbucket, started)
    response = check_nothing(client, bitbucket, 400, "connect_mismatch", code=code, state=started.state)
    assert f'href="{CONNECTIONS}"' in response.content.decode()
    assert "sessionid" not in client.cookies and User.objects.count() == 1


def test_after_a_change_of_the_password_it_is_over(bitbucket: BitbucketSimulator, client: Client, anna: User) -> None:
    """A thief of the session has begun; Anna's new password keeps out the session, and the account as well."""
    started = begin_connecting(client)
    anna.set_password("battery staple")
    anna.save()
    # Anna's own session, which Django keeps alive for who changes the password.
    request = RequestFactory().get("/")
    request.session, request.user = client.session, anna
    update_session_auth_hash(request, anna)
    request.session.save()
    client.cookies["sessionid"] = str(request.session.session_key)
    assert signed_in_as(client) == "anna"
    code = code_for(bitbucket, started)
    check_nothing(client, bitbucket, 400, "connect_mismatch", code=code, state=started.state)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"password": "another"}, 400, "connect_mismatch"),
        ({"is_active": False}, 403, "inactive"),
        ({}, 503, "unavailable"),
    ],
)
def test_what_changes_while_bitbucket_is_waited_for_counts(
    bitbucket: BitbucketSimulator, client: Client, anna: User, changes: dict[str, Any], status: int, reason: str
) -> None:
    def administrator(**kwargs: Any) -> None:
        if changes:
            User.objects.update(**changes)
        else:
            User.objects.all().delete()

    with verified_by(administrator):
        response = connect(client, bitbucket)
    assert (response.status_code, reason_of(response)) == (status, reason)
    assert not BitbucketAccount.objects.exists() and not BitbucketToken.objects.exists()


def test_a_link_of_an_attacker_connects_nothing(bitbucket: BitbucketSimulator, client: Client, mallory: User) -> None:
    """Her account would be a way into Anna's user."""
    other = Client()
    other.force_login(mallory, "django.contrib.auth.backends.ModelBackend")
    started = begin_connecting(other)
    code = code_for(bitbucket, started, "outsider")
    before = len(bitbucket.requests)
    assert come_back(client, code=code, state=started.state).status_code == 302  # to the site, as after "back"
    assert len(bitbucket.requests) == before and not BitbucketAccount.objects.exists()


def test_a_login_never_connects_to_whoever_is_signed_in(
    bitbucket: BitbucketSimulator, client: Client, anna: User
) -> None:
    log_in(client, "jane")
    assert BitbucketAccount.objects.get().user != anna


@pytest.mark.parametrize("first", ["login", "connect"])
def test_a_sign_in_in_another_tab_ends_what_the_first_person_began(
    bitbucket: BitbucketSimulator, client: Client, anna: User, first: str
) -> None:
    tabs = {"login": start(client), "connect": begin_connecting(client)}
    answers: dict[str, Any] = {}
    for name in (first, *({"login", "connect"} - {first})):
        person = {"login": "jane", "connect": "outsider"}[name]
        answers[name] = come_back(client, code=code_for(bitbucket, tabs[name], person), state=tabs[name].state)
    assert answers["login"].status_code == 302 and signed_in_as(client) == "jdoe"
    if first == "connect":
        assert answers["connect"].headers["Location"] == CONNECTIONS and anna.bitbucket_accounts.count() == 1
    else:
        assert reason_of(answers["connect"]) == "connect_mismatch" and not anna.bitbucket_accounts.exists()
    assert User.objects.exclude(pk=anna.pk).get().bitbucket_accounts.get().username == "jdoe"


def test_it_works_once(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = begin_connecting(client)
    cookie = {name: client.cookies[name].value for name in attempts_of(client)}
    code = code_for(bitbucket, started)
    assert come_back(client, code=code, state=started.state).status_code == 302
    BitbucketAccount.objects.all().delete()
    client.cookies.load(cookie)
    before = len(bitbucket.requests)
    response = come_back(client, code=code, state=started.state)
    assert (response.status_code, response.headers["Location"]) == (302, CONNECTIONS)
    assert len(bitbucket.requests) == before and not BitbucketAccount.objects.exists()


def test_head_spends_nothing(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = begin_connecting(client)
    answer: dict[str, Any] = {"code": code_for(bitbucket, started), "state": started.state}
    assert client.head(CALLBACK, answer).status_code == 405
    assert come_back(client, **answer).headers["Location"] == CONNECTIONS


def test_an_answer_of_one_provider_is_not_taken_at_another(client: Client) -> None:
    with (
        simulated_bitbucket() as cloud,
        simulated_bitbucket("dc", kind="data-center") as dc,
        simulated_bitbucket("old", kind="data-center-oauth1") as old,
    ):
        begun = {alias: begin_connecting(client, f"/bitbucket/{alias}connect/") for alias in ("", "dc/", "old/")}
        answers: dict[str, dict[str, Any]] = {
            "": {"state": begun[""].state, "code": code_for(cloud, begun[""])},
            "dc/": {"state": begun["dc/"].state, "code": code_for(dc, begun["dc/"])},
            "old/": signed_answer(old, begun["old/"]),
        }
        counts = [len(simulator.requests) for simulator in (cloud, dc, old)]
        for alias, answer in answers.items():
            for other in {"", "dc/", "old/"} - {alias}:
                response = come_back(client, f"/bitbucket/{other}callback/", **answer)
                missing = response.status_code == 302  # to the site: whoever is signed in pressed "back"
                assert missing or reason_of(response) == "state_mismatch"
        assert [len(simulator.requests) for simulator in (cloud, dc, old)] == counts
        assert not BitbucketAccount.objects.exists() and len(attempts_of(client)) == 3
        for alias, answer in answers.items():
            assert come_back(client, f"/bitbucket/{alias}callback/", **answer).headers["Location"] == CONNECTIONS


def test_a_database_that_cant_say_who_is_there_spends_nothing(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = begin_connecting(client)
    answer: dict[str, Any] = {"code": code_for(bitbucket, started), "state": started.state}

    def execute(run: Any, sql: str, *rest: Any) -> Any:
        raise OperationalError("down")

    with connection.execute_wrapper(execute):
        response = come_back(client, **answer)
    assert (response.status_code, reason_of(response)) == (503, "unavailable")
    assert attempts_of(client) and come_back(client, **answer).headers["Location"] == CONNECTIONS


# -- the cookie ------------------------------------------------------------------------------------------------------


def resealed(client: Client, **changes: Any) -> None:
    """Change what the client's one started login holds; ``None`` takes a member out."""
    (name,) = attempts_of(client)
    held = json.loads(crypto.unseal("started login", name, client.cookies[name].value)) | changes
    kept = {member: value for member, value in held.items() if value is not None}
    client.cookies[name] = crypto.seal("started login", name, json.dumps(kept))


def test_a_started_login_of_the_version_before_is_still_one(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    resealed(client, user=None, session_hash=None)
    assert come_back(client, code=code_for(bitbucket, started), state=started.state).headers["Location"] == "/"
    assert signed_in_as(client) == "jdoe"


def test_an_intent_that_isnt_known_is_none(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    resealed(client, intent="delegate")
    response = come_back(client, code=code_for(bitbucket, started), state=started.state)
    assert reason_of(response) == "state_mismatch" and not bitbucket.requests_to("token")


def test_what_is_kept_of_the_person_shows_nowhere(bitbucket: BitbucketSimulator, client: Client, anna: User) -> None:
    begin_connecting(client)
    (name,) = attempts_of(client)
    held = json.loads(crypto.unseal("started login", name, client.cookies[name].value))
    assert (held["intent"], held["user"], held["session_hash"]) == (
        "connect",
        str(anna.pk),
        anna.get_session_auth_hash(),
    )
    assert held["session_hash"] not in client.cookies.output() and client.cookies[name]["httponly"]


def test_a_user_model_without_a_session_hash_will_do() -> None:
    """As for Django's own sessions."""
    plain: Any = object()
    assert connecting.session_hash(plain) == ""


# -- strict cookies --------------------------------------------------------------------------------------------------


@pytest.fixture
def strict() -> Iterator[None]:
    with override_settings(SESSION_COOKIE_SAMESITE="Strict"):
        yield


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("kind", ["cloud", "data-center-oauth1"])
def test_a_callback_without_the_session_comes_once_more_and_spends_nothing_before(
    client: Client, anna: User, kind: str
) -> None:
    with simulated_bitbucket(kind=kind) as simulator:
        started = begin_connecting(client)
        answer: dict[str, Any] = (
            signed_answer(simulator, started)
            if kind.endswith("oauth1")
            else {"code": code_for(simulator, started), "state": started.state}
        )
        session = client.cookies.pop("sessionid")
        before = len(simulator.requests)
        response = come_back(client, **answer)
        again = response.headers["Refresh"].partition("url=")[2]
        assert response.status_code == 200 and again.startswith(f"{CALLBACK}?") and again.endswith("again=1")
        assert attempts_of(client) and len(simulator.requests) == before
        assert response.headers["Referrer-Policy"] == "no-referrer" and "no-store" in response.headers["Cache-Control"]
        client.cookies["sessionid"] = session.value
        response = client.get(again, headers={**SENT_BACK, "Sec-Fetch-Site": "same-origin"})
        # Nor would the session be sent with a redirect from there.
        assert response.status_code == 200 and response.headers["Refresh"] == f"0;url={CONNECTIONS}"
    assert BitbucketAccount.objects.get().user == anna


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("how", ["again", "same-origin"])
def test_a_browser_without_a_session_is_not_sent_round(bitbucket: BitbucketSimulator, client: Client, how: str) -> None:
    started = begin_connecting(client)
    client.cookies.pop("sessionid")
    answer = {"code": code_for(bitbucket, started), "state": started.state}
    headers = {**SENT_BACK, "Sec-Fetch-Site": "same-origin" if how == "same-origin" else "cross-site"}
    response = client.get(CALLBACK, answer | ({"again": "1"} if how == "again" else {}), headers=headers)
    assert (response.status_code, reason_of(response)) == (400, "connect_mismatch")
    assert not attempts_of(client) and not BitbucketAccount.objects.exists()


# -- what is refused -------------------------------------------------------------------------------------------------


def test_an_account_of_somebody_else_stays_theirs(bitbucket: BitbucketSimulator, client: Client, anna: User) -> None:
    log_in(Client(), "jane")
    jane = User.objects.get(username="jdoe")
    asked: list[Any] = []
    with verified_by(lambda **kwargs: asked.append(kwargs)):
        response = connect(client, bitbucket)
    assert (response.status_code, reason_of(response)) == (403, "already_connected")
    page = response.content.decode()
    assert "jdoe" not in page and "Jane" not in page
    assert BitbucketAccount.objects.get().user == jane and BitbucketToken.objects.get().version == 1
    assert signed_in_as(client) == "anna" and asked == []


def test_receivers_are_told_who_connects(bitbucket: BitbucketSimulator, client: Client, anna: User) -> None:
    asked: list[dict[str, Any]] = []

    def same(**kwargs: Any) -> User:
        asked.append(kwargs)
        return anna

    with verified_by(same):
        connect(client, bitbucket)
    [call] = asked
    assert (call["intent"], call["user"].pk, call["profile"].uid) == (
        "connect",
        anna.pk,
        bitbucket.person("jane").uuid,
    )
    assert BitbucketAccount.objects.get().user == anna


def test_receivers_refuse(bitbucket: BitbucketSimulator, client: Client, mallory: User) -> None:
    def another(**kwargs: Any) -> User:
        return mallory

    def no(**kwargs: Any) -> bool:
        return False

    def why(**kwargs: Any) -> None:
        raise LoginRefused("Not that one.")

    for receiver in (another, no, why):
        with verified_by(receiver):
            response = connect(client, bitbucket)
        assert (response.status_code, reason_of(response)) == (403, "vetoed"), receiver
        assert not BitbucketAccount.objects.exists()
    assert "Not that one." in response.content.decode()


def test_policy_holds_for_accounts_that_are_connected(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", WORKSPACES=[bitbucket.workspaces["acme"].uuid]):
        assert connect(client, bitbucket).status_code == 302
        response = connect(client, bitbucket, "outsider")
        assert (response.status_code, reason_of(response)) == (403, "not_a_member")
        assert "This account is not a member" in response.content.decode()
        bitbucket.leave("jane", "acme")
        assert reason_of(connect(client, bitbucket)) == "not_a_member"
    assert BitbucketAccount.objects.count() == 1 and not BitbucketToken.objects.exists()


def test_a_person_who_has_become_unrecognisable_is_not_connected_again(client: Client) -> None:
    with simulated_bitbucket(kind="data-center", INSTANCE="dc") as simulator:
        connect(client, simulator)
        simulator.person("outsider").dc_id = simulator.person("jane").dc_id
        del simulator.people["jane"]
        assert reason_of(connect(client, simulator, "outsider")) == "already_connected"
    assert BitbucketAccount.objects.get().display_name == "Jane Doe"


def test_a_profile_without_an_id_cant_be_connected(client: Client, anna: User) -> None:
    """A receiver that names the person signs in whoever has the user name; that leaves nothing behind."""
    with (
        simulated_bitbucket(kind="cloud-oauth1") as simulator,
        verified_by(lambda **kwargs: anna),
        override_provider("default", ENDPOINTS={"user": f"{simulator.url}/1.0/user/"}),
    ):
        response = connect(client, simulator)
    assert (response.status_code, reason_of(response)) == (502, "no_stable_id")
    assert not BitbucketAccount.objects.exists()


def test_a_denial_says_that_nothing_was_connected(
    bitbucket: BitbucketSimulator, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    started = begin_connecting(client)
    told: list[str] = []

    def hear(reason: str, **kwargs: Any) -> None:
        told.append(reason)

    with listening(login_refused, hear):
        response = check_nothing(client, bitbucket, 403, "cancelled", error="access_denied", state=started.state)
    page = response.content.decode()
    assert "The account was not connected" in page and "/bitbucket/login/" not in page
    assert f'href="{CONNECTIONS}"' in page
    assert told == ["cancelled"] and "Connecting failed: cancelled" in caplog.text


def test_a_refusal_goes_to_the_failure_url(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", FAILURE_URL="/"):
        started = begin_connecting(client)
        response = come_back(client, error="access_denied", state=started.state)
    assert response.status_code == 302 and response.headers["Location"].startswith("/?reason=cancelled&trail=BB-")


# -- others are faster, or in the way --------------------------------------------------------------------------------


def interfering(act: Any, part: str = "INSERT INTO", table: str = "bitbucketaccount") -> Any:
    """Something happens just before a statement, once for each of the list's members."""

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if act and part in sql and table in sql:
            act.pop(0)()
        return run(sql, params, many, context)

    return connection.execute_wrapper(execute)


def raising(error: Exception) -> Any:
    def act() -> None:
        raise error

    return act


def test_a_lock_error_is_tried_once_more(bitbucket: BitbucketSimulator, client: Client, anna: User) -> None:
    with interfering([raising(OperationalError("locked"))]):
        assert connect(client, bitbucket).status_code == 302
    assert anna.bitbucket_accounts.count() == 1


def test_the_second_lock_error_is_unavailable_and_leaves_nothing(bitbucket: BitbucketSimulator, client: Client) -> None:
    with interfering([raising(OperationalError("locked"))] * 2):
        response = connect(client, bitbucket)
    assert (response.status_code, reason_of(response)) == (503, "unavailable")
    assert not BitbucketAccount.objects.exists()


def test_what_was_undone_is_not_told_of(
    bitbucket: BitbucketSimulator, client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    def nothing() -> None: ...

    # The inner transaction ends well, the outer one doesn't.
    acts = [nothing, raising(IntegrityError("at the end"))]
    with django_capture_on_commit_callbacks() as told, interfering(acts, "RELEASE SAVEPOINT", ""):
        assert connect(client, bitbucket).status_code == 302
    assert len(told) == 1 and acts == []


def test_what_the_commit_undoes_is_not_told_of(
    bitbucket: BitbucketSimulator, client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    with (
        django_capture_on_commit_callbacks() as told,
        interfering([raising(IntegrityError("no"))] * 6, "RELEASE SAV", ""),
    ):
        assert connect(client, bitbucket).status_code == 503
    assert told == []


def test_what_can_never_be_written_ends(bitbucket: BitbucketSimulator, client: Client) -> None:
    with interfering([raising(IntegrityError("never"))] * 3):
        response = connect(client, bitbucket)
    assert (response.status_code, reason_of(response)) == (503, "unavailable")


@pytest.mark.parametrize("whose", ["anna", "mallory"])
def test_who_was_faster_is_looked_at_anew(
    bitbucket: BitbucketSimulator, client: Client, anna: User, mallory: User, whose: str
) -> None:
    """The same person in another tab, or somebody else with the same Bitbucket account."""
    person = bitbucket.person("jane")
    instance = bitbucket.url.partition("//")[2]

    def rival(**kwargs: Any) -> None:
        owner = User.objects.get(username=whose)
        BitbucketAccount.objects.create(user=owner, provider="default", instance=instance, uid=person.uuid)

    heard: list[Any] = []
    with verified_by(rival), listening(account_connected, lambda **told: heard.append(told)):
        response = connect(client, bitbucket)
    account = BitbucketAccount.objects.get()
    assert account.user.username == whose and heard == []
    if whose == "anna":
        assert response.headers["Location"] == CONNECTIONS and account.tokens.count() == 1
    else:
        assert reason_of(response) == "already_connected" and not account.tokens.exists()
