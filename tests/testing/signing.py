"""A consumer's half of OAuth 1.0a, on oauthlib's client: without code of the app."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from oauthlib.oauth1 import Client
from testing.conversation import CALLBACK

from django_bitbucket_auth.testing import SIMULATOR_RSA_KEY, Answer, BitbucketSimulator, SimulatorRequest

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SITE = f"{CALLBACK}?state=the-state"
Pair = tuple[str, str]
Method = Literal["GET", "POST"]


class SigningConversation:
    """Keyword arguments are those of oauthlib's ``Client``, and change what it would send."""

    def __init__(self, simulator: BitbucketSimulator, method: str = "HMAC-SHA1") -> None:
        self.simulator = simulator
        self.method = method
        below = f"{simulator.context_path}/plugins/servlet/oauth"
        if not simulator.is_data_center:
            below = "/api/1.0/oauth"
        cloud = {"request-token": "request_token", "authorize": "authenticate", "access-token": "access_token"}
        self.paths = {name: f"{below}/{name if simulator.is_data_center else other}" for name, other in cloud.items()}

    def send(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        """One request to the core, as it is."""
        path, _, query = path.partition("?")
        given = {name.lower(): value for name, value in headers.items()}
        return self.simulator.handle(SimulatorRequest(method, path, query, given, (body or "").encode()))

    def signed(
        self, method: Method, path: str, token: Pair | None = None, form: dict[str, str] | None = None, **changes: Any
    ) -> Answer:
        """One signed request; ``token`` is a token and its secret."""
        key, secret = token or (None, None)
        given: dict[str, Any] = {
            "client_key": self.simulator.consumer_key,
            "client_secret": self.simulator.client_secret,
            "resource_owner_key": key,
            "resource_owner_secret": secret,
            "signature_method": self.method,
            "rsa_key": SIMULATOR_RSA_KEY if self.method.startswith("RSA") else None,
            "timestamp": str(int(self.simulator.now())),
        }
        client = Client(**(given | changes))
        body, headers = (None, {}) if form is None else (urlencode(form), dict(FORM))
        uri, headers, body = client.sign(f"http://127.0.0.1{path}", method, body, headers)
        parts = urlsplit(uri)
        return self.send(method, f"{parts.path}?{parts.query}", body, host="127.0.0.1", **headers)

    def request_token(self, callback: str | None = SITE, **changes: Any) -> Answer:
        return self.signed("POST", self.paths["request-token"], callback_uri=callback, **changes)

    def asked(self) -> Pair:
        """A request token that nobody has decided on."""
        return pair(self.request_token())

    def ask(self, token: Pair) -> Answer:
        """Open the consent page."""
        return self.send("GET", f"{self.paths['authorize']}?{urlencode({'oauth_token': token[0]})}")

    def press(self, token: Pair, **button: str) -> Answer:
        """Press one of its buttons."""
        form = urlencode({"oauth_token": token[0], **button})
        return self.send("POST", self.paths["authorize"], form, **FORM)

    def allowed(self, person: str = "jane") -> tuple[Pair, str]:
        """A request token that a person allowed, and the verifier."""
        token = self.asked()
        return token, told(self.press(token, person=person))["oauth_verifier"]

    def access_token(self, token: Pair, verifier: str | None, **changes: Any) -> Answer:
        return self.signed("POST", self.paths["access-token"], token, verifier=verifier, **changes)

    def sign_in(self, person: str = "jane") -> Pair:
        """The access token of a whole login, and its secret."""
        return pair(self.access_token(*self.allowed(person)))

    def get(self, path: str, token: Pair | None, **changes: Any) -> Answer:
        """Ask the API."""
        below = f"{self.simulator.context_path}/rest/api/latest" if self.simulator.is_data_center else ""
        return self.signed("GET", f"{below}/{path}", token, **changes)


def form_of(answer: Answer) -> dict[str, str]:
    return dict(parse_qsl(answer.text, strict_parsing=True))


def pair(answer: Answer) -> Pair:
    assert answer.status == 200, answer.text
    given = form_of(answer)
    return given["oauth_token"], given["oauth_token_secret"]


def told(answer: Answer) -> dict[str, str]:
    """The parameters that a person is sent back with."""
    location = answer.headers["Location"]
    assert location.startswith(CALLBACK)
    return dict(parse_qsl(urlsplit(location).query))


def problem(answer: Answer) -> str:
    """The problem of a refusal, which the header names, and the form of the token endpoints, too."""
    found = re.fullmatch(
        r'OAuth realm="http%3A%2F%2F127\.0\.0\.1%2Fbitbucket", oauth_problem="(\w+)".*',
        answer.headers["WWW-Authenticate"],
    )
    assert found
    assert answer.status == 401
    if not answer.headers["Content-Type"].startswith("application/json"):
        assert form_of(answer)["oauth_problem"] == found[1]
    return found[1]
