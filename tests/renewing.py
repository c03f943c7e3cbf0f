"""A process of its own that calls the API with a stored token: ``python renewing.py '<arguments in JSON>'``.

It says "ready", waits for a line, lets its threads call at once, and says what came of each. Two kinds of provider hang
for ever before a renewal is sent or after it is answered, so that the process can be killed there.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import coverage
import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connections, transaction  # noqa: E402

from django_bitbucket_auth.api import get_session  # noqa: E402
from django_bitbucket_auth.bitbucket import CloudProvider  # noqa: E402
from django_bitbucket_auth.models import BitbucketAccount  # noqa: E402
from django_bitbucket_auth.oauth.grants import Grant  # noqa: E402
from django_bitbucket_auth.oauth.token import Token  # noqa: E402


class HangsBefore(CloudProvider):
    """Dies before it sends."""

    def fetch_token(self, grant: Grant) -> Token:
        hang()


class HangsAfter(CloudProvider):
    """Dies after the answer, before it is saved."""

    def fetch_token(self, grant: Grant) -> Token:
        super().fetch_token(grant)
        hang()


def say(text: str) -> bool:
    """A line for the test that listens."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    return True


def hang() -> NoReturn:
    """Say so, and wait to be killed."""
    while True:
        time.sleep(600 if handed_in() and say("hanging") else 0)


def handed_in() -> bool:
    """Save what is measured of this process's coverage, in one line: once it is killed, it can't."""
    return list(map(coverage.Coverage.save, filter(None, [coverage.Coverage.current()]))) is not None


def call(account: BitbucketAccount, barrier: threading.Barrier, in_transaction: bool) -> str:
    """Who Bitbucket says that the token is."""
    barrier.wait()
    try:
        if not in_transaction:
            return str(get_session(account).json("user")["username"])
        with transaction.atomic():
            found = str(get_session(account).json("user")["username"])
            transaction.set_rollback(True)
            return found
    finally:
        connections.close_all()


def main(arguments: dict[str, Any]) -> None:
    """Do what the arguments say."""
    settings.BITBUCKET_AUTH = {"default": arguments["provider"]}
    threads, in_transaction = arguments["threads"], arguments["in_transaction"]
    account = BitbucketAccount.objects.get()
    barrier = threading.Barrier(threads, timeout=60)
    say("ready")
    sys.stdin.readline()
    with ThreadPoolExecutor(threads) as pool:
        calls = [pool.submit(call, account, barrier, in_transaction) for _ in range(threads)]
        say(json.dumps([str(made.exception() or made.result()) for made in calls]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
