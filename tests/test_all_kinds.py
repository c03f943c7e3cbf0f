"""A sign-in at each kind of Bitbucket, from the first click to a call of the API, on whatever database this runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from logins import verified_by
from steps import nothing_was_written, reason_of
from test_counts import written

from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.exceptions import ConfigurationError, OAuthError, ReauthenticationRequired
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import (
    BitbucketSimulator,
    log_in,
    people_with_confusing_names,
    simulated_bitbucket,
)

pytestmark = pytest.mark.django_db

KINDS = ["cloud", "cloud-oauth1", "data-center", "data-center-oauth1"]
#: The requests of a sign-in, beside the person's own.
REQUESTS = {
    "cloud": ["emails", "token", "user"],
    "cloud-oauth1": ["emails", "request_token", "token", "user"],
    "data-center": ["token", "user", "whoami"],
    "data-center-oauth1": ["request_token", "token", "user", "whoami"],
}


def is_data_center(kind: str) -> bool:
    return kind.startswith("data-center")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each of them in turn."""
    found: str = request.param
    return found


@pytest.fixture
def simulator(kind: str) -> Iterator[BitbucketSimulator]:
    """A Bitbucket of this kind; Data Centers have a context path."""
    with simulated_bitbucket(kind=kind, context_path="/bitbucket" if is_data_center(kind) else "") as found:
        yield found


def requests_of(simulator: BitbucketSimulator, since: int = 0) -> list[str]:
    return sorted(logged.endpoint for logged in simulator.requests[since:] if logged.endpoint != "authorize")


def test_a_person_signs_in_and_is_found_again(simulator: BitbucketSimulator, kind: str, client: Client) -> None:
    assert log_in(client, "jane").status_code == 302
    user, account = User.objects.get(), BitbucketAccount.objects.get()
    jane = simulator.person("jane")
    assert account.user == user and client.session["_auth_user_id"] == str(user.pk)
    assert account.uid == (str(jane.dc_id) if is_data_center(kind) else jane.uuid)
    assert account.username == (jane.dc_name if is_data_center(kind) else jane.username)
    assert account.instance == simulator.url.partition("//")[2]
    assert (user.first_name, user.last_name) == ("Jane", "Doe")
    assert user.email == ("" if is_data_center(kind) else "jane@example.com")
    assert log_in(Client(), "jane").status_code == 302
    assert (User.objects.count(), BitbucketAccount.objects.count(), BitbucketToken.objects.count()) == (1, 1, 1)


def test_a_persons_no_is_said_to_be_one(simulator: BitbucketSimulator, client: Client) -> None:
    response = log_in(client, None)
    assert response.status_code == 403 and reason_of(response) == "cancelled"
    assert nothing_was_written() and "sessionid" not in client.cookies
    assert log_in(client, "jane").status_code == 302


def test_who_is_deactivated_stays_outside(simulator: BitbucketSimulator, kind: str, client: Client) -> None:
    told = {"data-center-oauth1": (403, "cancelled"), "cloud-oauth1": (502, "bad_answer")}
    response = log_in(client, "deactivated")
    assert (response.status_code, reason_of(response)) == told.get(kind, (403, "inactive"))
    assert nothing_was_written()


def test_as_many_queries_and_requests_as_were_promised(simulator: BitbucketSimulator, kind: str) -> None:
    for most in (9, 6, 6):
        before = len(simulator.requests)
        with CaptureQueriesContext(connection) as queries:
            assert log_in(Client(), "jane").status_code == 302
        assert len(written(queries)) <= most, written(queries)
        assert requests_of(simulator, before) == REQUESTS[kind]


def test_the_api_is_called_as_the_person(simulator: BitbucketSimulator, kind: str) -> None:
    log_in(Client(), "jane")
    session = get_session(User.objects.get())
    if is_data_center(kind):
        names = [repository["name"] for repository in session.paginate("repos", params={"limit": 2})]
        assert names and session.get("application-properties").headers["X-AUSERNAME"]
    else:
        assert session.json("user")["username"] == "jdoe"
    assert simulator.requests[-1].person == "jane"


def test_a_withdrawn_consent_is_told_from_a_fault(simulator: BitbucketSimulator, kind: str) -> None:
    log_in(Client(), "jane")
    session = get_session(User.objects.get())
    simulator.revoke("jane")
    with pytest.raises(OAuthError) as caught:
        session.json("users?filter=jane" if is_data_center(kind) else "user")
    # Of a signed request Cloud didn't say whether the token is at fault or the signature.
    assert isinstance(caught.value, ReauthenticationRequired) is not (kind == "cloud-oauth1")
    assert log_in(Client(), "jane").status_code == 302
    assert get_session(User.objects.get()).get("users?filter=jane" if is_data_center(kind) else "user").ok


def test_receivers_see_the_secret_that_signs(simulator: BitbucketSimulator, kind: str) -> None:
    seen: list[Any] = []
    with verified_by(lambda token, **kwargs: seen.append(token)):
        log_in(Client(), "jane")
    [token] = seen
    assert bool(token.token_secret) is kind.endswith("oauth1")
    assert bool(token.refresh_token) is not kind.endswith("oauth1")
    row = BitbucketToken.objects.get()
    assert row.reveal() == token
    assert row.grant == ("oauth1" if kind.endswith("oauth1") else "authorization_code")


def test_both_methods_of_signing_are_taken() -> None:
    with (
        simulated_bitbucket(kind="data-center-oauth1", SIGNATURE_METHOD="HMAC-SHA1") as simulator,
        simulated_bitbucket("rsa", kind="data-center-oauth1", SIGNATURE_METHOD="RSA-SHA1"),
    ):
        assert log_in(Client(), "jane").status_code == 302
        assert log_in(Client(), "jane", alias="rsa").status_code == 302
        assert simulator.client_secret
    assert BitbucketAccount.objects.count() == 2


# -- Data Center -------------------------------------------------------------------------------------------------------


def test_an_hour_later_the_token_is_renewed_with_the_redirect_uri() -> None:
    with simulated_bitbucket(kind="data-center", SCOPES=["REPO_READ"]) as simulator:
        log_in(Client(), "jane")
        # Where a stranger may ask, too: with an ended token it would be a stranger's list.
        assert simulator.rules.refused_token_is_anonymous
        before = list(get_session(User.objects.get()).paginate("repos"))
        simulator.expire_access_tokens("jane")
        assert list(get_session(User.objects.get()).paginate("repos")) == before
        assert [repository["name"] for repository in before if not repository["public"]]
        refresh = simulator.requests_to("token")[-1]
        assert (refresh.form["grant_type"], refresh.form["redirect_uri"]) == (
            "refresh_token",
            "http://testserver/bitbucket/callback/",
        )
    assert BitbucketToken.objects.get().version == 2


def test_a_directory_that_the_operator_vouches_for() -> None:
    with simulated_bitbucket(kind="data-center", TRUST_EMAILS=["example.com"]):
        log_in(Client(), "jane")
    assert User.objects.get().email == "jane@example.com"


def test_one_persons_cookie_never_travels_with_anothers_call() -> None:
    """Data Center opens a session with each answer, which is as good as a token."""
    with simulated_bitbucket(kind="data-center") as simulator:
        log_in(Client(), "jane")
        jane = get_session(User.objects.get())
        log_in(Client(), "outsider")
        other = get_session(User.objects.exclude(first_name="Jane").get())
        for _ in range(2):
            for session, name in ((jane, "jane"), (other, "outsider")):
                answer = session.get("application-properties")
                assert answer.headers["Set-Cookie"] and simulator.requests[-1].person == name
        assert all("cookie" not in logged.headers for logged in simulator.requests if logged.endpoint != "authorize")


def test_a_new_bitbucket_at_an_old_address_lets_nobody_into_anothers_account() -> None:
    with simulated_bitbucket(kind="data-center", INSTANCE="dc") as simulator:
        assert log_in(Client(), "jane").status_code == 302
        simulator.person("outsider").dc_id = simulator.person("jane").dc_id
        del simulator.people["jane"]
        client = Client()
        response = log_in(client, "outsider")
        assert response.status_code == 403 and reason_of(response) == "already_connected"
        assert "sessionid" not in client.cookies and User.objects.count() == 1


def test_whoever_is_named_like_anothers_slug_is_not_the_other() -> None:
    """The flaw of whoever puts the name into ``/users/{slug}``: one of these two would come in as the other."""
    with simulated_bitbucket(kind="data-center", people=people_with_confusing_names()) as simulator:
        for _ in range(2):
            for key, person in simulator.people.items():
                client = Client()
                assert log_in(client, key).status_code == 302
                account = BitbucketAccount.objects.get(user=client.session["_auth_user_id"])
                assert (account.uid, account.username) == (str(person.dc_id), person.dc_name)
    one, two = simulator.people.values()
    assert one.dc_name == two.dc_slug or two.dc_name == one.dc_slug
    assert User.objects.count() == 2


def test_a_data_center_is_called_as_the_application_where_it_knows_such_a_grant() -> None:
    with simulated_bitbucket(kind="data-center") as simulator:
        assert list(get_session(None).paginate("repos"))
        assert simulator.requests_to("token")[-1].form["grant_type"] == "client_credentials"
    with simulated_bitbucket(kind="data-center-oauth1"), pytest.raises(ConfigurationError, match="no grant"):
        get_session(None).json("repos")
