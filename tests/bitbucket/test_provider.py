"""What all kinds of provider have in common."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import responses
from bitbucket.answers import TOKEN, TOKEN_URL, answer, error, settings

from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.exceptions import (
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
