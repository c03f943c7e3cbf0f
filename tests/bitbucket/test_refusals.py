"""What the token endpoint's refusals mean for each grant: who has to do something about it, and who loses a token.

Security rule 32: a token is lost only if Bitbucket itself says so. A page of a proxy, an outage, or a refusal of *our*
client must not send anybody to sign in again.
"""

from __future__ import annotations

import json

import pytest
from bitbucket.answers import answer, error

from django_bitbucket_auth.bitbucket import responses
from django_bitbucket_auth.bitbucket.connect import BitbucketJWT
from django_bitbucket_auth.exceptions import (
    BitbucketAuthError,
    BitbucketUnavailable,
    ClientRefused,
    OAuthError,
    RateLimited,
    ReauthenticationRequired,
)
from django_bitbucket_auth.oauth.grants import AuthorizationCode, ClientCredentials, Grant, Password, RefreshToken

CODE = AuthorizationCode("canary-code", "https://site.example/callback/")
CLIENT = ClientCredentials()
PASSWORD = Password("jane", "canary-password")
REFRESH = RefreshToken("canary-refresh")
JWT = BitbucketJWT("canary-assertion")
OTHERS = (CODE, CLIENT, PASSWORD, JWT)


def said(error: object, description: object = "") -> str:
    return json.dumps({"error": error, "error_description": description})


def found(grant: Grant, status: int, body: str) -> BitbucketAuthError:
    return responses.token_error(answer(status, body), grant)


# -- refresh -----------------------------------------------------------------------------------------------------------

DEAD = {
    "invalid_grant": said("invalid_grant"),
    "invalid_grant-in-words": said("invalid_grant", "The refresh token is invalid or has been revoked."),
    "invalid_grant-localised": said("invalid_grant", "Das Aktualisierungstoken ist ungültig"),
    "invalid_request": said("invalid_request", "Invalid refresh_token"),
    "invalid_request-in-other-letters": said("invalid_request", "invalid REFRESH_TOKEN."),
    "in-the-form-of-the-api": json.dumps(error("Invalid refresh_token")),
}
INACTIVE = {
    "client": said("unauthorized_client", "User is inactive"),
    "grant": said("invalid_grant", "User is inactive."),
    "error": said("User is inactive"),
    "api": json.dumps(error("User is inactive")),
}
OURS = {
    "unauthorized_client": said("unauthorized_client"),
    "credentials": said("unauthorized_client", "Invalid OAuth client credentials"),
    "unauthorized_client-about-the-token": said("unauthorized_client", "Invalid refresh_token"),
    "unauthorized_client-localised": said("unauthorized_client", "Ungültige Anmeldedaten"),
    "invalid_client": said("invalid_client", "Invalid refresh_token"),
    "type": said("invalid_grant", "Unsupported grant type: None"),
    "type-by-code": said("unsupported_grant_type", ""),
    "type-in-other-letters": said("invalid_grant", "unsupported GRANT TYPE"),
    "redirect-uri": said("invalid_grant", "The redirect_uri does not match"),
    "callback": said("invalid_request", "No callback uri defined for the OAuth client."),
    "missing": said("invalid_request", "Client credentials missing; this request needs to be authenticated"),
}
NOTHING = {
    "empty": "",
    "page": "<html><h1>400 Bad Request</h1>invalid_grant: Invalid refresh_token. User is inactive</html>",
    "text": "invalid_grant",
    "string": '"invalid_grant"',
    "list": '["invalid_grant"]',
    "null": "null",
    "object": "{}",
    "cut": '{"error": "invalid_grant"',
    "form": "error=invalid_grant",
    "list-of-error": said(["invalid_grant"], ["Invalid refresh_token"]),
    "object-of-error": said({"code": "invalid_grant"}),
    "error-in-other-letters": said("INVALID_GRANT"),
    "localised": said("invalid_request", "Ungültiges Token"),
    "another": said("invalid_request", "Missing required field: refresh_token"),
    "of-the-server": said("server_error", "Error code 7"),
    "scope": said("invalid_scope", "account"),
    "elsewhere": json.dumps({"message": "invalid_grant", "detail": "Invalid refresh_token"}),
}


ALL = (*DEAD.values(), *INACTIVE.values(), *OURS.values(), *NOTHING.values())


@pytest.mark.parametrize("name", DEAD)
@pytest.mark.parametrize("status", [400, 401])
def test_a_refresh_token_is_dead_if_bitbucket_says_so(name: str, status: int) -> None:
    error = found(REFRESH, status, DEAD[name])
    assert type(error) is ReauthenticationRequired
    assert error.status == status


@pytest.mark.parametrize("name", INACTIVE)
@pytest.mark.parametrize("status", [400, 401])
def test_an_inactive_person_has_no_token_any_more(name: str, status: int) -> None:
    error = found(REFRESH, status, INACTIVE[name])
    assert type(error) is ReauthenticationRequired
    assert (error.reason, error.status) == ("inactive", status)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_of_our_client_costs_nobody_a_token(name: str, status: int) -> None:
    """Seen: after a rotation the endpoint briefly refuses valid credentials."""
    error = found(REFRESH, status, OURS[name])
    assert type(error) is ClientRefused
    assert not isinstance(error, ReauthenticationRequired)


@pytest.mark.parametrize("name", NOTHING)
def test_what_bitbucket_does_not_say_in_json_costs_nobody_a_token(name: str) -> None:
    for status in (400, 401, 403, 404, 200, 302):
        error = found(REFRESH, status, NOTHING[name])
        assert type(error) is OAuthError
        assert (error.status, error.reason) == (status, "bad_answer")


@pytest.mark.parametrize("status", [200, 302, 403, 404, 409, 410, 422])
def test_another_status_costs_nobody_a_token(status: int) -> None:
    for body in (*DEAD.values(), *INACTIVE.values()):
        assert type(found(REFRESH, status, body)) is OAuthError


@pytest.mark.parametrize(
    ("status", "kind"), [(429, RateLimited), (500, BitbucketUnavailable), (503, BitbucketUnavailable)]
)
def test_an_outage_costs_nobody_a_token_whatever_it_says(status: int, kind: type[Exception]) -> None:
    for body in ALL:
        assert type(found(REFRESH, status, body)) is kind


# -- the other grants --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grant", OTHERS, ids=lambda grant: grant.name)
@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_only_a_refresh_can_lose_a_token(grant: Grant, status: int) -> None:
    for body in ALL:
        assert not isinstance(found(grant, status, body), ReauthenticationRequired)


@pytest.mark.parametrize("grant", OTHERS, ids=lambda grant: grant.name)
@pytest.mark.parametrize("body", OURS.values(), ids=OURS)
def test_our_client_is_at_fault_whatever_it_asked_for(grant: Grant, body: str) -> None:
    assert type(found(grant, 400, body)) is ClientRefused


@pytest.mark.parametrize("grant", OTHERS, ids=lambda grant: grant.name)
@pytest.mark.parametrize("name", INACTIVE)
def test_an_inactive_person_gets_no_token(grant: Grant, name: str) -> None:
    error = found(grant, 401, INACTIVE[name])
    assert type(error) is OAuthError
    assert error.reason == "inactive"


@pytest.mark.parametrize(
    ("grant", "kind", "reason"),
    [
        (CODE, OAuthError, "state_expired"),
        (CLIENT, OAuthError, "bad_answer"),
        (PASSWORD, OAuthError, "bad_answer"),
        (JWT, OAuthError, "bad_answer"),
        (REFRESH, ReauthenticationRequired, "bad_answer"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_invalid_grant_means_what_was_granted(grant: Grant, kind: type[OAuthError], reason: str) -> None:
    """A password that is wrong is no code that has expired."""
    error = found(grant, 400, said("invalid_grant", "no"))
    assert type(error) is kind
    assert error.reason == reason


@pytest.mark.parametrize("grant", OTHERS, ids=lambda grant: grant.name)
def test_a_401_without_words_is_our_clients_but_for_a_refresh(grant: Grant) -> None:
    assert type(found(grant, 401, "")) is ClientRefused
    assert type(found(REFRESH, 401, "")) is OAuthError


@pytest.mark.parametrize("grant", [*OTHERS, REFRESH], ids=lambda grant: grant.name)
def test_no_secret_of_a_grant_is_in_its_refusal(grant: Grant) -> None:
    for status in (200, 400, 401, 429, 503):
        for body in ALL:
            error = found(grant, status, body)
            assert "canary" not in f"{error!r} {error} {vars(error)}"
