"""``get_session``: whose tokens, how many queries, and what keeps people apart."""

from __future__ import annotations

import io
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from stored import renewals, soon, stored

from django_bitbucket_auth.api import BitbucketSession, get_session
from django_bitbucket_auth.exceptions import ConfigurationError, ForeignURL, NotConnected, OAuthError
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.stores import DatabaseTokenStore, database
from django_bitbucket_auth.testing import BitbucketSimulator, Person, log_in, override_provider

pytestmark = pytest.mark.django_db


def name(session: BitbucketSession) -> Any:
    return session.json("user").get("username")


# -- who ---------------------------------------------------------------------------------------------------------------


def test_a_request_a_user_and_an_account_are_the_same_person(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket)
    account = row.account
    assert account is not None
    request = RequestFactory().get("/")
    request.user = account.user
    frameworks_own: Any = SimpleNamespace(user=account.user)  # Django REST framework's request is no HttpRequest
    for who in (request, frameworks_own, account.user, account):
        assert name(get_session(who)) == "jdoe"


def test_the_person_who_signed_in_is_called_for(bitbucket: BitbucketSimulator, client: Client) -> None:
    request = log_in(client, "jane").wsgi_request
    assert name(get_session(request)) == "jdoe"


def test_nobody_is_nobody(bitbucket: BitbucketSimulator) -> None:
    stored(bitbucket)
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    for who in (request, AnonymousUser(), User(), User.objects.create_user("without"), BitbucketAccount()):
        with pytest.raises(NotConnected, match="sign in"):
            get_session(who)
    with pytest.raises(NotConnected):
        get_session(RequestFactory().get("/"))  # no AuthenticationMiddleware


def test_the_application_stands_for_itself(bitbucket: BitbucketSimulator) -> None:
    session = get_session(None)
    assert session.json("user")["type"] == "app_user"
    session.json("user")
    assert len(bitbucket.requests_to("token")) == 1
    bitbucket.expire_access_tokens()
    assert session.json("user")["type"] == "app_user"
    assert len(bitbucket.requests_to("token")) == 2


def test_the_applications_token_can_be_kept(bitbucket: BitbucketSimulator) -> None:
    for _ in range(2):
        get_session(None, store=DatabaseTokenStore(), key="nightly").json("user")
    assert len(bitbucket.requests_to("token")) == 1
    get_session(None, store=DatabaseTokenStore(), key="nightly", force_credentials=True).json("user")
    assert len(bitbucket.requests_to("token")) == 2


def test_an_application_by_a_persons_grant_goes_on_by_its_refresh_token(bitbucket: BitbucketSimulator) -> None:
    """The code is spent by then."""
    given = str(bitbucket.issue("jane")["refresh_token"])
    session = get_session(None, grant="refresh_token", refresh_token=given)
    for _ in range(3):
        assert name(session) == "jdoe"
        bitbucket.expire_access_tokens()
        bitbucket.vault.refresh.pop(given, None)
    assert renewals(bitbucket) == 3


def test_arguments_of_a_grant_are_for_the_application_only(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket)
    with pytest.raises(TypeError, match="store"):
        get_session(row.account, store=DatabaseTokenStore())
    with pytest.raises(TypeError, match="client_id"):
        get_session(None, client_id="x")


def test_an_unknown_provider_is_a_configuration_error(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket)
    for who in (None, row.account):
        with pytest.raises(ConfigurationError, match="nowhere"):
            get_session(who, "nowhere")


# -- what keeps people apart -------------------------------------------------------------------------------------------


def test_an_inactive_users_token_is_not_used(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket)
    assert row.account is not None
    user = row.account.user
    User.objects.update(is_active=False)
    assert user.is_active  # the instance at hand is older than the row
    for who in (user, row.account):
        with pytest.raises(NotConnected, match="inactive"):
            get_session(who)
    assert bitbucket.requests == []


def test_a_token_of_another_bitbucket_is_not_sent_to_this_one(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, instance="bitbucket.org")
    with pytest.raises(NotConnected, match="can't be used"):
        get_session(row.account)
    assert bitbucket.requests == []


def test_a_token_of_another_provider_is_not_used_for_this_one(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket)
    keys = {"BASE_URL": bitbucket.url, "API_URL": bitbucket.url, "CLIENT_ID": "x", "CLIENT_SECRET": "y"}
    with override_provider("second", **keys), pytest.raises(NotConnected, match="'second'"):
        get_session(row.account, "second")
    assert name(get_session(row.account, "default")) == "jdoe"


def test_a_token_that_cannot_be_decrypted_is_none(bitbucket: BitbucketSimulator, settings: Any) -> None:
    row = stored(bitbucket)
    settings.BITBUCKET_AUTH_TOKEN_KEYS = ["another key of thirty-two characters"]
    with pytest.raises(NotConnected, match="can't be used"):
        get_session(row.account)


def test_nobodys_call_is_anothers(bitbucket: BitbucketSimulator) -> None:
    people = [Person(f"p{number}") for number in range(6)]
    for person in people:
        bitbucket.add_person(person)
    sessions = [get_session(stored(bitbucket, person.key, ended=True).account) for person in people]
    for _ in range(2):
        assert [name(session) for session in sessions] == [person.username for person in people]


def test_of_several_accounts_the_first_counts_whatever_is_renewed(bitbucket: BitbucketSimulator) -> None:
    """Else a job that renews a token would decide as whom somebody acts."""
    bitbucket.add_person(Person("second"))
    jane, second = stored(bitbucket), stored(bitbucket, "second")
    assert jane.account and second.account
    BitbucketAccount.objects.update(user=jane.account.user)
    for renewed in (second, jane):
        BitbucketToken.objects.filter(pk=renewed.pk).update(expires_at=soon(-1))
        call_command("bitbucket_refresh", "--within=1m", stdout=io.StringIO())
        assert name(get_session(jane.account.user)) == "jdoe"
        assert name(get_session(second.account)) == "second"


def test_whatever_else_has_the_number_of_a_user_is_not_that_user(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket)
    assert row.account is not None
    number = row.account.user_id
    others: list[Any] = [
        Group(pk=number),
        BitbucketToken(pk=number),
        number,
        "jane",
        SimpleNamespace(user=Group(pk=number)),
    ]
    for who in others:
        with pytest.raises(TypeError, match="takes a request, a user, an account, or None"):
            get_session(who)
    assert bitbucket.requests == []


def test_a_session_ends_with_its_users_activity(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket)
    session = get_session(row.account)
    User.objects.update(is_active=False)
    bitbucket.expire_access_tokens()
    with pytest.raises(NotConnected, match="inactive"):
        session.json("user")
    assert renewals(bitbucket) == 0


def test_an_address_that_refuses_each_token_does_not_use_them_up(bitbucket: BitbucketSimulator) -> None:
    session = get_session(stored(bitbucket).account)
    bitbucket.answer("user", 401)
    for _ in range(5):
        assert session.get("user").status_code == 401
        with pytest.raises(OAuthError, match="invalid_token"):
            session.json("user")
    assert renewals(bitbucket) == 1
    bitbucket.heal()
    assert name(session) == "jdoe"


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_the_first_call_costs_one_query_and_later_ones_none(
    bitbucket: BitbucketSimulator, django_assert_num_queries: Any
) -> None:
    row = stored(bitbucket)
    assert row.account is not None
    user, requests = row.account.user, len(bitbucket.requests)
    with django_assert_num_queries(1):
        session = get_session(user)
        name(session)
    with django_assert_num_queries(0):
        for _ in range(3):
            name(session)
            list(session.paginate("user/emails", params={"pagelen": 1}))
    assert len(bitbucket.requests) == requests + 1 + 3 * 3


def test_calls_share_their_connection(bitbucket: BitbucketSimulator) -> None:
    session = get_session(stored(bitbucket).account)
    name(session)
    connections = bitbucket.connections
    for _ in range(3):
        name(session)
        name(get_session(stored(bitbucket).account))
    assert bitbucket.connections == connections


@pytest.mark.django_db(transaction=True)
def test_a_renewal_costs_four_statements_more(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True)
    with CaptureQueriesContext(connection) as queries:
        name(get_session(row.account))
    verbs = [query["sql"].split()[0] for query in queries.captured_queries]
    # Whose token; is it renewed yet; the lease; is it still the same; the new pair, which ends the lease.
    assert [verb for verb in verbs if verb in ("SELECT", "UPDATE", "INSERT", "DELETE")] == [
        *("SELECT", "SELECT", "UPDATE", "SELECT", "UPDATE")
    ]


# -- what it says ------------------------------------------------------------------------------------------------------


def test_a_session_shows_no_token(bitbucket: BitbucketSimulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    row = stored(bitbucket, ended=True)
    session = get_session(row.account)
    name(session)
    with pytest.raises(ForeignURL):
        session.get("https://elsewhere.example/")
    tokens = [*bitbucket.vault.access, *bitbucket.vault.refresh]
    assert len(tokens) == 4
    shown = caplog.text + repr(session) + repr(vars(session)) + repr(session.provider) + repr(vars(session.provider))
    assert not any(token in shown for token in tokens)


# -- many at once ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_one_session_serves_many_threads_across_a_renewal(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket)
    session = get_session(row.account)
    barrier = threading.Barrier(8, timeout=20)

    def call(number: int) -> Any:
        barrier.wait()
        try:
            found = []
            for round in range(4):
                found.append(name(session))
                if (number, round) == (0, 1):
                    bitbucket.expire_access_tokens("jane")
            return found
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(8))) == [["jdoe"] * 4] * 8
    assert renewals(bitbucket) == 1


def test_who_comes_too_late_to_renew_takes_the_token_that_is_there(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket)
    session, refused = get_session(row.account), row.reveal()
    assert refused is not None
    bitbucket.expire_access_tokens("jane")
    name(session)
    source = session._tokens
    assert source.renew(refused) == source.current()
    assert renewals(bitbucket) == 1


def test_a_token_that_ends_while_the_session_lives_is_renewed(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, expires_at=soon(301))
    session = get_session(row.account)
    name(session)
    assert renewals(bitbucket) == 0
    BitbucketToken.objects.update(expires_at=soon(-1))
    session._tokens._record = database.record_of(BitbucketToken.objects.get())  # type: ignore[attr-defined]
    bitbucket.expire_access_tokens("jane")
    assert name(session) == "jdoe"
    assert renewals(bitbucket) == 1
