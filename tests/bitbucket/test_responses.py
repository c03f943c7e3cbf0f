"""What Bitbucket's refusals mean. Its words are those seen in the field (bitbucket.md 1.8, 4.1 and 8)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bitbucket.answers import answer, error
from oauth.values import NAMED, NAMES

from django_bitbucket_auth.bitbucket import responses
from django_bitbucket_auth.exceptions import (
    BitbucketAuthError,
    BitbucketUnavailable,
    ClientRefused,
    InsufficientScope,
    OAuthError,
    RateLimited,
)
from django_bitbucket_auth.oauth.grants import AuthorizationCode

GRANT = AuthorizationCode("canary-code", "https://site.example/callback/")


def token_error(body: Any, status: int = 400) -> BitbucketAuthError:
    return responses.token_error(answer(status, json.dumps(body)), GRANT)


# -- the token endpoint ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "description"),
    [
        ("unauthorized_client", "Requests must be authenticated using OAuth client credentials"),
        ("unauthorized_client", "Invalid OAuth client credentials"),
        ("invalid_request", "No callback uri defined for the OAuth client."),
        ("invalid_grant", "Unsupported grant type: None"),
        ("unsupported_grant_type", ""),
        ("invalid_client", ""),
        (
            "invalid_request",
            "Client credentials missing; this request needs to be authenticated with the OAuth client id",
        ),
        ("invalid_request", "Invalid redirect_uri"),
        ("invalid_grant", "The redirect URI does not match"),
        ("redirect_uri_mismatch", "redirect_uri"),
        ("unauthorized_client", "Code expired"),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_our_client_is_at_fault(code: str, description: str, status: int) -> None:
    found = token_error({"error_description": description, "error": code}, status)
    assert type(found) is ClientRefused
    assert (found.reason, found.error, found.description, found.status) == ("client_refused", code, description, status)


@pytest.mark.parametrize(
    ("code", "description"),
    [
        ("invalid_request", "Missing required field: code"),
        ("invalid_request", "The authorization Code has expired"),
        ("invalid_grant", "The specified code is not valid."),
        ("invalid_grant", ""),
    ],
)
def test_a_code_is_no_longer_good(code: str, description: str) -> None:
    found = token_error({"error_description": description, "error": code})
    assert type(found) is OAuthError
    assert found.reason == "state_expired"


@pytest.mark.parametrize(
    "body",
    [
        {"error": "invalid_grant", "error_description": "User is inactive"},
        {"error": "unauthorized_client", "error_description": "User is inactive."},
        {"error": "User is inactive"},
        error("User is inactive"),
    ],
)
@pytest.mark.parametrize("status", [400, 401])
def test_a_deactivated_person_is_inactive_and_our_client_is_fine(body: Any, status: int) -> None:
    """Seen as 401 "User is inactive" (AX-684)."""
    found = token_error(body, status)
    assert type(found) is OAuthError
    assert (found.reason, found.status) == ("inactive", status)


def test_an_error_that_only_mentions_a_code_says_nothing_about_it() -> None:
    assert token_error({"error": "server_error", "error_description": "Error code 7"}).reason == "bad_answer"


@pytest.mark.parametrize(
    "value", [7, 1.5, True, ["invalid_grant"], {"code": "invalid_grant"}, {"message": 7}, None, ""]
)
def test_an_error_that_is_no_text_is_told_by_its_status(value: Any) -> None:
    found = token_error({"error": value, "error_description": value})
    assert isinstance(found, OAuthError)
    assert (found.error, found.description) == ("http_400", "")


def test_a_401_without_more_is_our_clients() -> None:
    assert type(responses.token_error(answer(401), GRANT)) is ClientRefused


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, '{"error": "invalid_request"}'), (403, "<html>"), (404, ""), (302, ""), (410, "null"), (400, "[1]")],
)
def test_anything_else_is_a_bad_answer(status: int, body: str) -> None:
    found = responses.token_error(answer(status, body), GRANT)
    assert type(found) is OAuthError
    assert (found.reason, found.status) == ("bad_answer", status)
    assert found.error == ("invalid_request" if "invalid" in body else f"http_{status}")


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520, 599])
def test_a_5xx_is_unavailable_whatever_it_says(status: int) -> None:
    for body in ("<html>", '{"error": "invalid_grant"}', ""):
        for found in (
            responses.token_error(answer(status, body), GRANT),
            responses.api_error(answer(status, body)),
        ):
            assert type(found) is BitbucketUnavailable
            assert (found.reason, found.retry_after) == ("unavailable", None)
            assert str(found) == f"Bitbucket answered HTTP {status}"


def test_a_429_is_a_rate_limit_and_says_when() -> None:
    for headers, seconds in (({"Retry-After": "30"}, 30), ({}, None), ({"Retry-After": "soon"}, None)):
        response = answer(429, json.dumps(error("Rate limit for this resource has been exceeded")), headers)
        for found in (responses.token_error(response, GRANT), responses.api_error(response)):
            assert type(found) is RateLimited
            assert (found.reason, found.retry_after) == ("rate_limited", seconds)


def test_a_5xx_says_when() -> None:
    found = responses.unavailable(answer(503, "", {"Retry-After": "7"}))
    assert found is not None
    assert found.retry_after == 7


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 428, 430, 499])
def test_what_is_not_temporary_is_not_unavailable(status: int) -> None:
    assert responses.unavailable(answer(status, "", {"Retry-After": "7"})) is None


# -- the callback ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("access_denied", OAuthError, "cancelled"),
        ("server_error", OAuthError, "unavailable"),
        ("temporarily_unavailable", OAuthError, "unavailable"),
        ("unauthorized_client", ClientRefused, "client_refused"),
        ("invalid_request", ClientRefused, "client_refused"),
        ("invalid_scope", ClientRefused, "client_refused"),
        ("unsupported_response_type", ClientRefused, "client_refused"),
        ("ACCESS_DENIED", OAuthError, "bad_answer"),
        ("something_new", OAuthError, "bad_answer"),
        ("", OAuthError, "bad_answer"),
    ],
)
def test_an_error_of_the_callback_has_a_reason(code: str, kind: type[OAuthError], reason: str) -> None:
    found = responses.authorization_error(code, "why")
    assert type(found) is kind
    assert found.reason == reason
    assert (found.error, found.description, found.status) == (code, "why", None)


# -- the API -----------------------------------------------------------------------------------------------------------


def test_a_missing_scope_says_which() -> None:
    body = error(
        "Your credentials lack one or more required privilege scopes.",
        detail={"required": ["account"], "granted": ["team"]},
    )
    found = responses.api_error(answer(403, json.dumps(body)))
    assert isinstance(found, InsufficientScope)
    assert (found.required, found.granted, found.status) == (("account",), ("team",), 403)
    assert found.reason == "insufficient_scope"
    assert "required: account; granted: team" in str(found)


SHALLOW = [name for name in NAMES if name != "deep"]


@pytest.mark.parametrize("name", SHALLOW)
def test_a_missing_scope_may_be_said_in_any_shape(name: str) -> None:
    value = NAMED[name]
    for detail in ({"required": value}, {"required": [value, "account"], "granted": value}):
        found = responses.api_error(answer(403, json.dumps(error("x", detail=detail))))
        assert isinstance(found, InsufficientScope)
        assert all(isinstance(scope, str) for scope in (*found.required, *found.granted))


@pytest.mark.parametrize(
    "detail", ["You must specify a valid source branch", None, [], ["required"], 7, {}, {"granted": []}]
)
def test_another_403_is_no_missing_scope(detail: Any) -> None:
    found = responses.api_error(answer(403, json.dumps(error("Forbidden", detail=detail))))
    assert type(found) is OAuthError
    assert (found.error, found.description, found.reason) == ("http_403", "Forbidden", "bad_answer")


def test_a_missing_scope_is_a_403_only() -> None:
    body = json.dumps(error("x", detail={"required": ["account"]}))
    assert not isinstance(responses.api_error(answer(400, body)), InsufficientScope)


@pytest.mark.parametrize(
    "message",
    [
        "Token is invalid, expired, or not supported for this endpoint.",
        "Access token expired. Use your refresh token to obtain a new access token.",
    ],
)
def test_a_401_refuses_the_fresh_token(message: str) -> None:
    found = responses.api_error(answer(401, json.dumps(error(message))))
    assert type(found) is OAuthError
    assert (found.error, found.description, found.status) == ("invalid_token", message, 401)
    assert found.reason == "client_refused"


def test_a_removed_endpoint_says_which_change_removed_it() -> None:
    """4.1, verbatim."""
    body = error(
        "CHANGE-2770 - Functionality has been deprecated",
        detail="Please read the changelog entry for more details.",
        data={"announcement_url": "https://developer.atlassian.com/cloud/bitbucket/changelog#CHANGE-2770"},
    )
    found = responses.api_error(answer(410, json.dumps(body)))
    assert str(found) == "'http_410': 'CHANGE-2770 - Functionality has been deprecated' (HTTP 410)"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b'{"error": null}', b"\xff\xfe\x00", b"[" * 100_000])
def test_an_error_need_not_be_json(status: int, body: bytes) -> None:
    found = responses.api_error(answer(status, body))
    assert isinstance(found, OAuthError)
    assert found.status == status


# -- any JSON value ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHALLOW)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 429, 503])
def test_any_json_value_in_an_error_is_one_printable_line(name: str, status: int) -> None:
    value = NAMED[name]
    for body in (
        value,
        {"error": value},
        {"error": value, "error_description": value},
        {"error": {"message": value, "detail": value, "id": value}},
        {"error": "invalid_grant", "error_description": value},
    ):
        response = answer(status, json.dumps(body))
        for found in (responses.token_error(response, GRANT), responses.api_error(response)):
            assert isinstance(found, BitbucketAuthError)
            assert len(str(found)) < 5000
            assert len(str(found).splitlines()) == 1
            assert str(found).encode()


@pytest.mark.parametrize("depth", [100, 480, 490, 900, 960, 980, 990, 1000, 100_000])
def test_an_error_of_any_depth_is_an_error(depth: int) -> None:
    for body in ("[" * depth + "]" * depth, '{"message":' * depth + "1" + "}" * depth):
        response = answer(400, f'{{"error": {body}, "error_description": {body}}}')
        assert isinstance(responses.token_error(response, GRANT), OAuthError)
        assert isinstance(responses.api_error(response), OAuthError)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b"[1]", {}),
        (b"1", {}),
        (b"null", {}),
        (b"", {}),
        (b"<html>", {}),
        (b"\xff\xff\xff", {}),
        (b"[" * 100_000, {}),
        (b'{"a": ' + b"9" * 10_000 + b"}", {}),
    ],
    ids=range(10),
)
def test_only_an_object_is_one(body: bytes, found: dict[str, Any]) -> None:
    assert responses.json_object(answer(200, body)) == found


def test_neither_code_nor_secret_is_in_an_error() -> None:
    for status in (400, 401, 429, 500):
        found = responses.token_error(answer(status, '{"error": "invalid_grant"}'), GRANT)
        assert "canary" not in f"{found!r} {found} {vars(found)}"
