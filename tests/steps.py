"""The steps of a sign-in, one by one, for tests that interfere between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.contrib.auth.models import User
from django.dispatch import Signal
from django.http import HttpResponseBase
from django.test import Client

from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, SimulatorRequest

#: What a browser says of a typed address, and of the way back from Bitbucket.
TYPED = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
SENT_BACK = {**TYPED, "Sec-Fetch-Site": "cross-site"}
LOGIN, CALLBACK = "/bitbucket/login/", "/bitbucket/callback/"
CONNECT, DISCONNECT, CONNECTIONS = "/bitbucket/connect/", "/bitbucket/disconnect/", "/bitbucket/connections/"


@dataclass
class Started:
    """A started login: the authorization URL and its parameters."""

    url: str
    response: Any

    @property
    def parameters(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    @property
    def state(self) -> str:
        return self.parameters["state"]


def start(client: Client, path: str = LOGIN, *, secure: bool = False, **query: Any) -> Started:
    """A typed visit of the login page, which leads to Bitbucket."""
    response = client.get(path, query, headers=TYPED, secure=secure)
    assert response.status_code == 302, response.content
    return Started(response.headers["Location"], response)


def begin_connecting(client: Client, path: str = CONNECT, **form: Any) -> Started:
    """Press the button that connects an account; the page that comes leads to Bitbucket."""
    response = client.post(path, form)
    assert response.status_code == 200, response.content
    return Started(response.headers["Refresh"].partition("url=")[2], response)


def code_for(simulator: BitbucketSimulator, started: Started, person: str = "jane") -> str:
    """The code that Bitbucket gives when ``person`` consents."""
    parts = urlsplit(started.url)
    form = urlencode({**started.parameters, "person": simulator.person(person).key})
    headers = {"host": parts.netloc, "content-type": "application/x-www-form-urlencoded"}
    answer = simulator.handle(SimulatorRequest("POST", parts.path, headers=headers, body=form.encode()))
    location = answer.headers.get("Location", "")
    assert "code=" in location, answer
    return parse_qs(urlsplit(location).query)["code"][0]


def signed_answer(simulator: BitbucketSimulator, started: Started, person: str = "jane") -> dict[str, Any]:
    """What Bitbucket sends back by OAuth 1.0a when ``person`` consents: request token, verifier, and our own state."""
    parts = urlsplit(started.url)
    form = urlencode({**started.parameters, "person": simulator.person(person).key})
    headers = {"host": parts.netloc, "content-type": "application/x-www-form-urlencoded"}
    answer = simulator.handle(SimulatorRequest("POST", parts.path, headers=headers, body=form.encode()))
    query = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
    assert set(query) == {"state", "oauth_token", "oauth_verifier"}, answer
    return {name: values[0] for name, values in query.items()}


def come_back(client: Client, path: str = CALLBACK, *, secure: bool = False, **query: Any) -> Any:
    """The browser at the callback, sent there by Bitbucket."""
    return client.get(path, query, headers=SENT_BACK, secure=secure)


def reason_of(response: HttpResponseBase) -> str:
    """The reason code on the error page."""
    html = getattr(response, "content", b"").decode()
    return html.partition('data-reason="')[2].partition('"')[0]


def connect(client: Client, simulator: BitbucketSimulator, person: str = "jane", alias: str = "") -> Any:
    """All of it: the response of the callback."""
    place = f"/bitbucket/{alias}/" if alias else "/bitbucket/"
    started = begin_connecting(client, f"{place}connect/")
    if simulator.kind.endswith("oauth1"):
        return come_back(client, f"{place}callback/", **signed_answer(simulator, started, person))
    return come_back(client, f"{place}callback/", code=code_for(simulator, started, person), state=started.state)


def attempts_of(client: Client) -> list[str]:
    """The names of the started logins in the client's jar, without those that were deleted."""
    return [name for name, morsel in client.cookies.items() if "bitbucket_auth_" in name and morsel.value]


@contextmanager
def listening(signal: Signal, receiver: Callable[..., Any]) -> Iterator[None]:
    """Connect a receiver for a block."""
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)


def nothing_was_written() -> bool:
    """Whether there is no user, no account and no token."""
    return not (User.objects.exists() or BitbucketAccount.objects.exists() or BitbucketToken.objects.exists())
