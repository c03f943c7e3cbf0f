"""Where a sign-in keeps its token."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from logins import JANE, TOKEN, a_login, a_request, sign_in

from django_bitbucket_auth import tokens
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.models import BitbucketToken

pytestmark = pytest.mark.django_db

NEWER = replace(TOKEN, access_token="newer", refresh_token="newer-refresh", scopes=("account",), expires_at=None)


def test_a_first_token_has_all_that_a_refresh_will_need() -> None:
    user = sign_in(client_id="client-7")
    row = BitbucketToken.objects.get()
    assert row.account == user.bitbucket_accounts.get()
    assert (row.key, row.provider, row.instance) == (f"account:{row.account_id}:default", "default", "bitbucket.org")
    assert (row.client_id, row.grant) == ("client-7", "authorization_code")
    assert row.redirect_uri == "https://testserver/bitbucket/callback/"
    assert (row.token_type, row.scope, row.expires_at) == ("bearer", "account email", TOKEN.expires_at)
    assert (row.version, row.lease, row.lease_until, row.refused_at, row.lost_at) == (1, "", None, None, None)


def test_a_newer_pair_replaces_the_older_and_the_version_grows() -> None:
    sign_in()
    before = BitbucketToken.objects.get()
    BitbucketBackend().authenticate(a_request(), bitbucket_login=a_login(token=NEWER, client_id="other"))
    after = BitbucketToken.objects.get()
    assert after.reveal() == NEWER
    assert (after.pk, after.version, after.client_id) == (before.pk, 2, "other")
    assert after.updated_at > before.updated_at
    assert after.created_at == before.created_at


def test_a_sign_in_ends_lease_and_loss() -> None:
    sign_in()
    now = timezone.now()
    BitbucketToken.objects.update(lease="x", lease_until=now + timedelta(hours=1), refused_at=now, lost_at=now)
    sign_in()
    row = BitbucketToken.objects.get()
    assert (row.lease, row.lease_until, row.refused_at, row.lost_at) == ("", None, None, None)


def test_each_provider_has_its_own_token() -> None:
    sign_in()
    sign_in(replace(JANE, provider="second"), alias="second")
    assert set(BitbucketToken.objects.values_list("provider", "version")) == {("default", 1), ("second", 1)}


def test_an_account_without_a_token_gets_one_at_its_return() -> None:
    sign_in(store_tokens=False)
    sign_in()
    assert BitbucketToken.objects.get().reveal() == TOKEN


def test_a_sign_in_that_keeps_no_token_leaves_the_older_one() -> None:
    sign_in()
    sign_in(store_tokens=False)
    assert BitbucketToken.objects.get().version == 1


def test_it_takes_one_statement_for_a_token_that_is_there(django_assert_num_queries: Any) -> None:
    sign_in()
    account = BitbucketToken.objects.select_related("account").get().account
    assert account is not None
    with django_assert_num_queries(1):
        tokens.write(account, NEWER, a_login().configuration, grant="g", using="default")


def test_the_module_names_the_token() -> None:
    assert tokens.Token is type(TOKEN)
    assert set(tokens.__all__) == {"Token", "flight_for", "forget", "get_access_token", "write"}
