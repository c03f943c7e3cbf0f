"""Data Center's OAuth 2.0 (bitbucket.md 6.1): oauthlib decides here, too, by other facts and in the RFC's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oauthlib.common import Request
from oauthlib.oauth2 import Server
from oauthlib.oauth2.rfc6749 import errors

from . import pages
from .credentials import refusal
from .data_center_callers import SCOPES, opened_by
from .kinds import is_oauth1
from .messages import Answer
from .provider import Validator
from .site import Site
from .vault import new_token
from .world import World

#: Each grant, and the fields without which it's no request.
FIELDS = {"authorization_code": ("code",), "refresh_token": ("refresh_token",), "client_credentials": ()}


class DataCenterValidator(Validator):
    """The facts oauthlib asks for, where they are other than Cloud's."""

    bad_refresh_error = "invalid_grant"
    inactive_status = 400

    def authenticate_client(self, request: Request, *args: object, **kwargs: object) -> bool:
        given = self.credentials_of(request)
        if given is None or is_oauth1(self.world.kind) or not self.is_the_client(*given):
            raise refusal(401, "invalid_client", "Client authentication failed")
        request.client = self.world.client
        request.client_id = self.world.client.client_id
        return True

    def validate_client_id(self, client_id: str, request: Request, *args: object, **kwargs: object) -> bool:
        # Whose link is one for OAuth 1.0a is no client of this.
        return not is_oauth1(self.world.kind) and super().validate_client_id(client_id, request)

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
        if redirect_uri != request.code_record.redirect_uri:
            raise refusal(400, "invalid_grant", "The redirect_uri is not that of the authorization request")
        return True

    def validate_scopes(
        self, client_id: str, scopes: list[str], client: object, request: Request, *args: object, **kwargs: object
    ) -> bool:
        ceiling = opened_by(self.world.client.scopes)
        known = [scope for scope in scopes if scope in SCOPES and scope in ceiling]
        if self.world.rules.scope_parameter == "refused" and known != scopes:
            return False
        request.scopes = known
        return bool(known)

    def validate_refresh_token(
        self, refresh_token: str, client: object, request: Any, *args: object, **kwargs: object
    ) -> bool:
        super().validate_refresh_token(refresh_token, client, request)
        login = request.grant_record.redirect_uri
        if self.world.rules.refresh_needs_redirect_uri and login not in (None, request.redirect_uri):
            raise refusal(400, "invalid_grant", "The redirect_uri is not that of the authorization request")
        return True

    def save_bearer_token(self, token: Mapping[str, Any], request: Any, *args: object, **kwargs: object) -> None:
        if request.grant_type == "refresh_token" and self.world.rules.refresh_ends_access_tokens:
            self.world.expire_grant(request.grant_record)
        super().save_bearer_token(token, request)


class DataCenterSite(Site):
    """Both endpoints, at their addresses there."""

    authorize_path = "/rest/oauth2/latest/authorize"
    exchange_path = "/rest/oauth2/latest/token"

    def _no_callback(self) -> Answer:
        return pages.misconfigured(self.world, errors.MissingRedirectURIError())

    def _require_fields(self, form: dict[str, str], headers: dict[str, str]) -> None:
        """What comes first. Raises ``OAuth2Error``."""
        self._require_client(form, headers)
        rules, grant = self.world.rules, form.get("grant_type")
        if grant is None:
            raise refusal(400, "invalid_request", "Missing required field: grant_type")
        if grant not in FIELDS or (grant == "client_credentials" and not rules.client_credentials_taken):
            raise refusal(400, "unsupported_grant_type", f"Unsupported grant type: {grant}")
        for field in FIELDS[grant]:
            if not form.get(field):
                raise refusal(400, "invalid_request", f"Missing required field: {field}")
        wanted = grant == "authorization_code" or (grant == "refresh_token" and rules.refresh_needs_redirect_uri)
        if wanted and not form.get("redirect_uri"):
            raise refusal(400, "invalid_grant", "Missing redirect_uri")


def data_center_server(world: World) -> Server:
    """oauthlib's provider, with Data Center's facts."""
    server = Server(
        DataCenterValidator(world),
        token_generator=lambda request: new_token(world.rules.token_length),
        token_expires_in=lambda request: world.rules.access_token_seconds,
    )

    def as_data_center_says_it(token: dict[str, Any], *circumstances: object) -> dict[str, Any]:
        return token | {"token_type": "bearer"}

    for grant in (server.auth_grant, server.refresh_grant, server.credentials_grant):
        grant.register_token_modifier(as_data_center_says_it)
    return server
