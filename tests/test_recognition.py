"""A Data Center's ids count from 1 again when it is set up anew: a known id alone proves nothing (security rule 6)."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from logins import JANE, refusal, rows, sign_in, statements_fail

from django_bitbucket_auth.bitbucket import Email, Profile
from django_bitbucket_auth.models import BitbucketAccount

pytestmark = pytest.mark.django_db

DC: dict[str, Any] = {"kind": "data-center"}


def directory(name: str, address: str = "", *, vouched: bool = False) -> Profile:
    """Who has the id 7 now."""
    return replace(
        JANE,
        instance="git.example.com",
        uid="7",
        account_id=None,
        username=name,
        emails=(Email(address, True, False, vouched),) if address else (),
    )


KNOWN = directory("jane", "jane@example.com")


@pytest.mark.parametrize(
    "now",
    [
        directory("jane.doe", "jane@example.com"),
        directory("jane.doe", "JANE@example.com"),
        directory("jane", "jane.doe@example.com"),
        directory("JANE", "other@example.com"),
        directory("jane"),
    ],
    ids=["renamed", "renamed, address in capitals", "another address", "name in capitals", "no address any more"],
)
def test_whose_name_or_address_is_known_is_the_person(now: Profile) -> None:
    user = sign_in(KNOWN, **DC)
    assert sign_in(now, **DC) == user
    assert BitbucketAccount.objects.get().username == now.username


@pytest.mark.parametrize(
    "now",
    [directory("mallory", "mallory@example.com"), directory("mallory"), directory("", "mallory@example.com")],
    ids=["name and address", "a name without an address", "no name"],
)
def test_whose_name_and_address_have_both_changed_is_refused(now: Profile, caplog: pytest.LogCaptureFixture) -> None:
    sign_in(KNOWN, **DC)
    assert refusal(now, **DC) == "already_connected"
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "INSTANCE" in record.getMessage() and "'jane'" in record.getMessage()
    assert sign_in(KNOWN, **DC) == User.objects.get()


def test_without_an_address_a_new_name_is_too_much() -> None:
    sign_in(directory("jane"), **DC)
    assert refusal(directory("mallory"), **DC) == "already_connected"
    assert refusal(directory("mallory", "mallory@example.com"), **DC) == "already_connected"


def test_a_row_that_knows_neither_name_nor_address_has_nothing_to_compare() -> None:
    user = sign_in(directory(""), **DC)
    assert sign_in(KNOWN, **DC) == user


def test_an_instance_of_its_own_is_another_bitbucket() -> None:
    jane = sign_in(KNOWN, **DC)
    assert sign_in(replace(directory("mallory", "mallory@example.com"), instance="dc-2027"), **DC) != jane


def test_clouds_ids_are_never_given_again() -> None:
    user = sign_in(JANE)
    assert sign_in(replace(JANE, username="x", nickname="x", emails=(Email("x@example.com", True, True),))) == user


# -- the address -------------------------------------------------------------------------------------------------------


def test_an_address_that_nobody_vouches_for_is_kept_to_recognise_and_given_to_nobody() -> None:
    user = sign_in(KNOWN, **DC)
    account = BitbucketAccount.objects.get()
    assert (account.email, account.email_verified, user.email) == ("jane@example.com", False, "")


def test_an_address_that_the_operator_vouches_for_is_the_users() -> None:
    user = sign_in(directory("jane", "jane@example.com", vouched=True), **DC)
    account = BitbucketAccount.objects.get()
    assert (account.email, account.email_verified, user.email) == ("jane@example.com", True, "jane@example.com")


def test_it_becomes_the_users_when_the_operator_begins_to_vouch_for_it() -> None:
    sign_in(KNOWN, **DC)
    assert sign_in(directory("jane", "jane@example.com", vouched=True), **DC).email == "jane@example.com"


def test_an_address_that_the_user_entered_is_not_taken_for_one_that_was_given() -> None:
    """The same as the unvouched one, by chance or on purpose: it isn't the directory's to change."""
    user = sign_in(KNOWN, **DC)
    User.objects.filter(pk=user.pk).update(email="jane@example.com")
    assert sign_in(directory("jane", "new@example.com", vouched=True), **DC).email == "jane@example.com"


def test_an_unvouched_address_links_nobody() -> None:
    User.objects.create_user("victim", "jane@example.com")
    user = sign_in(KNOWN, link_by_email=True, **DC)
    assert user.username != "victim" and user.email == ""


def test_cloud_keeps_no_address_that_isnt_confirmed() -> None:
    sign_in(replace(JANE, emails=(Email("jane@example.com", True, False),)))
    assert BitbucketAccount.objects.get().email == ""


# -- an administrator --------------------------------------------------------------------------------------------------

MALLORY = directory("jane.smith", "jane.smith@example.com")


def confirm(client: Client, *accounts: BitbucketAccount) -> Any:
    form = {"action": "confirm", "_selected_action": [account.pk for account in accounts]}
    return client.post(reverse("admin:bitbucket_auth_bitbucketaccount_changelist"), form)


def test_an_administrator_vouches_once_and_it_is_logged(admin_client: Client, caplog: pytest.LogCaptureFixture) -> None:
    user = sign_in(KNOWN, **DC)
    account = BitbucketAccount.objects.get()
    assert confirm(admin_client, account).status_code == 302
    assert BitbucketAccount.objects.get().updated_at == account.updated_at
    assert "still is the same person" in LogEntry.objects.get().get_change_message()
    assert f"confirmed that the account {account.pk}" in caplog.text
    assert sign_in(MALLORY, **DC) == user
    assert BitbucketAccount.objects.get().confirmed_at is None
    assert refusal(KNOWN, **DC) == "already_connected"


def test_any_sign_in_uses_the_confirmation_up(admin_client: Client) -> None:
    sign_in(KNOWN, **DC)
    confirm(admin_client, BitbucketAccount.objects.get())
    sign_in(KNOWN, **DC)
    assert refusal(MALLORY, **DC) == "already_connected"


def test_a_confirmation_doesnt_wait_for_whoever_comes_later(admin_client: Client) -> None:
    sign_in(KNOWN, **DC)
    confirm(admin_client, BitbucketAccount.objects.get())
    BitbucketAccount.objects.update(confirmed_at=timezone.now() - timedelta(days=8))
    assert refusal(MALLORY, **DC) == "already_connected"


def test_what_cant_be_logged_is_not_confirmed(admin_client: Client) -> None:
    sign_in(KNOWN, **DC)
    admin_client.raise_request_exception = False
    with statements_fail('INSERT INTO "django_admin_log"', DatabaseError("full")):
        assert confirm(admin_client, BitbucketAccount.objects.get()).status_code == 500
    assert BitbucketAccount.objects.get().confirmed_at is None


def test_who_may_only_look_can_not_vouch(client: Client) -> None:
    sign_in(KNOWN, **DC)
    account = BitbucketAccount.objects.get()
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_bitbucketaccount"))
    client.force_login(clerk)
    before = rows()[1]
    confirm(client, account)
    assert rows()[1] == before
    clerk.user_permissions.add(Permission.objects.get(codename="change_bitbucketaccount"))
    confirm(client, account)
    assert BitbucketAccount.objects.get().confirmed_at is not None


def test_nobody_enters_or_changes_an_identity_by_hand(admin_client: Client) -> None:
    sign_in(KNOWN, **DC)
    before = rows()[1]
    account = BitbucketAccount.objects.get()
    assert admin_client.get(reverse("admin:bitbucket_auth_bitbucketaccount_add")).status_code == 403
    page = reverse("admin:bitbucket_auth_bitbucketaccount_change", args=[account.pk])
    assert b'name="uid"' not in admin_client.get(page).content
    assert admin_client.post(page, {"uid": "1", "username": "x"}).status_code == 403
    assert rows()[1] == before
