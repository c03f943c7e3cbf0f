"""What the database answers when others were faster, or are in the way."""

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, IntegrityError, OperationalError
from django.http import HttpRequest
from logins import JANE, a_login, overtaken_by, refusal, rows, sign_in, statements_fail, verified_by

from django_bitbucket_auth import accounts
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import BitbucketUnavailable, LoginRefused
from django_bitbucket_auth.hooks import BitbucketLogin
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken

pytestmark = pytest.mark.django_db

INSERT_USER = 'INSERT INTO "auth_user"'
INSERT_ACCOUNT = 'INSERT INTO "bitbucket_auth_bitbucketaccount"'


# -- faults of the database --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ['FROM "bitbucket_auth_bitbucketaccount"', 'FROM "auth_user"', INSERT_USER])
def test_a_lock_error_is_tried_once_more(part: str) -> None:
    with statements_fail(part, OperationalError("locked")):
        assert sign_in().username == "jane"
    assert User.objects.count() == 1


@pytest.mark.parametrize("part", ['FROM "bitbucket_auth_bitbucketaccount"', 'FROM "auth_user"', INSERT_ACCOUNT])
def test_the_second_lock_error_is_unavailable_and_leaves_nothing(part: str) -> None:
    with statements_fail(part, OperationalError("locked"), 2), pytest.raises(BitbucketUnavailable, match="locked"):
        sign_in()
    assert rows() == [[], [], []]


def test_two_lock_errors_with_a_lost_name_between_them_are_two() -> None:
    locked = OperationalError("locked")

    def rival() -> None:
        User.objects.create_user("jane")

    def fail() -> None:
        raise locked

    with overtaken_by(fail, rival, fail), pytest.raises(BitbucketUnavailable, match="locked"):
        sign_in()
    assert not BitbucketAccount.objects.exists()


def test_forgetting_tokens_survives_a_lock_error() -> None:
    sign_in()
    with statements_fail("DELETE", OperationalError("locked")):
        accounts.expel(JANE, a_login().configuration)
    assert not BitbucketToken.objects.exists()


def test_a_row_that_vanishes_meanwhile_is_no_crash() -> None:
    sign_in()

    def administrator(**kwargs: Any) -> None:
        User.objects.all().delete()

    with verified_by(administrator), pytest.raises(BitbucketUnavailable):
        sign_in(replace(JANE, display_name="Jane Roe"), update_users=())


def test_a_value_that_a_column_refuses_is_no_crash() -> None:
    with statements_fail(INSERT_ACCOUNT, DatabaseError("too long")), pytest.raises(BitbucketUnavailable):
        sign_in()
    assert rows() == [[], [], []]


# -- integrity errors --------------------------------------------------------------------------------------------------


def test_an_integrity_error_never_returns_somebody_else() -> None:
    """CVE-2025-61783: the user who has what is unique is not the one who signs in."""
    User.objects.create_user("other", "jane@example.com")
    Group.objects.create(name="taken")

    class Unique(BitbucketBackend):
        def create_user(self, request: HttpRequest, login: BitbucketLogin, fields: dict[str, Any]) -> User:
            return (super().create_user(request, login, fields), Group.objects.create(name="taken"))[0]

    with pytest.raises(LoginRefused, match=JANE.uid) as caught:
        sign_in(backend=Unique())
    assert caught.value.reason == "email_taken"
    assert list(User.objects.values_list("username", flat=True)) == ["other"]
    assert not BitbucketAccount.objects.exists()


def test_a_named_user_who_vanishes_is_not_replaced_by_a_new_one() -> None:
    User.objects.create_user("jane", "jane@example.com")
    with (
        statements_fail(INSERT_ACCOUNT, IntegrityError("foreign key"), 1),
        verified_by(lambda **kwargs: User.objects.get()),
        pytest.raises(BitbucketUnavailable, match="changed"),
    ):
        sign_in()
    assert User.objects.count() == 1


def test_whoever_loses_the_race_gets_the_winners_user() -> None:
    winner = User.objects.create_user("winner")
    told: list[object] = []

    def other_process() -> None:
        BitbucketAccount.objects.create(user=winner, provider="default", instance=JANE.instance, uid=JANE.uid)

    with overtaken_by(other_process), verified_by(lambda user, **kwargs: told.append(user)):
        assert sign_in() == winner
    assert list(User.objects.all()) == [winner]
    assert BitbucketToken.objects.filter(account__user=winner).exists()
    assert told == [None]  # asked once, before the race


def test_whoever_loses_the_race_to_an_inactive_user_is_refused() -> None:
    winner = User.objects.create_user("winner", is_active=False)

    def other_process() -> None:
        BitbucketAccount.objects.create(user=winner, provider="default", instance=JANE.instance, uid=JANE.uid)

    with overtaken_by(other_process), pytest.raises(LoginRefused) as caught:
        sign_in()
    assert caught.value.reason == "inactive"
    assert list(User.objects.all()) == [winner]


def test_a_user_who_was_named_before_the_race_is_not_tied_after_it() -> None:
    winner, named = User.objects.create_user("winner"), User.objects.create_user("named")

    def other_process() -> None:
        BitbucketAccount.objects.create(user=winner, provider="default", instance=JANE.instance, uid=JANE.uid)

    with overtaken_by(other_process), verified_by(lambda **kwargs: named), pytest.raises(LoginRefused) as caught:
        sign_in()
    assert caught.value.reason == "already_connected"
    assert BitbucketAccount.objects.get().user == winner


@pytest.mark.parametrize("keys", [{"link_by_email": True}, {"link_by_email": lambda **kwargs: False}])
def test_an_address_that_is_taken_by_ones_own_first_sign_in_is_ones_own(keys: dict[str, Any]) -> None:
    """In another tab it has just been finished: this one finds a user with the address, and an account."""
    tabs: list[str] = []

    def other_tab(**kwargs: Any) -> None:
        if not tabs:
            tabs.append("open")
            sign_in()

    with verified_by(other_tab):
        user = sign_in(**keys)
    assert user == User.objects.get()
    User.objects.update(is_active=False)
    assert refusal(**keys) == "inactive"


def test_an_address_that_is_taken_by_somebody_else_is_asked_for_once_more_only() -> None:
    User.objects.create_user("staff", "jane@example.com", is_staff=True)
    with statements_fail("", AssertionError("never"), 0) as seen:
        assert refusal(link_by_email=True) == "email_taken"
    assert len([sql for sql in seen if "bitbucketaccount" in sql and "WHERE" in sql]) == 2
