"""The database as a store: whose a row is, and what becomes of one that was altered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import override_settings
from logins import NAMESAKE, sign_in
from stores.keeping import KEY, PLAIN, RECORD, loaded, newer
from stores.rows import columns, the_row

from django_bitbucket_auth.exceptions import NotConnected
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import DatabaseTokenStore, database
from django_bitbucket_auth.stores.database import AccountTokenStore
from django_bitbucket_auth.testing import BitbucketSimulator
from django_bitbucket_auth.tokens import get_access_token

pytestmark = pytest.mark.django_db

OTHER_KEY = "a-new-secret-of-thirty-two-characters!"
#: All that a store does with a key.
USES: dict[str, Callable[[DatabaseTokenStore, str], object]] = {
    "load": lambda store, key: store.load(key),
    "save": lambda store, key: store.save(key, PLAIN),
    "delete": lambda store, key: store.delete(key),
    "lock": lambda store, key: store.lock(key).__enter__(),
}
each_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


# -- whose it is -------------------------------------------------------------------------------------------------------


def test_an_accounts_token_is_read_and_renewed_and_never_inserted(jane: AccountTokenStore, janes_key: str) -> None:
    record = loaded(jane, janes_key)
    assert (record.provider, record.client_id, record.version) == ("default", "id", 1)
    assert jane.save(janes_key, newer(record))
    assert the_row(janes_key).version == 2
    assert jane.save(janes_key, replace(record, version=None)) is False
    BitbucketToken.objects.all().delete()
    assert jane.save(janes_key, record) is False
    assert jane.save(janes_key, replace(record, version=None)) is False
    assert columns() == []


def test_an_accounts_store_has_no_other_row(jane: AccountTokenStore, janes_key: str) -> None:
    sign_in(replace(NAMESAKE, emails=()))
    theirs = BitbucketToken.objects.exclude(key=janes_key).get().key
    DatabaseTokenStore().save(KEY, RECORD)
    before = columns()
    for key in (theirs, KEY):
        assert jane.load(key) is None
        assert jane.save(key, replace(RECORD, version=1)) is False
        jane.delete(key)
        with jane.lock(key) as held:
            assert held is not None and held.save(key, replace(RECORD, version=1)) is False
    assert columns() == before
    jane.delete(janes_key)
    assert not BitbucketToken.objects.filter(key=janes_key).exists()


def test_an_inactive_users_token_is_not_used(jane: AccountTokenStore, janes_key: str) -> None:
    User.objects.update(is_active=False)
    with pytest.raises(NotConnected, match="inactive"):
        jane.load(janes_key)
    with jane.lock(janes_key) as held:
        assert held is not None
        with pytest.raises(NotConnected, match="inactive"):
            held.load(janes_key)
    assert the_row(janes_key).lease == ""


@each_use
@pytest.mark.parametrize("change", [str, str.upper, str.title, " {}".format, "\t{}\n".format, "{} ".format])
def test_the_key_of_an_account_is_refused(
    janes_key: str, use: Callable[[DatabaseTokenStore, str], object], change: Callable[[str], str]
) -> None:
    before = columns()
    with pytest.raises(ValueError, match="get_session"):
        use(DatabaseTokenStore(), change(janes_key))
    assert columns() == before


#: Some collations take these for "account:".
ALIKE = [
    "áccount:",
    "\uff41ccount:",
    "acc\u00adount:",
    "ACCOUN\u0166:",
    "account\u200b:",
    "account\uff1a",
    "\u0301account:",
]


@pytest.mark.parametrize("beginning", ALIKE)
def test_what_a_collation_takes_for_the_key_of_an_account_is_nobodys(janes_key: str, beginning: str) -> None:
    before, store = columns(), DatabaseTokenStore()
    key = janes_key.replace("account:", beginning)
    assert store.load(key) is None
    store.delete(key)
    assert store.save(key, replace(RECORD, version=1)) is False
    with store.lock(key) as held:
        assert held is not None and held.load(key) is None
        assert the_row(janes_key).lease == ""
    assert columns() == before
    store.save(key, RECORD)
    assert columns()[:1] == before


@pytest.mark.parametrize("key", ["NIGHTLY", "nightly ", "níghtly"])
def test_keys_are_compared_exactly(database_store: DatabaseTokenStore, key: str) -> None:
    database_store.save(KEY, RECORD)
    assert database_store.load(key) is None
    database_store.delete(key)
    # One key of the two is all that a database can keep which takes one for the other.
    alike = BitbucketToken.objects.filter(key=key).exists()
    assert database_store.save(key, newer(RECORD)) is not alike
    assert loaded(database_store) == RECORD
    assert alike is (connection.vendor == "mysql")


@each_use
def test_a_key_that_is_too_long_is_refused(use: Callable[[DatabaseTokenStore, str], object]) -> None:
    field = BitbucketToken._meta.get_field("key")
    assert isinstance(field, models.Field)
    longest = field.max_length
    assert longest is not None
    with pytest.raises(ValueError, match=f"at most {longest} characters"):
        use(DatabaseTokenStore(), "ä" * (longest + 1))
    DatabaseTokenStore().save("ä" * longest, RECORD)
    assert DatabaseTokenStore().load("ä" * longest) == RECORD


# -- rows that were altered --------------------------------------------------------------------------------------------


def test_swapped_rows_do_not_open(database_store: DatabaseTokenStore, jane: AccountTokenStore, janes_key: str) -> None:
    database_store.save(KEY, RECORD)
    database_store.save("second", newer(RECORD))
    sealed = {row.key: row.sealed for row in BitbucketToken.objects.all()}
    for key, other in ((KEY, "second"), ("second", janes_key), (janes_key, KEY)):
        BitbucketToken.objects.filter(key=key).update(sealed=sealed[other])
    assert [database_store.load(KEY), database_store.load("second"), jane.load(janes_key)] == [None] * 3


def test_a_row_that_lost_its_account_is_no_token(
    jane: AccountTokenStore, janes_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    BitbucketToken.objects.update(account=None)
    row = the_row(janes_key)
    assert database.record_of(row) is None
    assert "until its row is deleted" in caplog.text
    assert jane.load(janes_key) is None


def test_a_row_that_can_not_be_decrypted_is_no_token_and_is_never_overwritten(
    database_store: DatabaseTokenStore,
    jane: AccountTokenStore,
    janes_key: str,
    bitbucket: BitbucketSimulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    database_store.save(KEY, RECORD)
    before = columns("lease", "lease_until")
    with override_settings(BITBUCKET_AUTH_TOKEN_KEYS=[OTHER_KEY]):
        assert database_store.load(KEY) is None
        assert jane.load(janes_key) is None
        messages = [record.getMessage() for record in caplog.records]
        assert [KEY in messages[0], janes_key in messages[1], len(messages)] == [True, True, 2]
        assert database_store.save(KEY, newer(RECORD)) is False
        assert get_access_token(store=database_store, key=KEY).access_token not in ("", "access-secret")
        with database_store.lock(KEY) as held, jane.lock(janes_key) as janes:
            assert held is not None and held.save(KEY, newer(RECORD)) is False
            assert janes is not None and janes.save(janes_key, newer(RECORD)) is False
    assert columns("lease", "lease_until") == before
    assert database_store.load(KEY) == RECORD
