"""The database as a store: what it keeps, which of two pairs is the newer one, and in how many statements."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.test import override_settings
from django.utils import timezone
from stores.keeping import KEY, PLAIN, RECORD, loaded, newer
from stores.rows import HAS_ROW_LOCKS, columns, statements, the_row

from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import DatabaseTokenStore, Record, database
from django_bitbucket_auth.stores.base import LEASE
from django_bitbucket_auth.stores.database import replace_pair

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def let_pass() -> None:
    """Time goes on: a row that is written now shows it."""
    BitbucketToken.objects.update(updated_at=NOW - timedelta(days=400), created_at=NOW - timedelta(days=400))


# -- what it keeps -----------------------------------------------------------------------------------------------------


def test_a_record_is_kept_until_it_is_deleted(database_store: DatabaseTokenStore) -> None:
    assert database_store.load(KEY) is None
    assert database_store.save(KEY, RECORD)
    assert database_store.load(KEY) == RECORD
    assert the_row().account is None
    assert database_store.load("another key") is None
    database_store.delete("another key")
    database_store.delete(KEY)
    database_store.delete(KEY)
    assert database_store.load(KEY) is None


@pytest.mark.parametrize(
    "record",
    [PLAIN, replace(RECORD, scopes=()), replace(RECORD, token=replace(RECORD.token, scopes=(), expires_at=None))],
)
def test_every_record_comes_back_as_it_was(database_store: DatabaseTokenStore, record: Record) -> None:
    database_store.save(KEY, record)
    assert database_store.load(KEY) == record


def test_a_record_that_comes_from_another_store_keeps_its_marks(database_store: DatabaseTokenStore) -> None:
    lost = replace(RECORD, refused_at=NOW, lost_at=NOW + timedelta(minutes=1))
    database_store.save(KEY, lost)
    assert database_store.load(KEY) == lost


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_a_site_without_time_zones_keeps_the_same_moments(database_store: DatabaseTokenStore, zone: str) -> None:
    with override_settings(USE_TZ=False, TIME_ZONE=zone):
        database_store.save(KEY, replace(RECORD, refused_at=NOW))
        assert database_store.load(KEY) == replace(RECORD, refused_at=NOW)
        row = the_row()
        assert row.refused_at is not None and timezone.is_naive(row.refused_at)
        with database_store.lock(KEY) as held:
            assert held is not None
            with database_store.lock(KEY) as second:
                assert second is None
            assert held.save(KEY, newer(loaded(database_store)))
        BitbucketToken.objects.update(**database.leased("x", datetime.now(UTC) - timedelta(seconds=LEASE + 1)))
        with database_store.lock(KEY) as lapsed:
            assert lapsed is not None


# -- which pair is the newer one ---------------------------------------------------------------------------------------


def test_a_record_that_was_loaded_is_replaced_and_its_version_grows(database_store: DatabaseTokenStore) -> None:
    database_store.save(KEY, RECORD)
    let_pass()
    first = loaded(database_store)
    assert database_store.save(KEY, newer(first))
    second = loaded(database_store)
    assert (first.version, second.version) == (1, 2)
    assert second == newer(RECORD)
    row = the_row()
    assert (first.obtained_at, second.obtained_at) == (NOW - timedelta(days=400), row.updated_at)
    assert row.updated_at > timezone.now() - timedelta(minutes=5)
    assert row.created_at < NOW


def test_a_stale_record_is_dropped(database_store: DatabaseTokenStore) -> None:
    database_store.save(KEY, RECORD)
    stale = loaded(database_store)
    database_store.save(KEY, newer(stale))
    before = columns()
    for version in (1, 3, 0):
        assert database_store.save(KEY, replace(newer(stale, "stale"), version=version)) is False
    assert columns() == before


def test_a_record_that_was_not_loaded_replaces_nothing(database_store: DatabaseTokenStore) -> None:
    database_store.save(KEY, RECORD)
    before = columns()
    assert database_store.save(KEY, newer(RECORD)) is False
    assert columns() == before


def test_a_deleted_record_stays_deleted(database_store: DatabaseTokenStore) -> None:
    database_store.save(KEY, RECORD)
    record = loaded(database_store)
    database_store.delete(KEY)
    assert database_store.save(KEY, newer(record)) is False
    assert columns() == []


def test_what_a_column_refuses_is_no_record_that_was_dropped(database_store: DatabaseTokenStore) -> None:
    nobody: Any = None
    with pytest.raises(IntegrityError):
        database_store.save(KEY, replace(RECORD, provider=nobody))
    assert columns() == []


@pytest.mark.parametrize("marks", [{"refused_at": NOW}, {"refused_at": NOW, "lost_at": NOW}, {"lost_at": NOW}])
def test_a_mark_changes_nothing_but_itself(database_store: DatabaseTokenStore, marks: dict[str, Any]) -> None:
    """Disuse is counted from `updated_at`, and a renewal under way must be able to save its answer."""
    database_store.save(KEY, RECORD)
    let_pass()
    BitbucketToken.objects.update(lease="x", lease_until=NOW)
    before, record = columns("refused_at", "lost_at"), loaded(database_store)
    assert database_store.save(KEY, replace(record, **marks))
    assert columns("refused_at", "lost_at") == before
    assert {name: getattr(the_row(), name) for name in marks} == marks
    # The next pair is marked by nothing.
    assert database_store.save(KEY, newer(loaded(database_store)))
    row = the_row()
    assert (row.refused_at, row.lost_at, row.lease, row.lease_until, row.version) == (None, None, "", None, 2)


def test_a_row_that_was_made_anew_is_not_the_one_that_was_loaded(database_store: DatabaseTokenStore) -> None:
    """Its versions count from 1 again: a renewal under way would put the old consent's pair over the new one."""
    database_store.save(KEY, RECORD)
    old = database_store.load(KEY)
    assert old is not None
    database_store.delete(KEY)
    database_store.save(KEY, newer(RECORD, "new consent"))
    assert database_store.save(KEY, newer(old, "old consent")) is False
    assert database_store.save(KEY, replace(old, refused_at=NOW)) is False
    now = database_store.load(KEY)
    assert now is not None and "new consent" in now.token.access_token and now.refused_at is None


def test_a_mark_of_a_pair_that_was_replaced_is_dropped(database_store: DatabaseTokenStore) -> None:
    database_store.save(KEY, RECORD)
    stale = loaded(database_store)
    database_store.save(KEY, newer(stale))
    assert database_store.save(KEY, replace(stale, refused_at=NOW)) is False
    assert the_row().refused_at is None


def test_one_function_replaces_pairs_and_nothing_without_a_row(database_store: DatabaseTokenStore) -> None:
    database_store.save(KEY, RECORD)
    let_pass()
    rows = database.all_rows()
    assert not replace_pair(rows, "another key", {"grant": "import"})
    assert not replace_pair(rows, KEY, {"grant": "import"}, version=2)
    assert replace_pair(rows, KEY, {"grant": "import"}, version=1, renewed=False)
    row = the_row()
    assert (row.grant, row.version, row.updated_at) == ("import", 1, NOW - timedelta(days=400))
    assert replace_pair(rows, KEY, {"grant": "again"})
    row = the_row()
    assert (row.grant, row.version) == ("again", 2)
    assert row.updated_at > NOW - timedelta(days=400)


# -- how many statements -----------------------------------------------------------------------------------------------


def test_each_path_takes_as_few_statements_as_it_can(database_store: DatabaseTokenStore) -> None:
    with statements() as inserted:
        database_store.save(KEY, RECORD)
    with statements() as read:
        record = loaded(database_store)
    with statements() as replaced:
        database_store.save(KEY, newer(record))
    with statements() as dropped:
        database_store.save(KEY, newer(record))
    with statements() as marked:
        database_store.save(KEY, replace(loaded(database_store), refused_at=NOW))
    with statements() as renewed, database_store.lock(KEY) as held:
        assert held is not None
        held.save(KEY, newer(loaded(held)))
    with statements() as given_up, database_store.lock(KEY) as held:
        assert held is not None
    with statements() as deleted:
        database_store.delete(KEY)
    assert (inserted, read, replaced, dropped) == (["INSERT"], ["SELECT"], ["UPDATE"], ["UPDATE"])
    assert marked == ["SELECT", "UPDATE"]
    # In a caller's transaction, as here, another connection was asked first whether it sees the row: not counted.
    look = ["SELECT"] * HAS_ROW_LOCKS  # whether it is of any use to ask there
    assert (renewed, given_up) == ([*look, "UPDATE", "SELECT", "UPDATE"], [*look, "UPDATE", "UPDATE"])
    assert deleted == ["SELECT", "DELETE"]


# -- in another database -----------------------------------------------------------------------------------------------


class ToTheOther:
    """Reads from a replica and writes to the other database."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "default"

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "other"


@pytest.fixture
def routed(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["stores.test_database_store.ToTheOther"]


@pytest.mark.usefixtures("routed")
@pytest.mark.django_db(databases=["default", "other"])
def test_all_is_read_and_written_where_the_router_says_it_is_written(database_store: DatabaseTokenStore) -> None:
    with statements("default") as seen:
        assert database_store.save(KEY, RECORD)
        with database_store.lock(KEY) as held:
            assert held is not None
            assert held.save(KEY, newer(loaded(held)))
            held.after_commit(lambda: None)
        with database_store.lock("absent") as held:
            assert held is not None and held.save("absent", RECORD)
        assert database_store.save("absent", RECORD) is False
        assert loaded(database_store) == newer(RECORD)
        assert BitbucketToken.objects.using("other").count() == 2
        database_store.delete(KEY)
    assert seen == []
    assert list(BitbucketToken.objects.using("other").values_list("key", flat=True)) == ["absent"]
    assert BitbucketToken.objects.db == "default"
    assert not BitbucketToken.objects.exists()
