"""The grants of the token endpoint, and the shape of Bitbucket's token answer."""

from __future__ import annotations

import json
from typing import Any

from oauthlib.common import Request
from oauthlib.oauth2 import Server
from oauthlib.oauth2.rfc6749.grant_types.base import GrantTypeBase
from oauthlib.oauth2.rfc6749.tokens import TokenBase

from .provider import Validator
from .vault import new_token
from .world import World

JWT_GRANT = "urn:bitbucket:oauth2:jwt"

#: Each grant, and the fields that Bitbucket misses by name.
FIELDS = {
    "authorization_code": ("code",),
    "refresh_token": ("refresh_token",),
    "client_credentials": (),
    "password": ("username", "password"),
    JWT_GRANT: (),
}
#: No longer taken: `Rules.retired_grants_taken`.
RETIRED = ("password",)


class JwtGrant(GrantTypeBase):
    """A Connect app's JWT for an access token of the account where it's installed (bitbucket.md 7)."""

    def __init__(self, validator: Validator) -> None:
        super().__init__(validator)
        self.validator = validator

    def create_token_response(self, request: Request, token_handler: TokenBase) -> tuple[dict[str, str], str, int]:
        """Errors are raised; the caller knows how Bitbucket tells them."""
        self.validator.authenticate_installation(request)
        self.validate_scopes(request)
        token = token_handler.create_token(request, refresh_token=False)  # type: ignore[attr-defined] # it's a BearerToken
        for modifier in self._token_modifiers:  # type: ignore[attr-defined] # private, yet the way all grants do it
            token = modifier(token)
        self.validator.save_bearer_token(token, request)
        return self._get_default_headers(), json.dumps(token), 200  # type: ignore[attr-defined] # as above


def authorization_server(world: World) -> Server:
    """oauthlib's provider, with Bitbucket's facts and the shape of Bitbucket's token answer."""
    validator = Validator(world)
    server = Server(
        validator,
        token_generator=lambda request: new_token(world.rules.token_length),
        token_expires_in=lambda request: world.rules.access_token_seconds,
    )
    jwt_grant = JwtGrant(validator)
    server.grant_types[JWT_GRANT] = jwt_grant

    def as_bitbucket_says_it(token: dict[str, Any], *circumstances: object) -> dict[str, Any]:
        token |= {"token_type": "bearer"}
        token[world.rules.scope_member] = token.pop("scope")
        return token

    def refreshed(token: dict[str, Any], *circumstances: object) -> dict[str, Any]:
        if not world.rules.refresh_answer_has_refresh_token:
            del token["refresh_token"]
        return token

    grants = {
        "authorization_code": server.auth_grant,
        "refresh_token": server.refresh_grant,
        "client_credentials": server.credentials_grant,
        "password": server.password_grant,
        JWT_GRANT: jwt_grant,
    }
    for name, grant in grants.items():
        grant.register_token_modifier(as_bitbucket_says_it)
        # Not the request's state: an old oddity that clients have to look past (bitbucket.md 1.5).
        grant.register_token_modifier(lambda token, *circumstances, name=name: token | {"state": name})
    server.implicit_grant.register_token_modifier(as_bitbucket_says_it)
    server.refresh_grant.register_token_modifier(refreshed)
    return server
