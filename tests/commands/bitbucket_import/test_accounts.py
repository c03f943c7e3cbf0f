"""Whom ``bitbucket_import`` takes over, and what it says of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from former.models import SocialAccount
from former.rows import PROFILE, allauth, lines, person, run, social
from logins import JANE, rows, sign_in

from django_bitbucket_auth.management.importing import packages
from django_bitbucket_auth.models import BitbucketAccount

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("package", "row"), [("allauth", allauth), ("social-auth", social)])
def test_people_land_on_the_user_whom_they_had(package: str, row: Callable[[User], object]) -> None:
    jane = person()
    row(jane)
    assert lines(package, "--apply")[0].endswith(": imported")
    assert BitbucketAccount.objects.get().imported_from == package
    assert sign_in() == jane
    assert (User.objects.count(), BitbucketAccount.objects.count()) == (1, 1)


def test_nothing_is_written_unless_it_is_told_to() -> None:
    allauth(person())
    before = rows()
    with CaptureQueriesContext(connection) as queries:
        said = run("allauth")
    assert rows() == before
    assert {query["sql"].split()[0] for query in queries} <= {"SELECT", "SHOW", "PRAGMA"}
    assert ": to be imported\n" in said
    assert "Nothing was written. Run it with --apply" in said


def test_it_writes_what_a_profile_told_and_proves_and_nothing_else() -> None:
    allauth(person(), email="not-confirmed@example.com")
    run("allauth", "--apply")
    account = BitbucketAccount.objects.get()
    assert (account.instance, account.uid, account.account_id) == ("bitbucket.org", JANE.uid, JANE.account_id)
    assert (account.provider, account.username, account.display_name) == ("default", "jdoe", "Jane Doe")
    assert (account.email, account.email_verified) == ("", False)


def test_a_second_run_changes_nothing() -> None:
    allauth(person())
    run("allauth", "--apply")
    before = rows()
    said = run("allauth", "--apply")
    assert rows() == before
    assert "here already" in said
    assert "1 of 1 people land on the same user." in said


def test_the_report_counts_who_lands_where() -> None:
    for number in range(3):
        uid = f"{{0000000{number}-1111-4111-8111-111111111111}}"
        allauth(person(f"p{number}"), f"id-{number}", uuid=uid, account_id=f"id-{number}")
    for number in range(12):
        allauth(person(f"nobody{number}"), f"name-{number}")
    team = allauth(person("team"), type="team")
    said = run("allauth")
    assert "3 of 16 people land on the same user.\n12 have no stable id: rows " in said
    assert said.partition("stable id: ")[2].partition("\n")[0].count(", ") == 10
    assert f"\n1 is no person's: row {team.pk}\n" in said
    assert ", ...\n" in said


def test_rows_of_other_providers_are_none_of_its_business() -> None:
    allauth(person(), "1").delete()
    SocialAccount.objects.create(user=person("joe"), provider="github", uid="1", extra_data={})
    assert "0 of 0 people" in run("allauth")
    allauth(person("jim"))
    assert "0 of 0 people" in run("allauth", "--source=github_enterprise")


def test_names_that_the_package_has_for_a_provider_are_compared_exactly() -> None:
    SocialAccount.objects.create(user=person(), provider="Bitbucket_OAuth2", uid="x", extra_data=PROFILE)
    assert "0 of 0 people" in run("allauth")


def test_more_rows_than_a_page_are_read_a_page_at_a_time() -> None:
    jane = person()
    count = packages.PAGE + 1
    SocialAccount.objects.bulk_create(
        SocialAccount(user=jane, provider="bitbucket_oauth2", uid=f"n{number}", extra_data={})
        for number in range(count)
    )
    with CaptureQueriesContext(connection) as queries:
        assert f"0 of {count} people" in run("allauth")
    pages = [query["sql"] for query in queries if "socialaccount_socialaccount" in query["sql"]]
    assert len([sql for sql in pages if "LIMIT" in sql]) == 3
