"""Bitbucket's own grant: an assertion, as Atlassian wants it signed and sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest
import requests
import responses
from bitbucket.answers import TOKEN_URL, settings

from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.bitbucket.connect import BitbucketJWT, query_string_hash, sign
from django_bitbucket_auth.exceptions import BitbucketUnavailable, ClientRefused
from django_bitbucket_auth.oauth import oauth2

SECRET = "canary-shared-secret-of-the-installation"
#: sha256("POST&/site/oauth2/access_token&"), reckoned elsewhere.
QSH = hashlib.sha256(b"POST&/site/oauth2/access_token&").hexdigest()


def signed(**keys: str) -> BitbucketJWT:
    return sign(
        **{"app_key": "the-app", "client_key": "the-client", "shared_secret": SECRET, "endpoint": TOKEN_URL, **keys}
    )


def claims_of(grant: BitbucketJWT) -> dict[str, Any]:
    return jwt.decode(grant.assertion, SECRET, algorithms=["HS256"], options={"require": ["iss", "sub", "iat", "exp"]})


def prepared(grant: BitbucketJWT) -> requests.PreparedRequest:
    return oauth2.token_request(TOKEN_URL, grant, "the-id", "canary-secret").prepare()


# -- signed ------------------------------------------------------------------------------------------------------------


def test_an_assertion_says_who_asks_for_whom_and_for_three_minutes() -> None:
    before = int(time.time())
    claims = claims_of(signed())
    assert before <= claims["iat"] <= time.time()
    assert claims == {
        "iss": "the-app",
        "sub": "the-client",
        "iat": claims["iat"],
        "exp": claims["iat"] + 180,
        "qsh": QSH,
    }


def test_an_assertion_is_signed_with_the_shared_secret_by_hs256() -> None:
    """By hand, as any other implementation would check it."""
    signing_input, _, signature = signed().assertion.rpartition(".")
    expected = hmac.digest(SECRET.encode(), signing_input.encode(), "sha256")
    assert base64.urlsafe_b64decode(signature + "==") == expected
    header = json.loads(base64.urlsafe_b64decode(signing_input.partition(".")[0] + "=="))
    assert header == {"alg": "HS256", "typ": "JWT"}


def test_an_assertion_of_another_secret_does_not_verify() -> None:
    with pytest.raises(jwt.InvalidSignatureError):
        claims_of(signed(shared_secret="another-secret-that-is-long-enough"))


def test_an_assertion_is_for_the_path_it_is_sent_to() -> None:
    assert claims_of(signed(endpoint="http://127.0.0.1:8001/site/oauth2/access_token"))["qsh"] == QSH
    assert claims_of(signed(endpoint="https://bitbucket.org/site/oauth2/other"))["qsh"] != QSH


@pytest.mark.parametrize(
    ("method", "url", "canonical"),
    [
        ("POST", "https://bitbucket.org/site/oauth2/access_token", "POST&/site/oauth2/access_token&"),
        ("POST", "https://bitbucket.org/site/oauth2/access_token/", "POST&/site/oauth2/access_token&"),
        ("GET", "https://bitbucket.org/a", "GET&/a&"),
        ("GET", "https://bitbucket.org", "GET&/&"),
        ("GET", "https://bitbucket.org/", "GET&/&"),
        ("GET", "https://bitbucket.org/a&b/c", "GET&/a%26b/c&"),
        ("GET", "https://bitbucket.org/%7Ba%7D/b:c@d", "GET&/%7Ba%7D/b:c@d&"),
    ],
)
def test_the_query_string_hash_is_atlassians(method: str, url: str, canonical: str) -> None:
    assert query_string_hash(method, url) == hashlib.sha256(canonical.encode()).hexdigest()


# -- sent --------------------------------------------------------------------------------------------------------------


def test_the_assertion_is_the_header_and_the_type_is_the_body() -> None:
    request = prepared(BitbucketJWT("a.b.c"))
    assert (request.method, request.url) == ("POST", TOKEN_URL)
    assert request.headers["Authorization"] == "JWT a.b.c"
    assert parse_qsl(str(request.body)) == [("grant_type", "urn:bitbucket:oauth2:jwt")]


def test_neither_the_client_nor_its_secret_is_sent() -> None:
    request = prepared(signed())
    assert "the-id" not in f"{request.body!r}{request.headers}"
    assert "Basic" not in str(request.headers)


@responses.activate
def test_an_assertion_becomes_a_token() -> None:
    sent = responses.post(TOKEN_URL, json={"access_token": "the-token", "expires_in": 3600, "token_type": "bearer"})
    assert CloudProvider(settings()).fetch_token(signed()).access_token == "the-token"
    assert claims_of(BitbucketJWT(sent.calls[0].request.headers["Authorization"].removeprefix("JWT ")))["qsh"] == QSH


@responses.activate
def test_a_refused_assertion_is_our_clients_fault() -> None:
    responses.post(
        TOKEN_URL, json={"error": "unauthorized_client", "error_description": "Invalid JWT: expired"}, status=401
    )
    with pytest.raises(ClientRefused) as caught:
        CloudProvider(settings()).fetch_token(signed())
    assert caught.value.hint == ""


def test_an_assertion_that_can_not_stand_in_a_header_is_not_shown() -> None:
    with pytest.raises(BitbucketUnavailable) as caught:
        CloudProvider(settings(base_url="http://127.0.0.1:1")).fetch_token(BitbucketJWT("canary\r\nX-Evil: 1"))
    assert "canary" not in f"{caught.value!r} {caught.value}"


def test_no_secret_is_in_a_repr() -> None:
    grant = signed()
    assert repr(grant) == "BitbucketJWT()"
    assert grant.assertion not in f"{grant} {prepared(grant)!r}"


def test_it_stands_for_an_account_and_is_named_as_bitbucket_names_it() -> None:
    assert (BitbucketJWT.name, BitbucketJWT.is_personal) == ("bitbucket_jwt", True)
