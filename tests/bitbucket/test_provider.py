"""What all kinds of provider have in common."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests
import responses
from bitbucket.answers import ACME, API, JANE, TOKEN, TOKEN_URL, answer, error, settings
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.bitbucket import CloudProvider, Membership, Profile, Provider
from django_bitbucket_auth.exceptions import (
    BitbucketTimeout,
    BitbucketUnavailable,
    ClientRefused,
    ConfigurationError,
    ForeignURL,
    OAuthError,
    RateLimited,
)
from django_bitbucket_auth.oauth.grants import AuthorizationCode
from django_bitbucket_auth.oauth.token import Token

GRANT = AuthorizationCode("canary-code", "https://site.example/callback/", "canary-verifier")
FINE = {"access_token": "canary-access", "token_type": "bearer", "expires_in": 3600, "scope": "account email"}


def provider(**keys: Any) -> CloudProvider:
    return CloudProvider(settings(**keys))


# -- where things are --------------------------------------------------------------------------------------------------


def test_cloud_is_where_atlassian_says() -> None:
    cloud = provider()
    assert cloud.name == "Bitbucket"
    assert cloud.endpoint("authorize") == "https://bitbucket.org/site/oauth2/authorize"
    assert cloud.endpoint("token") == "https://bitbucket.org/site/oauth2/access_token"
    assert cloud.endpoint("user") == "https://api.bitbucket.org/2.0/user"


def test_roots_may_be_elsewhere_and_end_in_a_slash() -> None:
    cloud = provider(base_url="http://127.0.0.1:1/b/", api_url="http://127.0.0.1:2/a/")
    assert cloud.endpoint("authorize") == "http://127.0.0.1:1/b/site/oauth2/authorize"
    assert cloud.endpoint("token") == "http://127.0.0.1:1/b/site/oauth2/access_token"
    assert cloud.endpoint("user") == "http://127.0.0.1:2/a/2.0/user"


def test_single_urls_may_be_elsewhere() -> None:
    cloud = provider(endpoints={"token": "https://other.example/token"})
    assert cloud.endpoint("token") == "https://other.example/token"
    assert cloud.endpoint("authorize") == "https://bitbucket.org/site/oauth2/authorize"


@pytest.mark.parametrize(
    ("api_url", "instance"),
    [
        ("https://api.bitbucket.org", "bitbucket.org"),
        ("https://API.Bitbucket.org:443/", "bitbucket.org"),
        ("http://api.bitbucket.org", "api.bitbucket.org"),
        ("https://api.bitbucket.org:8443", "api.bitbucket.org:8443"),
        ("https://api.bitbucket.org.evil.example", "api.bitbucket.org.evil.example"),
        ("https://Bitbucket.example.com", "bitbucket.example.com"),
        ("https://bitbucket.example.com:443/Context/Path/", "bitbucket.example.com/Context/Path"),
        ("https://bitbucket.example.com:8443/x", "bitbucket.example.com:8443/x"),
        ("https://bitbucket.example.com:80", "bitbucket.example.com:80"),
        ("http://localhost:80", "localhost"),
        ("http://127.0.0.1:8001", "127.0.0.1:8001"),
        ("http://[::1]", "[::1]"),
        ("http://[::1]:8001", "[::1]:8001"),
        ("https://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_the_instance_is_who_serves_the_profile(api_url: str, instance: str) -> None:
    """A "cloud" provider that is aimed at a test server must not mint identities of bitbucket.org."""
    assert provider(api_url=api_url).instance == instance


@pytest.mark.parametrize("api_url", ["https://bitbucket.org", "http://bitbucket.org", "https://BITBUCKET.org:443/"])
def test_only_the_api_speaks_for_bitbucket_org(api_url: str) -> None:
    """The site's own address isn't the API's, and in the clear it is anybody's."""
    with pytest.raises(ConfigurationError, match=r"bitbucket\.org"):
        _ = provider(api_url=api_url).instance


@pytest.mark.parametrize("name", ["bitbucket.org", "Bitbucket.ORG", " bitbucket.org "])
def test_another_origin_can_not_claim_to_be_bitbucket_org(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"INSTANCE may be 'bitbucket\.org' only"):
        _ = provider(api_url="https://bitbucket.example.com", instance=name).instance


def test_bitbucket_org_itself_may_say_so() -> None:
    for name in ("bitbucket.org", "Bitbucket.ORG", " bitbucket.org "):
        assert provider(instance=name).instance == "bitbucket.org"


def test_an_instance_may_be_named() -> None:
    assert provider(api_url="https://bitbucket.example.com", instance="ours").instance == "ours"
    assert provider(instance="ours").instance == "ours"


# -- the way to Bitbucket ----------------------------------------------------------------------------------------------


def test_the_browser_is_sent_with_what_the_settings_say() -> None:
    url = provider(scopes=("account", "email")).authorization_url("https://site.example/cb/", "the-state", "v" * 43)
    parameters = parse_qs(urlsplit(url).query)
    assert url.startswith("https://bitbucket.org/site/oauth2/authorize?")
    assert parameters["client_id"] == ["the-id"]
    assert parameters["scope"] == ["account email"]
    assert parameters["state"] == ["the-state"]
    assert parameters["redirect_uri"] == ["https://site.example/cb/"]
    assert parameters["code_challenge_method"] == ["S256"]
    assert "canary" not in url


def test_without_pkce_no_challenge_is_sent() -> None:
    assert "code_challenge" not in provider().authorization_url("https://site.example/cb/", "s", None)


# -- the token ---------------------------------------------------------------------------------------------------------


@responses.activate
def test_a_code_becomes_a_token_by_one_request() -> None:
    sent = responses.post(TOKEN_URL, json=FINE)
    token = provider().fetch_token(GRANT)
    assert (token.access_token, token.scopes) == ("canary-access", ("account", "email"))
    assert sent.call_count == 1
    body = dict(parse_qsl(str(sent.calls[0].request.body)))
    assert body == {
        "grant_type": "authorization_code",
        "code": "canary-code",
        "redirect_uri": "https://site.example/callback/",
        "code_verifier": "canary-verifier",
    }
    assert sent.calls[0].request.headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, '{"error": "invalid_grant"}', OAuthError),
        (401, '{"error": "unauthorized_client"}', ClientRefused),
        (429, "", RateLimited),
        (503, "<html>", BitbucketUnavailable),
        (302, "", OAuthError),
        (300, json.dumps(FINE), OAuthError),
        (404, json.dumps(FINE), OAuthError),
    ],
)
@responses.activate
def test_a_refused_code_is_sent_once(status: int, body: str, kind: type[Exception]) -> None:
    sent = responses.post(TOKEN_URL, body, status=status, headers={"Retry-After": "0", "Location": "/x"})
    with pytest.raises(kind):
        provider(retries=5).fetch_token(GRANT)
    assert sent.call_count == 1


@pytest.mark.parametrize("status", [200, 201, 299])
@responses.activate
def test_any_2xx_with_a_token_is_a_token(status: int) -> None:
    responses.post(TOKEN_URL, json=FINE, status=status)
    assert provider().fetch_token(GRANT).access_token == "canary-access"


@responses.activate
def test_an_error_with_status_200_is_that_error() -> None:
    responses.post(TOKEN_URL, json={"error": "invalid_grant", "error_description": "expired"})
    with pytest.raises(OAuthError) as caught:
        provider().fetch_token(GRANT)
    assert (caught.value.error, caught.value.reason, caught.value.status) == ("invalid_grant", "state_expired", 200)
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"<html>canary</html>", b"access_token=canary", b'{"access_token": null}', b"\xff\xfe",
        b'{"access_token": "canary\\r\\nX: y"}', b'{"access_token": "canary\xe4"}', b"[" * 100_000,
        b'{"refresh_token": "canary"}', b'{"access_token": "canary"',
    ],
    ids=range(12),
)  # fmt: skip
@responses.activate
def test_an_answer_without_a_token_is_nonsense_and_not_repeated_in_the_error(body: bytes) -> None:
    responses.post(TOKEN_URL, body)
    with pytest.raises(OAuthError) as caught:
        provider().fetch_token(GRANT)
    assert (caught.value.error, caught.value.reason, caught.value.status) == ("no_token", "bad_answer", 200)
    assert "canary" not in f"{caught.value!r} {caught.value}"
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


@responses.activate
def test_no_failure_of_the_token_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for status in (200, 302, 400, 401, 403, 429, 500, 503):
            responses.upsert(responses.POST, TOKEN_URL, "x", status=status)
            with pytest.raises((OAuthError, BitbucketUnavailable)) as caught:
                provider().fetch_token(GRANT)
            assert "canary" not in f"{caught.value!r} {caught.value} {vars(caught.value)}"
    assert "canary" not in caplog.text


# -- with the token ----------------------------------------------------------------------------------------------------


@responses.activate
def test_the_token_is_sent_as_bearer_whatever_type_it_came_with() -> None:
    """Bitbucket says ``bearer`` and refuses it."""
    sent = responses.get("https://api.bitbucket.org/2.0/user", json={})
    provider().get(Token("the-token", token_type="bearer"), "https://api.bitbucket.org/2.0/user")
    provider().get(Token("the-token", token_type="mac"), "https://api.bitbucket.org/2.0/user")
    assert [call.request.headers["Authorization"] for call in sent.calls] == ["Bearer the-token"] * 2
    assert sent.calls[0].request.url == "https://api.bitbucket.org/2.0/user"


@pytest.mark.parametrize(
    "url",
    [
        "https://bitbucket.org/2.0/user",
        "http://api.bitbucket.org/2.0/user",
        "https://api.bitbucket.org:8443/2.0/user",
        "https://api.bitbucket.org.evil.example/2.0/user",
        "https://api.bitbucket.org@evil.example/2.0/user",
        "https://api.bitbucket.org/2.0/../user",
        "https://api.bitbucket.org/2.0/%2e%2e/user",
        "https://api.bitbucket.org/2.0/..;/user",
        "https://api.bitbucket.org/2.0/a%2fb",
        "https://api.bitbucket.org",
        "/2.0/user",
        "",
        "http://[",
    ],
)
@responses.activate
def test_the_token_goes_nowhere_but_to_the_api(url: str) -> None:
    with pytest.raises(ForeignURL) as caught:
        provider().get(TOKEN, url)
    assert len(responses.calls) == 0
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("status", "said"), [(401, True), (400, False), (403, False), (200, False)])
def test_401_says_that_the_token_is_no_longer_good(status: int, said: bool) -> None:
    assert provider().is_unauthorized(answer(status)) is said


@pytest.mark.parametrize(("status", "fine"), [(199, False), (200, True), (204, True), (299, True), (300, False)])
def test_2xx_is_success_and_a_redirect_is_not(status: int, fine: bool) -> None:
    assert provider().is_success(answer(status)) is fine


def test_an_error_is_read_by_what_was_asked() -> None:
    refused = answer(401, json.dumps({"error": "unauthorized_client", **error("x")["error"]}))
    assert isinstance(provider().error_from(refused, GRANT), ClientRefused)
    assert not isinstance(provider().error_from(refused), ClientRefused)


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
