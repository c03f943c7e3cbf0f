"""OAuth 2.0, the provider's side: oauthlib decides, this module says by which facts and in whose
words.

None of the app's own OAuth code is used, so that client and server can't share a mistake.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from oauthlib.common import Request
from oauthlib.oauth2 import RequestValidator, WebApplicationServer
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error, OAuth2Error

from .vault import Code, IssuedToken, new_token
from .world import World


def refusal(status: int, error: str, description: str) -> OAuth2Error:
    return CustomOAuth2Error(error, description=description, status_code=status)


class Validator(RequestValidator):
    """The facts oauthlib asks for. It raises where Bitbucket's words differ from the RFC's.

    oauthlib hands one request from question to question. What was found on the way is put on it:
    ``person_key``, ``code_record``, ``grant_record``; where that is, it's typed ``Any``.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    # The client

    def client_authentication_required(self, request: Request, *args: object, **kwargs: object) -> bool:
        return True

    def authenticate_client(self, request: Request, *args: object, **kwargs: object) -> bool:
        given = _credentials(request, body_too=self.world.rules.body_credentials)
        if given is None:
            raise refusal(
                400,
                "unauthorized_client",
                "Requests must be authenticated using OAuth client credentials",
            )
        client = self.world.client
        same_id = hmac.compare_digest(given[0].encode(), client.client_id.encode())
        same_secret = hmac.compare_digest(given[1].encode(), client.client_secret.encode())
        if not (same_id and same_secret):
            raise refusal(400, "unauthorized_client", "Invalid OAuth client credentials")
        request.client = client
        request.client_id = client.client_id
        return True

    def validate_client_id(self, client_id: str, request: Request, *args: object, **kwargs: object) -> bool:
        return client_id == self.world.client.client_id

    def validate_grant_type(
        self,
        client_id: str,
        grant_type: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        return True

    def validate_response_type(
        self,
        client_id: str,
        response_type: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        return response_type == "code"

    # Where people are sent back to

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Request, *args: object, **kwargs: object
    ) -> bool:
        return self.world.client.accepts(redirect_uri, prefix=self.world.rules.callback_prefix)

    def get_default_redirect_uri(self, client_id: str, request: Request, *args: object, **kwargs: object) -> str:
        return next(iter(self.world.client.callbacks), "")

    def confirm_redirect_uri(
        self,
        client_id: str,
        code: str,
        redirect_uri: str,
        client: object,
        request: Any,
        *args: object,
        **kwargs: object,
    ) -> bool:
        # Sent at the first step: to be repeated, letter by letter. Not sent: the registered one
        # stands.
        if request.code_record.redirect_uri_sent and request.using_default_redirect_uri:
            return False
        return bool(redirect_uri == request.code_record.redirect_uri)

    # Scopes

    def get_default_scopes(self, client_id: str, request: Request, *args: object, **kwargs: object) -> list[str]:
        return list(self.world.client.scopes)

    def validate_scopes(
        self,
        client_id: str,
        scopes: list[str],
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        known = [scope for scope in scopes if scope in self.world.client.scopes]
        if self.world.rules.scope_parameter == "refused" and known != scopes:
            return False
        request.scopes = known
        return bool(known)

    # Codes

    def save_authorization_code(
        self,
        client_id: str,
        code: Mapping[str, Any],
        request: Any,
        *args: object,
        **kwargs: object,
    ) -> None:
        world = self.world
        grant = world.vault.open_grant(request.person_key, tuple(request.scopes or ()))
        world.vault.codes[code["code"]] = Code(
            grant=grant,
            redirect_uri=request.redirect_uri or "",
            redirect_uri_sent=not request.using_default_redirect_uri,
            challenge=request.code_challenge,
            challenge_method=request.code_challenge_method,
            expires_at=world.now() + world.rules.code_seconds,
        )

    def validate_code(
        self,
        client_id: str,
        code: str,
        client: object,
        request: Any,
        *args: object,
        **kwargs: object,
    ) -> bool:
        # Spent here, whatever else is wrong with the request: a code is good for one attempt.
        record = self.world.vault.take_code(code, self.world.now())
        if record is None:
            raise refusal(400, "invalid_grant", "The specified code is not valid.")
        self._require_active(record.grant.person)
        request.code_record = record
        request.grant_record = record.grant
        request.scopes = list(record.grant.scopes)
        return True

    def get_code_challenge(self, code: str, request: Any) -> Any:
        # None: there was none, or this Bitbucket doesn't look.
        return request.code_record.challenge if self.world.rules.pkce_verified else None

    def get_code_challenge_method(self, code: str, request: Any) -> str:
        return str(request.code_record.challenge_method)

    def is_pkce_required(self, client_id: str, request: Request) -> bool:
        return False

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: object, **kwargs: object
    ) -> None:
        """Nothing left to do: `validate_code` spent it."""

    # Tokens

    def validate_refresh_token(
        self, refresh_token: str, client: object, request: Any, *args: object, **kwargs: object
    ) -> bool:
        issued = self.world.vault.find_refresh(refresh_token, self.world.now())
        if issued is None:
            raise refusal(400, "invalid_request", "Invalid refresh_token")
        self._require_active(issued.grant.person)
        request.grant_record = issued.grant
        return True

    def get_original_scopes(self, refresh_token: str, request: Any, *args: object, **kwargs: object) -> list[str]:
        return list(request.grant_record.scopes)

    def rotate_refresh_token(self, request: Request) -> bool:
        return self.world.rules.rotate_refresh_tokens

    def save_bearer_token(self, token: Mapping[str, Any], request: Any, *args: object, **kwargs: object) -> None:
        world, rules, now = self.world, self.world.rules, self.world.now()
        grant = request.grant_record
        given = token["access_token"], token["refresh_token"]
        world.vault.access[given[0]] = IssuedToken(grant, now + rules.access_token_seconds)
        if request.refresh_token and rules.rotate_refresh_tokens:
            world.vault.use_refresh(request.refresh_token, now, rules.grace_seconds)
        # Three months of disuse are counted from here, also for one that wasn't rotated.
        world.vault.refresh[given[1]] = IssuedToken(grant, now + rules.refresh_token_seconds)

    def _require_active(self, person: str) -> None:
        known = self.world.people.get(person)
        if known is None or not known.active:
            raise refusal(401, self.world.rules.inactive_error, "User is inactive")


def authorization_server(world: World) -> WebApplicationServer:
    """oauthlib's provider, with Bitbucket's facts and the shape of Bitbucket's token answer."""
    server = WebApplicationServer(
        Validator(world),
        token_generator=lambda request: new_token(world.rules.token_length),
        token_expires_in=lambda request: world.rules.access_token_seconds,
    )

    def as_bitbucket_says_it(token: dict[str, Any], handler: object, request: Any) -> dict[str, Any]:
        token |= {"token_type": "bearer"}
        token[world.rules.scope_member] = token.pop("scope")
        # Not the request's state: an old oddity that clients have to look past (bitbucket.md 1.5).
        token["state"] = request.grant_type
        return token

    server.auth_grant.register_token_modifier(as_bitbucket_says_it)
    server.refresh_grant.register_token_modifier(as_bitbucket_says_it)
    return server


def _credentials(request: Request, *, body_too: bool) -> tuple[str, str] | None:
    """The client's id and secret from HTTP Basic (or the body); ``None`` if there are none."""
    scheme, _, encoded = str(request.headers.get("Authorization", "")).partition(" ")
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        # RFC 6749 2.3.1 encodes both before joining them.
        name, colon, secret = decoded.partition(":")
        return (unquote_plus(name), unquote_plus(secret)) if colon else None
    if body_too and request.client_id and request.client_secret:
        return request.client_id, request.client_secret
    return None
