"""The three addresses of OAuth 1.0a: temporary credentials, a person's decision, and the access token."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote, urlencode

from oauthlib.common import add_params_to_uri
from oauthlib.oauth1.rfc5849 import errors

from . import pages
from .messages import Answer, SimulatorRequest, redirect_answer
from .oauth1 import OAuth1
from .oauth1_validator import Refused
from .quiet import quiet_oauthlib
from .site import DENY_FIELD, PERSON_FIELD
from .world import World

# As in `site`: never connected to.
_FORMAL_ORIGIN = "https://bitbucket.invalid"
_WISHES = ["Read and change everything that you can"]


class SignedSite:
    """Data Center's; the caller holds the world's lock."""

    #: Below the context path; shown in the form of the page.
    authorize_path: ClassVar[str] = "/plugins/servlet/oauth/authorize"
    methods: ClassVar[tuple[str, ...]] = ("POST",)

    def __init__(self, world: World, oauth1: OAuth1) -> None:
        self.world = world
        self.oauth1 = oauth1

    def request_token(self, request: SimulatorRequest) -> Answer:
        """A request token for the consumer."""
        if request.method not in self.methods:
            return Answer(405)
        try:
            return form_answer(self.oauth1.request_token(request))
        except Refused as refused:
            return self.refusal(refused)

    def access_token(self, request: SimulatorRequest) -> Answer:
        """An access token for a request token that a person allowed."""
        if request.method not in self.methods:
            return Answer(405)
        try:
            return form_answer(self.oauth1.access_token(request, **self.extras()))
        except Refused as refused:
            return self.refusal(refused)

    def extras(self) -> dict[str, str]:
        """What the answer with an access token holds besides."""
        life = self.world.rules.signed_token_seconds
        return {
            "oauth_expires_in": str(life),
            "oauth_session_handle": "a-handle-that-nobody-uses",
            "oauth_authorization_expires_in": str(life + 30 * 86400),
        }

    def refusal(self, refused: Refused) -> Answer:
        """As Atlassian's library tells a problem: in a header, and as a form."""
        told = {"oauth_problem": refused.problem, **refused.details}
        answer = form_answer(urlencode(told), 401)
        challenge(self.world, refused, answer)
        return answer

    def authorize(self, request: SimulatorRequest) -> Answer:
        """GET: the consent page. POST: the person's answer, back to the site with it."""
        if request.method not in ("GET", "HEAD", "POST"):
            return pages.problem(self.world, 405, "This address takes GET and POST.")
        asked = dict(request.form if request.method == "POST" else request.parameters)
        token = asked.get("oauth_token", "")
        uri = f"{_FORMAL_ORIGIN}{self.authorize_path}?{urlencode({'oauth_token': token})}"
        try:
            with quiet_oauthlib():
                self.oauth1.authorization.get_realms_and_credentials(uri)
        except errors.OAuth1Error:
            return pages.problem(self.world, 401, "The request token is unknown, used, decided on, or too old.")
        if request.method != "POST":
            return pages.consent(self.world, self.authorize_path, [("oauth_token", token)], _WISHES)
        if request.from_elsewhere:
            # Nobody consents by a form on somebody else's page.
            return pages.problem(self.world, 403, "Consent is given on this page only.")
        if DENY_FIELD in asked:
            return self._deny(token)
        person = asked.get(PERSON_FIELD, "")
        if person not in self.world.people:
            return pages.problem(self.world, 400, "Nobody of that name has an account here.")
        with quiet_oauthlib():
            headers, _, _ = self.oauth1.authorization.create_authorization_response(uri, credentials={"person": person})
        return redirect_answer(headers["Location"])

    def _deny(self, token: str) -> Answer:
        record, rules = self.world.vault.requested[token], self.world.rules
        record.denied = True
        told = {}
        if rules.denial_has_token:
            told["oauth_token"] = token
        if rules.denial_has_error:
            told["oauth_problem"] = rules.denial_problem
        return redirect_answer(add_params_to_uri(record.callback, told.items()))


def form_answer(body: str, status: int = 200) -> Answer:
    """A form, as this protocol answers."""
    kind = "application/x-www-form-urlencoded;charset=UTF-8"
    return Answer(status, {"Content-Type": kind, "Cache-Control": "no-store"}, body.encode())


def challenge(world: World, refused: Refused, answer: Answer) -> None:
    """Tell the problem in ``WWW-Authenticate``, with the status that goes with it."""
    told = {"realm": world.url, "oauth_problem": refused.problem, **refused.details}
    parts = ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in told.items())
    answer.headers["WWW-Authenticate"] = f"OAuth {parts}"
    if refused.is_malformed:
        answer.status = world.rules.malformed_status
