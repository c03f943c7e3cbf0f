"""Many processes with one token: one renewal, whatever becomes of any of them. Real processes, a real database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection
from stored import renewals, soon, stored

from django_bitbucket_auth import flight
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator

pytestmark = pytest.mark.django_db(transaction=True)

TESTS = Path(__file__).parent
PROCESSES, THREADS = 4, 8
ENOUGH = 90


def database_url() -> str:
    """The database of this test, for another process."""
    urls = {
        "sqlite": "sqlite:///{NAME}",
        "postgresql": "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}",
        "mysql": "mysql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}",
    }
    return urls[connection.vendor].format(**connection.settings_dict)


@contextmanager
def worker(
    bitbucket: BitbucketSimulator, *, threads: int = THREADS, kind: str = "cloud", in_transaction: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """A process that is ready to call; it ends with the block."""
    provider = {
        "KIND": kind,
        "BASE_URL": bitbucket.url,
        "API_URL": bitbucket.url,
        "CLIENT_ID": bitbucket.client_id,
        "CLIENT_SECRET": bitbucket.client_secret,
    }
    arguments = {"provider": provider, "threads": threads, "in_transaction": in_transaction}
    with subprocess.Popen(
        [sys.executable, str(TESTS / "renewing.py"), json.dumps(arguments)],
        cwd=TESTS,
        env={**os.environ, "DATABASE_URL": database_url()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert heard(process) == "ready"
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that a worker says."""
    assert process.stdout
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    """Let a worker's threads call."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def results(process: subprocess.Popen[str]) -> list[str]:
    """What came of a worker's calls."""
    found: list[str] = json.loads(heard(process))
    assert process.wait(ENOUGH) == 0
    return found


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Has a figure printed at the end of the run."""
    return lambda text: record_property("figure", f"{connection.vendor}: {text}")


def check_all_succeed(
    bitbucket: BitbucketSimulator, figure: Callable[[str], None], what: str, *, in_transaction: bool
) -> None:
    row = stored(bitbucket, ended=True)
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(bitbucket, in_transaction=in_transaction)) for _ in range(PROCESSES)]
        start = time.monotonic()
        for process in workers:
            go(process)
        found = [result for process in workers for result in results(process)]
        seconds = time.monotonic() - start
    assert found == ["jdoe"] * PROCESSES * THREADS
    assert renewals(bitbucket) == 1
    row.refresh_from_db()
    assert row.version == 2 and row.lease == ""
    token = row.reveal()
    assert token is not None and list(bitbucket.vault.refresh)[-1] == token.refresh_token
    figure(
        f"{PROCESSES * THREADS} callers ({PROCESSES} processes) {what}, one expired token: {renewals(bitbucket)} "
        f"renewal, {found.count('jdoe')} calls succeeded, the newest pair is stored, {seconds:.1f} s"
    )


def test_of_many_callers_with_an_expired_token_one_renews_it(
    bitbucket: BitbucketSimulator, figure: Callable[[str], None]
) -> None:
    check_all_succeed(bitbucket, figure, "in autocommit", in_transaction=False)


# SQLite has one writer: there a caller's transaction holds all others back.
if connection.vendor != "sqlite":  # needs: row-locks

    def test_of_many_callers_whose_transactions_are_undone_one_renews_it_and_the_pair_stays(
        bitbucket: BitbucketSimulator, figure: Callable[[str], None]
    ) -> None:
        check_all_succeed(bitbucket, figure, "in transactions that are rolled back", in_transaction=True)


def test_a_caller_whose_transaction_is_undone_has_its_answer_and_the_next_one_a_token(
    bitbucket: BitbucketSimulator,
) -> None:
    row = stored(bitbucket, ended=True)
    with worker(bitbucket, threads=1, in_transaction=True) as process:
        go(process)
        assert results(process) == ["jdoe"]
    row.refresh_from_db()
    # SQLite's one writer was the caller: its pair is gone, and Bitbucket takes the old one for some minutes yet.
    assert row.version == (1 if connection.vendor == "sqlite" else 2)
    with worker(bitbucket, threads=1) as process:
        go(process)
        assert results(process) == ["jdoe"]
    row.refresh_from_db()
    assert row.version == 2


@pytest.mark.parametrize("death", ["before it sends", "before it saves"])
def test_a_worker_that_is_killed_delays_the_others_by_its_lease_and_the_token_survives(
    bitbucket: BitbucketSimulator, figure: Callable[[str], None], death: str
) -> None:
    row = stored(bitbucket, ended=True)
    kind = {"before it sends": "renewing.HangsBefore", "before it saves": "renewing.HangsAfter"}[death]
    with worker(bitbucket, threads=1, kind=kind) as victim, worker(bitbucket) as survivors:
        go(victim)
        assert heard(victim) == "hanging"
        victim.send_signal(signal.SIGKILL)
        assert victim.wait(ENOUGH) == -signal.SIGKILL
        row.refresh_from_db()
        assert row.lease and row.lease_until is not None
        delay = (row.lease_until - datetime.now(UTC)).total_seconds()
        assert 0 < delay < 30
        go(survivors)
        time.sleep(0.5)
        assert renewals(bitbucket) == (1 if death == "before it saves" else 0)  # they wait
        # The rest of the wait is left out: the lease lapses now.
        BitbucketToken.objects.update(lease_until=soon(-1))
        assert results(survivors) == ["jdoe"] * THREADS
    # Bitbucket takes the old refresh token for some minutes after it was used.
    assert renewals(bitbucket) == (2 if death == "before it saves" else 1)
    row.refresh_from_db()
    assert (row.version, row.lease, row.refused_at) == (2, "", None)
    figure(f"a worker killed {death} delays the others by {delay:.0f} s at most, and the token survives")


def test_the_patience_of_the_others_outlasts_a_dead_workers_lease() -> None:
    from django_bitbucket_auth.stores.base import LEASE

    assert LEASE + flight.DEADLINE <= flight.PATIENCE
