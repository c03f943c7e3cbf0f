"""UPDATE_USERS: which fields follow Bitbucket, and when they stop."""

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import DataError, OperationalError
from django.db.models.signals import pre_save
from django.test import override_settings
from logins import JANE, NAMESAKE, emails, sign_in, statements_fail

from django_bitbucket_auth import users
from django_bitbucket_auth.exceptions import BitbucketUnavailable
from django_bitbucket_auth.models import BitbucketAccount

pytestmark = pytest.mark.django_db

ROE = replace(JANE, given_name="Joan", family_name="Roe", display_name="Joan Roe", emails=emails("joan@example.com"))
UPDATE_USER = 'UPDATE "auth_user"'


def fields_of(user: User) -> tuple[str, str, str]:
    user.refresh_from_db()
    return user.first_name, user.last_name, user.email


def test_fields_follow_bitbucket() -> None:
    jane = sign_in()
    sign_in(ROE)
    assert fields_of(jane) == ("Joan", "Roe", "joan@example.com")


def test_only_the_fields_asked_for_follow() -> None:
    jane = sign_in()
    sign_in(ROE, update_users=("first_name",))
    assert fields_of(jane) == ("Joan", "Doe", "jane@example.com")
    sign_in(JANE, update_users=())
    assert fields_of(jane) == ("Joan", "Doe", "jane@example.com")


def test_a_field_that_was_changed_here_stays() -> None:
    jane = sign_in()
    User.objects.update(last_name="Of This Site")
    sign_in(ROE)
    assert fields_of(jane) == ("Joan", "Of This Site", "joan@example.com")


def test_a_field_that_was_emptied_here_stays_empty() -> None:
    jane = sign_in()
    User.objects.update(email="")
    sign_in(ROE)
    assert fields_of(jane) == ("Joan", "Roe", "")


def test_a_blank_never_replaces_anything() -> None:
    jane = sign_in()
    sign_in(replace(JANE, given_name="", family_name="", display_name="", emails=()))
    assert fields_of(jane) == ("Jane", "Doe", "jane@example.com")


def test_a_field_that_was_blank_at_both_is_filled_later() -> None:
    jane = sign_in(replace(JANE, given_name="", family_name="", display_name="", emails=()))
    assert fields_of(jane) == ("", "", "")
    sign_in()
    assert fields_of(jane) == ("Jane", "Doe", "jane@example.com")


def test_nothing_changed_writes_nothing() -> None:
    sign_in()
    with statements_fail(UPDATE_USER, AssertionError("written")) as seen:
        sign_in()
    assert seen


def test_an_address_that_another_user_has_is_not_taken_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "django_bitbucket_auth")
    User.objects.create_user("joan", "JOAN@example.com")
    jane = sign_in()
    sign_in(ROE)
    assert fields_of(jane) == ("Joan", "Roe", "jane@example.com")
    assert "keeps the e-mail address" in caplog.text


def test_an_address_that_another_user_has_alone_changes_nothing() -> None:
    User.objects.create_user("joan", "joan@example.com")
    jane = sign_in()
    with statements_fail(UPDATE_USER, AssertionError("written")):
        sign_in(replace(JANE, emails=emails("joan@example.com")))
    assert fields_of(jane) == ("Jane", "Doe", "jane@example.com")


def test_ones_own_address_in_another_case_is_ones_own() -> None:
    jane = sign_in()
    sign_in(replace(JANE, emails=emails("Jane@Example.com")))
    assert fields_of(jane)[2] == "Jane@Example.com"


def test_a_new_user_gets_no_address_that_another_has(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "django_bitbucket_auth")
    sign_in()
    assert fields_of(sign_in(NAMESAKE)) == ("Jane", "Doe", "")
    assert "gets no e-mail address" in caplog.text


def test_what_the_database_refuses_is_undone_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    jane = sign_in()
    with statements_fail(UPDATE_USER, DataError("too long")):
        user = sign_in(ROE)
    assert user == jane
    assert (user.first_name, user.last_name, user.email) == ("Jane", "Doe", "jane@example.com")
    assert fields_of(jane) == ("Jane", "Doe", "jane@example.com")
    assert BitbucketAccount.objects.get().display_name == "Joan Roe"
    assert ["too long" in record.getMessage() for record in caplog.records] == [True]


def test_a_real_refusal_of_the_database_is_undone(caplog: pytest.LogCaptureFixture) -> None:
    """On PostgreSQL whatever follows would fail, were the update not in a savepoint."""
    jane = sign_in()

    def collide(**kwargs: Any) -> None:
        Group.objects.create(name="unique")
        Group.objects.create(name="unique")

    pre_save.connect(collide, sender=User)
    try:
        assert sign_in(ROE) == jane
    finally:
        assert pre_save.disconnect(collide, sender=User)
    assert fields_of(jane) == ("Jane", "Doe", "jane@example.com")
    assert not Group.objects.exists()
    assert BitbucketAccount.objects.get().display_name == "Joan Roe"
    assert "could not be updated" in caplog.text


def test_a_lock_error_in_the_update_is_tried_once_more() -> None:
    jane = sign_in()
    with statements_fail(UPDATE_USER, OperationalError("locked")):
        sign_in(ROE)
    assert fields_of(jane) == ("Joan", "Roe", "joan@example.com")
    with statements_fail(UPDATE_USER, OperationalError("locked"), 2), pytest.raises(BitbucketUnavailable):
        sign_in(JANE)
    assert fields_of(jane) == ("Joan", "Roe", "joan@example.com")


def test_values_are_cut_to_their_columns_both_times() -> None:
    long = replace(JANE, given_name="J" * 200, display_name=f"{'J' * 200} Doe")
    jane = sign_in(long)
    assert fields_of(jane)[0] == "J" * 150
    sign_in(ROE)
    assert fields_of(jane)[0] == "Joan"


def test_an_address_that_django_has_not_is_left_out() -> None:
    jane = sign_in(replace(JANE, emails=emails("jané@example.com")))
    assert fields_of(jane) == ("Jane", "Doe", "")
    assert BitbucketAccount.objects.get().email == "jané@example.com"


def test_the_name_that_people_sign_in_with_never_follows() -> None:
    assert users.updatable(("first_name", "last_name", "email")) == {"first_name", "last_name", "email"}
    with override_settings(AUTH_USER_MODEL="people.Member"):
        assert users.updatable(("first_name", "email")) == {"first_name"}
    with override_settings(AUTH_USER_MODEL="people.Pseudonym"):
        assert users.updatable(("last_name", "email")) == {"last_name"}
