"""The site's two endpoints: where people are asked, and where codes become tokens."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlencode

from oauthlib.common import Request
from oauthlib.oauth2 import Server
from oauthlib.oauth2.rfc6749 import errors

from . import pages
from .credentials import refusal
from .grants import FIELDS, JWT_GRANT, RETIRED
from .messages import Answer, SimulatorRequest, oauth_error, redirect_answer
from .quiet import quiet_oauthlib
from .world import World

# oauthlib insists on https and only looks at the address it is handed. This one is never connected
# to.
_FORMAL_ORIGIN = "https://bitbucket.invalid"

#: Fields of the consent form that are the person's answer; all others repeat the site's request.
PERSON_FIELD = "person"
DENY_FIELD = "deny"


class Site:
    """Both endpoints over one `World`; the caller holds its lock."""

    #: Below the context path.
    authorize_path: ClassVar[str] = "/site/oauth2/authorize"
    exchange_path: ClassVar[str] = "/site/oauth2/access_token"

    def __init__(self, world: World, server: Server) -> None:
        self.world = world
        self.server = server

    def authorize(self, request: SimulatorRequest) -> Answer:
        """GET: the consent page. POST: the person's answer, back to the site with it."""
        if request.method not in ("GET", "HEAD", "POST"):
            return pages.problem(self.world, 405, "This address takes GET and POST.")
        asked = request.form if request.method == "POST" else request.parameters
        fields = [pair for pair in asked if pair[0] not in (PERSON_FIELD, DENY_FIELD)]
        uri = f"{_FORMAL_ORIGIN}{self.authorize_path}?{urlencode(fields)}"
        if not dict(fields).get("redirect_uri") and not self.world.client.callbacks:
            return self._no_callback()
        try:
            with quiet_oauthlib():
                scopes, details = self.server.validate_authorization_request(uri)
        except errors.FatalClientError as error:
            return pages.misconfigured(self.world, error)
        except errors.OAuth2Error as error:
            if self.world.rules.retired_grants_taken:
                _answer_like(error.response_type, error)
            return redirect_answer(error.in_uri(str(error.redirect_uri)))
        if request.method != "POST":
            return pages.consent(self.world, self.authorize_path, fields, scopes)
        if request.from_elsewhere:
            # Nobody consents by a form on somebody else's page.
            return pages.problem(self.world, 403, "Consent is given on this page only.")
        return self._decide(uri, dict(asked), details["request"])

    def _no_callback(self) -> Answer:
        return oauth_error(400, "invalid_request", "No callback uri defined for the OAuth client.")

    def _decide(self, uri: str, form: dict[str, str], asked: Request) -> Answer:
        rules = self.world.rules
        if DENY_FIELD in form:
            denial = errors.AccessDeniedError(
                "The user denied the request.",
                state=asked.state if rules.denial_has_state else None,
            )
            _answer_like(asked.response_type, denial)
            back = str(asked.redirect_uri)
            return redirect_answer(denial.in_uri(back) if rules.denial_has_error else back)
        person = form.get(PERSON_FIELD, "")
        if person not in self.world.people:
            return pages.problem(self.world, 400, "Nobody of that name has an account here.")
        with quiet_oauthlib():
            headers, _, _ = self.server.create_authorization_response(uri, credentials={"person_key": person})
        return redirect_answer(headers["Location"])

    def token(self, request: SimulatorRequest) -> Answer:
        """POST a grant; the answer is JSON, also for refusals (bitbucket.md 1.5, 1.8)."""
        if request.method != "POST":
            return oauth_error(405, "invalid_request", "Method not allowed")
        form = dict(request.form)
        headers = {"Authorization": request.headers.get("authorization", "")}
        try:
            with quiet_oauthlib():
                self._require_fields(form, headers)
                told, body, status = self.server.create_token_response(
                    f"{_FORMAL_ORIGIN}{self.exchange_path}",
                    "POST",
                    body=urlencode(request.form),
                    headers=headers,
                )
        except errors.OAuth2Error as error:
            return oauth_error(error.status_code, str(error.error), error.description)
        kept = {name: value for name, value in told.items() if name != "WWW-Authenticate"}
        return Answer(status, kept, body.encode())

    def _require_client(self, form: dict[str, str], headers: dict[str, str]) -> None:
        """Raises ``OAuth2Error`` unless the client has proved itself."""
        request = Request(f"{_FORMAL_ORIGIN}{self.exchange_path}", "POST", dict(form), headers)
        self.server.request_validator.authenticate_client(request)

    def _require_fields(self, form: dict[str, str], headers: dict[str, str]) -> None:
        """What Bitbucket looks at first, in its own words. Raises ``OAuth2Error``."""
        grant = form.get("grant_type")
        if grant != JWT_GRANT:
            self._require_client(form, headers)
        fields = FIELDS.get(grant or "")
        if fields is None or (grant in RETIRED and not self.world.rules.retired_grants_taken):
            raise refusal(400, "invalid_grant", f"Unsupported grant type: {grant}")
        for field in fields:
            if not form.get(field):
                raise refusal(400, "invalid_request", f"Missing required field: {field}")


def _answer_like(response_type: str | None, error: errors.OAuth2Error) -> None:
    """Put the error where the answer would be: the implicit grant's is in the fragment."""
    if response_type == "token":
        error.response_mode = "fragment"
