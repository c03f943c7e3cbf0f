"""The admin's lists: found by what people know, and as fast with millions of rows as with ten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from logins import JANE, sign_in
from many_accounts import fill, queries, read_whole

from django_bitbucket_auth.admin.listing import CappedPaginator
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken

pytestmark = pytest.mark.django_db

ACCOUNTS = reverse("admin:bitbucket_auth_bitbucketaccount_changelist")
TOKENS = reverse("admin:bitbucket_auth_bitbuckettoken_changelist")
JOE = replace(
    JANE,
    uid="{33333333-3333-4333-8333-333333333333}",
    account_id="557058:joe",
    username="joe_100%",
    nickname="joe_100%",
    display_name="Joe Bloggs",
    emails=(),
)


def found(client: Client, **query: str) -> set[str]:
    """Whom the list shows."""
    response = client.get(ACCOUNTS, query)
    assert response.status_code == 200
    return {account.display_name for account in response.context["cl"].result_list}


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("bitbuckettoken", "sealed__startswith"),
        ("bitbuckettoken", "lease"),
        ("bitbucketaccount", "email__contains"),
        ("bitbucketaccount", "tokens__sealed__startswith"),
        ("bitbucketaccount", "provider__startswith"),
    ],
)
def test_nobody_looks_for_what_isnt_shown(admin_client: Client, model: str, lookup: str) -> None:
    """A ciphertext could be found out letter by letter, by who may only look."""
    assert admin_client.get(f"/admin/bitbucket_auth/{model}/", {lookup: "1"}).status_code == 400


# -- searching ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "term",
    [
        "joe_100%",
        "JOE_1",
        "joe b",
        "Joe Bloggs",
        " joe ",
        JOE.uid,
        JOE.uid.strip("{}"),
        JOE.uid.upper(),
        "557058:joe",
        "userofjoe",
    ],
)
def test_an_account_is_found_by(admin_client: Client, term: str) -> None:
    sign_in(JANE)
    user = sign_in(JOE)
    User.objects.filter(pk=user.pk).update(username="userofjoe")
    assert found(admin_client, q=term) == {"Joe Bloggs"}


def test_an_account_is_found_by_its_address(admin_client: Client) -> None:
    sign_in(JANE)
    sign_in(JOE)
    assert found(admin_client, q="JANE@example") == {"Jane Doe"}


@pytest.mark.parametrize("term", ["bloggs", "oe", "j%", "joe_", "{}", "557058:j", "x" * 5000, "joe\x00"])
def test_an_account_is_not_found_by(admin_client: Client, term: str) -> None:
    sign_in(replace(JOE, nickname="joe100", username="joe100"))
    expected = {"Joe Bloggs"} if "\x00" in term else set()  # Django's form refuses it, and says so
    assert found(admin_client, q=term) == expected


def test_nothing_searched_is_everybody(admin_client: Client) -> None:
    sign_in(JANE)
    assert found(admin_client, q=" ") == {"Jane Doe"}


def test_users_whose_names_are_numbers_are_not_searched(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    user = sign_in(JANE)
    monkeypatch.setattr(User, "USERNAME_FIELD", "id")
    assert found(admin_client, q="nobody") == found(admin_client, q=str(user.pk)) == set()


# -- filters -----------------------------------------------------------------------------------------------------------


def test_providers_to_filter_by_are_those_that_are_configured(admin_client: Client, settings: Any) -> None:
    sign_in(JANE)
    sign_in(replace(JOE, provider="dc"))
    settings.BITBUCKET_AUTH = {"default": {}, "dc": {}}
    assert b"?provider=dc" in admin_client.get(ACCOUNTS).content
    assert found(admin_client, provider="dc") == {"Joe Bloggs"}
    assert found(admin_client, provider="default") == {"Jane Doe"}
    assert found(admin_client, provider="gone\x00") == {"Jane Doe", "Joe Bloggs"}


def test_whose_tokens_are_lost_are_found(admin_client: Client) -> None:
    sign_in(JANE)
    sign_in(JOE)
    BitbucketToken.objects.filter(account__display_name="Joe Bloggs").update(lost_at=timezone.now())
    assert found(admin_client, tokens="lost") == {"Joe Bloggs"}
    assert found(admin_client, tokens="other") == {"Jane Doe", "Joe Bloggs"}


# -- many --------------------------------------------------------------------------------------------------------------


def test_no_more_is_counted_than_pages_are_offered_for(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CappedPaginator, "MOST", 1)
    sign_in(JANE)
    assert b"there are more" not in admin_client.get(ACCOUNTS).content
    sign_in(JOE)
    response = admin_client.get(ACCOUNTS)
    assert b"These are the newest 1; there are more." in response.content
    assert response.context["cl"].result_count == 1
    assert b'class="question' not in response.content  # "Select all"


def test_a_list_costs_the_same_queries_however_many_accounts_there_are(admin_client: Client) -> None:
    sign_in(JANE)
    few = len(queries(admin_client, ACCOUNTS))
    for number in range(30):
        name = f"u{number}"
        sign_in(replace(JOE, uid=f"{{{number:08}-3333}}", account_id=name, nickname=name, username=name))
    # Session, user, count, accounts with their users, tokens.
    assert len(queries(admin_client, ACCOUNTS)) == few == 5
    assert BitbucketAccount.objects.count() == 31


PAGES = [
    "",
    "?p=50",
    "?o=6",
    "?provider=default",
    "?provider=default&p=50",
    "?tokens=lost",
    "?q={username}",
    "?q={display_name}",
    "?q={email}",
    "?q={uid}",
    "?q={account_id}",
    "?q={user}",
    "?q=nobody",
    "?q=a",
    "?q=nobody&provider=default&tokens=lost",
]

if connection.vendor == "postgresql":  # needs: postgresql

    def test_every_list_of_a_hundred_thousand_is_answered_by_indexes(admin_client: Client) -> None:
        """One test, because to fill the table takes seconds."""
        fill(100_000)
        account = BitbucketAccount.objects.select_related("user").order_by("pk")[50_000]
        wanted = {**vars(account), "user": account.user.username}
        pages = [ACCOUNTS + query.format(**wanted) for query in PAGES]
        pages += [f"{ACCOUNTS}{account.pk}/change/", TOKENS, f"{TOKENS}?q=application", f"{TOKENS}?provider=default"]
        whole = []
        numbers = {}
        for url in pages:
            asked = queries(admin_client, url)
            numbers[url] = len(asked)
            whole += [(url, read, sql) for sql in asked if (read := read_whole(sql))]
        assert whole == []
        assert max(numbers.values()) <= 6


def test_names_are_searched_by_an_index_on_every_database() -> None:
    """Not by whether a planner takes it, which depends on what is in the table: by what it is an index of."""
    table = BitbucketAccount._meta.db_table
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, table)
        if connection.vendor == "postgresql":  # needs: postgresql
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'bitbucket_account_username'")
            assert "upper((username)::text) text_pattern_ops" in cursor.fetchone()[0]
        elif connection.vendor == "sqlite":  # needs: sqlite
            cursor.execute(f"EXPLAIN QUERY PLAN SELECT id FROM {table} WHERE username LIKE 'ja%' ESCAPE '\\'")  # noqa: S608
            assert "USING COVERING INDEX bitbucket_account_username" in cursor.fetchone()[3]
        else:  # needs: mysql
            cursor.execute(f"EXPLAIN SELECT id FROM {table} WHERE username LIKE 'ja%'")  # noqa: S608
            assert "bitbucket_account_username" in str(cursor.fetchone())
    ours = {name for name in constraints if name.startswith("bitbucket_account_")}
    assert ours == {index.name for index in BitbucketAccount._meta.indexes}
