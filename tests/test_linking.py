"""LINK_BY_EMAIL: who may be joined, and by whom."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from logins import JANE, NAMESAKE, emails, refusal, sign_in

from django_bitbucket_auth import users
from django_bitbucket_auth.bitbucket import Email
from django_bitbucket_auth.exceptions import LoginRefused
from django_bitbucket_auth.models import BitbucketAccount

pytestmark = pytest.mark.django_db
ASKED: list[dict[str, Any]] = []


def vouch(**kwargs: Any) -> bool:
    """For the dotted path."""
    ASKED.append(kwargs)
    return True


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("owner", "jane@example.com", "correct horse")


def test_without_the_setting_nobody_is_joined(owner: User) -> None:
    user = sign_in()
    assert user != owner
    assert (user.username, user.email) == ("jane", "")  # two users with one address would share its mail


def test_the_one_user_with_the_confirmed_address_is_joined(owner: User) -> None:
    assert sign_in(link_by_email=True) == owner
    assert BitbucketAccount.objects.get().user == owner
    assert User.objects.count() == 1


@pytest.mark.parametrize("address", ["JANE@Example.COM", "jane@example.com"])
def test_ascii_case_is_no_difference(owner: User, address: str) -> None:
    assert sign_in(replace(JANE, emails=emails(address)), link_by_email=True) == owner


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        ("fiona@corp.example", "\ufb01ona@corp.example"),
        ("fiona@corp.example", "\uff46iona@corp.example"),
        ("ceo@fass.example", "ceo@fa\u00df.example"),
        ("strasse@corp.example", "stra\u00dfe@corp.example"),
        ("kate@corp.example", "\u212aate@corp.example"),
    ],
)
def test_an_address_that_only_looks_or_folds_alike_joins_nobody(theirs: str, mine: str) -> None:
    """It is another mailbox, whose owner can have confirmed it. By some databases it is found all the same."""
    victim = User.objects.create_user("victim", theirs)
    with suppress(LoginRefused):
        sign_in(replace(JANE, emails=emails(mine)), link_by_email=True)
    assert not BitbucketAccount.objects.filter(user=victim).exists()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a@b\u00fccher.example", "a@xn--bcher-kva.example", True),
        ("a@B\u00dcCHER.example", "a@b\u00fccher.example", True),
        ("a@fa\u00df.example", "a@fass.example", False),
        ("\u00e4@b.example", "\u00c4@b.example", False),
        ("A@[192.0.2.1]", "a@[192.0.2.1]", True),
        ("a@-_-.example", "A@-_-.EXAMPLE", True),
        ("a@b.example", "a@b.example.org", False),
        ('"a@b"@c.example', "b@c.example", False),
    ],
)
def test_two_addresses_are_one_mailbox_or_not(one: str, other: str, same: bool) -> None:
    assert users.is_same_mailbox(one, other) is users.is_same_mailbox(other, one) is same


def test_joining_makes_the_password_unusable(owner: User) -> None:
    """Pre-hijacking: whoever registered the address first, without owning it, knows the password."""
    sign_in(link_by_email=True)
    owner.refresh_from_db()
    assert not owner.has_usable_password()


def test_without_a_match_a_user_is_created(owner: User) -> None:
    assert sign_in(replace(JANE, emails=emails("new@example.com")), link_by_email=True) != owner


def test_without_a_confirmed_address_nobody_is_joined(owner: User) -> None:
    unconfirmed = (Email("jane@example.com", True, False),)
    assert sign_in(replace(JANE, emails=unconfirmed), link_by_email=True) != owner
    assert sign_in(replace(NAMESAKE, emails=()), link_by_email=True) != owner


def test_only_the_profiles_one_address_counts(owner: User) -> None:
    several = emails("work@example.com", "jane@example.com")
    assert sign_in(replace(JANE, emails=several), link_by_email=True) != owner


def test_a_compatible_form_is_found_and_refused(owner: User) -> None:
    """Neither joined, since it is another mailbox, nor given a second user who looks like the first."""
    address = "\N{FULLWIDTH LATIN CAPITAL LETTER J}ane@EXAMPLE.com"
    assert refusal(replace(JANE, emails=emails(address)), link_by_email=True) == "email_taken"


def test_an_address_is_looked_up_as_it_is_given_too(owner: User) -> None:
    User.objects.update(email="\N{FULLWIDTH LATIN CAPITAL LETTER J}ane@example.com")
    address = "\N{FULLWIDTH LATIN CAPITAL LETTER J}ane@EXAMPLE.com"
    assert sign_in(replace(JANE, emails=emails(address)), link_by_email=True) == owner


@pytest.mark.parametrize(
    "changes",
    [{"is_active": False}, {"is_staff": True}, {"is_superuser": True}],
    ids=lambda changes: next(iter(changes)),
)
def test_only_active_ordinary_users_are_joined(owner: User, changes: dict[str, bool]) -> None:
    User.objects.update(**changes)
    assert refusal(link_by_email=True) == "email_taken"
    owner.refresh_from_db()
    assert owner.has_usable_password()


@pytest.mark.parametrize("active", [True, False])
def test_two_users_with_the_address_refuse(owner: User, active: bool) -> None:
    User.objects.create_user("second", "JANE@example.com", is_active=active)
    assert refusal(link_by_email=True) == "email_taken"


def test_any_number_of_users_with_the_address_refuse(owner: User) -> None:
    User.objects.bulk_create(User(username=f"u{number}", email="jane@example.com") for number in range(30))
    assert refusal(link_by_email=True) == "email_taken"


@pytest.mark.parametrize("instance", ["bitbucket.org", "bitbucket.example.com"])
def test_a_user_who_has_an_account_anywhere_is_not_joined(owner: User, instance: str) -> None:
    BitbucketAccount.objects.create(user=owner, instance=instance, uid="{other}")
    assert refusal(link_by_email=True) == "email_taken"


def test_an_address_that_only_a_collation_takes_for_equal_joins_nobody(owner: User) -> None:
    User.objects.update(email="jané@example.com")
    user = sign_in(link_by_email=True)
    assert user != owner
    assert user.email == "jane@example.com"


def test_an_address_is_no_pattern(owner: User) -> None:
    assert sign_in(replace(JANE, emails=emails("j_ne@example.com")), link_by_email=True) != owner
    assert sign_in(replace(NAMESAKE, emails=emails("%@example.com")), link_by_email=True) != owner


def test_someone_who_was_here_is_found_by_identity_before_any_address(owner: User) -> None:
    first = sign_in()
    assert sign_in(link_by_email=True) == first


def test_a_callable_decides_and_vouches_for_the_password(owner: User) -> None:
    asked: list[dict[str, Any]] = []

    def decide(**kwargs: Any) -> bool:
        asked.append(kwargs)
        return True

    assert sign_in(link_by_email=decide) == owner
    owner.refresh_from_db()
    assert owner.check_password("correct horse")
    assert [(kwargs["user"], kwargs["profile"], set(kwargs)) for kwargs in asked] == [
        (owner, JANE, {"request", "user", "profile"})
    ]


def test_a_dotted_path_names_the_callable(owner: User) -> None:
    ASKED.clear()
    assert sign_in(link_by_email=f"{__name__}.vouch") == owner
    owner.refresh_from_db()
    assert owner.has_usable_password()
    assert len(ASKED) == 1


def test_only_true_joins(owner: User) -> None:
    answers: list[object] = [False, None, 1, "yes", owner]

    def say(answer: object) -> Callable[..., object]:
        return lambda **kwargs: answer

    assert [refusal(link_by_email=say(answer)) for answer in answers] == ["email_taken"] * len(answers)


def test_a_callable_that_fails_says_no(owner: User, caplog: pytest.LogCaptureFixture) -> None:
    def fail(**kwargs: Any) -> bool:
        raise ValueError("directory is down")

    assert refusal(link_by_email=fail) == "email_taken"
    assert "directory is down" in caplog.text


def test_the_callable_is_not_asked_about_users_who_may_not_be_joined(owner: User) -> None:
    ASKED.clear()
    User.objects.update(is_staff=True)
    assert refusal(link_by_email=vouch) == "email_taken"
    assert ASKED == []


def test_a_refused_login_leaves_the_password(owner: User) -> None:
    assert refusal(link_by_email=lambda **kwargs: False) == "email_taken"
    owner.refresh_from_db()
    assert owner.check_password("correct horse")


def test_addresses_are_folded_on_every_database(owner: User) -> None:
    assert connection.vendor in {"sqlite", "postgresql", "mysql"}
    User.objects.update(email="JANE@Example.COM")
    assert sign_in(link_by_email=True) == owner
