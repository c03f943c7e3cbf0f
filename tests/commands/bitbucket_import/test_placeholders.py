"""People of whom an import knows the Atlassian account id alone, until they sign in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from former.models import SocialAccount
from former.rows import ACCOUNT_ID, allauth, an_app, lines, person, run, token_of
from logins import JANE, NAMESAKE, a_login, overtaken_by, refusal, sign_in

from django_bitbucket_auth import accounts
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken

pytestmark = pytest.mark.django_db


def test_who_is_known_by_account_id_alone_gets_a_placeholder_that_the_sign_in_adopts() -> None:
    jane = person()
    allauth(jane, uuid=None)
    run("allauth", "--apply")
    account = BitbucketAccount.objects.get()
    assert (account.uid, account.is_placeholder) == (f"import:{JANE.account_id}", True)
    assert sign_in() == jane
    account.refresh_from_db()
    assert (account.uid, account.is_placeholder, account.imported_from) == (JANE.uid, False, "")
    assert sign_in() == jane
    assert refusal(replace(NAMESAKE, account_id=JANE.account_id)) == "already_connected"


def test_a_key_that_can_be_nothing_but_an_account_id_needs_no_profile() -> None:
    jane = person()
    SocialAccount.objects.create(user=jane, provider="bitbucket_oauth2", uid=ACCOUNT_ID, extra_data={})
    assert "1 of 1" in run("allauth", "--apply")
    assert sign_in(replace(JANE, account_id=ACCOUNT_ID)) == jane


def test_a_placeholder_is_not_adopted_by_who_has_an_account(caplog: pytest.LogCaptureFixture) -> None:
    sign_in(replace(JANE, account_id=None))
    allauth(person("other"), uuid=None)
    run("allauth", "--apply")
    assert refusal() == "already_connected"
    assert "is tied to another uid, import:557058:jane" in caplog.text


def test_a_placeholder_is_of_one_bitbucket_and_compared_exactly() -> None:
    allauth(person(), uuid=None, account_id="557058:jané", uid="557058:jané")
    run("allauth", "--apply")
    assert accounts.find(replace(JANE, account_id="557058:JANE"), "default") is None
    assert accounts.find(replace(JANE, account_id="557058:jané", instance="elsewhere"), "default") is None
    found = accounts.find(replace(JANE, account_id="557058:jané"), "default")
    assert found is not None and found.is_placeholder


def test_an_import_that_is_faster_than_a_first_sign_in_makes_no_second_user() -> None:
    jane = person("jdoe")
    allauth(jane, uuid=None)
    with overtaken_by(lambda: run("allauth", "--apply")):
        assert sign_in() == jane
    assert (User.objects.count(), BitbucketAccount.objects.get().uid) == (1, JANE.uid)


def test_a_placeholder_keeps_no_token_of_who_is_no_member_any_more() -> None:
    token_of(allauth(person(), uuid=None), an_app())
    run("allauth", "--apply", "--tokens")
    assert BitbucketToken.objects.exists()
    accounts.expel(JANE, a_login().configuration)
    assert not BitbucketToken.objects.exists()


def test_no_placeholder_beside_an_account_that_may_be_the_same() -> None:
    jane = sign_in(replace(JANE, account_id=None))
    allauth(jane, uuid=None)
    (line,) = lines("allauth", "--apply")
    assert "may be an account that the user has here" in line
    assert sign_in() == jane  # which tells the account id
    (line,) = lines("allauth", "--apply")
    assert line.endswith("here already")
