"""What the database's store makes of a database that fails: locked, cut off, read-only, out of reach."""

from __future__ import annotations

import threading
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError, connection, transaction
from logins import statements_fail
from stores.keeping import KEY, RECORD, elsewhere, held_by, loaded, newer
from stores.rows import HAS_ROW_LOCKS, renew, the_row

from django_bitbucket_auth.exceptions import BitbucketUnavailable
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import DatabaseTokenStore

pytestmark = pytest.mark.django_db

LEASE, PAIR = 'UPDATE "bitbucket_auth_bitbuckettoken" SET "lease"', '"sealed" = '
FAULTS = [OperationalError("locked\nHINT: secret"), InterfaceError("closed"), InternalError("read-only")]


#: In a test's transaction the statements go over the caller's connection, since it is the one that inserted the row.
in_autocommit = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kept(database_store: DatabaseTokenStore) -> DatabaseTokenStore:
    database_store.save(KEY, RECORD)
    return database_store


@pytest.mark.parametrize("error", FAULTS, ids=["operational", "interface", "internal"])
@pytest.mark.parametrize("part", [LEASE, PAIR], ids=["lease", "pair"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_passing_fault_is_tried_again(kept: DatabaseTokenStore, error: Exception, part: str, times: int) -> None:
    with statements_fail(part, error, times):
        assert renew(kept)
    assert (the_row().version, the_row().lease) == (2, "")


@pytest.mark.parametrize("error", FAULTS, ids=["operational", "interface", "internal"])
def test_a_lease_that_can_not_be_written_is_unavailable_and_the_callers_transaction_is_usable(
    kept: DatabaseTokenStore, error: Exception
) -> None:
    with statements_fail(LEASE, error, 3), pytest.raises(BitbucketUnavailable) as caught, ExitStack() as stack:
        stack.enter_context(kept.lock(KEY))
    assert str(caught.value) == f"the database refused to lease or keep a token ({str(error).splitlines()[0]})"
    User.objects.create_user("jane")
    assert (User.objects.count(), the_row().lease) == (1, "")
    assert renew(kept)


def test_a_pair_that_can_not_be_kept_is_unavailable_and_logged_without_it(
    kept: DatabaseTokenStore, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        statements_fail(PAIR, OperationalError("disk full"), 3),
        pytest.raises(BitbucketUnavailable, match="disk full"),
    ):
        renew(kept)
    [record] = [record for record in caplog.records if record.name == "django_bitbucket_auth"]
    assert f"the token {KEY} is lost" in record.getMessage() and "newer" not in caplog.text
    User.objects.create_user("jane")
    assert (the_row().version, the_row().lease) == (1, "")


def test_a_lease_that_can_not_be_ended_lapses(kept: DatabaseTokenStore) -> None:
    with ExitStack() as stack, kept.lock(KEY):
        stack.enter_context(statements_fail(LEASE, OperationalError("locked"), 3))
    assert the_row().lease != ""
    assert not held_by(kept)
    BitbucketToken.objects.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    assert held_by(kept)


@in_autocommit
def test_faults_in_autocommit_are_no_others(kept: DatabaseTokenStore) -> None:
    for part, error in ((LEASE, FAULTS[0]), (PAIR, FAULTS[1])):
        with statements_fail(part, error, 2):
            assert renew(kept)
        with statements_fail(part, error, 3), pytest.raises(BitbucketUnavailable):
            renew(kept)
    assert (the_row().version, the_row().lease) == (3, "")


@in_autocommit
def test_a_look_for_a_lease_that_fails_is_unavailable_and_the_callers_transaction_is_usable(
    kept: DatabaseTokenStore,
) -> None:
    if HAS_ROW_LOCKS:  # needs: row-locks
        with transaction.atomic():
            with statements_fail('"lease_until" >= ', OperationalError("locked"), 3):
                with pytest.raises(BitbucketUnavailable):
                    held_by(kept)
                assert held_by(kept)
            User.objects.create_user("jane")
    assert held_by(kept)


def test_a_bug_is_no_fault(kept: DatabaseTokenStore) -> None:
    with statements_fail(LEASE, ProgrammingError("no such column")), pytest.raises(ProgrammingError):
        renew(kept)


def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "NAME", "/nonexistent/database")


@in_autocommit
def test_a_database_that_is_out_of_reach_is_unavailable(
    kept: DatabaseTokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    unreachable(monkeypatch)
    with pytest.raises(BitbucketUnavailable):
        held_by(kept)
    monkeypatch.undo()
    assert held_by(kept)


@in_autocommit
def test_a_second_connection_that_is_refused_is_unavailable_and_the_callers_transaction_is_usable(
    kept: DatabaseTokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if HAS_ROW_LOCKS:  # needs: row-locks
        before = threading.active_count()
        with transaction.atomic():
            unreachable(monkeypatch)
            with pytest.raises(BitbucketUnavailable):
                held_by(kept)
            User.objects.create_user("jane")
            monkeypatch.undo()
        assert (User.objects.count(), threading.active_count()) == (1, before)
    assert held_by(kept)


def cut_off(*, all_but_mine: bool) -> None:  # needs: row-locks
    """The server hangs up on the connections to this test's database: on mine, or on all but mine."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # needs: postgresql
            cursor.execute(
                "SELECT pid, pid = pg_backend_pid() FROM pg_stat_activity WHERE datname = current_database()"
            )
            kill = "SELECT pg_terminate_backend(%s)"
        else:  # needs: mysql
            cursor.execute("SELECT id, id = connection_id() FROM information_schema.processlist WHERE db = database()")
            kill = "KILL %s"
        victims = [number for number, is_mine in cursor.fetchall() if bool(is_mine) is not all_but_mine]

    def end() -> None:
        with connection.cursor() as cursor:
            for number in victims:
                cursor.execute(kill, [number])

    elsewhere(end)


@in_autocommit
@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_connection_that_breaks_while_bitbucket_is_waited_for_costs_no_pair(
    kept: DatabaseTokenStore, in_transaction: bool
) -> None:
    if HAS_ROW_LOCKS:  # needs: row-locks
        with transaction.atomic() if in_transaction else nullcontext(), kept.lock(KEY) as held:
            assert held is not None
            cut_off(all_but_mine=in_transaction)
            assert held.save(KEY, replace(newer(RECORD), version=1))
        assert loaded(kept) == newer(RECORD)
    assert held_by(kept)
