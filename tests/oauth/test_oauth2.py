"""The two requests of an authorization code grant."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests

from django_bitbucket_auth.oauth import oauth2
from django_bitbucket_auth.oauth.grants import AuthorizationCode

AUTHORIZE = "https://bitbucket.org/site/oauth2/authorize"
TOKEN = "https://bitbucket.org/site/oauth2/access_token"
CALLBACK = "https://site.example/bitbucket/callback/?a=b&c=d e"


def parameters(url: str) -> dict[str, str]:
    found = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}


def test_a_verifier_has_64_characters_of_the_rfcs_alphabet_and_is_new_each_time() -> None:
    verifiers = {oauth2.code_verifier() for _ in range(50)}
    assert len(verifiers) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9._~-]{64}", verifier) for verifier in verifiers)


def test_the_authorization_url_says_what_was_asked_for() -> None:
    url = oauth2.authorization_url(
        AUTHORIZE,
        "the id&",
        redirect_uri=CALLBACK,
        state="the state/+",
        scopes=("account", "email"),
        verifier="v" * 64,
    )
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 64).digest()).decode().rstrip("=")
    assert url.startswith(AUTHORIZE + "?")
    assert parameters(url) == {
        "response_type": "code",
        "client_id": "the id&",
        "redirect_uri": CALLBACK,
        "scope": "account email",
        "state": "the state/+",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }


def test_the_verifier_is_not_in_the_authorization_url() -> None:
    verifier = oauth2.code_verifier()
    assert verifier not in oauth2.authorization_url(AUTHORIZE, "id", redirect_uri="r", state="s", verifier=verifier)


def test_without_scopes_and_verifier_neither_is_sent() -> None:
    """Bitbucket then gives all scopes that the client was registered for."""
    url = oauth2.authorization_url(AUTHORIZE, "id", redirect_uri=CALLBACK, state="s")
    assert set(parameters(url)) == {"response_type", "client_id", "redirect_uri", "state"}


@pytest.mark.parametrize("root", ["http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001"])
def test_a_loopback_endpoint_keeps_its_plain_http(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OAUTHLIB_INSECURE_TRANSPORT", raising=False)
    url = oauth2.authorization_url(root + "/site/oauth2/authorize", "id", redirect_uri=CALLBACK, state="s")
    assert url.startswith(root + "/site/oauth2/authorize?")


def exchange(code: str = "the-code", verifier: str | None = None) -> requests.PreparedRequest:
    grant = AuthorizationCode(code, CALLBACK, verifier)
    return oauth2.token_request(TOKEN, grant, "the-id", "the-secret").prepare()


def test_a_code_is_sent_as_a_form_with_the_client_in_http_basic() -> None:
    request = exchange(verifier="the-verifier")
    assert (request.method, request.url) == ("POST", TOKEN)
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"the-id:the-secret").decode()
    assert isinstance(request.body, str)
    assert sorted(parse_qsl(request.body)) == [
        ("code", "the-code"),
        ("code_verifier", "the-verifier"),
        ("grant_type", "authorization_code"),
        ("redirect_uri", CALLBACK),
    ]


def test_the_client_secret_is_neither_in_the_body_nor_in_the_url() -> None:
    request = exchange()
    assert "the-secret" not in f"{request.body!r}{request.url}"
    assert "client_id" not in str(request.body)


def test_the_redirect_uri_is_the_same_at_both_steps() -> None:
    asked = oauth2.authorization_url(AUTHORIZE, "id", redirect_uri=CALLBACK, state="s")
    assert parameters(asked)["redirect_uri"] == dict(parse_qsl(str(exchange().body)))["redirect_uri"]


def test_without_pkce_no_verifier_is_sent() -> None:
    assert "code_verifier" not in str(exchange().body)


def test_credentials_may_hold_any_character() -> None:
    request = oauth2.token_request(TOKEN, AuthorizationCode("c", CALLBACK), "ключ", "пароль:€").prepare()
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode() == "ключ:пароль:€"


def test_a_secret_of_undecodable_bytes_is_sent_as_the_environment_has_it() -> None:
    """``os.environ`` turns such bytes into lone surrogates."""
    secret = b"s\xe4cret".decode("utf-8", "surrogateescape")
    request = oauth2.token_request(TOKEN, AuthorizationCode("c", CALLBACK), "id", secret).prepare()
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"id:s\xe4cret"


@pytest.mark.parametrize(
    "code", ["a&redirect_uri=https://evil.example", "a\r\nb", "\x00", "ä", "💥", "%", "+ ", "x" * 9000]
)
def test_a_code_can_not_break_out_of_its_parameter(code: str) -> None:
    sent = parse_qsl(str(exchange(code).body), strict_parsing=True)
    assert ("code", code) in sent
    assert [value for name, value in sent if name == "redirect_uri"] == [CALLBACK]


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """requests-oauthlib logs code, secret and token at DEBUG."""
    with caplog.at_level(logging.DEBUG):
        oauth2.authorization_url(AUTHORIZE, "id", redirect_uri=CALLBACK, state="canary-state", verifier="canary" * 8)
        exchange("canary-code", "canary-verifier")
        oauth2.parse_token('{"access_token": "canary-access", "refresh_token": "canary-refresh"}')
    assert "canary" not in caplog.text


def test_the_code_stays_out_of_the_requests_repr() -> None:
    request = oauth2.token_request(TOKEN, AuthorizationCode("canary-code", CALLBACK), "id", "canary-secret")
    assert "canary" not in f"{request!r} {request.prepare()!r}"
