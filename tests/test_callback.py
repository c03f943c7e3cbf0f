"""Finishing a sign-in: the attempt, its one use, and where people end up."""

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client, override_settings
from steps import CALLBACK, LOGIN, SENT_BACK, TYPED, attempts_of, code_for, come_back, reason_of, start

from django_bitbucket_auth import crypto
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider

pytestmark = pytest.mark.django_db


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


def test_a_typed_visit_of_the_callback_is_answered(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = client.get(CALLBACK, headers=TYPED)
    assert response.status_code == 400 and reason_of(response) == "state_missing"
