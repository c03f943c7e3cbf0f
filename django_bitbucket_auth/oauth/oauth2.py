"""OAuth 2.0 (RFC 6749) with PKCE (RFC 7636) on oauthlib, inside one guard.

oauthlib builds the URL and the body and reads the answer; it never sends. So nothing here follows a redirect
with a secret or logs one, as ``requests_oauthlib.OAuth2Session.fetch_token`` does. What is left to guard:
oauthlib refuses plain HTTP even for a loopback address, and raises whatever Python raises for odd bodies.
"""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from oauthlib.oauth2 import Client, OAuth2Error, WebApplicationClient
from oauthlib.oauth2.rfc6749.parameters import prepare_token_request
from requests import Request
from requests.auth import HTTPBasicAuth

from .grants import Grant
from .token import Token

_MEMBERS = frozenset({"access_token", "refresh_token", "token_type", "scope", "error", "error_description"})


def code_verifier() -> str:
    """A fresh verifier, made as RFC 7636, 4.1 advises: 48 random octets in base64url, 64 characters."""
    return secrets.token_urlsafe(48)


def authorization_url(
    endpoint: str,
    client_id: str,
    *,
    redirect_uri: str,
    state: str,
    scopes: tuple[str, ...] = (),
    verifier: str | None = None,
) -> str:
    """Where the browser goes to ask for a code (RFC 6749, 4.1.1), with an S256 challenge if there is a verifier."""
    client = WebApplicationClient(client_id)
    challenge = {}
    if verifier is not None:
        challenge = {
            "code_challenge": client.create_code_challenge(verifier, "S256"),
            "code_challenge_method": "S256",
        }
    return request_uri(
        client, endpoint, redirect_uri=redirect_uri, state=state, scope=list(scopes) or None, **challenge
    )


def request_uri(client: Client, endpoint: str, **parameters: Any) -> str:
    """The address at which oauthlib's ``client`` asks for what it asks for."""
    # oauthlib accepts https only. Whether plain HTTP is fine (loopback) was decided where the setting was read,
    # so it is shown an https URL and the scheme is put back.
    parts = urlsplit(endpoint)
    uri = client.prepare_request_uri(urlunsplit(parts._replace(scheme="https")), **parameters)
    return urlunsplit(urlsplit(uri)._replace(scheme=parts.scheme))


def token_request(
    endpoint: str, grant: Grant, client_id: str, client_secret: str, *, client_in_body: bool = False
) -> Request:
    """The request that turns any ``grant`` into a token.

    The client is in HTTP Basic or, where a server wants that, in the body (RFC 6749, 2.3.1), unless the grant brings an
    ``Authorization`` of its own.
    """
    parameters: dict[str, Any] = {name: value for name, value in grant.parameters().items() if value}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    own = grant.authorization()
    if own is not None:
        headers["Authorization"] = own
    elif client_in_body:
        parameters |= {"client_id": _bytes(client_id), "client_secret": _bytes(client_secret)}
    return Request(
        "POST",
        endpoint,
        data=prepare_token_request(grant.grant_type, include_client_id=client_in_body, **parameters),
        headers=headers,
        auth=None if own is not None or client_in_body else HTTPBasicAuth(_bytes(client_id), _bytes(client_secret)),
    )


def _bytes(credential: str) -> bytes:
    # The environment shows bytes that aren't UTF-8 as lone surrogates; they are sent as they were.
    return credential.encode("utf-8", "surrogateescape")


def parse_token(body: str) -> Token:
    """The token in the body of a successful answer (RFC 6749, 5.1).

    oauthlib is shown the members that this app uses, as far as they are strings: it fails on a garbled
    ``expires_in`` or ``scope``, neither of which is worth a login.

    Raises:
        ValueError: there is no token in it. The message doesn't repeat the body, which may hold one.
    """
    try:
        answer = json.loads(body)
        texts = {name: value for name, value in answer.items() if name in _MEMBERS and isinstance(value, str)}
        parsed = WebApplicationClient("").parse_request_body_response(json.dumps(texts))
        return Token.from_answer({**parsed, "scopes": answer.get("scopes"), "expires_in": answer.get("expires_in")})
    except (OAuth2Error, ValueError, AttributeError, RecursionError) as error:
        # `from None`: a JSON error holds the document it failed on, and a traceback may be mailed.
        raise ValueError(f"no token in the answer ({type(error).__name__})") from None
