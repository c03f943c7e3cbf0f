"""The admin: what it shows of people and tokens, and what can be done there."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from logins import JANE, sign_in
from stored import renewals, stored

from django_bitbucket_auth import conf, tokens
from django_bitbucket_auth.admin import renewing
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.stores import DatabaseTokenStore
from django_bitbucket_auth.testing import BitbucketSimulator, Person, override_provider

pytestmark = pytest.mark.django_db

ACCOUNTS = reverse("admin:bitbucket_auth_bitbucketaccount_changelist")
TOKENS = reverse("admin:bitbucket_auth_bitbuckettoken_changelist")


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode().replace("\xa0", " ")


def account_page(client: Client, row: BitbucketToken | None = None) -> str:
    account = BitbucketAccount.objects.get() if row is None else row.account
    assert account is not None
    return page(client, reverse("admin:bitbucket_auth_bitbucketaccount_change", args=[account.pk]))


def act(client: Client, action: str, *accounts: Any, **form: str) -> list[str]:
    """Do it with these accounts (all), as the button does. Returns what is told."""
    chosen = [account.pk for account in accounts or BitbucketAccount.objects.all()]
    form = {"action": action, "_selected_action": chosen, **form}  # type: ignore[dict-item]
    response = client.post(ACCOUNTS, form, follow=True)
    assert response.status_code == 200
    return [str(message).replace("\xa0", " ") for message in response.context.get("messages", [])]


def clerk(client: Client, *permissions: str) -> None:
    """Somebody of the staff, with these permissions only."""
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    client.force_login(user)


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_an_address_stands_below_the_name_and_none_where_there_is_none(
    bitbucket: BitbucketSimulator, admin_client: Client
) -> None:
    account = stored(bitbucket).account
    assert account is not None
    BitbucketAccount.objects.update(display_name="Jane <Doe>", email="jane@example.com")
    shown = page(admin_client, ACCOUNTS)
    assert 'Jane &lt;Doe&gt; <span class="bba-admin-below">jane@example.com</span>' in shown
    assert '"/static/bitbucket_auth/admin.css"' in shown
    BitbucketAccount.objects.update(email="")
    assert "bba-admin-below" not in page(admin_client, ACCOUNTS)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"expires_at": timedelta(minutes=50, seconds=30)}, "stored, expires in 50 minutes"),
        ({"expires_at": timedelta(hours=-1)}, "stored, renews by itself"),
        ({"expires_at": None}, "stored, has no end"),
        ({"lost_at": timedelta(hours=-1)}, "lost: signs in again"),
        ({"sealed": "1.abcdefgh.unreadable"}, "can&#x27;t be decrypted: signs in again"),
    ],
)
def test_a_token_is_told_in_words(
    bitbucket: BitbucketSimulator, admin_client: Client, columns: dict[str, Any], words: str
) -> None:
    row = stored(bitbucket)
    times = {name: timezone.now() + value if isinstance(value, timedelta) else value for name, value in columns.items()}
    BitbucketToken.objects.update(**times)
    assert words in page(admin_client, ACCOUNTS)
    assert words in account_page(admin_client, row)


def test_a_token_that_cannot_be_renewed_has_ended(bitbucket: BitbucketSimulator, admin_client: Client) -> None:
    row = stored(bitbucket)
    assert row.account is not None
    only = Token("x", expires_at=timezone.now() - timedelta(hours=1))
    tokens.write(row.account, only, conf.provider_settings(), grant="authorization_code", using="default")
    assert "ended: signs in again" in page(admin_client, ACCOUNTS)


def test_an_account_without_a_token_has_none(admin_client: Client) -> None:
    sign_in(JANE, store_tokens=False)
    assert '<td class="field-tokens">none</td>' in page(admin_client, ACCOUNTS)


def test_of_several_tokens_each_is_told_with_its_provider(bitbucket: BitbucketSimulator, admin_client: Client) -> None:
    row = stored(bitbucket, expires_at=None)
    assert row.account is not None
    key = BitbucketToken.key_of(row.account.pk, "second")
    other = BitbucketToken(key=key, account=row.account, provider="second", **BitbucketToken.columns(key, Token("x")))
    other.save()
    assert "default: stored, has no end; second: stored, has no end" in page(admin_client, ACCOUNTS)


def test_an_inactive_users_token_is_not_used(bitbucket: BitbucketSimulator, admin_client: Client) -> None:
    row = stored(bitbucket)
    User.objects.filter(username="jane").update(is_active=False)
    assert "not used: the user is deactivated" in page(admin_client, ACCOUNTS)
    assert "is inactive" in act(admin_client, "refresh", row.account)[0]
    assert renewals(bitbucket) == 0


def test_keys_that_are_wrong_are_named(bitbucket: BitbucketSimulator, admin_client: Client, settings: Any) -> None:
    stored(bitbucket)
    settings.BITBUCKET_AUTH_TOKEN_KEYS = "not a list"
    assert "BITBUCKET_AUTH_TOKEN_KEYS is wrong" in page(admin_client, ACCOUNTS)


def test_lists_of_what_cannot_be_decrypted_fill_no_log(
    bitbucket: BitbucketSimulator, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    stored(bitbucket, sealed="")
    page(admin_client, ACCOUNTS)
    assert "decrypted" not in caplog.text


def test_no_token_and_no_ciphertext_is_on_any_page(bitbucket: BitbucketSimulator, admin_client: Client) -> None:
    store = DatabaseTokenStore()
    tokens.get_access_token(store=store)
    row, application = stored(bitbucket), BitbucketToken.objects.get(account=None)
    shown = page(admin_client, ACCOUNTS) + account_page(admin_client, row) + page(admin_client, TOKENS)
    shown += page(admin_client, reverse("admin:bitbucket_auth_bitbuckettoken_change", args=[application.pk]))
    assert "application:default" in shown and "client_credentials" in shown
    for token in (row, application):
        held = token.reveal()
        assert held is not None
        assert not [
            secret for secret in (token.sealed, held.access_token, held.refresh_token) if secret in shown if secret
        ]


def test_links_from_profiles_tell_the_other_site_nothing(admin_client: Client) -> None:
    sign_in(JANE)
    shown = account_page(admin_client)
    for url in (JANE.profile_url, JANE.avatar_url):
        assert f'<a href="{url}" rel="noreferrer noopener">{url}</a>' in shown
    assert f'src="{JANE.avatar_url}"' not in shown


@pytest.mark.parametrize("url", ["http://bitbucket.org/jane/", "javascript:alert(1)", 'https:"><script>', "//x", ""])
def test_what_is_no_https_address_is_no_link(admin_client: Client, url: str) -> None:
    sign_in(JANE)
    BitbucketAccount.objects.update(profile_url=url, avatar_url="")
    shown = account_page(admin_client)
    assert escape(url) in shown
    assert "noreferrer" not in shown and f'href="{url}"' not in shown.partition('id="content"')[2]


def test_the_user_is_a_link_to_its_own_page(admin_client: Client) -> None:
    user = sign_in(JANE)
    link = f'<a href="{reverse("admin:auth_user_change", args=[user.pk])}">jane</a>'
    assert link in page(admin_client, ACCOUNTS)
    assert link in account_page(admin_client)


def test_users_that_have_no_page_are_named(admin_client: Client, rf: Any) -> None:
    user = sign_in(JANE)
    elsewhere = admin.AdminSite("elsewhere")
    elsewhere.register(BitbucketAccount, type(admin.site.get_model_admin(BitbucketAccount)))
    own: Any = elsewhere.get_model_admin(BitbucketAccount)
    assert own.user_link(BitbucketAccount.objects.get()) == str(user)


def test_an_account_has_a_name_whatever_the_profile_lacks(admin_client: Client) -> None:
    sign_in(JANE)
    BitbucketAccount.objects.update(display_name="", username="jane", email="")
    assert ">jane</a></th>" in page(admin_client, ACCOUNTS)
    BitbucketAccount.objects.update(username="")
    assert f">{JANE.uid}</a></th>" in page(admin_client, ACCOUNTS)


@pytest.mark.parametrize("setting", [{}, {"elsewhere": {}}, "not a dictionary", {"default": {"KIND": "none.Such"}}])
def test_accounts_of_a_provider_that_is_not_set_up_are_shown(
    bitbucket: BitbucketSimulator, admin_client: Client, settings: Any, setting: Any
) -> None:
    row = stored(bitbucket)
    tokens.get_access_token(store=DatabaseTokenStore())
    settings.BITBUCKET_AUTH = setting
    assert "expires in" in page(admin_client, ACCOUNTS) and "expires in" in account_page(admin_client, row)
    assert "application:default" in page(admin_client, TOKENS)
    [told] = act(admin_client, "refresh")
    assert "not renewed. Cause: " in told and renewals(bitbucket) == 0
    assert act(admin_client, "forget", confirmed="yes") == ["The tokens of 1 account were deleted."]


# -- renewing ----------------------------------------------------------------------------------------------------------


def test_a_token_is_renewed_though_it_is_good(bitbucket: BitbucketSimulator, admin_client: Client) -> None:
    row = stored(bitbucket)
    before = row.reveal()
    [told] = act(admin_client, "refresh")
    assert told.startswith(f"{row.account}, default: renewed: stored, expires in ")
    row.refresh_from_db()
    after = row.reveal()
    assert before is not None and after is not None and before.access_token != after.access_token
    assert renewals(bitbucket) == 1 and row.version == 2
    assert "Renewed the stored token of the provider default." in LogEntry.objects.get().get_change_message()


def test_what_bitbucket_refuses_is_told_and_not_logged_as_done(
    bitbucket: BitbucketSimulator, admin_client: Client
) -> None:
    stored(bitbucket)
    bitbucket.revoke("jane")
    [told] = act(admin_client, "refresh")
    assert "not renewed, the person has to sign in again. Cause: 'invalid_request': 'Invalid refresh_token'" in told
    assert not LogEntry.objects.exists()


def test_what_cannot_be_renewed_is_told(bitbucket: BitbucketSimulator, admin_client: Client) -> None:
    row = stored(bitbucket, sealed="1.abcdefgh.unreadable")
    assert "sign in again" in act(admin_client, "refresh")[0]
    row.delete()
    assert act(admin_client, "refresh") == [f"{row.account}: there is no stored token."]
    assert renewals(bitbucket) == 0


def test_bitbucket_out_of_reach_is_asked_once(bitbucket: BitbucketSimulator, admin_client: Client) -> None:
    bitbucket.add_person(Person("joe"))
    stored(bitbucket)
    stored(bitbucket, "joe")
    bitbucket.fail("token", 503)
    with override_provider("default", RETRIES=0):
        first, rest = act(admin_client, "refresh")
    assert "not renewed. Cause: " in first and "503" in first
    assert "not tried" in rest and "bitbucket_refresh" in rest
    assert renewals(bitbucket) == 1


def test_a_client_that_is_refused_loses_nobodys_token(bitbucket: BitbucketSimulator, admin_client: Client) -> None:
    row = stored(bitbucket)
    with override_provider("default", CLIENT_SECRET="wrong"):
        [told] = act(admin_client, "refresh")
    assert "not renewed. Cause: " in told and "sign in" not in told
    row.refresh_from_db()
    assert (row.refused_at, row.lost_at) == (None, None)


def test_no_renewal_begins_when_the_page_has_taken_long(
    bitbucket: BitbucketSimulator, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(bitbucket)
    monkeypatch.setattr(renewing, "LONGEST", -1)
    [told] = act(admin_client, "refresh")
    assert "not tried" in told and renewals(bitbucket) == 0


def test_only_so_many_are_renewed_at_a_time(
    bitbucket: BitbucketSimulator, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitbucket.add_person(Person("joe"))
    stored(bitbucket)
    stored(bitbucket, "joe")
    monkeypatch.setattr(renewing, "MOST", 1)
    renewed, rest = act(admin_client, "refresh")
    assert "renewed" in renewed and "not tried" in rest and renewals(bitbucket) == 1


# -- forgetting --------------------------------------------------------------------------------------------------------


def test_tokens_are_forgotten_once_that_is_confirmed(bitbucket: BitbucketSimulator, admin_client: Client) -> None:
    bitbucket.add_person(Person("joe"))
    kept, row = stored(bitbucket, "joe"), stored(bitbucket)
    form = {"action": "forget", "_selected_action": [row.account_id]}
    asked = admin_client.post(ACCOUNTS, form).content.decode()
    assert "Forget the stored tokens?" in asked and str(row.account) in asked and str(kept.account) not in asked
    assert f'name="_selected_action" value="{row.account_id}"' in asked and 'name="confirmed"' in asked
    assert BitbucketToken.objects.count() == 2 and not LogEntry.objects.exists()
    assert act(admin_client, "forget", row.account, confirmed="yes") == ["The tokens of 1 account were deleted."]
    assert BitbucketToken.objects.get() == kept and BitbucketAccount.objects.count() == 2
    assert LogEntry.objects.get().get_change_message() == "Deleted the stored tokens."


def test_who_has_no_token_is_not_counted(admin_client: Client) -> None:
    sign_in(JANE, store_tokens=False)
    assert act(admin_client, "forget", confirmed="yes") == ["The tokens of 0 accounts were deleted."]
    assert not LogEntry.objects.exists()


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permission", "action"),
    [
        ("change_bitbuckettoken", "refresh"),
        ("delete_bitbuckettoken", "forget"),
        ("change_bitbucketaccount", "confirm"),
    ],
)
def test_each_action_has_a_permission_of_its_own(
    bitbucket: BitbucketSimulator, client: Client, permission: str, action: str
) -> None:
    stored(bitbucket)
    clerk(client, "view_bitbucketaccount", permission)
    shown = page(client, ACCOUNTS)
    assert [name for name in ("refresh", "forget", "confirm") if f'<option value="{name}"' in shown] == [action]
    for other in {"refresh", "forget", "confirm"} - {action}:
        act(client, other, confirmed="yes")
    assert not LogEntry.objects.exists() and renewals(bitbucket) == 0
    act(client, action, confirmed="yes")
    assert LogEntry.objects.count() == 1


def test_nobody_enters_or_changes_a_token(bitbucket: BitbucketSimulator, admin_client: Client) -> None:
    tokens.get_access_token(store=DatabaseTokenStore())
    url = reverse("admin:bitbucket_auth_bitbuckettoken_change", args=[BitbucketToken.objects.get().pk])
    assert admin_client.get(reverse("admin:bitbucket_auth_bitbuckettoken_add")).status_code == 403
    assert admin_client.post(url, {"key": "x"}).status_code == 403
    assert BitbucketToken.objects.get().key == "application:default"


def test_the_tokens_of_accounts_are_told_with_the_account_only(
    bitbucket: BitbucketSimulator, admin_client: Client
) -> None:
    row = stored(bitbucket)
    assert row.key not in page(admin_client, TOKENS)
    url = reverse("admin:bitbucket_auth_bitbuckettoken_change", args=[row.pk])
    assert admin_client.get(url).status_code == 302


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"lost_at": timezone.now()}, "lost"),
        ({"sealed": ""}, "can&#x27;t be decrypted"),
        ({"expires_at": timezone.now() - timedelta(hours=1)}, "ended"),
    ],
)
def test_the_applications_own_token_signs_nobody_in(
    bitbucket: BitbucketSimulator, admin_client: Client, columns: dict[str, Any], words: str
) -> None:
    tokens.get_access_token(store=DatabaseTokenStore())
    BitbucketToken.objects.update(**columns)
    assert f'<td class="field-state">{words}</td>' in page(admin_client, TOKENS)


def test_an_account_goes_with_its_tokens_by_the_right_to_delete_accounts(
    bitbucket: BitbucketSimulator, client: Client
) -> None:
    row = stored(bitbucket)
    clerk(client, "view_bitbucketaccount", "delete_bitbucketaccount")
    url = reverse("admin:bitbucket_auth_bitbucketaccount_delete", args=[row.account_id])
    assert row.sealed not in page(client, url)
    assert client.post(url, {"post": "yes"}).status_code == 302
    assert not BitbucketAccount.objects.exists() and not BitbucketToken.objects.exists()


def test_an_application_token_is_deleted_by_the_right_to_delete_tokens(
    bitbucket: BitbucketSimulator, client: Client
) -> None:
    tokens.get_access_token(store=DatabaseTokenStore())
    url = reverse("admin:bitbucket_auth_bitbuckettoken_delete", args=[BitbucketToken.objects.get().pk])
    clerk(client, "view_bitbuckettoken", "delete_bitbucketaccount")
    assert client.post(url, {"post": "yes"}).status_code == 403
    User.objects.get(username="clerk").user_permissions.add(Permission.objects.get(codename="delete_bitbuckettoken"))
    assert client.post(url, {"post": "yes"}).status_code == 302
    assert not BitbucketToken.objects.exists()


def test_a_deletion_of_tokens_is_in_the_log(
    bitbucket: BitbucketSimulator, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    row = stored(bitbucket)
    caplog.set_level(logging.INFO, "django_bitbucket_auth")
    act(admin_client, "forget", confirmed="yes")
    assert f"deleted the stored tokens of the account {row.account_id}" in caplog.text
