"""The signals that only tell: what they carry, and when."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from logins import a_login, a_request, refusal, sign_in, statements_fail, verified_by

from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import BitbucketUnavailable
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.signals import account_connected


@pytest.fixture
def told() -> Any:
    """What ``account_connected`` tells, along with whether a transaction is open."""
    heard: list[dict[str, Any]] = []

    def hear(**kwargs: Any) -> None:
        heard.append({**kwargs, "in_transaction": transaction.get_connection().in_atomic_block})

    account_connected.connect(hear)
    yield heard
    assert account_connected.disconnect(hear)


@pytest.mark.django_db(transaction=True)
def test_a_new_account_is_told_of_after_commit(told: list[dict[str, Any]]) -> None:
    request = a_request()
    login = a_login()
    user = BitbucketBackend().authenticate(request, bitbucket_login=login)
    assert told == []  # not before the session is there
    [tell] = login.after
    tell()
    [heard] = told
    assert heard.pop("signal") is account_connected
    assert heard == {
        "sender": BitbucketAccount,
        "request": request,
        "user": user,
        "account": BitbucketAccount.objects.get(),
        "created": True,
        "in_transaction": False,
    }


@pytest.mark.django_db(transaction=True)
def test_a_returning_person_is_not_told_of(told: list[dict[str, Any]]) -> None:
    sign_in()
    sign_in()
    assert len(told) == 1


@pytest.mark.django_db(transaction=True)
def test_an_existing_users_first_account_is_not_a_creation(told: list[dict[str, Any]]) -> None:
    bob = User.objects.create_user("bob")
    with verified_by(lambda **kwargs: bob):
        sign_in()
    assert [(heard["user"], heard["created"]) for heard in told] == [(bob, False)]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_told_of(told: list[dict[str, Any]]) -> None:
    with statements_fail('INSERT INTO "bitbucket_auth_bitbuckettoken"', OperationalError("locked"), 2):
        with pytest.raises(BitbucketUnavailable):
            sign_in()
        assert told == []
        sign_in()
    assert len(told) == 1


@pytest.mark.django_db(transaction=True)
def test_within_a_callers_transaction_it_waits_for_the_commit(told: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        sign_in()
        assert told == []
    assert len(told) == 1
    with transaction.atomic():
        User.objects.all().delete()
        sign_in()
        transaction.set_rollback(True)
    assert len(told) == 1


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_fails_fails_alone(told: list[dict[str, Any]], caplog: pytest.LogCaptureFixture) -> None:
    def fail(**kwargs: Any) -> None:
        raise ValueError("mail server is down")

    account_connected.connect(fail)
    try:
        assert sign_in() == User.objects.get()
    finally:
        assert account_connected.disconnect(fail)
    assert len(told) == 1
    assert "mail server is down" in caplog.text
    assert BitbucketToken.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_refused_person_is_not_told_of(told: list[dict[str, Any]]) -> None:
    assert refusal(create_users=False) == "sign_up_closed"
    assert told == []
