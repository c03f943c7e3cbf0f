"""How a client proves at the token endpoint that it's the one that is registered."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any
from urllib.parse import unquote_plus

import jwt
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error, OAuth2Error

from .client import RegisteredClient

#: The longest life of a Connect JWT. Bitbucket's documentation advises three minutes.
MAX_JWT_SECONDS = 3600
#: Connect's query string hash: of the method, the path and the (empty) query of the request.
QSH = hashlib.sha256(b"POST&/site/oauth2/access_token&").hexdigest()


def refusal(status: int, error: str, description: str) -> OAuth2Error:
    return CustomOAuth2Error(error, description=description, status_code=status)


def unauthenticated() -> OAuth2Error:
    return refusal(400, "unauthorized_client", "Requests must be authenticated using OAuth client credentials")


def client_credentials(request: Request, *, basic: bool, body: bool) -> tuple[str, str] | None:
    """The client's id and secret from HTTP Basic or the body; ``None`` if there are none where they may be."""
    scheme, _, encoded = str(request.headers.get("Authorization", "")).partition(" ")
    if basic and scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        # RFC 6749 2.3.1 encodes both before joining them.
        name, colon, secret = decoded.partition(":")
        return (unquote_plus(name), unquote_plus(secret)) if colon else None
    if body and request.client_id and request.client_secret:
        return request.client_id, request.client_secret
    return None


def verify_connect_jwt(request: Request, client: RegisteredClient, now: float) -> None:
    """Raise ``OAuth2Error`` unless the header holds a JWT of the installed app (bitbucket.md 7)."""
    scheme, _, token = str(request.headers.get("Authorization", "")).partition(" ")
    if scheme != "JWT":  # the one scheme that Bitbucket spells out as case sensitive
        raise unauthenticated()
    try:
        claims = jwt.decode(
            token,
            client.shared_secret,
            algorithms=["HS256"],
            # The times are looked at below, by the simulated clock.
            options={
                "require": ["iss", "sub", "iat", "exp"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_aud": False,
            },
        )
    except (jwt.PyJWTError, RecursionError) as error:
        raise refusal(401, "unauthorized_client", f"Invalid JWT: {error}") from None
    complaint = _complaint(claims, client, now)
    if complaint:
        raise refusal(401, "unauthorized_client", f"Invalid JWT: {complaint}")


def _complaint(claims: dict[str, Any], client: RegisteredClient, now: float) -> str | None:
    issued, expires = claims["iat"], claims["exp"]
    if claims["iss"] != client.app_key:
        return "iss is not the app key"
    if claims["sub"] != client.client_key:
        return "sub is not the client key"
    if not (isinstance(issued, int | float) and isinstance(expires, int | float)):
        return "iat and exp have to be numbers"
    # Asked this way round, NaN is refused too.
    if not issued <= now < expires:
        return "it is expired or from the future"
    if not expires - issued <= MAX_JWT_SECONDS:
        return "it lives for more than an hour"
    if claims.get("qsh", QSH) != QSH:
        return "qsh does not match the request"
    return None
