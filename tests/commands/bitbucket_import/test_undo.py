"""``bitbucket_import --undo``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from former.models import SocialAccount
from former.rows import GIT, allauth, an_app, at_data_center, person, run, social, token_of
from logins import JANE, NAMESAKE, rows, sign_in

from django_bitbucket_auth.management.importing import packages
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken

pytestmark = pytest.mark.django_db


def test_what_was_imported_from_a_package_and_not_used_can_be_taken_away() -> None:
    owner = sign_in(replace(JANE, uid="{33333333-3333-4333-8333-333333333333}", account_id="557058:owner"))
    social(person("joe"), NAMESAKE.uid)
    run("social-auth", "--apply")
    SocialAccount.objects.create(user=owner, provider="git", uid="17", extra_data={"url": f"{GIT}/users/jdoe"})
    run("allauth", "--apply", "--provider=dc", "--source=git")
    before = rows()
    token_of(allauth(owner), an_app())
    run("allauth", "--apply", "--tokens")
    assert [len(table) for table in rows()[1:]] == [4, 2]
    assert "1 to be removed, 0 kept.\nNothing was written." in run("allauth", "--undo")
    assert [len(table) for table in rows()[1:]] == [4, 2]
    assert "1 removed, 0 kept." in run("allauth", "--undo", "--apply")
    assert rows() == before
    assert "0 removed, 0 kept." in run("allauth", "--undo", "--apply")


def test_more_accounts_than_a_page_are_taken_away() -> None:
    jane, count = person(), packages.PAGE + 1
    BitbucketAccount.objects.bulk_create(
        BitbucketAccount(
            user=jane, provider="default", instance="bitbucket.org", uid=f"{{{number}}}", imported_from="allauth"
        )
        for number in range(count)
    )
    with CaptureQueriesContext(connection) as queries:
        assert f"{count} removed, 0 kept." in run("allauth", "--undo", "--apply")
    pages = [query["sql"] for query in queries if "LIMIT" in query["sql"]]
    assert len(pages) == 3
    # A sign-in that is on its way comes before, or finds nobody.
    assert ("FOR UPDATE" in pages[0]) == connection.features.has_select_for_update
    assert not BitbucketAccount.objects.exists()


def test_who_has_signed_in_since_stays() -> None:
    allauth(person())
    run("allauth", "--apply")
    sign_in()
    assert "0 removed, 0 kept." in run("allauth", "--undo", "--apply")
    assert BitbucketAccount.objects.exists()


def test_whose_token_was_renewed_or_who_was_vouched_for_stays() -> None:
    at_data_center(person("joe"))
    run("social-auth", "--provider=dc", "--apply")
    BitbucketAccount.objects.update(confirmed_at=datetime.now(UTC))
    token_of(allauth(person()), an_app())
    run("allauth", "--apply", "--tokens")
    BitbucketToken.objects.update(version=2)
    said = run("allauth", "--undo", "--apply")
    assert "kept: it has been used since" in said
    assert "0 removed, 1 kept." in said
    assert "0 removed, 1 kept." in run("social-auth", "--undo", "--apply", "--provider=dc")
    assert BitbucketAccount.objects.count() == 2
