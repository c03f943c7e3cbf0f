"""RECHECK: who left is out in time, and nobody is asked about more often than configured (security rule 25)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.backends.db import SessionStore
from django.db import InterfaceError, OperationalError, connection, connections
from django.db.models.signals import m2m_changed
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from logins import statements_fail
from steps import LOGIN, connect, listening, reason_of
from test_counts import written
from test_guards import JSON, later, reason

from django_bitbucket_auth import marks, memberships, rechecks
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.middleware import MembershipMiddleware
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider, simulated_bitbucket
from django_bitbucket_auth.testing.overriding import pointed_at

pytestmark = [pytest.mark.django_db, pytest.mark.urls("guarding")]

RECHECK = 1000
OURS = "django_bitbucket_auth.middleware.MembershipMiddleware"


@pytest.fixture(autouse=True)
def site(bitbucket: BitbucketSimulator, settings: Any) -> Iterator[None]:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, OURS]
    Group.objects.get_or_create(name="Staff")
    with override_provider("default", WORKSPACES=["acme"], RECHECK=RECHECK, GROUPS={"Staff": "acme"}, RETRIES=0):
        yield


@pytest.fixture
def jane(client: Client, bitbucket: BitbucketSimulator) -> Client:
    assert log_in(client, "jane").status_code == 302
    bitbucket.requests.clear()
    return client


def another_session(person: str = "jane") -> Client:
    client = Client()
    assert log_in(client, person).status_code == 302
    return client


def is_in(client: Client, path: str = "/private/") -> bool:
    """Whether the client sees a page for those who are signed in."""
    return client.get(path).status_code == 200


def questions(bitbucket: BitbucketSimulator) -> int:
    return len(bitbucket.requests_to("permission"))


def has_lost_everything() -> bool:
    return not BitbucketToken.objects.exists() and not User.objects.get().groups.exists()


# -- while the answer is fresh -----------------------------------------------------------------------------------------


def test_a_request_while_the_answer_is_fresh_costs_nothing(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    later(monkeypatch, 0.74 * RECHECK)
    # A cache that can't be used would be noticed.
    settings.CACHES = {"default": {"BACKEND": "no.such.Cache"}}
    with CaptureQueriesContext(connection) as with_it:
        assert is_in(jane)
    settings.MIDDLEWARE = [path for path in settings.MIDDLEWARE if path != OURS]
    with CaptureQueriesContext(connection) as without:
        assert is_in(jane)
    assert len(with_it) == len(without) == 2  # session and user
    assert not bitbucket.requests


def test_it_stays_fresh_by_one_question_for_each_period(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        later(monkeypatch, 0.8 * RECHECK)
        for _ in range(3):
            assert is_in(jane)
    assert questions(bitbucket) == 4
    assert {logged.endpoint for logged in bitbucket.requests} == {"user", "permission"}


def test_strangers_cost_nothing_and_get_pages_that_do_not_depend_on_cookies(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        response = Client().get("/")
    assert response.status_code == 200 and "Vary" not in response.headers


def test_without_recheck_nobody_is_asked_about(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitbucket.leave("jane", "acme")
    later(monkeypatch, 10 * RECHECK)
    with override_provider("default", RECHECK=None):
        assert is_in(jane)
    assert not bitbucket.requests


def test_who_came_in_by_password_is_never_asked_about(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even as somebody who has a Bitbucket account here."""
    client = Client()
    client.force_login(User.objects.get(), "django.contrib.auth.backends.ModelBackend")
    bitbucket.leave("jane", "acme")
    later(monkeypatch, 10 * RECHECK)
    assert is_in(client)
    assert not bitbucket.requests


def test_backends_that_are_gone_sign_nobody_in() -> None:
    client = Client()
    session = client.session
    session.update({"_auth_user_backend": "no.such.Backend", "_auth_user_id": "1"})
    assert not marks.is_due(session)


def test_a_sign_in_costs_no_query_more(jane: Client) -> None:
    counts = []
    for seconds in (None, RECHECK):
        with override_provider("default", RECHECK=seconds), CaptureQueriesContext(connection) as queries:
            log_in(Client(), "jane")
        counts.append(len(written(queries)))
    assert counts[0] == counts[1]


# -- who left ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0.76, 1.01, 1.9, 5])
def test_who_left_is_out_and_loses_groups_and_tokens(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, part: float
) -> None:
    told = []

    def tell(**kwargs: Any) -> None:
        told.append(kwargs["user"])

    bitbucket.leave("jane", "acme")
    later(monkeypatch, part * RECHECK)
    with listening(user_logged_out, tell):
        response = jane.get("/private/")
    assert (response.status_code, reason_of(response)) == (403, "not_a_member")
    assert "no-store" in response.headers["Cache-Control"]
    assert has_lost_everything()
    assert told == [User.objects.get()]
    assert jane.get("/private/").headers["Location"].startswith(LOGIN)
    assert reason_of(log_in(jane, "jane")) == "not_a_member"


@pytest.mark.parametrize("how", ["deactivate", "status"])
def test_who_was_deactivated_is_out_and_loses_groups_and_tokens(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "deactivate":
        bitbucket.deactivate("jane")
    else:
        bitbucket.person("jane").account_status = "closed"
    later(monkeypatch, RECHECK)
    assert reason(jane.get("/private/", headers=JSON)) == (403, "inactive")
    assert has_lost_everything()


def test_where_everybody_is_welcome_the_account_alone_is_asked_about(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with override_provider("default", WORKSPACES=["*"], GROUPS={}):
        client = another_session("outsider")
        later(monkeypatch, RECHECK)
        assert is_in(client)
        assert questions(bitbucket) == 0 and len(bitbucket.requests_to("user")) == 2
        bitbucket.deactivate("outsider")
        later(monkeypatch, RECHECK)
        assert client.get("/private/").status_code == 403


def test_all_sessions_of_who_left_end(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = another_session()
    bitbucket.leave("jane", "acme")
    bitbucket.requests.clear()
    later(monkeypatch, 0.9 * RECHECK)
    assert reason_of(jane.get("/private/")) == "not_a_member"
    assert reason_of(other.get("/private/")) == "not_a_member"
    assert questions(bitbucket) == 1


def test_who_comes_back_is_in_again_whatever_was_answered_before(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitbucket.leave("jane", "acme")
    later(monkeypatch, RECHECK)
    assert not is_in(jane)
    bitbucket.join("jane", "acme")
    assert log_in(jane, "jane").status_code == 302
    later(monkeypatch, 0.8 * RECHECK)
    assert is_in(jane)


def test_a_session_ends_with_a_redirect_where_failures_have_a_place(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitbucket.leave("jane", "acme")
    later(monkeypatch, RECHECK)
    with override_provider("default", FAILURE_URL="/"):
        response = jane.get("/private/")
    assert response.headers["Location"].startswith("/?reason=not_a_member&trail=BB-")


def test_a_lost_database_does_not_keep_anybody_in(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = another_session()
    bitbucket.leave("jane", "acme")
    later(monkeypatch, RECHECK)
    # Twice each time: whoever has asked, and whoever ends a session.
    with statements_fail("DELETE", OperationalError("locked"), 4):
        assert reason_of(jane.get("/private/")) == "not_a_member"
    assert "could not be taken" in caplog.text and not has_lost_everything()
    # The next session that ends makes up for it.
    assert reason_of(other.get("/private/")) == "not_a_member"
    assert has_lost_everything()


@contextmanager
def receivers_fail() -> Iterator[None]:
    """A receiver of the project's that fails when groups change."""

    def fail(**kwargs: Any) -> None:
        raise ValueError("the project's receiver")

    with listening(m2m_changed, fail):
        yield


def test_a_receiver_that_fails_keeps_nobody_in(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = another_session()
    bitbucket.leave("jane", "acme")
    later(monkeypatch, 0.9 * RECHECK)
    with receivers_fail():
        assert reason_of(jane.get("/private/")) == "not_a_member"
        assert BitbucketAccount.objects.get().answer == "not_a_member"
        assert reason_of(log_in(Client(), "jane")) == "not_a_member"
    assert "the project's receiver" in caplog.text and not has_lost_everything()
    assert reason_of(other.get("/private/")) == "not_a_member"
    assert has_lost_everything()


def test_who_comes_back_while_it_is_asked_keeps_groups_and_tokens(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, ask = Client(), memberships.ask

    def ask_and_come_back(*args: Any) -> Any:
        found = ask(*args)
        bitbucket.join("jane", "acme")
        log_in(new, "jane")
        return found

    monkeypatch.setattr(memberships, "ask", ask_and_come_back)
    bitbucket.leave("jane", "acme")
    later(monkeypatch, RECHECK)
    assert not is_in(jane)
    assert is_in(new)
    assert BitbucketToken.objects.exists() and User.objects.get().groups.exists()
    assert BitbucketAccount.objects.get().answer == ""


def test_a_no_that_a_newer_yes_has_overtaken_takes_nothing(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = memberships.ask

    def ask_slowly(*args: Any) -> Any:
        found = ask(*args)
        monkeypatch.setattr(memberships, "ask", ask)
        bitbucket.join("jane", "acme")
        later(monkeypatch, rechecks.RETRY)
        account = BitbucketAccount.objects.get()
        claimed = memberships.claim(account, "default")
        assert claimed is not None
        memberships.answer(account, "default", claimed)
        return found

    monkeypatch.setattr(memberships, "ask", ask_slowly)
    bitbucket.leave("jane", "acme")
    later(monkeypatch, RECHECK)
    jane.get("/private/")
    assert BitbucketAccount.objects.get().answer == "yes"
    assert BitbucketToken.objects.exists() and User.objects.get().groups.exists()


# -- groups ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def owner(bitbucket: BitbucketSimulator, client: Client) -> Iterator[Client]:
    Group.objects.create(name="Owners")
    bitbucket.join("jane", "acme", "owner")
    with override_provider("default", GROUPS={"Staff": "acme", "Owners": ["acme:owner", "globex:owner"]}):
        assert log_in(client, "jane").status_code == 302
        assert groups_of_jane() == {"Staff", "Owners"}
        yield client


def groups_of_jane() -> set[str]:
    return set(User.objects.get(username="jdoe").groups.values_list("name", flat=True))


def test_who_is_no_owner_any_more_leaves_the_owners_in_time(
    owner: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitbucket.join("jane", "acme", "member")
    later(monkeypatch, RECHECK)
    assert is_in(owner)
    assert groups_of_jane() == {"Staff"}
    bitbucket.join("jane", "globex", "owner")
    later(monkeypatch, RECHECK)
    assert is_in(owner)
    assert groups_of_jane() == {"Staff", "Owners"}


def test_what_is_not_known_of_a_role_changes_no_group_and_keeps_nobody_out(
    owner: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitbucket.join("jane", "acme", "member")
    bitbucket.fail("/2.0/user/workspaces/globex/permission", 503)
    later(monkeypatch, 1.5 * RECHECK)
    assert is_in(owner)
    assert groups_of_jane() == {"Staff", "Owners"}
    assert BitbucketAccount.objects.get().answer == "yes"


def test_groups_that_stay_cost_a_question_one_query(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for managed in ({}, {"Staff": "acme"}, {"Staff": "acme", "Nobody": "acme"}):
        later(monkeypatch, RECHECK)
        with override_provider("default", GROUPS=managed), CaptureQueriesContext(connection) as queries:
            assert is_in(jane)
        counts.append(len(written(queries)))
        assert is_in(jane)  # which notes the answer
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]


def test_groups_that_another_account_took_along_come_back(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, person = User.objects.get(), bitbucket.person("unconfirmed")
    instance = BitbucketAccount.objects.get().instance
    BitbucketAccount.objects.create(user=user, provider="default", instance=instance, uid=person.uuid)
    bitbucket.leave("unconfirmed", "acme")
    log_in(Client(), "unconfirmed")
    assert not user.groups.exists()
    later(monkeypatch, RECHECK)
    assert is_in(jane)
    assert user.groups.exists()


def test_a_receiver_that_fails_keeps_nobody_from_going_on(
    owner: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bitbucket.join("jane", "acme", "member")
    later(monkeypatch, 1.5 * RECHECK)
    with receivers_fail():
        assert is_in(owner)
    assert "the project's receiver" in caplog.text
    assert groups_of_jane() == {"Staff", "Owners"}


def test_a_late_yes_brings_no_group_back(
    owner: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = BitbucketAccount.objects.get()
    claimed = memberships.claim(late, "default")
    assert claimed is not None
    later(monkeypatch, rechecks.RETRY)
    assert memberships.claim(BitbucketAccount.objects.get(), "default") is not None
    User.objects.get().groups.clear()
    memberships.answer(late, "default", claimed)
    assert groups_of_jane() == set()


# -- how long a session goes on, and what is in it ---------------------------------------------------------------------


def test_to_be_asked_about_makes_no_session_endless(
    jane: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.SESSION_COOKIE_AGE = 3 * RECHECK
    for _ in range(3):
        later(monkeypatch, 0.9 * RECHECK)
        assert is_in(jane)
    later(monkeypatch, 0.9 * RECHECK)
    assert jane.get("/private/").headers["Location"].startswith(LOGIN)
    settings.SESSION_SAVE_EVERY_REQUEST = True
    assert is_in(jane)


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_session_with_an_end_of_its_own_goes_on_until_then(
    jane: Client, monkeypatch: pytest.MonkeyPatch, settings: Any, use_tz: bool
) -> None:
    settings.USE_TZ = use_tz
    settings.SESSION_COOKIE_AGE = RECHECK
    session = jane.session
    session.set_expiry(timezone.now() + timedelta(seconds=10 * RECHECK))
    session.save()
    later(monkeypatch, 1.9 * RECHECK)
    assert is_in(jane)


def test_what_another_tab_writes_to_the_session_meanwhile_stays(jane: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    key, ask = jane.session.session_key, memberships.ask

    def ask_slowly(*args: Any) -> Any:
        session = SessionStore(key)
        session["cart"] = ["book"]
        session.save()
        return ask(*args)

    monkeypatch.setattr(memberships, "ask", ask_slowly)
    later(monkeypatch, RECHECK)
    assert is_in(jane)
    assert SessionStore(key)["cart"] == ["book"]


def test_nor_is_it_lost_while_another_ones_answer_is_waited_for(jane: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    key = jane.session.session_key
    later(monkeypatch, RECHECK)
    claimed = memberships.claim(BitbucketAccount.objects.get(), "default")

    def answer_meanwhile(seconds: float) -> None:
        session = SessionStore(key)
        session["cart"] = ["book"]
        session.save()
        BitbucketAccount.objects.update(answer="yes", checked_at=claimed)

    monkeypatch.setattr(time, "sleep", answer_meanwhile)
    assert is_in(jane)
    assert SessionStore(key)["cart"] == ["book"]


def test_who_signs_out_in_another_tab_meanwhile_is_out_without_an_error(
    jane: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, ask = jane.session.session_key, memberships.ask

    def ask_slowly(*args: Any) -> Any:
        SessionStore(key).delete()
        return ask(*args)

    monkeypatch.setattr(memberships, "ask", ask_slowly)
    later(monkeypatch, RECHECK)
    assert is_in(jane)
    assert not is_in(jane)


# -- what isn't known --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("endpoint", "status"), [("user", 404), ("permission", 429), ("*", 500)])
def test_bitbucket_down_means_a_grace_and_then_503_and_no_sign_out(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, endpoint: str, status: int
) -> None:
    bitbucket.fail(endpoint, status)
    for _ in range(5):
        later(monkeypatch, 0.39 * RECHECK)  # 1.95 in the end
        assert is_in(jane)
    later(monkeypatch, 0.06 * RECHECK)
    response = jane.get("/private/")
    assert (response.status_code, reason_of(response)) == (503, "membership_unknown")
    assert reason(jane.get("/private/", headers=JSON)) == (503, "membership_unknown")
    assert BitbucketToken.objects.exists() and User.objects.get().groups.exists()
    bitbucket.heal()
    later(monkeypatch, rechecks.RETRY)
    assert is_in(jane)


def test_what_is_unknown_is_asked_once_a_minute(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = another_session()
    bitbucket.requests.clear()
    bitbucket.fail("permission", 503)
    later(monkeypatch, 1.5 * RECHECK)
    for minute in range(1, 4):
        for client in (jane, other, jane):
            assert is_in(client)
        assert questions(bitbucket) == minute
        later(monkeypatch, rechecks.RETRY)


@pytest.mark.parametrize(
    "changes",
    [
        {"workspace": {"slug": "acme-2", "name": "Acme Widgets"}},
        {"user": {"uuid": "{00000000-0000-4000-8000-000000000000}"}},
    ],
    ids=["another workspace of this name", "another person"],
)
def test_an_answer_about_something_else_is_no_answer(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    body = {"permission": "owner", "workspace": {"slug": "acme"}, "user": {"uuid": bitbucket.person("jane").uuid}}
    bitbucket.answer("permission", 200, body=json.dumps({**body, **changes}))
    later(monkeypatch, 1.9 * RECHECK)
    assert is_in(jane)
    later(monkeypatch, 0.2 * RECHECK)
    assert reason_of(jane.get("/private/")) == "membership_unknown"


@pytest.mark.parametrize("uuid", ["{00000000-0000-4000-8000-000000000000}", None])
def test_a_profile_of_somebody_else_vouches_for_nobody(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, uuid: str | None
) -> None:
    bitbucket.person("jane").profile["uuid"] = uuid
    later(monkeypatch, 2.1 * RECHECK)
    assert reason_of(jane.get("/private/")) == "membership_unknown"


def test_where_everybody_is_welcome_the_profile_has_to_be_the_persons(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with override_provider("default", WORKSPACES=["*"], GROUPS={}):
        client = another_session()
        bitbucket.person("jane").profile["uuid"] = "{00000000-0000-4000-8000-000000000000}"
        later(monkeypatch, 2.1 * RECHECK)
        assert reason_of(client.get("/private/")) == "membership_unknown"


def test_settings_that_became_wrong_are_like_an_outage(
    jane: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with override_provider("default", CLIENT_ID=""):
        later(monkeypatch, 1.5 * RECHECK)
        assert is_in(jane)
        later(monkeypatch, 0.6 * RECHECK)
        assert reason_of(jane.get("/private/")) == "membership_unknown"
    assert "CLIENT_ID" in caplog.text


def test_a_period_that_is_none_lets_nobody_stay(jane: Client) -> None:
    with override_provider("default", RECHECK=1):
        response = jane.get("/private/")
    assert (response.status_code, reason_of(response)) == (503, "misconfigured")


def test_a_session_ends_even_if_the_settings_are_wrong_by_then(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = another_session()
    bitbucket.leave("jane", "acme")
    later(monkeypatch, RECHECK)
    assert not is_in(jane)
    with override_provider("default", CLIENT_ID=""):
        assert reason_of(other.get("/private/")) == "not_a_member"


def test_a_clock_that_was_put_back_keeps_nobody_in(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = another_session()
    later(monkeypatch, 0.8 * RECHECK)
    assert is_in(other)  # so the row is from the future, too
    later(monkeypatch, -RECHECK)
    assert is_in(jane) and is_in(other)
    bitbucket.leave("jane", "acme")
    later(monkeypatch, 0.8 * RECHECK)
    assert reason_of(other.get("/private/")) == "not_a_member"


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_an_access_token_that_has_ended_is_renewed(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitbucket.expire_access_tokens("jane")
    later(monkeypatch, RECHECK)
    assert is_in(jane)
    assert [logged.status for logged in bitbucket.requests_to("user")] == [401, 200]


def test_a_client_that_is_refused_is_nobodys_fault(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitbucket.expire_access_tokens("jane")
    bitbucket.answer("token", 401, body='{"error": "unauthorized_client", "error_description": "Invalid credentials"}')
    later(monkeypatch, RECHECK)
    assert is_in(jane)
    later(monkeypatch, RECHECK)
    assert reason_of(jane.get("/private/")) == "membership_unknown"


@pytest.mark.parametrize("how", ["no token", "revoked", "no account"])
def test_without_a_token_that_works_people_sign_in_again(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "no token":
        BitbucketToken.objects.all().delete()
    elif how == "no account":
        BitbucketAccount.objects.all().delete()
    else:
        bitbucket.revoke("jane")
    later(monkeypatch, RECHECK)
    response = jane.get("/private/?page=2")
    assert (response.status_code, response.headers["Location"]) == (302, f"{LOGIN}?next=%2Fprivate%2F%3Fpage%3D2")
    assert jane.head("/private/").status_code == 302
    posted = jane.post("/private/")
    assert (posted.status_code, reason_of(posted)) == (401, "login_required")
    assert reason(jane.get("/private/", headers=JSON)) == (401, "login_required")
    assert log_in(jane, "jane").status_code == 302
    assert is_in(jane)


def test_another_session_goes_on_once_there_is_a_token_again(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = another_session()
    bitbucket.revoke("jane")
    later(monkeypatch, RECHECK)
    assert not is_in(jane)
    assert not is_in(other)
    log_in(jane, "jane")
    assert is_in(other)


# -- one question for all ----------------------------------------------------------------------------------------------


def test_what_was_answered_for_another_session_is_not_asked_again(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [another_session() for _ in range(3)]
    bitbucket.requests.clear()
    later(monkeypatch, 0.8 * RECHECK)
    for client in (jane, *others):
        assert is_in(client)
    assert questions(bitbucket) == 1
    # They know it by now without looking.
    with CaptureQueriesContext(connection) as queries:
        assert is_in(others[0])
    assert len(written(queries)) == 2


def test_who_died_while_asking_is_waited_for_and_then_replaced(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rechecks, "PATIENCE", 0.1)
    later(monkeypatch, RECHECK)
    assert memberships.claim(BitbucketAccount.objects.get(), "default") is not None
    assert is_in(jane)  # for the time of the grace
    assert questions(bitbucket) == 0
    later(monkeypatch, rechecks.RETRY)
    assert is_in(jane)
    assert questions(bitbucket) == 1


def test_one_of_two_begins_to_ask(jane: Client) -> None:
    first, second = BitbucketAccount.objects.get(), BitbucketAccount.objects.get()
    assert memberships.claim(first, "default") is not None
    assert memberships.claim(second, "default") is None


def test_an_answer_that_comes_too_late_changes_nothing(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = BitbucketAccount.objects.get()
    claimed = memberships.claim(late, "default")
    assert claimed is not None
    later(monkeypatch, 100)
    newer = BitbucketAccount.objects.get()
    again = memberships.claim(newer, "default")
    memberships.answer(late, "default", claimed)
    row = BitbucketAccount.objects.get()
    assert (row.asked_at, row.answer, row.checked_at) == (again, "", None)


def test_a_yes_to_another_aliass_question_keeps_nobody_in(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two aliases of one Bitbucket the one lets in the members, the other everybody."""
    with pointed_at(bitbucket, "public", WORKSPACES=["*"], RECHECK=RECHECK, RETRIES=0):
        public = Client()
        log_in(public, "jane", alias="public")
        bitbucket.leave("jane", "acme")
        later(monkeypatch, 0.8 * RECHECK)
        assert is_in(public)
        assert reason_of(jane.get("/private/")) == "not_a_member"


def test_a_no_to_another_aliass_question_throws_nobody_out(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pointed_at(bitbucket, "public", WORKSPACES=["*"], RECHECK=RECHECK, RETRIES=0):
        public = Client()
        log_in(public, "jane", alias="public")
        bitbucket.leave("jane", "acme")
        later(monkeypatch, 0.8 * RECHECK)
        assert not is_in(jane)
        account = BitbucketAccount.objects.get()
        assert memberships.last_no(account, "default") == "not_a_member"
        assert memberships.last_no(account, "public") == ""
        assert is_in(public)
        account.refresh_from_db()
        assert (account.asked_by, account.answer) == ("public", "yes")


def test_what_vouched_for_one_alias_is_forgotten_when_another_asks(jane: Client) -> None:
    account = BitbucketAccount.objects.get()
    claimed = memberships.claim(account, "default")
    assert claimed is not None
    memberships.answer(account, "default", claimed)
    assert BitbucketAccount.objects.get().checked_at == claimed
    assert memberships.claim(account, "public") is not None
    row = BitbucketAccount.objects.get()
    assert (row.asked_by, row.checked_at, row.answer) == ("public", None, "")


@pytest.mark.parametrize("aside", [False, True])
def test_what_another_alias_is_asking_is_let_finish(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, aside: bool
) -> None:
    """Its answer would be lost; and this one's is needed as well."""
    account = BitbucketAccount.objects.get()
    later(monkeypatch, 0.8 * RECHECK if aside else RECHECK)
    with pointed_at(bitbucket, "public", WORKSPACES=["*"], RECHECK=RECHECK, RETRIES=0):
        claimed = memberships.claim(account, "public")
        assert claimed is not None
        sleep = time.sleep

        def answer_meanwhile(seconds: float) -> None:
            monkeypatch.setattr(time, "sleep", sleep)
            BitbucketAccount.objects.update(answer="yes", checked_at=claimed)

        bitbucket.leave("jane", "acme")
        monkeypatch.setattr(time, "sleep", answer_meanwhile)
        assert is_in(jane) == aside
    account.refresh_from_db()
    assert account.asked_by == ("public" if aside else "default")


def test_an_outage_makes_two_aliases_ask_no_more_often_than_one(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pointed_at(bitbucket, "public", WORKSPACES=["*"], RECHECK=RECHECK, RETRIES=0):
        public = Client()
        log_in(public, "jane", alias="public")
        bitbucket.fail("*", 503)
        bitbucket.requests.clear()
        later(monkeypatch, 1.5 * RECHECK)
        for client in (jane, public, jane, public):
            assert is_in(client)
        assert len(bitbucket.requests_to("user")) == 1
        later(monkeypatch, RECHECK)
        bitbucket.heal()
        assert is_in(jane) and is_in(public)


def overtake(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Let somebody act between this request's look at the row and its claim."""
    claim = memberships.claim

    def claim_after(account: BitbucketAccount, provider: str) -> Any:
        monkeypatch.setattr(memberships, "claim", claim)
        act()
        return claim(account, provider)

    monkeypatch.setattr(memberships, "claim", claim_after)


@pytest.mark.parametrize(("answer", "status"), [("yes", 200), ("unknown", 200), ("not_a_member", 403)])
def test_who_is_overtaken_uses_the_answer_of_the_other(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    later(monkeypatch, RECHECK)

    def another() -> None:
        account = BitbucketAccount.objects.get()
        claimed = memberships.claim(account, "default")
        checked = claimed if answer == "yes" else None
        BitbucketAccount.objects.update(answer=answer, checked_at=checked)

    overtake(monkeypatch, another)
    assert jane.get("/private/").status_code == status
    assert questions(bitbucket) == 0


def test_an_account_that_vanishes_meanwhile_leads_to_a_new_sign_in(
    jane: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, RECHECK)
    overtake(monkeypatch, BitbucketAccount.objects.all().delete)
    assert jane.get("/private/").status_code == 302


@pytest.mark.parametrize(("first", "asked"), [("asked_at", 0), ("answer", 1)])
def test_a_database_that_is_locked_is_no_error_page(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, first: str, asked: int
) -> None:
    later(monkeypatch, RECHECK)
    statement = f'"bitbucket_auth_bitbucketaccount" SET "{first}"'
    with statements_fail(statement, OperationalError("locked")) as seen:
        assert is_in(jane)
    assert any(statement in sql.replace("`", '"') for sql in seen)
    assert questions(bitbucket) == asked  # who can't say that they ask don't ask


def test_an_account_that_is_connected_later_is_not_asked_about(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connect(jane, bitbucket, "unconfirmed").status_code == 302
    bitbucket.leave("unconfirmed", "acme")
    later(monkeypatch, RECHECK)
    assert is_in(jane)
    assert bitbucket.requests_to("permission")[-1].person == "jane"


# -- sessions from before ----------------------------------------------------------------------------------------------


def test_a_session_from_before_is_asked_about_at_once(jane: Client, bitbucket: BitbucketSimulator) -> None:
    old = Client()
    old.force_login(User.objects.get(), "django_bitbucket_auth.backends.BitbucketBackend")
    assert is_in(old) and questions(bitbucket) == 1
    assert is_in(old)  # which notes the answer
    with CaptureQueriesContext(connection) as queries:
        assert is_in(old)
    assert len(written(queries)) == 2
    bitbucket.leave("jane", "acme")
    older = Client()
    older.force_login(User.objects.get(), "django_bitbucket_auth.backends.BitbucketBackend")
    session = older.session
    session["_bitbucket_auth"] = {"another": "version"}
    session.save()
    assert is_in(older)  # it was asked a moment ago


def test_a_session_from_before_has_the_whole_grace(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitbucket.fail("*", 503)
    old = Client()
    old.force_login(User.objects.get(), "django_bitbucket_auth.backends.BitbucketBackend")
    assert is_in(old)
    later(monkeypatch, 0.9 * RECHECK)
    assert is_in(old)
    later(monkeypatch, 0.2 * RECHECK)
    assert not is_in(old)


def test_who_has_no_bitbucket_account_is_looked_for_once(django_assert_num_queries: Any) -> None:
    client = Client()
    client.force_login(User.objects.create_user("test"), "django_bitbucket_auth.backends.BitbucketBackend")
    assert is_in(client)
    with django_assert_num_queries(2):
        assert is_in(client)


def test_settings_without_its_provider_set_no_session_free(jane: Client, settings: Any) -> None:
    """Whoever left while an alias was renamed would stay."""
    for wrong in ({"second": settings.BITBUCKET_AUTH["default"]}, ["nonsense"]):
        settings.BITBUCKET_AUTH = wrong
        response = jane.get("/private/")
        assert (response.status_code, response.headers["Location"]) == (302, f"{LOGIN}?next=%2Fprivate%2F")
    settings.BITBUCKET_AUTH = {"default": None}
    assert reason_of(jane.get("/private/")) == "misconfigured"


class OurBackend(BitbucketBackend):
    """As projects have them."""


def test_people_of_a_projects_own_backend_are_asked_about(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.OurBackend"]
    client = another_session()
    bitbucket.leave("jane", "acme")
    later(monkeypatch, RECHECK)
    assert client.get("/private/").status_code == 403


def test_an_account_that_is_another_users_by_now_vouches_for_nobody(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    BitbucketAccount.objects.update(user=User.objects.create_user("bob"))
    later(monkeypatch, RECHECK)
    assert jane.get("/private/").status_code == 302
    assert not bitbucket.requests


def test_each_provider_has_its_own_period(jane: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulated_bitbucket("second", RECHECK=None) as other:
        client = Client()
        log_in(client, "jane", alias="second")
        other.deactivate("jane")
        later(monkeypatch, 10 * RECHECK)
        assert is_in(client)


@pytest.mark.parametrize("act", ["deactivate", "revoke"])
@pytest.mark.parametrize("kind", ["data-center", "data-center-oauth1", "cloud-oauth1"])
def test_every_kind_can_ask_whether_the_account_is_active(kind: str, act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulated_bitbucket("second", kind=kind, RECHECK=RECHECK) as other:
        client = Client()
        log_in(client, "jane", alias="second")
        later(monkeypatch, RECHECK)
        assert is_in(client)
        getattr(other, act)("jane")
        later(monkeypatch, RECHECK)
        assert not is_in(client)


# -- which requests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/bitbucket/login/", 200),
        ("/sign-out/", 200),
        ("/files/guarding.py", 200),
        ("/leave/", 405),
        ("/nowhere/", 404),
    ],
)
def test_our_own_pages_files_and_the_way_out_are_open(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    bitbucket.fail("*", 503)
    later(monkeypatch, 3 * RECHECK)
    response = jane.get(path)
    b"".join(response)
    assert response.status_code == status
    assert not bitbucket.requests


@pytest.mark.parametrize("verb", ["connect", "disconnect"])
def test_who_has_left_opens_no_other_way_in(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """A session whose time is over could connect an account at a Bitbucket that nobody asks about."""
    bitbucket.leave("jane", "acme")
    later(monkeypatch, 3 * RECHECK)
    response = jane.post(f"/bitbucket/{verb}/", {"account": BitbucketAccount.objects.get().pk})
    assert response.status_code == 403 and b"not_a_member" in response.content
    assert has_lost_everything() and BitbucketAccount.objects.exists() and not is_in(jane)


def test_async_views_are_asked_about_in_their_event_loop(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AsyncClient()
    client.cookies = jane.cookies
    get = async_to_sync(client.get)
    for path in ("/aprivate/", "/private/"):
        assert get(path).content == b"jdoe"
    later(monkeypatch, RECHECK)
    assert get("/aprivate/").content == b"jdoe"
    assert questions(bitbucket) == 1
    bitbucket.leave("jane", "acme")
    later(monkeypatch, RECHECK)
    response = get("/aprivate/")
    assert (response.status_code, reason_of(response)) == (403, "not_a_member")
    assert get("/private/").status_code == 302
    assert async_to_sync(AsyncClient().get)("/").status_code == 200


def test_it_says_where_it_has_to_stand() -> None:
    middleware = MembershipMiddleware(lambda request: HttpResponse("page"))
    request = RequestFactory().get("/")
    assert middleware(request).content == b"page"  # type: ignore[union-attr]
    with pytest.raises(ConfigurationError, match="AuthenticationMiddleware"):
        middleware.process_view(request, None, (), {})


def test_a_subclass_may_have_its_own_look_at_views() -> None:
    class Ours(MembershipMiddleware):
        """As projects have them."""

        def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse:
            return HttpResponse("ours")

    middleware = Ours(lambda request: HttpResponse("page"))
    assert middleware.process_view(RequestFactory().get("/"), None, (), {}).content == b"ours"


def test_a_person_who_is_not_one_any_more_is_not_asked_about(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.update(is_active=False)
    later(monkeypatch, RECHECK)
    assert jane.get("/private/").status_code == 302
    assert not bitbucket.requests


# -- threads -----------------------------------------------------------------------------------------------------------


def settled() -> None:
    """Wait for the threads that ask."""
    for thread in threading.enumerate():
        if thread.name == "bitbucket-auth-recheck":
            thread.join(20)


@pytest.mark.django_db(transaction=True)
class TestManyWorkers:
    """Real threads, each with a connection of its own."""

    def test_a_request_goes_on_while_it_is_asked(
        self, jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = another_session()
        bitbucket.requests.clear()
        bitbucket.leave("jane", "acme")
        later(monkeypatch, 0.8 * RECHECK)
        gate = threading.Event()
        ask = memberships.ask

        def ask_when_told(*args: Any) -> Any:
            assert gate.wait(20)
            return ask(*args)

        monkeypatch.setattr(memberships, "ask", ask_when_told)
        for client in (jane, other, jane):
            assert is_in(client)  # nobody has said anything yet
        gate.set()
        settled()
        assert questions(bitbucket) == 1
        for client in (jane, other):
            assert reason_of(client.get("/private/")) == "not_a_member"
        assert has_lost_everything()

    @pytest.mark.parametrize("part", [0.8, 1.1])
    def test_many_workers_ask_once(
        self, jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, part: float
    ) -> None:
        clients = [jane, *(another_session() for _ in range(7))]
        bitbucket.requests.clear()
        later(monkeypatch, part * RECHECK)
        barrier = threading.Barrier(len(clients), timeout=20)

        def visit(client: Client) -> bool:
            try:
                barrier.wait()
                return is_in(client)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(clients)) as pool:
            assert all(pool.map(visit, clients))
        settled()
        assert questions(bitbucket) == 1
        assert all(map(is_in, clients))
        assert questions(bitbucket) == 1

    def test_who_has_to_wait_hears_the_answer_of_another(
        self, jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bitbucket.leave("jane", "acme")
        later(monkeypatch, RECHECK)
        account = BitbucketAccount.objects.get()
        claimed = memberships.claim(account, "default")
        assert claimed is not None
        sleep = time.sleep

        def answer_meanwhile(seconds: float) -> None:
            monkeypatch.setattr(time, "sleep", sleep)
            memberships.answer(account, "default", claimed)

        monkeypatch.setattr(time, "sleep", answer_meanwhile)
        assert reason_of(jane.get("/private/")) == "not_a_member"

    def test_where_no_thread_starts_the_request_asks(
        self, jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*args: Any) -> None:
            raise RuntimeError("can't start new thread")

        bitbucket.leave("jane", "acme")
        later(monkeypatch, 0.8 * RECHECK)
        # Profile and membership are asked for in turn then, too.
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert reason_of(jane.get("/private/")) == "not_a_member"

    def test_no_more_threads_than_a_few_ask(
        self, jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rechecks, "_free", threading.BoundedSemaphore(1))
        later(monkeypatch, 0.8 * RECHECK)
        with rechecks._free:
            assert is_in(jane)
        assert questions(bitbucket) == 0
        overtake(monkeypatch, lambda: memberships.claim(BitbucketAccount.objects.get(), "default"))
        assert is_in(jane)
        assert questions(bitbucket) == 0
        assert rechecks._free.acquire(blocking=False)

    def test_a_thread_that_fails_says_so(
        self, jane: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*args: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(memberships, "ask", fail)
        later(monkeypatch, 0.8 * RECHECK)
        assert is_in(jane)
        settled()
        assert "could not be asked" in caplog.text and "ZeroDivisionError" in caplog.text
        assert BitbucketAccount.objects.get().answer == "unknown"

    def test_a_thread_gives_back_its_place_and_its_connection(
        self, jane: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rechecks, "_free", threading.BoundedSemaphore(1))
        ask, closed = memberships.ask, []

        def ask_and_watch(*args: Any) -> Any:
            of_thread = connections[memberships.database()]
            end = of_thread.close

            def close() -> None:
                closed.append(threading.current_thread().name)
                end()
                raise InterfaceError("lost")

            monkeypatch.setattr(of_thread, "close", close)
            return ask(*args)

        monkeypatch.setattr(memberships, "ask", ask_and_watch)
        monkeypatch.setattr(threading, "excepthook", lambda args: None)
        later(monkeypatch, 0.8 * RECHECK)
        assert is_in(jane)
        settled()
        assert closed == ["bitbucket-auth-recheck"]
        assert rechecks._free.acquire(blocking=False)

    def test_a_connection_that_was_lost_costs_no_place(
        self, jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rechecks, "_free", threading.BoundedSemaphore(1))
        later(monkeypatch, 0.8 * RECHECK)
        begin = '"bitbucket_auth_bitbucketaccount" SET "asked_at"'
        with statements_fail(begin, InterfaceError("connection already closed")):
            assert is_in(jane)
        with statements_fail(begin, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):  # type: ignore[arg-type]
            jane.get("/private/")
        assert questions(bitbucket) == 0
        assert rechecks._free.acquire(blocking=False)

    def test_what_is_retried_in_the_grace_makes_nobody_wait(
        self, jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bitbucket.fail("permission", 503)
        later(monkeypatch, 1.1 * RECHECK)
        assert is_in(jane)
        later(monkeypatch, rechecks.RETRY)
        bitbucket.heal()
        assert is_in(jane)
        settled()
        assert questions(bitbucket) == 2
        assert BitbucketAccount.objects.get().answer == "yes"
