"""A call of the API: what a session adds to a bare ``requests.Session``, in CPU, statements and requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import requests
from django.contrib.auth.models import User

from django_bitbucket_auth.api import BitbucketSession, get_session

from . import stock
from .measuring import Row, Setting, must, race, statements


def run(setting: Setting) -> Iterator[Row]:
    """The session's token is fresh; both ask for the same page of the same server."""
    answer = setting.bitbucket.issue()
    user = stock.one(answer)
    yield from _counts(setting, user)
    rounds, url = 15 if setting.small else 100, setting.bitbucket.address()[0] + "/2.0/user"
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    with get_session(user) as ours, requests.Session() as bare, requests.Session() as barest:
        # Without the looks at the environment's proxies and at ~/.netrc, which requests has by default.
        barest.trust_env = False
        for name, floor, target in ("", bare, "≤ 1.15"), (" without trust_env", barest, ""):
            ratio, mine, other = race(
                _cost(partial(ours.get, "user")),
                _cost(partial(floor.get, url, headers=headers)),
                rounds=rounds,
                calls=20,
            )
            yield Row(
                f"CPU of an API call, over a bare requests.Session{name}",
                f"{ratio:.2f} ({mine * 1e6:.0f} : {other * 1e6:.0f} µs)",
                target,
            )


def _counts(setting: Setting, user: User) -> Iterator[Row]:
    def call() -> None:
        sessions.append(sessions[0] if sessions else get_session(user))
        sessions[0].get("user").raise_for_status()

    sessions: list[BitbucketSession] = []
    before, tokens = (setting.bitbucket.requests_to(endpoint) for endpoint in ("user", "token"))
    first, later = statements(call), statements(call)
    must("statements of the first API call and of a later one", (first, later), (1, 0))
    must("requests of two API calls", setting.bitbucket.requests_to("user") - before, 2)
    must("renewals of a fresh token", setting.bitbucket.requests_to("token"), tokens)
    yield Row("SQL of the first API call, and of a later one", f"{first}, {later}", "≤ 1, 0")


def _cost(call: Callable[[], requests.Response]) -> Callable[[], float]:
    def timed() -> float:
        start = time.thread_time()
        response = call()
        cost = time.thread_time() - start
        must("status", response.status_code, 200)
        return cost

    return timed
