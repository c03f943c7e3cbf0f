"""Finishing a sign-in: the attempt, its one use, and where people end up."""

import time
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from steps import CALLBACK, LOGIN, SENT_BACK, TYPED, attempts_of, code_for, come_back, reason_of, start

from django_bitbucket_auth import crypto
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider

pytestmark = pytest.mark.django_db


class BrokenCache(LocMemCache):
    """A cache server that is down."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        raise ConnectionError("cache is down")


def test_a_person_signs_in_and_comes_back_to_where_they_wanted_to_go(
    bitbucket: BitbucketSimulator, client: Client
) -> None:
    response = log_in(client, "jane", next="/private/?a=1")
    assert response.status_code == 302 and response.headers["Location"] == "/private/?a=1"
    assert client.get("/private/").content == b"jdoe"
    user = User.objects.get()
    assert (user.email, user.first_name, user.last_name) == ("jane@example.com", "Jane", "Doe")
    assert not user.has_usable_password()
    account = BitbucketAccount.objects.get(user=user)
    assert account.uid == bitbucket.person("jane").uuid and account.email_verified
    token = account.tokens.get().reveal()
    assert token is not None and len(token.access_token) > 1900 and len(token.refresh_token) > 1900


def test_a_returning_person_is_the_same_user(bitbucket: BitbucketSimulator) -> None:
    for _ in range(3):
        assert log_in(Client(), "jane").status_code == 302
    assert User.objects.count() == BitbucketAccount.objects.count() == BitbucketToken.objects.count() == 1
    assert BitbucketToken.objects.get().version == 3


def test_without_next_people_go_to_the_success_url(bitbucket: BitbucketSimulator, client: Client) -> None:
    assert log_in(client).headers["Location"] == django_settings.LOGIN_REDIRECT_URL
    with override_provider("default", SUCCESS_URL="private"):
        assert log_in(Client()).headers["Location"] == "/private/"


def test_no_tokens_are_kept_where_that_is_switched_off(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", STORE_TOKENS=False):
        assert log_in(client).status_code == 302
    assert not BitbucketToken.objects.exists()


def test_the_session_is_rotated(bitbucket: BitbucketSimulator, client: Client) -> None:
    session = client.session
    session["basket"] = "kept"
    session.save()
    planted = session.session_key
    assert planted
    client.cookies["sessionid"] = planted
    log_in(client)
    assert client.session.session_key != planted and client.session["basket"] == "kept"


def test_somebody_elses_session_is_dropped(
    bitbucket: BitbucketSimulator, client: Client, django_user_model: Any
) -> None:
    client.force_login(django_user_model.objects.create_user("other"))
    session = client.session
    session["secret"] = "the other person's"
    session.save()
    log_in(client)
    assert "secret" not in client.session and client.get("/private/").content == b"jdoe"
    assert not django_user_model.objects.get(username="other").bitbucket_accounts.exists()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_tabs_finish_in_either_order(bitbucket: BitbucketSimulator, client: Client, order: tuple[int, int]) -> None:
    tabs = [start(client, next="/private/?tab=0"), start(client, next="/private/?tab=1")]
    for number in order:
        response = come_back(client, code=code_for(bitbucket, tabs[number]), state=tabs[number].state)
        assert response.headers["Location"] == f"/private/?tab={number}"
    assert not attempts_of(client)


def test_the_redirect_uri_is_identical_at_both_steps(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    come_back(client, code=code_for(bitbucket, started), state=started.state)
    (exchange,) = bitbucket.requests_to("token")
    assert dict(exchange.form)["redirect_uri"] == started.parameters["redirect_uri"]
    assert "client_secret" not in dict(exchange.form) and exchange.headers["authorization"].startswith("Basic ")


# -- the attempt ---------------------------------------------------------------------------------------------------


def check_refused(client: Client, bitbucket: BitbucketSimulator, reason: str, **query: Any) -> None:
    before = len(bitbucket.requests)
    response = come_back(client, **query)
    assert response.status_code == 400 and reason_of(response) == reason, response.content
    assert len(bitbucket.requests) == before
    assert "sessionid" not in client.cookies and not User.objects.exists()


def test_a_callback_in_another_browser_is_refused(bitbucket: BitbucketSimulator) -> None:
    # CVE-2025-68158, CVE-2026-41425: a state kept on the server lets an attacker's link sign the victim in.
    started = start(Client())
    check_refused(Client(), bitbucket, "state_missing", code=code_for(bitbucket, started), state=started.state)


@pytest.mark.parametrize(
    "query", [{}, {"code": "c"}, {"code": "c", "state": ""}, {"state": "\udcff"}, {"state": "x" * 9000}]
)
def test_a_callback_without_a_good_state_is_refused(bitbucket: BitbucketSimulator, query: dict[str, Any]) -> None:
    client = Client()
    start(client)
    if "\udcff" in query.get("state", ""):
        query = {"state": "%ED%B3%BF"}
    check_refused(client, bitbucket, "state_missing", **query)


def test_a_state_that_only_fits_the_name_is_refused(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    (name,) = attempts_of(client)
    other = start(Client())
    held = crypto.unseal("started login", name, client.cookies[name].value).replace(started.state, other.state)
    client.cookies[name] = crypto.seal("started login", name, held)
    check_refused(client, bitbucket, "state_mismatch", code="c", state=started.state)


def test_a_cookie_moved_to_another_name_is_refused(bitbucket: BitbucketSimulator, client: Client) -> None:
    first, second = start(client), start(client)
    one, two = attempts_of(client)
    client.cookies[one], client.cookies[two] = client.cookies[two].value, client.cookies[one].value
    check_refused(client, bitbucket, "state_missing", code="c", state=first.state)
    check_refused(client, bitbucket, "state_missing", code="c", state=second.state)


def test_a_forged_cookie_is_refused(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    (name,) = attempts_of(client)
    for forged in ("", "1", "1.", "1.AAAAAAAA.", "1.AAAAAAAA.!!!!", client.cookies[name].value[:-2] + "AA", "ä"):
        other = Client(headers={"Cookie": f"{name}={forged}"})
        check_refused(other, bitbucket, "state_missing", code="c", state=started.state)


def test_an_attempt_of_another_version_is_refused(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    (name,) = attempts_of(client)
    client.cookies[name] = crypto.seal("started login", name, '{"state": "old format"}')
    check_refused(client, bitbucket, "state_missing", code="c", state=started.state)


def test_a_planted_second_cookie_of_the_same_name_is_refused(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    (name,) = attempts_of(client)
    value = client.cookies[name].value
    twice = Client(headers={"Cookie": f"{name}={value}; {name}={value}"})
    check_refused(twice, bitbucket, "state_mismatch", code="c", state=started.state)


def test_a_name_padded_with_unicode_space_is_another_name(bitbucket: BitbucketSimulator) -> None:
    # Django strips U+2000 from cookie names, browsers don't: a sibling subdomain could plant a "__Host-" cookie.
    client = Client()
    started = start(client, secure=True)
    (name,) = attempts_of(client)
    planted = ("\u2000" + name).encode().decode("latin-1")
    other = Client(headers={"Cookie": f"{planted}={client.cookies[name].value}"})
    response = come_back(other, secure=True, code="c", state=started.state)
    assert response.status_code == 400 and reason_of(response) == "state_missing"


def test_on_https_only_the_host_bound_name_is_read(bitbucket: BitbucketSimulator) -> None:
    client = Client()
    started = start(client)  # plain HTTP: the name without __Host-
    response = come_back(client, secure=True, code="c", state=started.state)
    assert response.status_code == 400 and reason_of(response) == "state_missing"


@pytest.mark.parametrize(("shift", "reason"), [(601, "state_expired"), (-5, "state_expired")])
def test_the_age_is_judged_by_the_payload(
    bitbucket: BitbucketSimulator, client: Client, monkeypatch: pytest.MonkeyPatch, shift: int, reason: str
) -> None:
    started = start(client)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + shift)
    check_refused(client, bitbucket, reason, code="c", state=started.state)


def test_a_state_is_bound_to_its_provider(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    code = code_for(bitbucket, started)
    same = {"BASE_URL": bitbucket.url, "API_URL": bitbucket.url, "CLIENT_ID": "b" * 32, "CLIENT_SECRET": "x" * 40}
    with override_provider("second", **same):
        before = len(bitbucket.requests)
        response = come_back(client, "/bitbucket/second/callback/", code=code, state=started.state)
    assert response.status_code == 400 and reason_of(response) == "state_mismatch"
    assert len(bitbucket.requests) == before


@pytest.mark.parametrize("key", ["CLIENT_ID", "INSTANCE", "ENDPOINTS"])
def test_a_state_is_bound_to_client_and_endpoints(bitbucket: BitbucketSimulator, client: Client, key: str) -> None:
    started = start(client)
    value: Any = {"token": "https://elsewhere.invalid/token"} if key == "ENDPOINTS" else "another"
    with override_provider("default", **{key: value}):
        check_refused(client, bitbucket, "state_mismatch", code="c", state=started.state)


# -- used once -----------------------------------------------------------------------------------------------------


def test_a_replayed_callback_sends_nothing_out(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    cookie = {name: client.cookies[name].value for name in attempts_of(client)}
    code = code_for(bitbucket, started)
    assert come_back(client, code=code, state=started.state).status_code == 302
    User.objects.all().delete()
    thief = Client()
    thief.cookies.load(cookie)
    check_refused(thief, bitbucket, "state_reused", code=code, state=started.state)
    assert not attempts_of(thief)


def test_back_after_success_leads_on_for_who_is_signed_in(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    code = code_for(bitbucket, started)
    come_back(client, code=code, state=started.state)
    before = len(bitbucket.requests)
    response = come_back(client, code=code, state=started.state)
    assert response.status_code == 302 and response.headers["Location"] == "/"
    assert len(bitbucket.requests) == before


def test_a_reused_state_of_who_is_signed_in_leads_on(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    cookie = {name: client.cookies[name].value for name in attempts_of(client)}
    code = code_for(bitbucket, started)
    come_back(client, code=code, state=started.state)
    client.cookies.load(cookie)
    response = come_back(client, code=code, state=started.state)
    assert response.status_code == 302 and response.headers["Location"] == "/"


def test_every_answer_after_the_mark_deletes_the_cookie(bitbucket: BitbucketSimulator, client: Client) -> None:
    queries: list[dict[str, Any]] = [{"error": "access_denied"}, {"code": "wrong"}, {}, {"error": "server_error"}]
    for query in queries:
        started = start(client)
        come_back(client, state=started.state, **query)
        assert not attempts_of(client), query
    (deleted,) = [morsel for name, morsel in client.cookies.items() if "bitbucket_auth_" in name][:1]
    assert deleted["max-age"] == 0 and deleted["path"] == "/"


def test_a_cache_that_is_down_sends_nothing_out(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    with override_settings(CACHES={"default": {"BACKEND": "test_callback.BrokenCache"}}):
        before = len(bitbucket.requests)
        response = come_back(client, code="c", state=started.state)
    assert response.status_code == 503 and reason_of(response) == "unavailable"
    assert len(bitbucket.requests) == before


@pytest.mark.parametrize("method", ["head", "post", "put", "delete", "options"])
def test_only_get_spends_the_code(bitbucket: BitbucketSimulator, method: str) -> None:
    client = Client(enforce_csrf_checks=True)
    started = start(client)
    code = code_for(bitbucket, started)
    before = len(bitbucket.requests)
    response = getattr(client, method)(f"{CALLBACK}?code={code}&state={started.state}")
    assert response.status_code == 405 and "no-store" in response.headers["Cache-Control"]
    assert len(bitbucket.requests) == before and attempts_of(client)
    assert come_back(client, code=code, state=started.state).status_code == 302


# -- what Bitbucket says by way of the browser ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ({"error": "access_denied", "error_description": "no"}, 403, "cancelled"),
        ({"error": "server_error"}, 503, "unavailable"),
        ({"error": "temporarily_unavailable"}, 503, "unavailable"),
        ({"error": "invalid_scope"}, 502, "client_refused"),
        ({"error": "unauthorized_client"}, 502, "client_refused"),
        ({"error": "surprise\r\nInjected: line"}, 502, "bad_answer"),
        ({"error": "access_denied", "code": "c"}, 403, "cancelled"),
        ({}, 400, "bad_answer"),
        ({"code": ""}, 400, "bad_answer"),
    ],
)
def test_what_comes_instead_of_a_code_is_answered_plainly(
    bitbucket: BitbucketSimulator,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    query: dict[str, Any],
    status: int,
    reason: str,
) -> None:
    started = start(client)
    response = come_back(client, state=started.state, **query)
    assert (response.status_code, reason_of(response)) == (status, reason)
    assert not bitbucket.requests_to("token") and not User.objects.exists()
    ours = [record for record in caplog.records if record.name == "django_bitbucket_auth"]
    assert len(ours) == 1 and "\n" not in ours[0].getMessage()


def test_a_description_is_logged_and_never_shown(
    bitbucket: BitbucketSimulator, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    started = start(client)
    response = come_back(
        client, state=started.state, error="access_denied", error_description="<b>call 555-evil</b>" + "x" * 9000
    )
    assert b"555-evil" not in response.content
    assert "555-evil" in caplog.text and len(caplog.text) < 2000


def test_a_denial_without_state_is_a_denial(bitbucket: BitbucketSimulator, client: Client) -> None:
    start(client)
    response = come_back(client, error="access_denied")
    assert response.status_code == 403 and reason_of(response) == "cancelled"


def test_another_error_without_state_proves_nothing(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = come_back(client, error="server_error")
    assert response.status_code == 400 and reason_of(response) == "state_missing"


def test_the_simulators_deny_button_ends_in_a_page_that_says_so(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = log_in(client, None)
    assert response.status_code == 403 and reason_of(response) == "cancelled"
    assert not User.objects.exists()


# -- strict session cookies ----------------------------------------------------------------------------------------


@override_settings(SESSION_COOKIE_SAMESITE="Strict")
def test_with_strict_cookies_success_is_a_page_that_forwards(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = log_in(client, "jane", next="/private/")
    assert response.status_code == 200 and response.headers["Refresh"] == "0;url=/private/"
    assert client.get("/private/").content == b"jdoe"


@override_settings(SESSION_COOKIE_SAMESITE="Strict")
def test_with_strict_cookies_back_bounces_once_and_spends_nothing(
    bitbucket: BitbucketSimulator, client: Client
) -> None:
    started = start(client)
    code = code_for(bitbucket, started)
    come_back(client, code=code, state=started.state)
    before = len(bitbucket.requests)
    without_session = Client()  # what the browser sends with a cross-site step
    bounced = come_back(without_session, code=code, state=started.state)
    assert bounced.status_code == 200 and bounced.headers["Refresh"] == f"0;url={CALLBACK}?again=1"
    same_origin = {**SENT_BACK, "Sec-Fetch-Site": "same-origin"}
    assert client.get(f"{CALLBACK}?again=1", headers=same_origin).headers["Location"] == "/"
    stranger = without_session.get(f"{CALLBACK}?again=1", headers=same_origin)
    assert stranger.status_code == 400 and reason_of(stranger) == "state_missing"
    # Without the header, the mark in the URL ends it: no loop.
    assert without_session.get(f"{CALLBACK}?again=1").status_code == 400
    assert len(bitbucket.requests) == before


# -- next ----------------------------------------------------------------------------------------------------------


def test_next_is_checked_again_at_the_callback(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client, next="/private/")
    (name,) = attempts_of(client)
    held = crypto.unseal("started login", name, client.cookies[name].value)
    client.cookies[name] = crypto.seal("started login", name, held.replace('"/private/"', '"//evil.example/"'))
    response = come_back(client, code=code_for(bitbucket, started), state=started.state)
    assert response.status_code == 302 and response.headers["Location"] == "/"


def test_the_wish_survives_a_failure(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client, next="/private/?a=1")
    html = come_back(client, state=started.state, error="access_denied").content.decode()
    assert f'href="{LOGIN}?next=%2Fprivate%2F%3Fa%3D1"' in html


# -- counts --------------------------------------------------------------------------------------------------------


def written(queries: CaptureQueriesContext) -> list[str]:
    noise = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
    return [query["sql"] for query in queries.captured_queries if not query["sql"].startswith(noise)]


def test_nine_queries_for_a_first_login_and_six_for_a_returning_one(bitbucket: BitbucketSimulator) -> None:
    for most in (9, 6, 6):
        with CaptureQueriesContext(connection) as queries:
            assert log_in(Client(), "jane").status_code == 302
        assert len(written(queries)) <= most, written(queries)


def test_a_returning_login_reads_once_and_writes_only_the_token(bitbucket: BitbucketSimulator) -> None:
    log_in(Client(), "jane")
    with CaptureQueriesContext(connection) as queries:
        log_in(Client(), "jane")
    ours = [sql for sql in written(queries) if "bitbucket_auth" in sql]
    assert [sql.split()[0] for sql in ours] == ["SELECT", "UPDATE"] and "bitbuckettoken" in ours[1]


def test_three_requests_and_no_new_connection_in_steady_state(bitbucket: BitbucketSimulator) -> None:
    log_in(Client(), "jane")
    connections, requests = bitbucket.connections, len(bitbucket.requests)
    for _ in range(3):
        log_in(Client(), "jane")
    ours = [logged for logged in bitbucket.requests[requests:] if logged.endpoint != "authorize"]
    assert sorted(logged.endpoint for logged in ours) == ["emails"] * 3 + ["token"] * 3 + ["user"] * 3
    assert bitbucket.connections == connections


def test_profile_and_addresses_are_asked_for_at_the_same_time(bitbucket: BitbucketSimulator, client: Client) -> None:
    # Each is held back for a time of which the deadline leaves room for one, but not for two in turn.
    bitbucket.slow("user", 0.5)
    bitbucket.slow("emails", 0.5)
    with override_provider("default", DEADLINE=0.9):
        assert log_in(client, "jane").status_code == 302
    assert User.objects.get().email == "jane@example.com"


def test_a_typed_visit_of_the_callback_is_answered(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = client.get(CALLBACK, headers=TYPED)
    assert response.status_code == 400 and reason_of(response) == "state_missing"
