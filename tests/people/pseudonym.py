"""Run by test_users.py: short names, no address, no first name, and a UUID as the key."""

from dataclasses import replace
from typing import Any

import pytest
from logins import JANE, NAMESAKE, a_login, a_request, verified_by

from django_bitbucket_auth import users
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.bitbucket import Profile
from django_bitbucket_auth.exceptions import LoginRefused
from people.models import Pseudonym

pytestmark = pytest.mark.django_db


def sign_in(profile: Profile = JANE, **keys: Any) -> Any:
    return BitbucketBackend().authenticate(a_request(), bitbucket_login=a_login(profile, **keys))


def test_what_the_model_has_is_filled_and_cut() -> None:
    user = sign_in(replace(JANE, nickname="jane-the-great", family_name="Vanderbilt"))
    user.refresh_from_db()
    assert (user.handle, user.last_name) == ("jane-the-gre", "Vande")
    assert str(user) == user.handle


def test_a_taken_name_gets_a_number_within_the_length() -> None:
    sign_in(replace(JANE, nickname="jane-the-great"))
    assert sign_in(replace(NAMESAKE, nickname="jane-the-great")).handle == "jane-the-g-2"


def test_fields_follow_as_far_as_there_are_any() -> None:
    user = sign_in()
    sign_in(replace(JANE, display_name="Jane Roe", family_name="Roe"))
    user.refresh_from_db()
    assert user.last_name == "Roe"


def test_nobody_is_joined_by_an_address_that_the_model_hasnt() -> None:
    Pseudonym.objects.create(handle="other")
    assert sign_in(link_by_email=True).handle == "jane"
    assert users.email_field() is None


def test_an_unsaved_user_is_no_answer_although_it_has_a_key() -> None:
    with verified_by(lambda **kwargs: Pseudonym(handle="ghost")), pytest.raises(LoginRefused) as caught:
        sign_in()
    assert caught.value.reason == "vetoed"
