"""OAuth 1.0a, the provider's side: oauthlib decides, and what was wrong is told.

oauthlib's endpoints say yes or no. Atlassian's library names the problem
(http://wiki.oauth.net/w/page/12238543/ProblemReporting): what is found wrong here is raised as `Refused`, which goes
through all of oauthlib.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import unquote

import oauthlib.oauth1
from oauthlib.common import Request
from oauthlib.oauth1.rfc5849 import errors
from oauthlib.oauth1.rfc5849.endpoints.base import BaseEndpoint

from .issuing import new_signing_token
from .messages import SimulatorRequest
from .oauth1_validator import Refused, SigningValidator
from .quiet import hush, quiet_oauthlib
from .vault import Grant
from .world import World

hush()

_MANDATORY = ("oauth_consumer_key", "oauth_signature_method", "oauth_signature", "oauth_timestamp", "oauth_nonce")
_TOKEN = re.compile(r'\boauth_token="([^"]*)"')


class _Telling(BaseEndpoint):
    """An endpoint that raises `Refused` where oauthlib's own would answer, or only say no."""

    #: Parameters without which it's no request, besides those of every one.
    needed: ClassVar[tuple[str, ...]] = ()

    def _create_request(self, uri: str, http_method: str, body: str, headers: dict[str, str]) -> Request:
        try:
            request: Request = super()._create_request(uri, http_method, body, headers)  # type: ignore[misc] # private
        except (errors.OAuth1Error, ValueError):  # parameters in two places, or twice, or badly encoded
            raise Refused("parameter_rejected") from None
        return request

    def _check_mandatory_parameters(self, request: Any) -> None:
        given = request.oauth_params
        absent = [name for name in (*_MANDATORY, *self.needed) if not given.get(name)]
        if absent:
            raise Refused("parameter_absent", oauth_parameters_absent="&".join(absent))
        if given.get("oauth_version", "1.0") != "1.0":
            raise Refused("version_rejected", oauth_acceptable_versions="1.0-1.0")
        try:
            super()._check_mandatory_parameters(request)  # type: ignore[misc] # as above
        except errors.InvalidSignatureMethodError:
            raise Refused("signature_method_rejected") from None
        except errors.OAuth1Error:  # what is left to it: a timestamp that is none
            raise Refused("parameter_rejected", oauth_parameters_rejected="oauth_timestamp") from None

    def _check_signature(self, request: Request, is_token_request: bool = False) -> bool:
        try:
            good = super()._check_signature(request, is_token_request)  # type: ignore[misc] # as above
        except ValueError:  # it isn't even Base64
            good = False
        if not good:
            raise Refused("signature_invalid")
        return True


class _RequestTokens(_Telling, oauthlib.oauth1.RequestTokenEndpoint):
    needed = ("oauth_callback",)


class _AccessTokens(_Telling, oauthlib.oauth1.AccessTokenEndpoint):
    needed = ("oauth_token", "oauth_verifier")


class _Resources(_Telling, oauthlib.oauth1.ResourceEndpoint):
    needed = ("oauth_token",)


class OAuth1:
    """The protocol over one `World`; the caller holds its lock. All but ``whose`` may raise `Refused`."""

    def __init__(self, world: World) -> None:
        self.world = world
        validator = SigningValidator(world)
        tokens = {"token_generator": new_signing_token}
        self.authorization = oauthlib.oauth1.AuthorizationEndpoint(validator, **tokens)
        self._request_tokens = _RequestTokens(validator, **tokens)
        self._access_tokens = _AccessTokens(validator, **tokens)
        self._resources = _Resources(validator, **tokens)

    def request_token(self, request: SimulatorRequest) -> str:
        """The form that answers a request for temporary credentials."""
        with quiet_oauthlib():
            _, body, _ = self._request_tokens.create_request_token_response(*self._as_sent(request))
        return str(body)

    def access_token(self, request: SimulatorRequest, **more: str) -> str:
        """The form that answers a verified request token, with ``more`` in it."""
        with quiet_oauthlib():
            _, body, _ = self._access_tokens.create_access_token_response(*self._as_sent(request), credentials=more)
        # An addition of oauthlib's that no Bitbucket knows.
        return str(body).replace("&oauth_authorized_realms=", "")

    def grant_of(self, request: SimulatorRequest) -> Grant:
        """What was allowed to the token with which a request is signed."""
        with quiet_oauthlib():
            _, checked = self._resources.validate_protected_resource_request(*self._as_sent(request))
        grant: Grant = checked.grant_record
        return grant

    def whose(self, request: SimulatorRequest) -> str | None:
        """For the log: the key of the person whose token a request names. Proves nothing, and uses nothing up."""
        named = _TOKEN.search(request.headers.get("authorization", ""))
        sent = dict(request.parameters) | dict(request.form)
        token = unquote(named[1]) if named else sent.get("oauth_token", "")
        vault = self.world.vault
        issued = vault.signing.get(token) or vault.requested.get(token)
        return issued.grant.person if issued is not None and issued.grant is not None else None

    def _as_sent(self, request: SimulatorRequest) -> tuple[str, str, str, dict[str, str]]:
        """What was signed is the address as the client knows it: by the name in ``Host``."""
        host = request.headers.get("host") or self.world.url.split("/")[2]
        query = f"?{request.query}" if request.query else ""
        body = request.body.decode("utf-8", "replace")
        return f"http://{host}{request.path}{query}", request.method, body, dict(request.headers)
