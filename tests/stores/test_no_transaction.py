"""While Bitbucket is waited for, no transaction is open and no row is locked: seen from another connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from stored import renewals, stored
from stores.keeping import elsewhere
from stores.rows import HAS_ROW_LOCKS, HeldBack, undone

from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import DatabaseTokenStore
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider
from django_bitbucket_auth.tokens import get_access_token

pytestmark = pytest.mark.django_db(transaction=True)


#: A connection and whether it has done more than read: of all to this database that are in a transaction.
TRANSACTIONS = {
    "postgresql": (
        "SELECT pid, backend_xid IS NOT NULL FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    ),
    "mysql": (
        "SELECT trx_mysql_thread_id, trx_rows_locked + trx_rows_modified > 0 "
        "FROM information_schema.innodb_trx JOIN information_schema.processlist ON id = trx_mysql_thread_id "
        "WHERE db = database() AND id <> connection_id()"
    ),
}


def look() -> str:  # needs: row-locks
    """What is to be seen from another connection."""
    # MariaDB's table of transactions can be a tenth of a second old. Nothing goes on here meanwhile.
    time.sleep(0.3)
    with connection.cursor() as cursor:
        cursor.execute(TRANSACTIONS[connection.vendor])
        seen = [(int(number), bool(wrote)) for number, wrote in cursor.fetchall()]
    try:
        with transaction.atomic():
            leases = list(BitbucketToken.objects.select_for_update(nowait=True).values_list("lease", flat=True))
    except OperationalError:
        return f"transactions {seen}, the row is locked"
    return f"transactions {seen}, leases {[bool(lease) for lease in leases]}"


def my_connection() -> int:  # needs: row-locks
    """As the server calls it. PostgreSQL's transactions begin with their first statement, here at the latest."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()" if connection.vendor == "postgresql" else "SELECT connection_id()")
        return int(cursor.fetchone()[0])


def watched(monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]) -> list[str]:  # needs: row-locks
    """What is seen at each request that a call sends to Bitbucket."""
    found: list[str] = []
    monkeypatch.setattr(HeldBack, "looks", [lambda: found.append(elsewhere(look))])
    with override_provider("default", KIND="stores.rows.HeldBack"):
        call()
    return found


def call_as_jane(row: BitbucketToken) -> None:
    assert row.account is not None
    assert get_session(row.account).json("user")["username"] == "jdoe"


if HAS_ROW_LOCKS:  # needs: row-locks

    def test_in_autocommit_there_is_none(bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
        row = stored(bitbucket, ended=True)
        assert watched(monkeypatch, lambda: call_as_jane(row)) == ["transactions [], leases [True]"]
        assert renewals(bitbucket) == 1

    @pytest.mark.parametrize("writes", [False, True])
    def test_in_a_callers_transaction_there_is_that_one_and_it_has_not_locked_the_row(
        bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, writes: bool
    ) -> None:
        row = stored(bitbucket, ended=True)
        with undone():
            if writes:
                User.objects.create_user("somebody")
            mine = my_connection()
            seen = watched(monkeypatch, lambda: call_as_jane(row))
        assert seen == [f"transactions [({mine}, {writes})], leases [True]"]
        row.refresh_from_db()
        assert (row.version, row.lease, User.objects.count()) == (2, "", 1)

    def test_for_a_token_that_is_not_there_yet_there_is_none(
        bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = watched(monkeypatch, lambda: get_access_token(store=DatabaseTokenStore()))
        assert seen == ["transactions [], leases []"]
        assert BitbucketToken.objects.count() == 1

    @pytest.mark.parametrize("locks", [False, True])
    def test_what_is_looked_at_would_show_a_transaction_and_a_lock(bitbucket: BitbucketSimulator, locks: bool) -> None:
        stored(bitbucket)
        rows = BitbucketToken.objects.select_for_update() if locks else BitbucketToken.objects.all()
        with transaction.atomic():
            assert rows.get().lease == ""
            ending = "the row is locked" if locks else "leases [False]"
            assert elsewhere(look) == f"transactions [({my_connection()}, {locks})], {ending}"


def test_who_calls_the_api_waits_for_bitbucket_outside_of_any_transaction_of_this_app(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every database, as Django sees it."""
    row = stored(bitbucket, ended=True)
    inside: list[bool] = []
    monkeypatch.setattr(HeldBack, "looks", [lambda: inside.append(connection.in_atomic_block)])
    contexts: list[AbstractContextManager[Any]] = [nullcontext(), transaction.atomic()]
    with override_provider("default", KIND="stores.rows.HeldBack"):
        for context in contexts:
            bitbucket.expire_access_tokens()
            BitbucketToken.objects.update(expires_at=row.expires_at)
            with context:
                call_as_jane(row)
    assert inside == [False, True]
