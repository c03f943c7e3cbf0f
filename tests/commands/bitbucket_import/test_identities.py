"""Whom ``bitbucket_import`` leaves out, because nothing proves who it is."""

from __future__ import annotations

from typing import Any

import pytest
from former.models import UserSocialAuth
from former.rows import ACCOUNT_ID, allauth, lines, person, run, social
from logins import JANE, NAMESAKE, sign_in

from django_bitbucket_auth.models import BitbucketAccount

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("uid", "profile", "why"),
    [
        ("jdoe", {}, "is keyed by a user name"),
        ("jdoe", {"uuid": None}, "has no stable id"),
        ("jdoe", {"account_id": None}, "has no stable id"),
        ("jdoe", {"username": "another"}, "has no stable id"),
        ("5b10a2844c20165700ede21f", {"account_id": None}, "has no stable id"),  # may be a name
        ("x" * 122, {"account_id": "x" * 122}, "has no stable id"),  # no column for its placeholder
        (ACCOUNT_ID, {}, "has ids that contradict each other"),
        (NAMESAKE.uid, {}, "has ids that contradict each other"),
        (str(JANE.account_id), {"type": "team"}, "is no person's"),
    ],
)
def test_whose_id_is_not_proved_is_left_out(uid: str, profile: dict[str, Any], why: str) -> None:
    allauth(person(), uid, **profile)
    (line,) = lines("allauth", "--apply")
    assert f"left out: it {why}" in line
    assert not BitbucketAccount.objects.exists()


def test_a_user_name_counts_only_if_it_is_told_to_and_both_ids_are_known() -> None:
    jane = person()
    allauth(jane, "jdoe")
    assert "0 of 1" in run("allauth", "--apply")
    assert "1 of 1" in run("allauth", "--apply", "--usernames")
    assert sign_in() == jane
    allauth(person("joe"), "joe", username="joe", uuid=None, account_id="557058:joe")
    assert "1 of 2" in run("allauth", "--apply", "--usernames")


@pytest.mark.parametrize("column", ["", "no JSON", "[1]", '"text"'])
def test_a_profile_that_is_none_spoils_nothing_but_its_row(column: str) -> None:
    jane, joe = person(), person("joe")
    UserSocialAuth.objects.create(user=joe, provider="bitbucket-oauth2", uid="joe", extra_data=column)
    UserSocialAuth.objects.create(user=jane, provider="bitbucket-oauth2", uid=JANE.uid, extra_data=column)
    assert "1 of 2" in run("social-auth", "--apply")
    assert BitbucketAccount.objects.get().user == jane


def test_ids_are_taken_in_any_case_where_they_are_written_in_any() -> None:
    jane = person()
    social(jane, JANE.uid.upper())
    run("social-auth", "--apply")
    assert sign_in() == jane


def test_what_a_row_says_does_not_reach_the_terminal_as_it_is() -> None:
    social(person(), "\x1b[2Jx")
    assert "\x1b" not in run("social-auth")
