"""What goes wrong around a sign-in, in the project or its database, and what people and operators see of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_logged_in
from django.db import IntegrityError, OperationalError, connection
from django.http import QueryDict
from django.test import Client, override_settings
from django.urls import include, path
from django.utils.translation import gettext_lazy
from steps import CALLBACK, LOGIN, SENT_BACK, TYPED, code_for, come_back, listening, reason_of, start
from urls import home

from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import BitbucketUnavailable, LoginRefused
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.signals import verify
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider

pytestmark = pytest.mark.django_db

#: A project that put our URLs into a namespace of its own.
urlpatterns = [
    path("", home, name="home"),
    path("x/", include((([path("bitbucket/", include("django_bitbucket_auth.urls"))]), "x"), namespace="x")),
]


@contextmanager
def failing_at(statement: str) -> Iterator[None]:
    """A database that is locked whenever this statement comes."""

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.replace("`", '"').startswith(statement):
            raise OperationalError("database is locked")
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


# -- after the account is known ------------------------------------------------------------------------------------


def test_a_refusal_by_a_receiver_of_user_logged_in_leaves_nobody_signed_in(
    bitbucket: BitbucketSimulator, client: Client
) -> None:
    def second_factor(**kwargs: Any) -> None:
        raise LoginRefused("Where is your key?")

    with listening(user_logged_in, second_factor):
        response = log_in(client, "jane")
    assert response.status_code == 403 and b"Where is your key?" in response.content
    assert client.get("/private/").status_code == 302
    assert isinstance(response.wsgi_request.user, AnonymousUser)


@pytest.mark.parametrize("statement", ['UPDATE "auth_user"', 'INSERT INTO "django_session"'])
def test_a_database_that_refuses_the_session_is_unavailable(
    bitbucket: BitbucketSimulator, client: Client, statement: str
) -> None:
    log_in(Client(), "jane")
    started = start(client)
    code = code_for(bitbucket, started)
    with failing_at(statement):
        response = come_back(client, code=code, state=started.state)
    assert response.status_code == 503 and reason_of(response) == "unavailable"
    assert client.get("/private/").status_code == 302


def test_a_database_that_is_down_shows_nobody_as_signed_in(bitbucket: BitbucketSimulator, client: Client) -> None:
    log_in(client, "jane")
    with failing_at('SELECT "django_session"'):
        response = come_back(client, code="c", state="unknown")
    assert response.status_code == 400 and reason_of(response) == "state_missing"


# -- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "shown"), [(gettext_lazy("Not today."), b"Not today."), (None, b"let this Bitbucket")]
)
def test_a_refusal_may_be_a_lazy_translation_or_wordless(
    bitbucket: BitbucketSimulator, client: Client, words: Any, shown: bytes
) -> None:
    def veto(**kwargs: Any) -> None:
        raise LoginRefused(words)

    with listening(verify, veto):
        response = log_in(client, "jane")
    assert response.status_code == 403 and shown in response.content


@pytest.mark.parametrize("charset", ["ascii", "cp1252", "utf-7", "unicode_escape"])
@pytest.mark.parametrize(
    "where", [f"{CALLBACK}?state=%81&code=%ff", f"{LOGIN}?next=/%2B2AA-", f"{LOGIN}?next=/%5Cud800"]
)
def test_a_charset_that_the_request_claims_breaks_nothing(
    bitbucket: BitbucketSimulator, client: Client, where: str, charset: str
) -> None:
    response = client.get(where, headers={**TYPED, "Content-Type": f"text/plain; charset={charset}"})
    assert response.status_code in (302, 400)
    posted = client.post(LOGIN, "next=/%2B2AA-", content_type=f"application/x-www-form-urlencoded; charset={charset}")
    assert posted.status_code in (200, 400)


def test_next_with_a_lone_surrogate_is_no_place() -> None:
    from django.test import RequestFactory

    from django_bitbucket_auth import navigation

    request = RequestFactory().get("/")
    request.GET = QueryDict()
    assert navigation.safe_next(request, "/\ud800") == ""


@override_settings(SESSION_COOKIE_SAMESITE="Strict", LOGIN_REDIRECT_URL="/добро/")
def test_a_forwarding_page_leads_to_an_address_of_any_letters(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = log_in(client, "jane")
    assert response.headers["Refresh"] == "0;url=/%D0%B4%D0%BE%D0%B1%D1%80%D0%BE/"


# -- a project's mistakes ------------------------------------------------------------------------------------------


def test_a_success_url_that_leads_nowhere_is_said_before_the_code_is_spent(
    bitbucket: BitbucketSimulator, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    started = start(client)
    code = code_for(bitbucket, started)
    with override_provider("default", SUCCESS_URL="no-such-name"):
        response = come_back(client, code=code, state=started.state)
    assert response.status_code == 503 and reason_of(response) == "misconfigured" and "no-such-name" in caplog.text
    assert not User.objects.exists()
    assert come_back(client, code=code, state=started.state).status_code == 302


@pytest.mark.parametrize("url", ["no-such-name", "https://[x"])
def test_a_failure_url_that_leads_nowhere_gives_way_to_the_page(
    bitbucket: BitbucketSimulator, client: Client, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with override_provider("default", FAILURE_URL=url):
        response = log_in(client, None)
    assert response.status_code == 403 and reason_of(response) == "cancelled" and "FAILURE_URL" in caplog.text


@override_settings(ROOT_URLCONF="test_mishaps")
def test_urls_in_another_namespace_are_said(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = client.get("/x/bitbucket/login/", headers=TYPED)
    assert response.status_code == 503 and reason_of(response) == "misconfigured"
    refused = client.get("/x/bitbucket/callback/", headers=SENT_BACK)
    assert refused.status_code == 400 and b"bba-button" not in refused.content


def test_an_alias_that_nobody_configured_is_not_found_without_the_setting(client: Client) -> None:
    with override_settings(BITBUCKET_AUTH=None):
        assert client.get("/bitbucket/nobody/login/").status_code == 404


def test_a_secret_is_asked_for_once(bitbucket: BitbucketSimulator, client: Client) -> None:
    asked: list[int] = []

    def vault() -> str:
        asked.append(1)
        return bitbucket.client.client_secret

    log_in(client, "jane")
    with override_provider("default", CLIENT_SECRET=vault):
        response = come_back(client, code="c", state="unknown")
    assert response.status_code == 302 and asked == [1]


def _answers() -> dict[str, Any]:
    """What the test in progress tells the hooks; a setting, because this module is loaded twice."""
    answers: dict[str, Any] = getattr(settings, "ANSWERS", {})
    return answers


class Hooked(BitbucketBackend):
    """A backend whose hooks answer what a test tells them."""

    def create_user(self, request: Any, login: Any, fields: dict[str, Any]) -> Any:
        return _answers().get("create_user")

    def find_user(self, request: Any, login: Any) -> Any:
        return _answers().get("find_user")

    def username_for(self, profile: Any) -> Any:
        return _answers().get("username_for", "jane")


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ("create_user", None),
        ("create_user", "jane"),
        ("create_user", User(username="unsaved")),
        ("find_user", False),
        ("find_user", AnonymousUser()),
        ("find_user", User(username="unsaved", pk=7)),
        ("username_for", None),
        ("username_for", ""),
    ],
)
@override_settings(AUTHENTICATION_BACKENDS=["test_mishaps.Hooked"])
def test_a_hook_that_answers_nonsense_lets_nobody_in_and_is_named(
    bitbucket: BitbucketSimulator,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    hook: str,
    answer: Any,
) -> None:
    with override_settings(ANSWERS={hook: answer}):
        response = log_in(client, "jane")
    assert response.status_code == 503 and reason_of(response) == "misconfigured"
    assert f"{hook}()" in caplog.text
    assert not User.objects.exists() and not BitbucketAccount.objects.exists()


class Stubborn(BitbucketBackend):
    """A backend that writes what can't be written."""

    def update_user(self, *args: Any, **kwargs: Any) -> None:
        _answers()["calls"].append(1)
        raise IntegrityError("UNIQUE constraint failed: staff.badge\nDETAIL: Key (badge)=(CANARY) already exists.")


def test_a_write_that_can_never_succeed_is_tried_once_and_told_in_one_line(
    bitbucket: BitbucketSimulator, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    log_in(Client(), "jane")
    with override_settings(AUTHENTICATION_BACKENDS=["test_mishaps.Stubborn"], ANSWERS={"calls": calls}):
        response = log_in(client, "jane")
    assert response.status_code == 503 and reason_of(response) == "unavailable" and calls == [1]
    assert "staff.badge" in caplog.text and "CANARY" not in caplog.text


def test_addresses_that_were_read_in_part_move_nobody_to_another_one(
    bitbucket: BitbucketSimulator, client: Client
) -> None:
    log_in(Client(), "jane")
    second = {"email": "second@example.com", "is_confirmed": True, "is_primary": False}
    page = {"values": [second], "next": f"{bitbucket.url}/2.0/user/emails?page=2"}
    import json

    bitbucket.answer("emails", 200, body=json.dumps(page), times=1)
    bitbucket.fail("emails", 500)
    with override_provider("default", RETRIES=0):
        assert log_in(client, "jane").status_code == 302
    assert User.objects.get().email == "jane@example.com" == BitbucketAccount.objects.get().email
    assert BitbucketToken.objects.get().version == 2


def test_a_send_of_the_projects_own_may_raise_what_requests_raises(
    bitbucket: BitbucketSimulator, client: Client
) -> None:
    from django_bitbucket_auth import conf
    from django_bitbucket_auth.bitbucket import CloudProvider

    class Direct(CloudProvider):
        def send(self, request: Any) -> Any:
            import requests

            raise requests.ConnectionError("CANARY")

    provider = Direct(conf.provider_settings())
    with pytest.raises(BitbucketUnavailable, match=r"no answer \(ConnectionError\)") as caught:
        provider.get(conf_token(), f"{bitbucket.url}/2.0/user")
    assert "CANARY" not in str(caught.value)


def conf_token() -> Any:
    from django_bitbucket_auth.tokens import Token

    return Token("a")
