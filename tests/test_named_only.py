"""A profile in the 1.0 format has no id: it signs in whom a receiver names, and leaves nothing behind (rule 5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from logins import JANE, refusal, rows, sign_in, verified_by
from steps import reason_of

from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.exceptions import NotConnected, ProfileError
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import log_in, simulated_bitbucket

pytestmark = pytest.mark.django_db

NAMELESS = replace(JANE, uid="", account_id=None, username="jdoe")


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob")


def test_who_is_named_is_signed_in_and_nothing_is_written(bob: User) -> None:
    asked: list[dict[str, Any]] = []

    def know(**kwargs: Any) -> User:
        asked.append(kwargs)
        return bob

    before = rows()
    with verified_by(know):
        assert sign_in(NAMELESS) == bob
        assert sign_in(NAMELESS, link_by_email=True) == bob
    assert rows() == before
    assert [(one["user"], one["profile"].uid, one["profile"].username) for one in asked] == [(None, "", "jdoe")] * 2


def test_who_is_not_named_is_nobody(bob: User) -> None:
    """Neither created, nor found by name or address."""
    User.objects.create_user("jdoe", "jane@example.com")
    before = rows()
    with pytest.raises(ProfileError, match=r"1\.0 format") as caught:
        sign_in(NAMELESS, link_by_email=True)
    assert (caught.value.reason, rows()) == ("no_stable_id", before)


def test_two_people_without_an_id_share_none(bob: User) -> None:
    alice = User.objects.create_user("alice")
    people = {"jdoe": bob, "other": alice}
    with verified_by(lambda profile, **kwargs: people[profile.username]):
        assert sign_in(NAMELESS) == bob
        assert sign_in(replace(NAMELESS, username="other")) == alice
    assert not BitbucketAccount.objects.exists()


def test_who_is_inactive_stays_outside(bob: User) -> None:
    User.objects.update(is_active=False)
    bob.refresh_from_db()
    with verified_by(lambda **kwargs: bob):
        assert refusal(NAMELESS) == "inactive"


def test_a_refusal_is_one(bob: User) -> None:
    with verified_by(lambda **kwargs: bob, lambda **kwargs: False):
        assert refusal(NAMELESS) == "vetoed"


def test_the_way_of_passport_bitbucket_works_from_end_to_end(bob: User, client: Client) -> None:
    """OAuth 1.0a, the 1.0 profile with addresses, and a receiver in place of the verify callback."""
    seen: list[Any] = []

    def verify(profile: Any, token: Any, **kwargs: Any) -> User:
        seen.append((profile.username, profile.display_name, [email.address for email in profile.emails]))
        seen.append(token.token_secret)
        return bob

    with simulated_bitbucket(kind="cloud-oauth1") as bitbucket:
        from django_bitbucket_auth.testing import override_provider

        with override_provider("default", ENDPOINTS={"user": f"{bitbucket.url}/1.0/user/"}):
            response = log_in(client, "jane")
            assert response.status_code == 502 and reason_of(response) == "no_stable_id"
            with verified_by(verify):
                assert log_in(client, "jane").status_code == 302
            assert client.session["_auth_user_id"] == str(bob.pk)
            assert not BitbucketAccount.objects.exists() and not BitbucketToken.objects.exists()
            with pytest.raises(NotConnected):
                get_session(bob)
    name, secret = seen
    assert name == ("jdoe", "Jane Doe", ["jane@example.com", "jane.doe@example.org"])
    assert secret
