"""Bitbucket's own addresses, where a simulator answers: the packages know no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import responses
from django.test import Client
from importing.settings import GIT
from requests import PreparedRequest

from django_bitbucket_auth.testing import BitbucketSimulator, SimulatorRequest

CLOUD = r"https://(api\.)?bitbucket\.org/.*"
DATA_CENTER = re.escape(GIT) + "/.*"


@contextmanager
def answering(simulator: BitbucketSimulator) -> Iterator[None]:
    """Let it answer at the addresses of its kind, and nobody else."""

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        found = _asked(simulator, str(request.method), str(request.url), dict(request.headers), request.body or b"")
        return found.status, dict(found.headers), found.body

    place = re.compile(DATA_CENTER if simulator.is_data_center else CLOUD)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as internet:
        for method in ("GET", "POST"):
            internet.add_callback(method, place, answer)
        yield


def consent(simulator: BitbucketSimulator, url: str, person: str) -> dict[str, str]:
    """What Bitbucket sends back when ``person``, who was sent to ``url``, consents, and where."""
    parameters = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    form = urlencode({**parameters, "person": simulator.person(person).key})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    location = _asked(simulator, "POST", url, headers, form).headers["Location"]
    back, _, query = location.partition("?")
    assert back == parameters["redirect_uri"]
    return {"path": urlsplit(back).path, **{name: values[0] for name, values in parse_qs(query).items()}}


def come_back(client: Client, answer: dict[str, str]) -> Any:
    """The browser, sent back by Bitbucket."""
    query = dict(answer)
    return client.get(query.pop("path"), query, secure=True, headers={"Sec-Fetch-Site": "cross-site"})


def _asked(simulator: BitbucketSimulator, method: str, url: str, headers: dict[str, str], body: str | bytes) -> Any:
    parts = urlsplit(url)
    lower = {name.lower(): value for name, value in headers.items()}
    data = body.encode() if isinstance(body, str) else body
    request = SimulatorRequest(method, parts.path, parts.query, {**lower, "host": "localhost"}, data)
    return simulator.handle(request)
