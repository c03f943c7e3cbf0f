"""What all kinds of provider have in common: one conversation, and what may be overridden."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests
import responses
from bitbucket.answers import ACME, API, JANE, TOKEN, TOKEN_URL, settings
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.bitbucket import CloudProvider, Membership, Profile, Provider
from django_bitbucket_auth.exceptions import BitbucketTimeout, BitbucketUnavailable, ConfigurationError
from django_bitbucket_auth.oauth.grants import AuthorizationCode
from django_bitbucket_auth.oauth.token import Token

GRANT = AuthorizationCode("canary-code", "https://site.example/callback/", "canary-verifier")


def provider(**keys: Any) -> CloudProvider:
    return CloudProvider(settings(**keys))


# -- one conversation --------------------------------------------------------------------------------------------------


def test_all_requests_of_a_conversation_share_one_deadline_that_starts_with_the_first() -> None:
    with Loopback(reply()) as server:
        talk = provider(base_url=server.url, api_url=server.url, deadline=1, retries=0)
        time.sleep(1.1)
        assert talk.send(requests.Request("GET", server.url)).status_code == 200
        time.sleep(1.1)
        with pytest.raises(BitbucketTimeout):
            talk.send(requests.Request("GET", server.url))
        assert len(server.requests) == 1


def test_the_settings_timeouts_and_retries_are_used() -> None:
    def silent(exchange: Exchange) -> bytes:
        exchange.pause(5)
        return reply()

    with Loopback(silent) as server, pytest.raises(BitbucketTimeout, match=r"within 0\.2 s"):
        provider(timeout=(1, 0.2)).send(requests.Request("GET", server.url))
    with Loopback(reply(503)) as server:
        provider(retries=1).send(requests.Request("GET", server.url))
        assert len(server.requests) == 2


def test_the_settings_proxies_are_used() -> None:
    with Loopback(reply(body='{"by": "proxy"}')) as proxy:
        talk = provider(proxies={"http": proxy.url})
        assert talk.send(requests.Request("GET", "http://127.0.0.1:1/")).json() == {"by": "proxy"}


def test_the_settings_certificates_are_used() -> None:
    for keys in ({"ca_bundle": "/nowhere/ca.pem"}, {"client_cert": "/nowhere/cert.pem"}):
        with pytest.raises(BitbucketUnavailable, match=r"\(OSError\)"):
            provider(retries=0, **keys).send(requests.Request("GET", "https://127.0.0.1:1/"))


def test_providers_of_two_aliases_share_no_connection() -> None:
    with Loopback(reply()) as server:
        for alias in ("one", "two", "one"):
            provider(alias=alias).send(requests.Request("GET", server.url))
        assert [request.connection for request in server.requests] == [1, 2, 1]


# -- to subclass -------------------------------------------------------------------------------------------------------


def test_a_bare_provider_can_not_say_who_somebody_is() -> None:
    with pytest.raises(ConfigurationError, match=r"^Provider has no fetch_profile"):
        Provider(settings()).fetch_profile(TOKEN)


def test_a_provider_without_workspaces_proves_no_membership() -> None:
    assert Provider(settings()).fetch_memberships(TOKEN, ("acme", "beta")) == (
        Membership("acme", "unknown", cause="this kind has no workspaces"),
        Membership("beta", "unknown", cause="this kind has no workspaces"),
    )


class Own(Provider):
    """Somebody's own kind."""

    def __init__(self, *memberships: Membership) -> None:
        super().__init__(settings())
        self.memberships = memberships
        self.asked: list[tuple[str, ...]] = []
        self.meeting = threading.Barrier(2)

    def fetch_profile(self, token: Token) -> Profile:
        return Profile("default", "ours", JANE)

    def fetch_memberships(self, token: Token, workspaces: tuple[str, ...]) -> tuple[Membership, ...]:
        self.asked.append(workspaces)
        return self.memberships


def test_where_no_workspace_is_required_none_is_asked() -> None:
    own = Own(Membership("acme", "yes"))
    assert own.fetch_identity(TOKEN, ()) == (own.fetch_profile(TOKEN), ())
    assert own.asked == []


def test_each_required_workspace_has_one_answer_and_no_other_counts() -> None:
    own = Own(Membership("other", "yes"), Membership("beta", "no"))
    _, memberships = own.fetch_identity(TOKEN, (ACME, "beta"))
    assert own.asked == [(ACME, "beta")]
    assert memberships == (
        Membership(ACME, "unknown", cause="nothing was answered"),
        Membership("beta", "no"),
    )


def test_no_answers_is_not_no_requirement() -> None:
    _, memberships = Own().fetch_identity(TOKEN, ("acme",))
    assert [membership.answer for membership in memberships] == ["unknown"]


def test_profile_and_memberships_are_asked_at_the_same_time() -> None:
    class Meeting(Own):
        def fetch_profile(self, token: Token) -> Profile:
            self.meeting.wait(5)
            return super().fetch_profile(token)

        def fetch_memberships(self, token: Token, workspaces: tuple[str, ...]) -> tuple[Membership, ...]:
            self.meeting.wait(5)
            return super().fetch_memberships(token, workspaces)

    profile, memberships = Meeting(Membership("acme", "yes")).fetch_identity(TOKEN, ("acme",))
    assert (profile.uid, memberships) == (JANE, (Membership("acme", "yes"),))


@pytest.mark.parametrize(
    "fault",
    [requests.ConnectionError("canary"), requests.Timeout("canary"), requests.exceptions.InvalidHeader("canary")],
    ids=lambda fault: type(fault).__name__,
)
def test_an_overridden_send_may_fail_as_requests_does(fault: requests.RequestException) -> None:
    class Failing(CloudProvider):
        def send(self, request: requests.Request) -> requests.Response:
            raise fault

    failing = Failing(settings())
    for ask in (lambda: failing.fetch_token(GRANT), lambda: failing.get(TOKEN, f"{API}/2.0/user")):
        with pytest.raises(BitbucketUnavailable) as caught:
            ask()
        assert str(caught.value) == f"no answer ({type(fault).__name__})"
        assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


@responses.activate
def test_how_answers_are_read_may_be_overridden() -> None:
    class Odd(CloudProvider):
        def is_success(self, response: requests.Response) -> bool:
            return response.status_code == 418

        def token_from(self, response: requests.Response) -> Token:
            return Token(response.text)

        def send(self, request: requests.Request) -> requests.Response:
            request.headers["X-Own"] = "1"
            return super().send(request)

    sent = responses.post(TOKEN_URL, "teapot", status=418)
    assert Odd(settings()).fetch_token(GRANT).access_token == "teapot"
    assert sent.calls[0].request.headers["X-Own"] == "1"
