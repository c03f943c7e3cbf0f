"""The single flight: many threads at once ask with one expired token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.contrib.auth.models import User
from django.db import connections

from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.models import BitbucketToken

from . import stock
from .measuring import Row, Setting, must

THREADS = 32
#: Seconds that Bitbucket takes for a token: long enough for all to come while it is fetched.
SLOWLY = 0.2


def run(setting: Setting) -> Iterator[Row]:
    """All of them get the page that they ask for, and one request for a token goes out."""
    bitbucket = setting.bitbucket
    user = stock.one(bitbucket.issue(), ended=True)
    before = bitbucket.requests_to("token")
    bitbucket.slow("token", SLOWLY)
    meeting = Barrier(THREADS + 1, timeout=60)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            calls = [pool.submit(_call, user, meeting) for _ in range(THREADS)]
            meeting.wait()
            start = time.monotonic()
            must("who were answered", {call.result() for call in calls}, {"Jane Doe"})
            seconds = time.monotonic() - start
    finally:
        bitbucket.slow("token", 0)
    requests = bitbucket.requests_to("token") - before
    must("requests for a token", requests, 1)
    must("pairs that were stored", list(BitbucketToken.objects.values_list("version", flat=True)), [2])
    yield Row(f"requests for a token, for {THREADS} threads with an expired one", str(requests), "1")
    yield Row(f"wall time of that, with a Bitbucket that takes {SLOWLY} s", f"{seconds:.2f} s")


def _call(user: User, meeting: Barrier) -> str:
    try:
        session = get_session(user)
        meeting.wait()
        return str(session.json("user")["display_name"])
    finally:
        connections.close_all()
