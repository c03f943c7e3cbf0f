"""The verify hook: who is asked, what counts as an answer, and what an answer can't do."""

import gc
import logging
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.utils.functional import SimpleLazyObject
from logins import JANE, TOKEN, a_login, a_request, refusal, rows, sign_in, verified_by

from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import LoginRefused
from django_bitbucket_auth.models import BitbucketAccount
from django_bitbucket_auth.signals import verify

pytestmark = pytest.mark.django_db


class Asked:
    """A receiver that answers always the same, and remembers what it was asked."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer
        self.times: list[dict[str, Any]] = []

    def __call__(self, **kwargs: Any) -> object:
        self.times.append(kwargs)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob")


def test_receivers_are_asked_once_before_anything_is_written() -> None:
    counted = []
    receiver = Asked()
    login, request = a_login(), a_request()
    with verified_by(receiver, lambda **kwargs: counted.append(rows())):
        BitbucketBackend().authenticate(request, bitbucket_login=login)
    assert counted == [[[], [], []]]
    [asked] = receiver.times
    assert asked.pop("signal") is verify
    assert asked == {
        "sender": BitbucketAccount,
        "request": request,
        "provider": "default",
        "profile": JANE,
        "token": TOKEN,
        "intent": "login",
        "user": None,
    }


def test_receivers_are_told_whom_the_account_belongs_to() -> None:
    jane, receiver = sign_in(), Asked()
    with verified_by(receiver):
        sign_in()
    assert receiver.times[0]["user"] == jane


def test_without_an_opinion_a_user_is_created() -> None:
    with verified_by(Asked(None), Asked(None)):
        assert sign_in().username == "jane"


def test_the_named_user_is_signed_in_and_gets_the_account(bob: User) -> None:
    with verified_by(Asked(None), Asked(bob)):
        assert sign_in() == bob
    assert sign_in() == bob
    assert User.objects.count() == 1


def test_a_user_may_be_named_lazily_and_by_several(bob: User) -> None:
    lazy = SimpleLazyObject(lambda: User.objects.get(username="bob"))
    with verified_by(Asked(bob), Asked(User.objects.get()), Asked(lazy)):
        assert sign_in() == bob


def test_a_named_user_comes_in_where_sign_up_is_closed(bob: User) -> None:
    with verified_by(Asked(bob)):
        assert sign_in(create_users=False) == bob


def test_a_veto_really_stops_the_login_and_says_why() -> None:
    with verified_by(Asked(LoginRefused("Not on Sundays."))), pytest.raises(LoginRefused, match="Sundays") as caught:
        sign_in()
    assert caught.value.reason == "vetoed"
    with verified_by(Asked(LoginRefused("", "email_required"))):
        assert refusal() == "email_required"


def test_a_veto_stops_somebody_who_has_been_here_too() -> None:
    sign_in()
    with verified_by(Asked(False)):
        assert refusal() == "vetoed"


@pytest.mark.parametrize("order", [1, -1])
def test_all_receivers_run_and_one_refusal_beats_every_user(bob: User, order: int) -> None:
    receivers = [Asked(bob), Asked(LoginRefused("no")), Asked(bob), Asked(False), Asked(None)][::order]
    with verified_by(*receivers), pytest.raises(LoginRefused) as caught:
        sign_in()
    assert caught.value.message == "no"  # the one that says why, wherever it stands
    assert [len(receiver.times) for receiver in receivers] == [1] * 5
    assert not BitbucketAccount.objects.exists()


def test_contradicting_receivers_refuse(bob: User, caplog: pytest.LogCaptureFixture) -> None:
    with verified_by(Asked(bob), Asked(User.objects.create_user("ann"))):
        assert refusal() == "vetoed"
    [record] = caplog.records
    assert (record.levelname, "different users" in record.getMessage()) == ("ERROR", True)


@pytest.mark.parametrize("answer", [True, 0, "", (), 1, "bob", [], object(), User, AnonymousUser(), User(username="x")])
def test_odd_answers_refuse_and_are_logged(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    with verified_by(Asked(answer)):
        assert refusal() == "vetoed"
    [record] = caplog.records
    assert (record.levelname, "Return a saved user" in record.getMessage()) == ("ERROR", True)


def test_an_unsaved_user_with_somebodys_id_is_no_user(bob: User) -> None:
    """It would pass for active, whatever the row says."""
    User.objects.update(is_active=False)
    with verified_by(Asked(User(pk=bob.pk, username="bob"))):
        assert refusal() == "vetoed"


def test_a_deleted_user_is_no_user(bob: User) -> None:
    bob.delete()
    with verified_by(Asked(bob)):
        assert refusal() == "vetoed"


def test_a_denial_by_false_is_not_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with verified_by(Asked(False)):
        assert refusal() == "vetoed"
    assert caplog.records == []


def test_an_exception_refuses_with_its_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with verified_by(Asked(ValueError("directory is down"))):
        assert refusal() == "vetoed"
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.name == "django_bitbucket_auth"
    assert record.exc_info is not None
    assert "directory is down" in caplog.text
    assert "test_verify.py" in caplog.text  # of the traceback


def test_a_refusal_is_an_answer_and_has_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with verified_by(Asked(LoginRefused("no"))):
        assert refusal() == "vetoed"
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_closure_is_not_collected() -> None:
    """Held weakly it would be gone, and veto nothing."""

    def connect() -> None:
        def veto(**kwargs: Any) -> bool:
            return False

        verify.connect(veto, dispatch_uid="closure")

    connect()
    gc.collect()
    try:
        assert refusal() == "vetoed"
    finally:
        assert verify.disconnect(dispatch_uid="closure")


def test_a_receiver_may_ask_to_be_held_weakly() -> None:
    def veto(**kwargs: Any) -> bool:
        return False

    verify.connect(veto, weak=True)
    assert refusal() == "vetoed"
    del veto
    gc.collect()
    assert sign_in().username == "jane"


def test_a_receiver_of_another_sender_is_not_asked() -> None:
    receiver = Asked(False)
    verify.connect(receiver, sender=User)
    try:
        assert sign_in().username == "jane"
    finally:
        assert verify.disconnect(receiver, sender=User)
    assert receiver.times == []


def test_an_asynchronous_receiver_is_heard() -> None:
    async def veto(**kwargs: Any) -> bool:
        return False

    with verified_by(veto):
        assert refusal() == "vetoed"


def test_an_inactive_user_who_is_named_is_refused(bob: User) -> None:
    bob.is_active = False
    bob.save()
    with verified_by(Asked(bob)):
        assert refusal() == "inactive"


def test_an_answer_never_ties_an_account_to_another_user(bob: User) -> None:
    jane = sign_in()
    with verified_by(Asked(bob)):
        assert refusal() == "already_connected"
    assert BitbucketAccount.objects.get().user == jane


def test_an_answer_may_confirm_the_owner() -> None:
    jane = sign_in()
    with verified_by(Asked(jane)):
        assert sign_in() == jane


def test_a_named_user_keeps_the_password() -> None:
    ann = User.objects.create_user("ann", "ann@example.com", "correct horse")
    with verified_by(Asked(ann)):
        sign_in()
    ann.refresh_from_db()
    assert ann.check_password("correct horse")
    assert (ann.email, ann.first_name) == ("ann@example.com", "")
