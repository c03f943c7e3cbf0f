"""The database's store inside callers' transactions, and in the way of others: real connections, real commits."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from logins import sign_in
from stores.keeping import KEY, RECORD, another_process, at_once, elsewhere, heard, held_by, let_go, loaded, newer
from stores.rows import HAS_ROW_LOCKS, renew, somebody, statements, the_row, undone

from django_bitbucket_auth.exceptions import BitbucketUnavailable
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import DatabaseTokenStore
from django_bitbucket_auth.stores.base import LEASE
from django_bitbucket_auth.stores.database import AccountTokenStore
from django_bitbucket_auth.stores.statements import LOCK_WAIT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kept(database_store: DatabaseTokenStore) -> DatabaseTokenStore:
    database_store.save(KEY, RECORD)
    return database_store


# -- a caller's transaction --------------------------------------------------------------------------------------------


def test_a_new_pair_survives_a_caller_that_rolls_back(kept: DatabaseTokenStore) -> None:
    with undone():
        User.objects.create_user("jane")
        assert renew(kept)
        assert loaded(kept) == newer(RECORD)
    # SQLite has one writer, the caller: there Bitbucket takes the old pair for some minutes yet.
    assert loaded(kept) == (newer(RECORD) if HAS_ROW_LOCKS else RECORD)
    assert (the_row().version, the_row().lease) == (2 if HAS_ROW_LOCKS else 1, "")
    assert not User.objects.exists()
    assert renew(kept)


def test_an_accounts_new_pair_survives_too() -> None:
    store = AccountTokenStore(sign_in().bitbucket_accounts.get())
    key = BitbucketToken.key_of(store.account.pk, "default")
    with undone():
        assert renew(store, key)
    assert the_row(key).version == (2 if HAS_ROW_LOCKS else 1)


def test_a_caller_that_commits_has_the_new_pair_as_well(kept: DatabaseTokenStore) -> None:
    with transaction.atomic():
        User.objects.create_user("jane")
        assert renew(kept)
    assert (loaded(kept), User.objects.count()) == (newer(RECORD), 1)


def test_a_mark_survives_a_caller_that_rolls_back(kept: DatabaseTokenStore) -> None:
    now = datetime.now(UTC)
    with undone(), kept.lock(KEY) as held:
        assert held is not None
        assert held.save(KEY, replace(RECORD, version=1, refused_at=now))
    assert the_row().refused_at == (now if HAS_ROW_LOCKS else None)


def test_others_see_the_lease_while_the_callers_transaction_lasts(kept: DatabaseTokenStore) -> None:
    if HAS_ROW_LOCKS:  # needs: row-locks
        with transaction.atomic():
            with kept.lock(KEY) as held:
                assert held is not None
                assert not elsewhere(lambda: held_by(kept))
                assert held.save(KEY, replace(newer(RECORD), version=1))
            assert elsewhere(lambda: loaded(kept)) == newer(RECORD)
            assert elsewhere(lambda: held_by(kept))
    assert held_by(kept)


@pytest.mark.parametrize("rolls_back", [False, True])
def test_a_row_that_this_very_transaction_inserted_is_renewed_in_it(
    database_store: DatabaseTokenStore, rolls_back: bool
) -> None:
    with undone() if rolls_back else transaction.atomic():
        database_store.save(KEY, RECORD)
        assert renew(database_store)
        assert loaded(database_store) == newer(RECORD)
        with database_store.lock(KEY):
            assert not held_by(database_store)
    assert BitbucketToken.objects.filter(version=2).exists() is not rolls_back


def test_a_row_that_is_not_there_yet_is_inserted_in_the_callers_transaction(database_store: DatabaseTokenStore) -> None:
    """Every test of a project is a transaction, and must leave nothing."""
    with undone(), database_store.lock(KEY) as held:
        assert held is not None and held.save(KEY, RECORD)
        assert loaded(database_store) == RECORD
    assert database_store.load(KEY) is None


def test_a_site_that_manages_transactions_itself_has_the_new_pair_committed(
    kept: DatabaseTokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setitem(connection.settings_dict, "AUTOCOMMIT", False)
    connection.close()
    try:
        with kept.lock(KEY) as held:
            assert held is not None
            assert held.save(KEY, replace(newer(RECORD), version=1))
            held.after_commit(lambda: told.append("told"))
        connection.rollback()
    finally:
        connection.close()
        monkeypatch.undo()
    assert (the_row().version, told) == (2, ["told"])


def test_what_is_told_is_told_when_it_is_committed(kept: DatabaseTokenStore) -> None:
    told: list[str] = []
    with kept.lock(KEY) as held:
        assert held is not None
        held.after_commit(lambda: told.append("in autocommit"))
    assert told == ["in autocommit"]
    with undone(), kept.lock(KEY) as held:
        assert held is not None
        held.after_commit(lambda: told.append("in a transaction"))
    # On a connection of its own it is committed by then.
    assert told[1:] == (["in a transaction"] if HAS_ROW_LOCKS else [])
    with transaction.atomic():
        kept.save("second", RECORD)
        with kept.lock("second") as held:
            assert held is not None
            held.after_commit(lambda: told.append("inserted here"))
        assert "inserted here" not in told
    assert told[-1] == "inserted here"


def own_connections() -> int:
    """How many threads of the store's hold one."""
    return len([thread for thread in threading.enumerate() if thread.name.startswith("bitbucket-auth")])


def test_a_second_connection_is_held_only_where_it_is_of_use(kept: DatabaseTokenStore) -> None:
    with kept.lock(KEY):
        assert own_connections() == 0
    with transaction.atomic():
        kept.save("inserted here", RECORD)
        before = waits()
        for key in ("inserted here", "absent"):
            with kept.lock(key) as held:
                assert held is not None
                assert own_connections() == 0
        assert waits() == before  # the caller's transaction waits as long as it did
        with kept.lock(KEY):
            assert own_connections() == HAS_ROW_LOCKS
    assert own_connections() == 0


def test_no_thread_and_no_connection_is_left(kept: DatabaseTokenStore) -> None:
    before = threading.active_count()
    with transaction.atomic():
        for _ in range(3):
            held_by(kept)
        kept.delete("nobody's")
        held_by(kept, "absent")
    assert threading.active_count() == before


def test_in_autocommit_each_step_is_one_statement(kept: DatabaseTokenStore) -> None:
    with statements() as seen:
        assert renew(kept)
    # The servers are told, step by step, not to wait for long; MariaDB also to wait as before, in the end.
    assert [verb for verb in seen if verb != "SET"] == ["UPDATE", "SELECT", "UPDATE"]
    assert seen.count("SET") == {"postgresql": 3, "mysql": 6, "sqlite": 0}[connection.vendor]


# -- rows that are locked ----------------------------------------------------------------------------------------------


def test_a_caller_that_has_locked_the_row_itself_is_told_within_seconds(kept: DatabaseTokenStore) -> None:
    begin = time.monotonic()
    with transaction.atomic():
        BitbucketToken.objects.filter(key=KEY).update(grant="theirs")
        if HAS_ROW_LOCKS:  # needs: row-locks
            with pytest.raises(BitbucketUnavailable, match="the database refused to lease"):
                renew(kept)
        else:  # needs: sqlite
            assert renew(kept)
        User.objects.create_user("jane")
    # For a row that is locked one try has to do: this is no test of how fast, but that it isn't for ever.
    assert time.monotonic() - begin < 10 * LOCK_WAIT
    assert (the_row().grant, User.objects.count(), the_row().lease) == ("theirs", 1, "")


def test_a_row_that_somebody_else_has_locked_is_not_waited_for_from_within_a_transaction(
    kept: DatabaseTokenStore,
) -> None:
    if HAS_ROW_LOCKS:  # needs: row-locks
        with somebody(lambda: BitbucketToken.objects.select_for_update().get()), transaction.atomic():
            with pytest.raises(BitbucketUnavailable):
                renew(kept)
            assert User.objects.count() == 0
    assert renew(kept)


WAITS = {
    "postgresql": "SELECT setting FROM pg_settings WHERE name = 'lock_timeout'",
    "mysql": "SELECT @@SESSION.innodb_lock_wait_timeout, @@SESSION.lock_wait_timeout",
    "sqlite": "SELECT 1",
}


def waits() -> Any:
    """How long this connection waits for locks."""
    with connection.cursor() as cursor:
        cursor.execute(WAITS[connection.vendor])
        return cursor.fetchone()


def test_a_row_that_somebody_else_has_locked_is_not_waited_for_in_autocommit(kept: DatabaseTokenStore) -> None:
    before = waits()
    if HAS_ROW_LOCKS:  # needs: row-locks
        begin = time.monotonic()
        with somebody(lambda: BitbucketToken.objects.select_for_update().get()), pytest.raises(BitbucketUnavailable):
            renew(kept)
        assert time.monotonic() - begin < 30  # MariaDB's own patience is 50 seconds
    assert renew(kept)
    assert waits() == before  # the caller's are as they were


def test_who_waits_in_a_transaction_opens_no_connection_at_each_look(kept: DatabaseTokenStore) -> None:
    BitbucketToken.objects.update(lease="another", lease_until=datetime.now(UTC) + timedelta(seconds=LEASE))
    opened: list[Any] = []
    count = lambda **kwargs: opened.append(kwargs["connection"])  # noqa: E731 - SQLite opens none
    connection_created.connect(count)
    try:
        with transaction.atomic():
            assert not any(held_by(kept) for _ in range(5))
            assert not opened
            BitbucketToken.objects.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
        with transaction.atomic():
            assert held_by(kept)
        assert len(opened) == HAS_ROW_LOCKS
    finally:
        connection_created.disconnect(count)


def test_a_table_that_the_caller_has_locked_is_not_waited_for(kept: DatabaseTokenStore) -> None:
    """As a migration does that changes it, and then calls the API."""
    if connection.vendor == "postgresql":  # needs: postgresql
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE bitbucket_auth_bitbuckettoken IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(BitbucketUnavailable):
                renew(kept)
    assert renew(kept)


def test_a_database_that_somebody_else_writes_to_is_unavailable_and_then_is_not(kept: DatabaseTokenStore) -> None:
    if connection.vendor == "sqlite":  # needs: sqlite
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {LOCK_WAIT * 1000 + 100}")
        try:
            with (
                somebody(lambda: User.objects.create_user("jane")),
                pytest.raises(BitbucketUnavailable, match="locked"),
            ):
                renew(kept)
        finally:
            connection.close()
    assert renew(kept)


def test_of_two_who_insert_the_same_row_one_is_dropped(database_store: DatabaseTokenStore) -> None:
    if HAS_ROW_LOCKS:  # needs: row-locks
        begin = threading.Barrier(4, timeout=30)

        def insert(number: int) -> bool:
            begin.wait()
            return elsewhere(lambda: database_store.save(KEY, newer(RECORD, str(number))))

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(insert, range(4)))
        assert sorted(results) == [False, False, False, True]
        assert loaded(database_store) == newer(RECORD, str(results.index(True)))
    else:  # needs: sqlite
        assert [database_store.save(KEY, RECORD) for _ in range(2)] == [True, False]


# -- many at once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_there", [True, False])
def test_of_many_threads_one_gets_the_lock(database_store: DatabaseTokenStore, is_there: bool) -> None:
    if is_there:
        database_store.save(KEY, RECORD)
    assert sorted(at_once(8, database_store)) == [False] * 7 + [True]
    assert [row.lease for row in BitbucketToken.objects.all()] == [""] * is_there


def test_of_two_processes_one_gets_the_lock(kept: DatabaseTokenStore) -> None:
    with another_process("database") as process:
        assert heard(process) == "held"
        assert not held_by(kept)
        with another_process("database") as second:
            assert heard(second) == "taken"
            let_go(second)
        let_go(process)
    assert held_by(kept)


def test_the_lock_of_a_process_that_was_killed_lapses(kept: DatabaseTokenStore) -> None:
    with another_process("database") as process:
        assert heard(process) == "held"
        process.kill()
        process.wait(60)
    assert not held_by(kept)
    lease_until = the_row().lease_until
    assert lease_until is not None
    assert lease_until - datetime.now(UTC) < timedelta(seconds=30)
    BitbucketToken.objects.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    assert held_by(kept)


def test_a_process_that_lives_on_after_its_lease_lapsed_drops_its_answer(kept: DatabaseTokenStore) -> None:
    with kept.lock(KEY) as held:
        assert held is not None
        record: Any = held.load(KEY)
        BitbucketToken.objects.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
        assert elsewhere(lambda: renew(kept))
        assert held.save(KEY, newer(record, "late")) is False
    assert loaded(kept) == newer(RECORD)
