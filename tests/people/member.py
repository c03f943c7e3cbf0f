"""Run by test_users.py: people whose user name is their e-mail address."""

from dataclasses import replace
from typing import Any

import pytest
from logins import JANE, NAMESAKE, emails, overtaken_by

from django_bitbucket_auth import checks, groups, users
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import BitbucketUnavailable, ConfigurationError, LoginRefused
from django_bitbucket_auth.models import BitbucketAccount
from django_bitbucket_auth.testing import override_provider
from people.models import Member

pytestmark = pytest.mark.django_db


def sign_in(*args: Any, **kwargs: Any) -> Any:
    from logins import sign_in

    return sign_in(*args, **kwargs)


def refused(*args: Any, **kwargs: Any) -> str:
    before = list(Member.objects.values())
    with pytest.raises(LoginRefused) as caught:
        sign_in(*args, **kwargs)
    assert list(Member.objects.values()) == before
    return caught.value.reason


def test_the_address_is_the_name() -> None:
    jane = sign_in()
    assert type(jane) is Member
    assert str(jane) == jane.email
    assert (jane.email, jane.has_usable_password()) == ("jane@example.com", False)
    assert sign_in() == jane
    found: Any = BitbucketBackend().get_user(jane.pk)
    assert found == jane


def test_a_confirmed_address_is_required() -> None:
    assert refused(replace(JANE, emails=())) == "email_required"


def test_an_address_that_could_not_be_read_is_not_the_persons_fault() -> None:
    with pytest.raises(BitbucketUnavailable, match="later"):
        sign_in(replace(JANE, emails=(), emails_error=BitbucketUnavailable("later")))


def test_an_address_that_another_has_is_refused_and_never_numbered() -> None:
    Member.objects.create(email="JANE@example.com")
    assert refused() == "email_taken"
    assert list(Member.objects.values_list("email", flat=True)) == ["JANE@example.com"]


def test_the_name_never_follows_bitbucket() -> None:
    jane = sign_in()
    sign_in(replace(JANE, emails=emails("new@example.com")))
    jane.refresh_from_db()
    assert jane.email == "jane@example.com"
    assert BitbucketAccount.objects.get().email == "new@example.com"


def test_whoever_loses_the_race_for_an_address_is_refused() -> None:
    with (
        overtaken_by(lambda: Member.objects.create(email="jane@example.com")),
        pytest.raises(LoginRefused) as caught,
    ):
        sign_in()
    assert caught.value.reason == "email_taken"
    assert not BitbucketAccount.objects.exists()


def test_one_is_joined_by_address() -> None:
    owner = Member.objects.create(email="jane@example.com", password="secret")
    assert sign_in(link_by_email=True) == owner
    assert refused(NAMESAKE, link_by_email=True) == "email_taken"


def test_an_address_that_the_model_refuses_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="email"):
        sign_in(replace(JANE, emails=emails("jané@example.com")))


def test_it_is_known_to_be_named_by_email() -> None:
    assert users.named_by_email()
    assert users.values_for(JANE) == {"email": "jane@example.com"}


def test_groups_of_a_model_without_are_a_configuration_error_and_a_check() -> None:
    assert groups.group_model() is None
    with pytest.raises(ConfigurationError, match="no groups"):
        sign_in(groups={"Staff": ("acme",)})
    assert not Member.objects.exists()
    with override_provider("default", GROUPS={"Staff": "acme"}), override_provider("second"):
        found = [str(message.id) for message in checks.check_project(None)]
    assert found.count("bitbucket_auth.E023") == 1
