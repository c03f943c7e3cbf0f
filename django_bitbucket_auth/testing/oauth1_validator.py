"""OAuth 1.0a, the provider's side: the facts that oauthlib asks for, and the problems that it doesn't name."""

from __future__ import annotations

import hmac
import sys
from typing import Any

import oauthlib.oauth1
from oauthlib.common import Request

from .kinds import is_oauth1
from .vault import Grant, RequestToken
from .world import World


class Refused(Exception):
    """A request of OAuth 1.0a that isn't good: its ``problem``, and more that the answer tells."""

    def __init__(self, problem: str, **details: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.details = details

    @property
    def is_malformed(self) -> bool:
        """Whether it's about the request's form, not about a credential."""
        return self.problem.startswith(("parameter_", "version_", "timestamp_", "signature_method_"))


class SigningValidator(oauthlib.oauth1.RequestValidator):
    """The facts oauthlib asks for. ``grant_record`` is put on the request on the way."""

    enforce_ssl = False  # the network is this machine
    timestamp_lifetime = sys.maxsize  # the simulated clock decides, below
    dummy_client = dummy_access_token = dummy_request_token = ""  # who isn't known is refused at once

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    @property
    def allowed_signature_methods(self) -> tuple[str, ...]:
        return self.world.client.signature_methods

    def _anything(self, *given: object, **named: object) -> bool:
        return True

    # Nothing has a set length here, and realms there are none.
    check_client_key = check_nonce = check_request_token = check_access_token = check_verifier = _anything
    check_realms = validate_requested_realms = validate_realms = _anything

    # The client

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Request,
        request_token: str | None = None,
        access_token: str | None = None,
    ) -> bool:
        now, apart = self.world.now(), self.world.rules.timestamp_seconds
        if not abs(now - int(timestamp)) <= apart:
            raise Refused("timestamp_refused", oauth_acceptable_timestamps=f"{now - apart:.0f}-{now + apart:.0f}")
        once = (timestamp, nonce, request_token or access_token or "")
        if once in self.world.vault.nonces:
            raise Refused("nonce_used")
        self.world.vault.nonces.add(once)
        return True

    def validate_client_key(self, client_key: str, request: Request) -> bool:
        # On Cloud one client speaks both protocols; a Data Center's link is for one of them.
        known = is_oauth1(self.world.kind) or not self.world.is_data_center
        if not known or client_key != self.world.client.client_id:
            raise Refused("consumer_key_unknown")
        return True

    def get_client_secret(self, client_key: str, request: Request) -> str:
        return self.world.client.client_secret

    def get_rsa_key(self, client_key: str, request: Request) -> str:
        return self.world.client.public_key

    def get_realms(self, token: str, request: Request) -> list[str]:
        return []

    def get_default_realms(self, client_key: str, request: Request) -> list[str]:
        return []

    # Request tokens

    def validate_redirect_uri(self, client_key: str, redirect_uri: str, request: Request) -> bool:
        # Only the address counts: its query is the site's own, and another one each time.
        address = redirect_uri.partition("?")[0]
        if not self.world.client.accepts(address, prefix=self.world.rules.callback_prefix):
            raise Refused("parameter_rejected", oauth_parameters_rejected="oauth_callback")
        return True

    def save_request_token(self, token: Any, request: Request) -> None:
        expires_at = self.world.now() + self.world.rules.request_token_seconds
        record = RequestToken(token["oauth_token_secret"], str(request.redirect_uri), expires_at)
        self.world.vault.requested[token["oauth_token"]] = record

    def verify_request_token(self, token: str, request: Request) -> bool:
        """Whether a person may be asked about it."""
        record = self.world.vault.requested.get(token)
        decided = record is None or record.used or record.denied or record.grant is not None
        return not decided and record is not None and record.expires_at > self.world.now()

    def get_redirect_uri(self, token: str, request: Request) -> str:
        return self.world.vault.requested[token].callback

    def save_verifier(self, token: str, verifier: dict[str, str], request: Request) -> None:
        record = self.world.vault.requested[token]
        record.grant = self.world.vault.open_grant(verifier.pop("person"), self.world.client.scopes)
        record.verifier = verifier["oauth_verifier"]

    def validate_request_token(self, client_key: str, token: str, request: Any) -> bool:
        record = self.world.vault.requested.get(token)
        if record is None:
            raise Refused("token_rejected")
        if record.used:
            raise Refused("token_used")
        if record.expires_at <= self.world.now():
            raise Refused("token_expired")
        if record.denied:
            raise Refused("permission_denied")
        if record.grant is None:
            raise Refused("permission_unknown")
        self._require_good(record.grant)
        request.grant_record = record.grant
        return True

    def validate_verifier(self, client_key: str, token: str, verifier: str, request: Request) -> bool:
        known = self.world.vault.requested[token].verifier
        if not hmac.compare_digest(known.encode(), verifier.encode()):
            raise Refused("token_rejected")
        return True

    def get_request_token_secret(self, client_key: str, token: str, request: Request) -> str:
        return self.world.vault.requested[token].secret

    def invalidate_request_token(self, client_key: str, request_token: str, request: Request) -> None:
        self.world.vault.requested[request_token].used = True

    # Access tokens

    def save_access_token(self, token: Any, request: Any) -> None:
        self.world.keep_signing(request.grant_record, token["oauth_token"], token["oauth_token_secret"])

    def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
        issued = self.world.vault.signing.get(token)
        if issued is None:
            raise Refused("token_rejected")
        if issued.expires_at <= self.world.now():
            raise Refused("token_expired")
        self._require_good(issued.grant)
        request.grant_record = issued.grant
        return True

    def get_access_token_secret(self, client_key: str, token: str, request: Request) -> str:
        return self.world.vault.signing[token].secret

    def _require_good(self, grant: Grant) -> None:
        if grant.revoked:
            raise Refused("token_revoked")
        person = self.world.account_of(grant)
        if person is None or not person.active:
            raise Refused("permission_denied")
