"""From a profile to a user: who is found, who is created, and who is never handed out."""

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest
from logins import JANE, NAMESAKE, a_login, emails, refusal, sign_in

from django_bitbucket_auth import accounts
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import BitbucketUnavailable
from django_bitbucket_auth.hooks import BitbucketLogin
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken

pytestmark = pytest.mark.django_db


def test_a_first_sign_in_creates_user_account_and_token() -> None:
    user = sign_in()
    user.refresh_from_db()
    assert (user.username, user.first_name, user.last_name, user.email) == ("jane", "Jane", "Doe", "jane@example.com")
    assert not user.has_usable_password()
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, False, False)
    account = BitbucketAccount.objects.get()
    assert account.user == user
    assert (account.provider, account.instance, account.uid) == ("default", "bitbucket.org", JANE.uid)
    assert (account.account_id, account.username, account.display_name) == ("557058:jane", "", "Jane Doe")
    assert (account.email, account.email_verified) == ("jane@example.com", True)
    assert (account.avatar_url, account.profile_url) == (JANE.avatar_url, JANE.profile_url)
    assert BitbucketToken.objects.get().account == account


def test_a_second_sign_in_finds_the_first_ones_user() -> None:
    assert sign_in() == sign_in()
    assert (User.objects.count(), BitbucketAccount.objects.count(), BitbucketToken.objects.count()) == (1, 1, 1)


def test_a_returning_sign_in_takes_four_statements(django_assert_num_queries: Any) -> None:
    sign_in()
    with django_assert_num_queries(4):  # find, savepoint, the token, release
        sign_in()


def test_a_first_sign_in_takes_seven_statements(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(7):  # find, name and address, savepoint, user, account, token, release
        sign_in()


def test_tokens_are_kept_only_if_asked() -> None:
    sign_in(store_tokens=False)
    assert not BitbucketToken.objects.exists()


# -- identity ----------------------------------------------------------------------------------------------------------


def test_a_recycled_user_name_takes_nobody_over() -> None:
    """CVE-2025-65431: names change hands; the id doesn't."""
    jane = sign_in(replace(JANE, username="jdoe", nickname="jdoe"))
    sign_in(replace(JANE, username="renamed", nickname="renamed"))
    newcomer = sign_in(replace(NAMESAKE, username="jdoe", nickname="jdoe", emails=()))
    assert newcomer != jane
    assert newcomer.username == "jdoe-2"


def test_a_changed_address_neither_creates_nor_switches_a_user() -> None:
    jane = sign_in()
    User.objects.create_user("eve", "eve@example.com")
    assert sign_in(replace(JANE, emails=emails("eve@example.com"))) == jane
    jane.refresh_from_db()
    assert jane.email == "jane@example.com"
    assert User.objects.count() == 2


def test_the_same_id_at_another_instance_is_somebody_else() -> None:
    assert sign_in() != sign_in(replace(JANE, instance="bitbucket.example.com"))


def test_a_person_is_found_among_many_instances() -> None:
    users = {name: sign_in(replace(JANE, instance=name, emails=())) for name in "abcdef"}
    assert {name: sign_in(replace(JANE, instance=name, emails=())) for name in "fedcba"} == users


def test_ids_are_compared_exactly() -> None:
    """CVE-2024-32879: a collation may find "A" for "a". Whoever it finds isn't signed in."""
    sign_in(replace(JANE, uid="{jané}", account_id=None, emails=()))
    for uid in ("{JANÉ}", "{jane}", "{jané} "):
        found = accounts.find(replace(JANE, uid=uid, account_id=None), "default")
        assert found is None
    assert accounts.find(replace(JANE, uid="{jané}"), "default") is not None


def test_ids_that_only_a_collation_takes_for_equal_are_never_one_user(caplog: pytest.LogCaptureFixture) -> None:
    owner = sign_in(replace(JANE, uid="{jané}", account_id=None))
    other = replace(NAMESAKE, uid="{jane}", account_id=None)
    if connection.vendor == "mysql":  # needs: mysql
        assert refusal(other) == "email_taken"
        assert "Atlassian" not in caplog.text
    else:  # needs: postgresql, sqlite
        assert sign_in(other) != owner


def test_an_unknown_account_id_is_null_and_matches_nobody() -> None:
    users = {sign_in(replace(JANE, account_id=None)).pk, sign_in(replace(NAMESAKE, account_id=None)).pk}
    assert len(users) == 2
    assert set(BitbucketAccount.objects.values_list("account_id", flat=True)) == {None}


def test_a_known_account_id_outlives_an_answer_without_it() -> None:
    sign_in()
    sign_in(replace(JANE, account_id=None))
    assert BitbucketAccount.objects.get().account_id == "557058:jane"


def test_the_account_id_of_another_uid_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    sign_in()
    assert refusal(replace(NAMESAKE, account_id=JANE.account_id)) == "already_connected"
    sign_in(NAMESAKE)
    caplog.clear()
    # Two rows for one profile, in whatever order the database gives them.
    assert refusal(replace(NAMESAKE, account_id=JANE.account_id)) == "already_connected"
    assert refusal(replace(JANE, account_id=NAMESAKE.account_id)) == "already_connected"
    assert [(record.levelname, JANE.uid in record.getMessage()) for record in caplog.records] == [("ERROR", True)] * 2


def test_account_ids_are_compared_exactly() -> None:
    sign_in(replace(JANE, account_id="jané"))
    found = accounts.find(replace(NAMESAKE, account_id="JANE"), "default")
    assert found is None


def test_instances_are_compared_exactly() -> None:
    sign_in(replace(JANE, instance="bitbucket.org/a"))
    assert accounts.find(replace(JANE, instance="bitbucket.org/A"), "default") is None
    assert accounts.find(replace(NAMESAKE, instance="bitbucket.org/A", account_id=JANE.account_id), "default") is None


# -- what the account keeps --------------------------------------------------------------------------------------------


def test_a_returning_profile_refreshes_the_account() -> None:
    sign_in()
    before = BitbucketAccount.objects.get()
    sign_in(replace(JANE, nickname="jd", display_name="Jane Roe", provider="second"), alias="second")
    account = BitbucketAccount.objects.get()
    assert (account.display_name, account.provider) == ("Jane Roe", "second")
    assert account.updated_at > before.updated_at
    assert account.created_at == before.created_at


def test_addresses_that_could_not_be_read_stay_as_they_were() -> None:
    sign_in()
    sign_in(replace(JANE, emails=(), emails_error=BitbucketUnavailable("later")))
    account = BitbucketAccount.objects.get()
    assert (account.email, account.email_verified) == ("jane@example.com", True)


def test_addresses_that_are_gone_are_forgotten() -> None:
    sign_in()
    sign_in(replace(JANE, emails=()))
    account = BitbucketAccount.objects.get()
    assert (account.email, account.email_verified) == ("", False)


# -- refusals write nothing --------------------------------------------------------------------------------------------


def test_nobody_new_where_sign_up_is_closed() -> None:
    assert refusal(create_users=False) == "sign_up_closed"
    jane = sign_in()
    assert sign_in(create_users=False) == jane


def test_inactive_users_are_refused_and_nothing_is_written() -> None:
    jane = sign_in()
    User.objects.update(is_active=False)
    assert refusal(replace(JANE, display_name="Changed")) == "inactive"
    jane.refresh_from_db()
    assert jane.first_name == "Jane"


def test_a_user_who_is_created_inactive_is_undone() -> None:
    class Waiting(BitbucketBackend):
        def create_user(self, request: HttpRequest, login: BitbucketLogin, fields: dict[str, Any]) -> User:
            return super().create_user(request, login, {**fields, "is_active": False})

    assert refusal(backend=Waiting()) == "inactive"


def test_tokens_of_somebody_who_is_no_member_any_more_are_forgotten() -> None:
    sign_in()
    sign_in(replace(JANE, provider="second"), alias="second")
    sign_in(NAMESAKE)
    sign_in(replace(JANE, instance="elsewhere", account_id=None))
    accounts.expel(JANE, a_login().configuration)
    left = BitbucketToken.objects.values_list("account__instance", "account__uid", "provider")
    assert set(left) == {
        ("bitbucket.org", JANE.uid, "second"),
        ("bitbucket.org", NAMESAKE.uid, "default"),
        ("elsewhere", JANE.uid, "default"),
    }
    accounts.expel(JANE, a_login(alias="second").configuration)
    assert not BitbucketToken.objects.filter(account__instance="bitbucket.org", account__uid=JANE.uid).exists()
    accounts.expel(replace(JANE, instance="elsewhere", account_id=None), a_login().configuration)
    assert BitbucketToken.objects.get().account.uid == NAMESAKE.uid  # type: ignore[union-attr]


# -- what the tests stand on -------------------------------------------------------------------------------------------


def test_the_helper_refusal_fails_for_whoever_is_let_in() -> None:
    with pytest.raises(AssertionError, match="signed in"):
        refusal()


def test_a_login_shows_no_secret() -> None:
    assert "secret" not in repr(a_login())
