"""The example's admin: who gets in, what they may do there, and under which policy it is shown."""

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client
from example.sites import site_of

from django_bitbucket_auth.models import BitbucketAccount
from django_bitbucket_auth.testing import log_in

pytestmark = pytest.mark.django_db

ACCOUNTS = "/admin/bitbucket_auth/bitbucketaccount/"
OWNERS = "Owners of the workspace"


def policy(client: Client, path: str) -> str:
    return client.get(path).headers["Content-Security-Policy"]


def test_the_admin_sends_everybody_to_bitbucket_and_no_member_in(client: Client) -> None:
    with site_of("cloud"):
        assert client.get("/admin/").headers["Location"] == "/admin/login/?next=/admin/"
        assert client.get("/admin/login/?next=/admin/").headers["Location"].startswith("/bitbucket/login/?next=/admin/")
        log_in(client, "jane")
        assert "not authorized" in client.get("/admin/", follow=True).content.decode()
        assert "/admin/" not in client.get("/").content.decode()


def test_an_owner_looks_after_accounts_and_does_nothing_else_there(client: Client) -> None:
    with site_of("cloud") as bitbucket:
        bitbucket.join("jane", "acme", "owner")
        log_in(client, "jane")
        for path in ("/", "/profile/", "/owners/"):
            assert '"/admin/"' in client.get(path).content.decode()
        page = client.get(ACCOUNTS).content.decode()
        assert "Jane Doe" in page and "stored, expires in" in page
        assert all(f'value="{action}"' in page for action in ("refresh", "forget"))
        assert client.get("/admin/auth/user/").status_code == 403
        account = BitbucketAccount.objects.get()
        assert client.post(f"{ACCOUNTS}{account.pk}/delete/", {"post": "yes"}).status_code == 403


def test_who_is_an_owner_no_more_is_no_staff_after_the_next_sign_in(client: Client) -> None:
    with site_of("cloud") as bitbucket:
        bitbucket.join("jane", "acme", "owner")
        log_in(client, "jane")
        assert User.objects.get().is_staff
        bitbucket.join("jane", "acme", "member")
        log_in(client, "jane")
        assert not User.objects.get().is_staff
        assert client.get(ACCOUNTS).status_code == 302


def test_a_superuser_stays_one_whatever_their_role(client: Client) -> None:
    with site_of("cloud"):
        log_in(client, "jane")
        User.objects.update(is_staff=True, is_superuser=True)
        log_in(client, "jane")
        assert client.get("/admin/auth/user/").status_code == 200


@pytest.mark.parametrize("kind", ["data-center", "cloud"])
def test_without_a_workspace_the_site_leaves_staff_alone(
    kind: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site_of(kind) as bitbucket:
        if kind == "cloud":
            from django.conf import settings

            monkeypatch.delitem(settings.BITBUCKET_AUTH["default"], "GROUPS")
        assert not Group.objects.exists() or kind == "cloud"
        bitbucket.join("jane", "acme", "owner")
        log_in(client, "jane")
        assert not User.objects.get().is_staff
        User.objects.update(is_staff=True)
        log_in(client, "jane")
        assert User.objects.get().is_staff


def test_scripts_are_allowed_in_the_admin_only(client: Client) -> None:
    """And there the site's own: none inline, none from elsewhere."""
    with site_of("cloud") as bitbucket:
        bitbucket.join("jane", "acme", "owner")
        log_in(client, "jane")
        for path in ("/admin/", ACCOUNTS, "/admin/login/"):
            found = policy(client, path)
            assert "default-src 'none'" in found and "script-src 'self';" in f"{found};" and "img-src 'self'" in found
            assert "unsafe" not in found and "https:" not in found
        for path in ("/", "/profile/", "/owners/", "/bitbucket/connections/", "/nowhere/"):
            assert "default-src 'none'" in policy(client, path) and "script-src" not in policy(client, path)


def test_a_database_with_the_group_of_owners_alone_is_empty() -> None:
    from website.management.commands.migrate_empty import Command

    with site_of("cloud"):
        assert Group.objects.get().name == OWNERS
        call_command(Command())
        Group.objects.create(name="Others")
        with pytest.raises(CommandError, match="isn't empty: auth_group has rows"):
            call_command(Command())


@pytest.mark.django_db
def test_the_group_that_a_check_of_another_kind_has_left_is_nothing() -> None:
    from website.management.commands.migrate_empty import Command

    with site_of("data-center"):
        assert not Group.objects.exists()
        Group.objects.create(name=OWNERS)
        call_command(Command())
    assert Group.objects.get().name == OWNERS
