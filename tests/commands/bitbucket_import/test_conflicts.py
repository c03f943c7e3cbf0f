"""Several rows for one person, and people who are here already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from former.models import SocialAccount
from former.rows import PROFILE, allauth, lines, person, refused, run, social
from logins import JANE, NAMESAKE, sign_in

from django_bitbucket_auth.models import BitbucketAccount

pytestmark = pytest.mark.django_db


def test_two_rows_of_one_user_for_one_person_are_one_account() -> None:
    jane = person()
    allauth(jane, uuid=None)
    allauth(jane, JANE.uid)
    said = run("allauth", "--apply")
    assert "as an earlier row" in said
    assert "1 of 1 people" in said
    assert BitbucketAccount.objects.get().uid == JANE.uid  # the second row knew it


def test_a_later_row_tells_an_account_id_too() -> None:
    jane = person()
    social(jane, provider="bitbucket")
    social(jane, account_id=JANE.account_id)
    assert "1 of 1 people" in run("social-auth", "--apply")
    assert BitbucketAccount.objects.get().account_id == JANE.account_id


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_nobody_gets_the_account_of_whom_two_users_claim_to_be(order: tuple[int, ...]) -> None:
    users = [person(name) for name in ("jane", "jane2", "jane3")]
    claims: list[Callable[[], object]] = [
        lambda: allauth(users[0], JANE.uid, account_id=None),
        lambda: allauth(users[0], "jdoe"),
        lambda: allauth(users[1], uuid=None),
    ]
    for number in order:
        claims[number]()
    assert "0 of 3 people land on the same user.\n3 are several users'" in run("allauth", "--apply", "--usernames")
    assert not BitbucketAccount.objects.exists()


@pytest.mark.parametrize("other", [{"uuid": NAMESAKE.uid}, {"account_id": NAMESAKE.account_id}])
def test_ids_that_two_rows_tie_differently_are_left_out(other: dict[str, Any]) -> None:
    jane = person()
    allauth(jane, JANE.uid)
    allauth(jane, "jdoe", **other)
    assert "2 have ids that contradict each other" in run("allauth", "--apply", "--usernames")
    assert not BitbucketAccount.objects.exists()


def test_an_account_of_another_user_stays_where_it_is() -> None:
    owner = sign_in()
    allauth(person("other"))
    (line,) = lines("allauth", "--apply", "--tokens")
    assert "belongs to another user here" in line
    assert sign_in() == owner


@pytest.mark.parametrize("known", [replace(JANE, account_id="557058:x"), replace(JANE, uid=NAMESAKE.uid)])
def test_an_account_here_whose_ids_differ_is_said(known: Any) -> None:
    allauth(sign_in(known))
    (line,) = lines("allauth", "--apply")
    assert "has ids that contradict each other" in line


def test_two_accounts_here_for_one_row_are_said() -> None:
    jane = sign_in(replace(JANE, account_id=None))
    BitbucketAccount.objects.create(
        user=jane, instance="bitbucket.org", uid=NAMESAKE.uid, account_id=JANE.account_id, provider="default"
    )
    allauth(jane)
    (line,) = lines("allauth", "--apply")
    assert "has ids that contradict each other" in line


def test_an_account_here_and_a_placeholder_for_one_row_are_said() -> None:
    jane = sign_in(replace(JANE, account_id=None))
    placeholder = {"uid": f"import:{JANE.account_id}", "account_id": JANE.account_id}
    BitbucketAccount.objects.create(user=jane, instance="bitbucket.org", provider="default", **placeholder)
    allauth(jane)
    (line,) = lines("allauth", "--apply")
    assert "has ids that contradict each other" in line


def test_a_placeholder_is_the_account_of_who_was_meant() -> None:
    row = allauth(person(), uuid=None)
    run("allauth", "--apply")
    SocialAccount.objects.filter(pk=row.pk).update(extra_data=PROFILE)
    (line,) = lines("allauth", "--apply")
    assert line.endswith("here already")


def test_an_account_may_know_more_than_a_row() -> None:
    social(sign_in())
    (line,) = lines("social-auth", "--apply")
    assert line.endswith("here already")


def test_a_user_may_have_another_account_here() -> None:
    jane = sign_in(replace(NAMESAKE, account_id=None))
    allauth(jane)
    (line,) = lines("allauth", "--apply")
    assert line.endswith(": imported")
    assert jane.bitbucket_accounts.count() == 2


def test_a_row_whose_user_is_gone_makes_none() -> None:
    jane = person()
    allauth(jane)
    User.objects.all().delete()
    (line,) = lines("allauth", "--apply")
    assert "has no user any more" in line
    assert not User.objects.exists()


@contextmanager
def overtaken() -> Iterator[None]:
    """Somebody signs in while the import writes."""

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT") and "bitbucketaccount" in sql:
            raise IntegrityError("UNIQUE constraint failed\nDETAIL: Key (uid)=({x})")
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


def test_a_sign_in_at_the_same_moment_undoes_all_of_it() -> None:
    allauth(person("joe"), "joe", uuid=NAMESAKE.uid, account_id="joe")
    allauth(person())
    with overtaken():
        said = refused("allauth", "--apply")
    assert (
        said == "Somebody signed in at the same moment (UNIQUE constraint failed). Nothing was written; run it again."
    )
