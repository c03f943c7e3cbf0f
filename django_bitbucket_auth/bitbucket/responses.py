"""What Bitbucket's refusals mean.

Its codes aren't faithful to RFC 6749: a dead code or refresh token may be ``invalid_grant`` or ``invalid_request``,
and ``unauthorized_client`` says nothing about the token. So an error is classified by grant, status, code and
description, and messages of the API, which may be localised, are only ever logged.
"""

from __future__ import annotations

import json
from typing import Any

import requests

from ..exceptions import (
    BitbucketAuthError,
    BitbucketUnavailable,
    ClientRefused,
    InsufficientScope,
    OAuthError,
    RateLimited,
    ReauthenticationRequired,
)
from ..oauth import oauth1
from ..oauth.grants import AuthorizationCode, Grant, RefreshToken
from ..oauth.reading import retry_after


def json_object(response: requests.Response) -> dict[str, Any]:
    """The answer's JSON object, or an empty one if it has none (an error page in HTML, say)."""
    value = _json(response)
    return value if isinstance(value, dict) else {}


def json_list(response: requests.Response) -> list[Any]:
    """The answer's JSON list, or an empty one if it has none."""
    value = _json(response)
    return value if isinstance(value, list) else []


def unavailable(response: requests.Response) -> BitbucketUnavailable | None:
    """The error of an answer that says to come back later; ``None`` for any other."""
    if response.status_code == 429:
        return RateLimited("Bitbucket's rate limit is reached (HTTP 429)", retry_after(response), 429)
    if response.status_code >= 500:
        status = response.status_code
        return BitbucketUnavailable(f"Bitbucket answered HTTP {status}", retry_after(response), status)
    return None


def token_error(response: requests.Response, grant: Grant) -> BitbucketAuthError:
    """Why the token endpoint gave no token for ``grant``."""
    if later := unavailable(response):
        return later
    body, status = json_object(response), response.status_code
    error, description = _words(body.get("error")) or f"http_{status}", _words(body.get("error_description"))
    says = f"{error} {description}".lower()
    refreshing = isinstance(grant, RefreshToken)
    if "user is inactive" in says:
        kind = ReauthenticationRequired if refreshing and status in (400, 401) else OAuthError
        return kind(error, description, status, reason="inactive")
    # Before what a dead code or token looks like: "Unsupported grant type" comes as an `invalid_grant`.
    if error in ("unauthorized_client", "invalid_client", "unsupported_grant_type") or any(
        words in says
        for words in ("client credentials", "callback uri", "redirect_uri", "redirect uri", "unsupported grant type")
    ):
        return ClientRefused(error, description, status)
    if refreshing:
        # Only Bitbucket's own word, in JSON: a proxy's page or an outage must not cost anybody their token.
        dead = status in (400, 401) and (error == "invalid_grant" or "invalid refresh_token" in says)
        return (ReauthenticationRequired if dead else OAuthError)(error, description, status)
    if isinstance(grant, AuthorizationCode) and (
        error == "invalid_grant" or (error == "invalid_request" and "code" in says)
    ):
        # Codes are short-lived and single-use: starting again is all it takes.
        return OAuthError(error, description, status, reason="state_expired")
    if status == 401:
        return ClientRefused(error, description, status)
    return OAuthError(error, description, status)


def authorization_error(error: str, description: str) -> OAuthError:
    """What the ``error`` of a callback means (RFC 6749, 4.1.2.1)."""
    if error == "access_denied":
        return OAuthError(error, description, reason="cancelled")
    if error in ("server_error", "temporarily_unavailable"):
        return OAuthError(error, description, reason="unavailable")
    if error in ("unauthorized_client", "invalid_request", "invalid_scope", "unsupported_response_type"):
        return ClientRefused(error, description)
    return OAuthError(error, description)


#: How OAuth 1.0a's problems begin that lie with our client.
_OUR_PROBLEMS = ("consumer_key", "signature", "timestamp", "nonce", "version", "parameter")
#: The person has said no. Data Center's spelling differs from the extension's.
_NO = ("permission_denied", "permissions_denied", "user_refused")
_TOKEN_PROBLEMS = ("token_rejected", "token_revoked", "token_expired", "token_used")


def signed_error(response: requests.Response, grant: Grant | None) -> BitbucketAuthError:
    """What a refusal of a signed request means (OAuth 1.0a): of the exchange of a ``grant``, else of the API."""
    # A body in JSON, or of another status, may repeat a word of the caller's.
    plain = response.status_code in (400, 401, 403) and not json_object(response)
    problem = oauth1.problem_from(response.headers, response.content.decode("utf-8", "replace") if plain else "")
    if not problem or unavailable(response):
        return api_error(response) if grant is None else token_error(response, grant)
    error = problem_error(problem, response.status_code)
    if problem in _TOKEN_PROBLEMS and grant is None:
        # In a sign-in it is the fresh token that is refused, as a 401 without a problem would say.
        return ReauthenticationRequired(problem, "", response.status_code, reason="client_refused")
    return error


def problem_error(problem: str, status: int | None = None) -> OAuthError:
    """What the ``oauth_problem`` of a sign-in means, of its callback or with the ``status`` of an answer.

    https://oauth.pbworks.com/w/page/12239556/ProblemReporting
    """
    if problem in _NO:
        return OAuthError(problem, "", status, reason="cancelled")
    if problem in (*_TOKEN_PROBLEMS, "verifier_invalid"):
        # Request tokens are short-lived and single-use: starting again is all it takes.
        return OAuthError(problem, "", status, reason="state_expired")
    if problem.startswith(_OUR_PROBLEMS):
        clock = "the clocks of this server and of Bitbucket differ, perhaps" if problem.startswith("timestamp") else ""
        return ClientRefused(problem, "", status, hint=clock)
    return OAuthError(problem, "", status)


def api_error(response: requests.Response) -> BitbucketAuthError:
    """What an answer of the API means that isn't the one asked for."""
    if later := unavailable(response):
        return later
    status = response.status_code
    error = json_object(response).get("error")
    members = error if isinstance(error, dict) else {}
    detail = members.get("detail")
    if status == 403 and isinstance(detail, dict) and "required" in detail:
        return InsufficientScope(_strings(detail.get("required")), _strings(detail.get("granted")))
    message = _words(error) or _data_center_words(response)
    if status == 401:
        return OAuthError("invalid_token", message, status, reason="client_refused")
    return OAuthError(f"http_{status}", message, status)


def _json(response: requests.Response) -> object:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return None


def _words(value: object) -> str:
    """An error as text: itself, or the ``message`` of an object in the API's form."""
    if isinstance(value, dict):
        value = value.get("message")
    return value if isinstance(value, str) else ""


def _data_center_words(response: requests.Response) -> str:
    """The first of ``{"errors": [{"message": …}]}``, which is how Data Center says it."""
    errors = json_object(response).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return _words(first)


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
