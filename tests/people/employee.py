"""Run by test_users.py: a user model that requires what a profile hasn't got."""

from typing import Any

import pytest
from logins import NAMESAKE, a_login, a_request

from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import ConfigurationError, LoginRefused
from django_bitbucket_auth.hooks import BitbucketLogin
from django_bitbucket_auth.models import BitbucketAccount
from people.models import Employee

pytestmark = pytest.mark.django_db


class Numbering(BitbucketBackend):
    """As the documentation advises."""

    def create_user(self, request: Any, login: BitbucketLogin, fields: dict[str, Any]) -> Any:
        return super().create_user(request, login, {**fields, "number": "007"})


def test_the_required_field_is_named_and_nothing_is_written() -> None:
    with pytest.raises(ConfigurationError, match=r"number.*create_user"):
        BitbucketBackend().authenticate(a_request(), bitbucket_login=a_login())
    assert not Employee.objects.exists()


def test_a_backend_that_gives_the_field_signs_in() -> None:
    user: Any = Numbering().authenticate(a_request(), bitbucket_login=a_login())
    user.refresh_from_db()
    assert str(user) == user.username
    assert (type(user), user.number, user.username, user.last_name) == (Employee, "007", "jane", "Doe")


def test_any_other_unique_field_that_is_taken_refuses() -> None:
    other = Employee.objects.create(username="other", number="007")
    with pytest.raises(LoginRefused) as caught:
        Numbering().authenticate(a_request(), bitbucket_login=a_login(NAMESAKE))
    assert caught.value.reason == "email_taken"
    assert list(Employee.objects.all()) == [other]
    assert not BitbucketAccount.objects.exists()
