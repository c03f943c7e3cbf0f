"""The database as a store: who holds a lease, and until when."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from logins import sign_in
from stores.keeping import KEY, RECORD, held_by, loaded, newer
from stores.rows import the_row

from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import DatabaseTokenStore, Record, database
from django_bitbucket_auth.stores.base import LEASE
from django_bitbucket_auth.stores.database import AccountTokenStore

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def kept(database_store: DatabaseTokenStore) -> DatabaseTokenStore:
    database_store.save(KEY, RECORD)
    return database_store


def test_a_lease_is_written_for_some_seconds_and_ends_with_its_block(kept: DatabaseTokenStore) -> None:
    begin = timezone.now()
    with kept.lock(KEY) as held:
        assert held is not None
        row = the_row()
        assert len(row.lease) == 32
        assert row.lease_until is not None
        assert timedelta() <= row.lease_until - begin - timedelta(seconds=LEASE) < timedelta(seconds=LEASE)
        assert not held_by(kept)
        assert held.load(KEY) == RECORD
    assert (the_row().lease, the_row().lease_until, the_row().version) == ("", None, 1)


def test_a_lease_ends_if_its_block_fails_in_its_own_way(kept: DatabaseTokenStore) -> None:
    with pytest.raises(OperationalError, match="theirs"), kept.lock(KEY):
        raise OperationalError("theirs")
    assert the_row().lease == ""


def test_the_lease_of_whoever_died_lapses(kept: DatabaseTokenStore) -> None:
    now = datetime.now(UTC)
    BitbucketToken.objects.update(**database.leased("dead", now))
    assert not held_by(kept)
    BitbucketToken.objects.update(**database.leased("dead", now - timedelta(seconds=LEASE + 1)))
    assert held_by(kept)


@pytest.mark.parametrize("values", [{"lease": "", "lease_until": NOW + timedelta(days=9000)}, {"lease": "x"}])
def test_half_a_lease_is_none(kept: DatabaseTokenStore, values: dict[str, Any]) -> None:
    BitbucketToken.objects.update(**values)
    assert held_by(kept)


def test_a_lease_that_lapsed_is_somebody_elses_and_is_left_to_them(kept: DatabaseTokenStore) -> None:
    with kept.lock(KEY):
        BitbucketToken.objects.update(lease="somebody else")
    assert the_row().lease == "somebody else"


def test_a_new_pair_ends_the_lease_and_a_later_one_is_not_touched(kept: DatabaseTokenStore) -> None:
    with kept.lock(KEY) as held:
        assert held is not None
        assert held.save(KEY, replace(newer(RECORD), version=1))
        assert the_row().lease == ""
        BitbucketToken.objects.update(lease="next")
    assert (the_row().lease, the_row().version) == ("next", 2)


def test_a_mark_keeps_the_lease_until_the_end_of_the_block(kept: DatabaseTokenStore) -> None:
    with kept.lock(KEY) as held:
        assert held is not None
        assert held.save(KEY, replace(RECORD, refused_at=NOW, version=1))
        assert the_row().lease != ""
    assert (the_row().lease, the_row().refused_at) == ("", NOW)


def test_a_lease_that_hardly_lasts_is_prolonged_unless_somebody_has_taken_it_over(kept: DatabaseTokenStore) -> None:
    now = time.monotonic()
    for lease, taken, lasts in (("mine", "mine", True), ("mine", "another", False), ("mine", "", True)):
        BitbucketToken.objects.update(lease=taken, lease_until=datetime.now(UTC) + timedelta(seconds=LEASE))
        with kept.holding(KEY, lease, now + 5) as held:
            assert held.lasts(4)
            assert held.lasts(6) is lasts
            assert the_row().lease == (lease if lasts else taken)


def test_who_gets_the_lock_knows_what_became_of_the_one_before(kept: DatabaseTokenStore) -> None:
    """Who let go without a new token couldn't renew it; whose lease has lapsed has died."""
    with kept.lock(KEY) as held:
        assert held is not None and held.was_given_up
    BitbucketToken.objects.update(lease="dead", lease_until=datetime.now(UTC) - timedelta(seconds=1))
    with kept.lock(KEY) as held:
        assert held is not None and not held.was_given_up


def test_an_answer_that_a_sign_in_overtook_is_dropped(jane: AccountTokenStore, janes_key: str) -> None:
    with jane.lock(janes_key) as held:
        assert held is not None
        record = held.load(janes_key)
        assert isinstance(record, Record)
        sign_in(client_id="other")
        assert held.save(janes_key, newer(record)) is False
        assert loaded(jane, janes_key).client_id == "other"
        assert held_by(jane, janes_key)  # the sign-in ended the lease
    assert (the_row(janes_key).version, the_row(janes_key).lease) == (2, "")


def test_a_lease_that_was_claimed_for_many_is_held_for_one(kept: DatabaseTokenStore) -> None:
    kept.save("second", RECORD)
    BitbucketToken.objects.update(**database.leased("batch", datetime.now(UTC)))
    with kept.holding(KEY, "batch", time.monotonic() + LEASE) as held:
        assert not held_by(kept)
        held.load(KEY)
    assert (the_row().lease, the_row("second").lease) == ("", "batch")


def test_a_row_that_is_not_there_yet_is_locked_among_threads(database_store: DatabaseTokenStore) -> None:
    with database_store.lock(KEY) as held:
        assert held is not None and held.load(KEY) is None
        assert not held_by(database_store)
        assert held_by(database_store, "another key")
        assert held.save(KEY, RECORD)
    assert held_by(database_store)
    assert (the_row().version, the_row().lease) == (1, "")


def test_free_rows_are_told_from_leased_ones() -> None:
    store, now = DatabaseTokenStore(), datetime.now(UTC)
    for number in range(4):
        store.save(f"{number}", RECORD)
    BitbucketToken.objects.filter(key="1").update(**database.leased("x", now))
    BitbucketToken.objects.filter(key="2").update(**database.leased("x", now, 1))
    later = now + timedelta(seconds=2)
    BitbucketToken.objects.filter(key="3").update(**database.leased("x", now - timedelta(hours=1)))
    assert sorted(BitbucketToken.objects.filter(database.free(now)).values_list("key", flat=True)) == ["0", "3"]
    assert sorted(BitbucketToken.objects.filter(database.free(later)).values_list("key", flat=True)) == ["0", "2", "3"]


# -- telling -----------------------------------------------------------------------------------------------------------


def test_what_is_told_after_a_commit_waits_for_the_callers(
    kept: DatabaseTokenStore, django_capture_on_commit_callbacks: Any
) -> None:
    told: list[str] = []
    with django_capture_on_commit_callbacks(execute=True) as callbacks, kept.lock(KEY) as held:
        assert held is not None
        held.after_commit(lambda: told.append("told"))
        assert told == []
    assert (len(callbacks), told) == (1, ["told"])
