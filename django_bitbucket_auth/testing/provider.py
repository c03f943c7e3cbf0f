"""OAuth 2.0, the provider's side: oauthlib decides, this module says by which facts and in whose
words.

None of the app's own OAuth code is used, so that client and server can't share a mistake.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, ClassVar

from oauthlib.common import Request
from oauthlib.oauth2 import RequestValidator
from oauthlib.oauth2.rfc6749.errors import UnsupportedResponseTypeError

from .credentials import client_credentials, refusal, unauthenticated, verify_connect_jwt
from .vault import Code, Grant
from .world import World


class Validator(RequestValidator):
    """The facts oauthlib asks for. It raises where Bitbucket's words differ from the RFC's.

    oauthlib hands one request from question to question. What was found on the way is put on it:
    ``person_key``, ``workspace_uuid``, ``code_record``, ``grant_record``; where that is, it's typed ``Any``.
    """

    #: The ``error`` of a refresh token that isn't good, or no longer.
    bad_refresh_error: ClassVar[str] = "invalid_request"
    #: Of an answer that says "User is inactive".
    inactive_status: ClassVar[int] = 401

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    # The client

    def client_authentication_required(self, request: Request, *args: object, **kwargs: object) -> bool:
        return True

    def authenticate_client(self, request: Request, *args: object, **kwargs: object) -> bool:
        given = self.credentials_of(request)
        if given is None:
            raise unauthenticated()
        client = self.world.client
        if not self.is_the_client(*given):
            raise refusal(400, "unauthorized_client", "Invalid OAuth client credentials")
        request.client = client
        request.client_id = client.client_id
        return True

    def credentials_of(self, request: Request) -> tuple[str, str] | None:
        """The client's id and secret, where the rules want them; ``None`` if they aren't there."""
        rules = self.world.rules
        return client_credentials(request, basic=rules.basic_credentials, body=rules.body_credentials)

    def is_the_client(self, client_id: str, client_secret: str) -> bool:
        client = self.world.client
        same_id = hmac.compare_digest(client_id.encode(), client.client_id.encode())
        same_secret = hmac.compare_digest(client_secret.encode(), client.client_secret.encode())
        return same_id and same_secret

    def authenticate_installation(self, request: Any) -> None:
        """The app in the workspace where it's installed, by its JWT. Raises ``OAuth2Error``."""
        client = self.world.client
        verify_connect_jwt(request, client, self.world.now())
        workspace = self.world.workspaces.get(client.workspace)
        if workspace is None:
            raise refusal(401, "unauthorized_client", "The app is not installed")
        request.client = client
        request.client_id = client.client_id
        request.workspace_uuid = workspace.uuid

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
        if response_type == "token" and not self.world.rules.retired_grants_taken:
            raise UnsupportedResponseTypeError(request=request)
        return response_type in ("code", "token")

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
        grant.redirect_uri = request.redirect_uri
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
        return self.world.rules.pkce_required

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: object, **kwargs: object
    ) -> None:
        """Nothing left to do: `validate_code` spent it."""

    # Passwords

    def validate_user(
        self, username: str, password: str, client: object, request: Any, *args: object, **kwargs: object
    ) -> bool:
        for person in self.world.people.values():
            if person.goes_by(username) and hmac.compare_digest(person.password.encode(), password.encode()):
                self._require_active(person.key)
                request.person_key = person.key
                return True
        return False

    # Tokens

    def validate_refresh_token(
        self, refresh_token: str, client: object, request: Any, *args: object, **kwargs: object
    ) -> bool:
        issued = self.world.vault.find_refresh(refresh_token, self.world.now())
        if issued is None:
            raise refusal(400, self.bad_refresh_error, "Invalid refresh_token")
        self._require_active(issued.grant.person)
        request.grant_record = issued.grant
        return True

    def get_original_scopes(self, refresh_token: str, request: Any, *args: object, **kwargs: object) -> list[str]:
        return list(request.grant_record.scopes)

    def rotate_refresh_token(self, request: Request) -> bool:
        # With other grants, too, there may be a refresh token in the body. It's none of their business.
        return self.world.rules.rotate_refresh_tokens or request.grant_type != "refresh_token"

    def save_bearer_token(self, token: Mapping[str, Any], request: Any, *args: object, **kwargs: object) -> None:
        world, rules = self.world, self.world.rules
        told = dict(token)
        if request.grant_type == "refresh_token":
            if "refresh_token" not in told:
                told["refresh_token"] = request.refresh_token
            elif rules.rotate_refresh_tokens:
                world.vault.use_refresh(request.refresh_token, world.now(), rules.grace_seconds)
        world.keep(self._grant(request), told)

    def _grant(self, request: Request) -> Grant:
        """The one a code or refresh token belongs to, else a new one."""
        # Not by attribute: where nothing was put on it, the request answers with what its sender wrote.
        found = vars(request)
        known: Grant | None = found.get("grant_record")
        return known or self.world.vault.open_grant(
            found.get("person_key"), tuple(request.scopes or ()), found.get("workspace_uuid")
        )

    def _require_active(self, person: str | None) -> None:
        known = self.world.people.get(person or "")
        if known is None or not known.active:
            raise refusal(self.inactive_status, self.world.rules.inactive_error, "User is inactive")
