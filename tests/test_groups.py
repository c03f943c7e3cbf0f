"""Django groups that follow workspaces (security rule 24)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from logins import JANE, sign_in, statements_fail
from steps import connect, reason_of
from test_counts import written

from django_bitbucket_auth import accounts, conf, groups
from django_bitbucket_auth.bitbucket import Profile
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, Workspace, log_in, override_provider

pytestmark = pytest.mark.django_db

MANAGED = {"Staff": "acme", "Owners": ["acme:owner", "globex:owner"]}


@pytest.fixture(autouse=True)
def site(bitbucket: BitbucketSimulator) -> Iterator[None]:
    for name in ("Staff", "Owners", "Editors"):
        Group.objects.create(name=name)
    with override_provider("default", WORKSPACES=["acme"], GROUPS=MANAGED):
        yield


def groups_of(name: str = "jdoe") -> set[str]:
    return set(User.objects.get(username=name).groups.values_list("name", flat=True))


def test_a_sign_in_puts_people_into_groups_and_takes_them_out(bitbucket: BitbucketSimulator) -> None:
    assert log_in(Client(), "jane").status_code == 302
    assert groups_of() == {"Staff"}
    bitbucket.join("jane", "globex", "owner")
    log_in(Client(), "jane")
    assert groups_of() == {"Staff", "Owners"}
    bitbucket.join("jane", "globex", "create-project")
    log_in(Client(), "jane")
    assert groups_of() == {"Staff"}


def test_other_groups_and_the_flags_of_a_user_are_left_alone(bitbucket: BitbucketSimulator) -> None:
    log_in(Client(), "jane")
    user = User.objects.get()
    user.groups.add(Group.objects.get(name="Editors"))
    User.objects.update(is_staff=True, is_superuser=True)
    bitbucket.join("jane", "acme", "owner")
    log_in(Client(), "jane")
    assert groups_of() == {"Staff", "Owners", "Editors"}
    bitbucket.leave("jane", "acme")
    log_in(Client(), "jane")
    assert groups_of() == {"Editors"}
    user.refresh_from_db()
    assert user.is_staff and user.is_superuser


def test_a_workspace_is_asked_about_once_whoever_wants_to_know(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", GROUPS={"Staff": "ACME", "Owners": ["acme:owner", "Acme"]}):
        assert log_in(Client(), "jane").status_code == 302
    assert len(bitbucket.requests_to("permission")) == 1
    assert groups_of() == {"Staff", "Owners"}


@pytest.mark.parametrize("status", [401, 410, 429, 500])
def test_what_is_unknown_refuses_and_changes_nothing(bitbucket: BitbucketSimulator, status: int) -> None:
    bitbucket.join("jane", "globex", "owner")
    log_in(Client(), "jane")
    before = BitbucketToken.objects.values().get()
    bitbucket.fail("/2.0/user/workspaces/globex/permission", status)
    client = Client()
    response = log_in(client, "jane")
    # She surely is a member of acme, and whether she may still do what owners may isn't known.
    assert (response.status_code, reason_of(response)) == (503, "membership_unknown")
    assert groups_of() == {"Staff", "Owners"}
    assert BitbucketToken.objects.values().get() == before
    assert not client.session.get("_auth_user_id")


def test_a_role_that_is_not_said_is_unknown(bitbucket: BitbucketSimulator) -> None:
    bitbucket.rules.permission_names_role = False
    response = log_in(Client(), "jane")
    assert (response.status_code, reason_of(response)) == (503, "membership_unknown")
    with override_provider("default", GROUPS={"Staff": "acme"}):
        assert log_in(Client(), "jane").status_code == 302
    assert groups_of() == {"Staff"}


@pytest.mark.parametrize(
    "changes",
    [
        {"workspace": {"slug": "acme", "uuid": "{00000000-0000-4000-8000-000000000000}", "name": "Acme Widgets"}},
        {"user": {"uuid": "{00000000-0000-4000-8000-000000000000}"}},
        {"permission": "collaborator"},
    ],
    ids=["another workspace of this name", "another person", "no member"],
)
def test_an_answer_about_something_else_gives_no_group(bitbucket: BitbucketSimulator, changes: dict[str, Any]) -> None:
    acme, jane = bitbucket.workspaces["acme"], bitbucket.person("jane")
    body = {
        "permission": "owner",
        "workspace": {"slug": "acme", "uuid": acme.uuid},
        "user": {"uuid": jane.uuid},
        **changes,
    }
    bitbucket.answer("permission", 200, body=json.dumps(body))
    with override_provider("default", WORKSPACES=["*"], GROUPS={"Staff": acme.uuid}):
        assert reason_of(log_in(Client(), "jane")) == "membership_unknown"
    assert not User.objects.exists()


def test_whoever_takes_over_the_slug_of_a_workspace_gets_none_of_its_groups(bitbucket: BitbucketSimulator) -> None:
    uuid = bitbucket.workspaces["acme"].uuid
    with override_provider("default", WORKSPACES=["*"], GROUPS={"Owners": f"{uuid}:owner"}):
        bitbucket.join("jane", "acme", "owner")
        bitbucket.rename_workspace("acme", "acme-corp")
        bitbucket.add_workspace(Workspace("acme", uuid="{99999999-9999-4999-8999-999999999999}"))
        bitbucket.join("outsider", "acme", "owner")
        for person in ("jane", "outsider"):
            assert log_in(Client(), person).status_code == 302
    assert groups_of() == {"Owners"}
    assert groups_of("olga") == set()


def test_the_membership_of_another_account_of_the_user_does_not_count(bitbucket: BitbucketSimulator) -> None:
    bitbucket.join("jane", "acme", "owner")
    log_in(Client(), "jane")
    # The same user's second account, which is no owner.
    user = User.objects.get()
    other, instance = bitbucket.person("unconfirmed"), BitbucketAccount.objects.get().instance
    BitbucketAccount.objects.create(user=user, provider="default", instance=instance, uid=other.uuid)
    log_in(Client(), "unconfirmed")
    assert User.objects.count() == 1
    assert groups_of() == {"Staff"}


def test_a_group_is_never_created_and_its_absence_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with override_provider("default", GROUPS={"Staff": "acme", "Nobody": "acme", "staff": "acme"}):
        assert log_in(Client(), "jane").status_code == 302
    assert groups_of() == {"Staff"}
    assert set(Group.objects.values_list("name", flat=True)) == {"Staff", "Owners", "Editors"}
    assert "GROUPS names groups that don't exist: 'Nobody', 'staff'." in caplog.text


def test_at_most_two_queries_more_where_nothing_changes() -> None:
    log_in(Client(), "jane")
    counts = []
    for managed in ({}, MANAGED, {**MANAGED, "Nobody": "acme"}):
        with override_provider("default", GROUPS=managed), CaptureQueriesContext(connection) as queries:
            log_in(Client(), "jane")
        counts.append(len(written(queries)))
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]


def test_who_certainly_left_loses_groups_and_tokens_at_the_refused_login(bitbucket: BitbucketSimulator) -> None:
    log_in(Client(), "jane")
    log_in(Client(), "unconfirmed")
    bitbucket.leave("jane", "acme")
    response = log_in(Client(), "jane")
    assert (response.status_code, reason_of(response)) == (403, "not_a_member")
    assert groups_of() == set()
    assert groups_of("max") == {"Staff"}
    assert BitbucketToken.objects.get().account.user.username == "max"  # type: ignore[union-attr]


def test_a_refused_stranger_has_nothing_to_lose() -> None:
    assert reason_of(log_in(Client(), "outsider")) == "not_a_member"
    assert not User.objects.exists()


def test_groups_are_lost_by_the_very_account_whatever_a_collation_takes_for_it() -> None:
    user = sign_in(replace(JANE, uid="{anna}"))
    user.groups.add(Group.objects.get(name="Staff"))
    for stranger in ("{ANNA}", "{ánna}"):
        accounts.expel(replace(JANE, uid=stranger, account_id=None), conf.provider_settings())
    assert groups_of(user.username) == {"Staff"}
    accounts.expel(replace(JANE, uid="{anna}"), conf.provider_settings())
    assert groups_of(user.username) == set()


def test_a_database_that_fails_takes_back_the_groups_too() -> None:
    log_in(Client(), "jane")
    User.objects.get().groups.set([Group.objects.get(name="Owners")])
    with statements_fail('UPDATE "bitbucket_auth_bitbuckettoken"', OperationalError("locked"), 2):
        assert log_in(Client(), "jane").status_code == 503
    assert groups_of() == {"Owners"}


def test_connecting_an_account_asks_about_no_group_and_changes_none(bitbucket: BitbucketSimulator) -> None:
    client = Client()
    user = User.objects.create_user("anna")
    user.groups.add(Group.objects.get(name="Owners"))
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    assert connect(client, bitbucket).status_code == 302
    assert BitbucketAccount.objects.get().user.username == "anna"
    assert [logged.path for logged in bitbucket.requests_to("permission")] == ["/2.0/user/workspaces/acme/permission"]
    assert groups_of("anna") == {"Owners"}


def test_nothing_is_asked_of_a_user_whose_groups_are_not_managed(django_assert_num_queries: Any) -> None:
    user = sign_in(Profile("default", "bitbucket.org", JANE.uid))
    with django_assert_num_queries(0):
        groups.sync(user, {}, (), "default")


# -- groups and the end of an account ----------------------------------------------------------------------------------


def test_who_disconnects_keeps_no_group_that_came_with_the_account(bitbucket: BitbucketSimulator) -> None:
    """Nobody could take it away any more: without the row, leaving the workspace isn't noticed."""
    client = Client()
    log_in(client, "jane")
    user = User.objects.get()
    user.set_password("correct horse")
    user.save()
    user.groups.add(Group.objects.get(name="Editors"))
    client.force_login(user)
    assert client.post("/bitbucket/disconnect/", {"account": user.bitbucket_accounts.get().pk}).status_code == 302
    assert groups_of() == {"Editors"} and not BitbucketAccount.objects.exists()


def test_an_account_that_cant_be_given_up_keeps_its_groups(bitbucket: BitbucketSimulator) -> None:
    client = Client()
    log_in(client, "jane")
    assert client.post("/bitbucket/disconnect/", {"account": BitbucketAccount.objects.get().pk}).status_code == 403
    assert groups_of() == {"Staff"}


@pytest.mark.parametrize("by_action", [False, True])
def test_an_account_that_is_deleted_in_the_admin_takes_its_groups_along(
    bitbucket: BitbucketSimulator, admin_client: Client, by_action: bool
) -> None:
    log_in(Client(), "jane")
    pk = BitbucketAccount.objects.get().pk
    if by_action:
        form = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
        response = admin_client.post("/admin/bitbucket_auth/bitbucketaccount/", form)
    else:
        response = admin_client.post(f"/admin/bitbucket_auth/bitbucketaccount/{pk}/delete/", {"post": "yes"})
    assert response.status_code == 302 and not BitbucketAccount.objects.exists()
    assert groups_of() == set()


def test_what_is_wrong_with_another_provider_keeps_nobody_from_disconnecting(bitbucket: BitbucketSimulator) -> None:
    client = Client()
    log_in(client, "jane")
    User.objects.update(password="md5$a$b")
    client.force_login(User.objects.get())
    with override_provider("dc", KIND="data-center"), override_provider("cloud", CLIENT_ID="a", CLIENT_SECRET="b"):
        assert client.post("/bitbucket/disconnect/", {"account": BitbucketAccount.objects.get().pk}).status_code == 302
    assert groups_of() == set()
