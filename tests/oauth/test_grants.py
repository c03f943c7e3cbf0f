"""Grants: what each sends, and what it shows."""

from __future__ import annotations

import base64
from dataclasses import FrozenInstanceError, dataclass
from urllib.parse import parse_qsl

import pytest
import requests

from django_bitbucket_auth.oauth import oauth2
from django_bitbucket_auth.oauth.grants import AuthorizationCode, ClientCredentials, Grant, Password, RefreshToken

TOKEN = "https://bitbucket.org/site/oauth2/access_token"
CALLBACK = "https://site.example/callback/"
BASIC = "Basic " + base64.b64encode(b"the-id:the-secret").decode()


def prepared(grant: Grant) -> requests.PreparedRequest:
    return oauth2.token_request(TOKEN, grant, "the-id", "the-secret").prepare()


def body_of(grant: Grant) -> list[tuple[str, str]]:
    return sorted(parse_qsl(str(prepared(grant).body), keep_blank_values=True, strict_parsing=True))


#: A grant, and all that is sent of it.
SENT = {
    "code": (
        AuthorizationCode("canary-c", CALLBACK, "canary-v"),
        [
            ("code", "canary-c"),
            ("code_verifier", "canary-v"),
            ("grant_type", "authorization_code"),
            ("redirect_uri", CALLBACK),
        ],
    ),
    "code-without-pkce": (
        AuthorizationCode("canary-c", CALLBACK),
        [("code", "canary-c"), ("grant_type", "authorization_code"), ("redirect_uri", CALLBACK)],
    ),
    "code-for-the-registered-callback": (
        AuthorizationCode("canary-c", ""),
        [("code", "canary-c"), ("grant_type", "authorization_code")],
    ),
    "client": (ClientCredentials(), [("grant_type", "client_credentials")]),
    "client-with-scopes": (
        ClientCredentials(("account", "email")),
        [("grant_type", "client_credentials"), ("scope", "account email")],
    ),
    "password": (
        Password("jane", "canary-p"),
        [("grant_type", "password"), ("password", "canary-p"), ("username", "jane")],
    ),
    "password-with-scopes": (
        Password("jane", "canary-p", ("account",)),
        [("grant_type", "password"), ("password", "canary-p"), ("scope", "account"), ("username", "jane")],
    ),
    "refresh": (RefreshToken("canary-r"), [("grant_type", "refresh_token"), ("refresh_token", "canary-r")]),
    "refresh-at-data-center": (
        RefreshToken("canary-r", CALLBACK),
        [("grant_type", "refresh_token"), ("redirect_uri", CALLBACK), ("refresh_token", "canary-r")],
    ),
}


@pytest.mark.parametrize("name", SENT)
def test_a_grant_sends_exactly_this(name: str) -> None:
    grant, body = SENT[name]
    assert body_of(grant) == body


@pytest.mark.parametrize("name", SENT)
def test_the_client_is_in_http_basic_and_nowhere_else(name: str) -> None:
    request = prepared(SENT[name][0])
    assert (request.method, request.url) == ("POST", TOKEN)
    assert dict(request.headers) == {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
        "Authorization": BASIC,
        "Content-Length": str(len(str(request.body))),
    }
    assert "the-id" not in str(request.body)
    assert "the-secret" not in str(request.body)


def test_a_refresh_sends_no_scope() -> None:
    """A narrower one would be what the token has from then on, for good (backstage#22383)."""
    assert "scope" not in dict(body_of(RefreshToken("r", CALLBACK)))
    with pytest.raises(TypeError):
        RefreshToken("r", scopes=("account",))  # type: ignore[call-arg]


@pytest.mark.parametrize("value", ["a&grant_type=password", "a\r\nb", "\x00", "ä", "💥", "%", "+ ", "=", "x" * 9000])
def test_no_value_can_break_out_of_its_parameter(value: str) -> None:
    assert ("password", value) in body_of(Password("jane", value))
    assert ("refresh_token", value) in body_of(RefreshToken(value))
    assert [name for name, _ in body_of(RefreshToken(value))] == ["grant_type", "refresh_token"]


@pytest.mark.parametrize("name", SENT)
def test_no_secret_is_in_a_repr(name: str) -> None:
    grant = SENT[name][0]
    request = oauth2.token_request(TOKEN, grant, "the-id", "canary-secret")
    assert "canary" not in f"{grant!r} {grant} {[grant]} {request!r} {request.prepare()!r}"


def test_what_is_no_secret_is_in_the_repr() -> None:
    assert repr(Password("jane", "canary", ("account",))) == "Password(username='jane', scopes=('account',))"
    assert repr(AuthorizationCode("canary", CALLBACK, "canary")) == f"AuthorizationCode(redirect_uri={CALLBACK!r})"
    assert repr(RefreshToken("canary", CALLBACK)) == f"RefreshToken(redirect_uri={CALLBACK!r})"


@pytest.mark.parametrize("name", SENT)
def test_a_grant_is_data(name: str) -> None:
    grant = SENT[name][0]
    with pytest.raises((FrozenInstanceError, TypeError, AttributeError)):
        grant.name = "another"  # type: ignore[misc]
    assert grant == SENT[name][0]
    assert hash(grant) == hash(SENT[name][0])


def test_only_the_applications_own_token_stands_for_nobody() -> None:
    personal = {type(grant): grant.is_personal for grant, _ in SENT.values()}
    assert personal == {AuthorizationCode: True, ClientCredentials: False, Password: True, RefreshToken: True}


# -- a grant that proves itself ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plain(Grant):
    """The least that makes a grant."""

    name = "plain"
    grant_type = "urn:example:plain"


@dataclass(frozen=True, slots=True)
class Proof(Plain):
    """A grant whose header is its own."""

    def authorization(self) -> str:
        return "Proof canary"


def test_a_grant_without_parameters_sends_its_type() -> None:
    assert body_of(Plain()) == [("grant_type", "urn:example:plain")]
    assert prepared(Plain()).headers["Authorization"] == BASIC


def test_a_grant_that_proves_itself_replaces_the_clients_credentials() -> None:
    request = prepared(Proof())
    assert request.headers["Authorization"] == "Proof canary"
    assert body_of(Proof()) == [("grant_type", "urn:example:plain")]
    assert "canary" not in repr(Proof())


def test_an_empty_value_of_a_parameter_is_not_sent() -> None:
    assert body_of(AuthorizationCode("c", "", "")) == [("code", "c"), ("grant_type", "authorization_code")]
