"""A site's half of a login, spoken to the simulator's core by hand: without code of the app."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django_bitbucket_auth.testing import Answer, BitbucketSimulator, SimulatorRequest

CALLBACK = "http://testserver/bitbucket/callback/"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def basic(client_id: str, client_secret: str) -> dict[str, str]:
    """The header of HTTP Basic."""
    pair = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


def without_none(parameters: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value is not None}


class Conversation:
    """Keyword arguments change the parameters that are sent; ``None`` leaves one out."""

    authorize_path = "/site/oauth2/authorize"
    token_path = "/site/oauth2/access_token"

    def __init__(self, simulator: BitbucketSimulator) -> None:
        self.simulator = simulator

    def send(self, method: str, url: str, form: Any = None, **headers: str) -> Answer:
        """One request to the core; ``form`` makes it a form."""
        path, _, query = url.partition("?")
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        body = b""
        if form is not None:
            given |= FORM
            body = urlencode(form).encode()
        return self.simulator.handle(SimulatorRequest(method, path, query, given, body))

    def question(self, **changes: str | None) -> dict[str, str]:
        asked: dict[str, str | None] = {
            "client_id": self.simulator.client_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "state": "the-state",
        }
        return without_none(asked | changes)

    def ask(self, **changes: str | None) -> Answer:
        """Open the consent page."""
        return self.send("GET", f"{self.authorize_path}?{urlencode(self.question(**changes))}")

    def choose(self, person: str = "jane", **changes: str | None) -> Answer:
        """Press somebody's button."""
        form = self.question(**changes) | {"person": person}
        return self.send("POST", self.authorize_path, form)

    def deny(self, **changes: str | None) -> Answer:
        """Press Deny."""
        form = self.question(**changes) | {"deny": "1"}
        return self.send("POST", self.authorize_path, form)

    def code(self, person: str = "jane", **changes: str | None) -> str:
        return returned(self.choose(person, **changes))["code"]

    def token(self, headers: dict[str, str] | None = None, /, **form: str | None) -> Answer:
        """Ask the token endpoint, as the registered client unless ``headers`` are given."""
        if headers is None:
            headers = basic(self.simulator.client_id, self.simulator.client_secret)
        return self.send("POST", self.token_path, without_none(form), **headers)

    def exchange(self, code: str, **changes: str | None) -> Answer:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
        }
        return self.token(**(form | changes))

    def refresh(self, token: str, **changes: str | None) -> Answer:
        form: dict[str, str | None] = {"grant_type": "refresh_token", "refresh_token": token}
        return self.token(**(form | changes))

    def sign_in(self, person: str = "jane", **changes: str | None) -> dict[str, Any]:
        """The token answer of a whole login."""
        answer = self.exchange(self.code(person, **changes))
        assert answer.status == 200, answer.text
        return told(answer)

    def api(self, path: str, token: str, scheme: str = "Bearer", method: str = "GET") -> Answer:
        return self.send(method, f"/2.0/{path}", authorization=f"{scheme} {token}")


class DataCenterConversation(Conversation):
    """The same with a Data Center, below its context path: with PKCE, and with the credentials in the body."""

    verifier = "v" * 43

    def __init__(self, simulator: BitbucketSimulator) -> None:
        super().__init__(simulator)
        self.authorize_path = f"{simulator.context_path}/rest/oauth2/latest/authorize"
        self.token_path = f"{simulator.context_path}/rest/oauth2/latest/token"

    def question(self, **changes: str | None) -> dict[str, str]:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        asked: dict[str, str | None] = {
            "scope": "PUBLIC_REPOS",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return super().question(**(asked | changes))

    def token(self, headers: dict[str, str] | None = None, /, **form: str | None) -> Answer:
        client: dict[str, str | None] = {
            "client_id": self.simulator.client_id,
            "client_secret": self.simulator.client_secret,
        }
        return super().token(headers or {}, **(client | form))

    def exchange(self, code: str, **changes: str | None) -> Answer:
        verifier: dict[str, str | None] = {"code_verifier": self.verifier}
        return super().exchange(code, **(verifier | changes))

    def refresh(self, token: str, **changes: str | None) -> Answer:
        login: dict[str, str | None] = {"redirect_uri": CALLBACK}
        return super().refresh(token, **(login | changes))

    def get(self, path: str, token: str | None = None, **headers: str) -> Answer:
        """Ask the API."""
        given = headers if token is None else {"authorization": f"Bearer {token}"} | headers
        return self.send("GET", f"{self.simulator.context_path}/rest/api/latest/{path}", **given)


def returned(answer: Answer) -> dict[str, str]:
    """The parameters that people are sent back with."""
    location = answer.headers["Location"]
    assert location.startswith(CALLBACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def told(answer: Answer) -> dict[str, Any]:
    """The answer's JSON object."""
    data = answer.json()
    assert isinstance(data, dict)
    return data


def exception(answer: Answer) -> str:
    """The name of the exception in an error of Data Center's."""
    (error,) = told(answer)["errors"]
    return str(error["exceptionName"]).rpartition(".")[2]
