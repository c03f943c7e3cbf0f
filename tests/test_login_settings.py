"""Starting a sign-in where the settings, the host or the proxy have a say."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client, override_settings
from steps import CALLBACK, LOGIN, TYPED, attempts_of, reason_of, start

from django_bitbucket_auth import crypto
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider

pytestmark = pytest.mark.django_db


def payload(client: Client) -> dict[str, Any]:
    """What the one started login in the client's jar holds."""
    (name,) = attempts_of(client)
    found: dict[str, Any] = json.loads(crypto.unseal("started login", name, client.cookies[name].value))
    return found


def test_an_unknown_alias_is_not_found(bitbucket: BitbucketSimulator, client: Client) -> None:
    assert client.get("/bitbucket/nobody/login/").status_code == 404
    assert client.get("/bitbucket/nobody/callback/").status_code == 404


def test_another_provider_has_its_own_callback(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider(
        "second", BASE_URL=bitbucket.url, API_URL=bitbucket.url, CLIENT_ID="second-client", CLIENT_SECRET="x" * 40
    ):
        parameters = start(client, "/bitbucket/second/login/").parameters
        assert parameters["redirect_uri"] == "http://testserver/bitbucket/second/callback/"
        assert parameters["client_id"] == "second-client"
        assert payload(client)["provider"] == "second"


def test_the_callback_url_can_be_set(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", CALLBACK_URL="https://testserver/x/callback/"):
        parameters = start(client, secure=True).parameters
    assert parameters["redirect_uri"] == "https://testserver/x/callback/"


def test_a_login_on_another_host_than_the_callbacks_goes_there_first(
    bitbucket: BitbucketSimulator, client: Client
) -> None:
    with override_provider("default", CALLBACK_URL="https://localhost/bitbucket/callback/"):
        response = client.get(LOGIN, {"next": "/private/"}, headers=TYPED, secure=True)
        assert response.headers["Location"] == "https://localhost/bitbucket/login/?next=%2Fprivate%2F&hop=1"
        assert not attempts_of(client)
        posted = client.post(LOGIN, secure=True, headers={"Referer": "https://testserver/"})
        assert posted.headers["Refresh"] == "0;url=https://localhost/bitbucket/login/?hop=1"
        there = client.get(LOGIN, {"hop": "1"}, headers={**TYPED, "Host": "localhost"}, secure=True)
        assert urlsplit(there.headers["Location"]).netloc == urlsplit(bitbucket.url).netloc
        default_port = client.get(LOGIN, headers={**TYPED, "Host": "localhost:443"}, secure=True)
        assert urlsplit(default_port.headers["Location"]).netloc == urlsplit(bitbucket.url).netloc


def test_a_proxy_that_hides_the_host_makes_no_redirect_loop(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", CALLBACK_URL="https://localhost/bitbucket/callback/"):
        response = client.get(LOGIN, {"hop": "1"}, headers=TYPED, secure=True)
    assert response.status_code == 503 and reason_of(response) == "misconfigured"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Proto": "HTTPS, http"},
        {"X-Forwarded-Ssl": "on"},
        {"Forwarded": 'for=192.0.2.1;proto="https"'},
    ],
)
def test_a_request_that_is_http_only_by_mistake_is_said_at_the_start(
    bitbucket: BitbucketSimulator, client: Client, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    response = client.get(LOGIN, headers={**TYPED, **headers})
    assert response.status_code == 503 and reason_of(response) == "misconfigured"
    assert "SECURE_PROXY_SSL_HEADER" in caplog.text
    assert not attempts_of(client)


def test_a_proxy_header_that_says_http_is_fine(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = client.get(LOGIN, headers={**TYPED, "X-Forwarded-Proto": "http", "Forwarded": "for=_x"})
    assert response.status_code == 302


@pytest.mark.parametrize(
    ("callback", "secure"),
    [("https://testserver/bitbucket/callback/", False), ("http://localhost/bitbucket/callback/", True)],
)
def test_a_callback_url_of_another_scheme_is_said_at_the_start(
    bitbucket: BitbucketSimulator, client: Client, callback: str, secure: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with override_provider("default", CALLBACK_URL=callback):
        response = client.get(LOGIN, headers=TYPED, secure=secure)
    assert response.status_code == 503 and reason_of(response) == "misconfigured"
    assert "CALLBACK_URL" in caplog.text


def test_a_redirect_uri_too_long_for_a_cookie_is_said(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", CALLBACK_URL="https://testserver/" + "x" * 1500 + "/callback/"):
        response = client.get(LOGIN, headers=TYPED, secure=True)
    assert response.status_code == 503 and reason_of(response) == "misconfigured"


def test_next_is_given_up_where_it_doesnt_fit_into_the_cookie(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", CALLBACK_URL="https://testserver/" + "x" * 600 + "/callback/"):
        start(client, secure=True, next="/" + "y" * 1000)
    (name,) = attempts_of(client)
    assert len(name) + len(client.cookies[name].value) <= 2048
    assert payload(client)["next"] == ""


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"CLIENT_ID": "", "CLIENT_SECRET": ""}, "BITBUCKET_CLIENT_ID"),
        ({"CLIENT_SECRET": None}, "BITBUCKET_CLIENT_SECRET"),
        ({"COLOUR": "blue"}, "COLOUR"),
        ({"WORKSPACES": "acme"}, "WORKSPACES"),
        ({"BASE_URL": "http://bitbucket.example.com"}, "BASE_URL"),
        ({"KIND": "steps.Started"}, "KIND"),
        ({"INSTANCE": "bitbucket.org"}, "INSTANCE"),
    ],
)
def test_a_wrong_setting_sends_nobody_to_bitbucket_and_says_so(
    bitbucket: BitbucketSimulator, client: Client, keys: dict[str, Any], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    with override_provider("default", **keys):
        response = client.get(LOGIN, headers=TYPED)
        back = client.get(CALLBACK, {"code": "c", "state": "s"})
    for answer in (response, back):
        assert answer.status_code == 503 and reason_of(answer) == "misconfigured"
        assert word not in answer.content.decode()  # the cause is the operator's business
    assert caplog.text.count(word) >= 2


def test_the_cause_stands_on_the_page_during_development(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", CLIENT_ID=""), override_settings(DEBUG=True):
        assert "BITBUCKET_CLIENT_ID" in client.get(LOGIN, headers=TYPED).content.decode()


def test_a_missing_backend_is_said(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_settings(AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"]):
        response = client.get(LOGIN, headers=TYPED)
    assert response.status_code == 503 and reason_of(response) == "misconfigured"


def test_a_setting_that_is_no_dictionary_is_said(client: Client) -> None:
    with override_settings(BITBUCKET_AUTH=["default"]):
        response = client.get(LOGIN, headers=TYPED)
    assert response.status_code == 503 and reason_of(response) == "misconfigured"


def test_the_pages_are_open_where_every_view_requires_a_login(bitbucket: BitbucketSimulator, client: Client) -> None:
    from django.conf import settings

    middleware = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    with override_settings(MIDDLEWARE=middleware):
        assert client.get(LOGIN).status_code == 200
        assert client.get(CALLBACK).status_code == 400
