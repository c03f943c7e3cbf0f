"""From a request token to an access token: where things go, and what is read from the answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from oauth.signing import consumer, protocol_parameters
from requests.structures import CaseInsensitiveDict

from django_bitbucket_auth.exceptions import ForeignURL
from django_bitbucket_auth.oauth import oauth1
from django_bitbucket_auth.oauth.grants import Grant
from django_bitbucket_auth.oauth.oauth1 import RequestToken, VerifiedRequestToken, parse_request_token, parse_token

ENDPOINT = "https://bitbucket.example/plugins/servlet/oauth/request-token"
GOOD = "oauth_token=the-token&oauth_token_secret=the%2Bsecret&oauth_callback_confirmed=true"


# -- the requests ------------------------------------------------------------------------------------------------------


def test_a_verified_request_token_is_a_grant_of_a_person() -> None:
    grant = VerifiedRequestToken(RequestToken("t", "s"), "the-verifier", "https://site.example/callback/")
    assert isinstance(grant, Grant)
    assert (grant.name, grant.grant_type, grant.is_personal, grant.authorization()) == ("oauth1", "oauth1", True, None)
    assert grant.parameters() == {"oauth_verifier": "the-verifier"}
    assert grant.redirect_uri == "https://site.example/callback/"


@pytest.mark.parametrize(
    "endpoint", [ENDPOINT, "https://bitbucket.example/oauth/", "https://bitbucket.example", "http://[::1]:7990/x"]
)
def test_an_endpoint_may_stand_anywhere(endpoint: str) -> None:
    request = oauth1.request_token_request(endpoint, consumer(), "oob").prepare()
    assert (request.method, str(request.url).rstrip("/")) == ("POST", endpoint.rstrip("/"))
    assert protocol_parameters(request.headers["Authorization"])["oauth_callback"] == "oob"
    assert (request.headers["Accept"], request.headers["Content-Length"], request.body) == ("*/*", "0", None)


def test_each_preparation_is_signed_anew() -> None:
    request = oauth1.request_token_request(ENDPOINT, consumer(), "oob")
    headers = {request.prepare().headers["Authorization"] for _ in range(3)}
    assert len(headers) == 3


def test_the_request_is_not_signed_for_another_place() -> None:
    grant = VerifiedRequestToken(RequestToken("t", "s"), "v")
    for request in (
        oauth1.request_token_request(ENDPOINT, consumer(), "oob"),
        oauth1.access_token_request(ENDPOINT, consumer(), grant),
    ):
        request.url = "https://bitbucket.example/rest/x"
        with pytest.raises(ForeignURL):
            request.prepare()


@pytest.mark.parametrize(
    ("endpoint", "token", "query"),
    [
        ("https://bitbucket.example/context/authorize", "t+/=& x", {"oauth_token": ["t+/=& x"]}),
        ("http://127.0.0.1:7990/authorize", "t", {"oauth_token": ["t"]}),
        ("http://bitbucket.intranet/authorize?a=b+c", "t", {"a": ["b c"], "oauth_token": ["t"]}),
    ],
)
def test_the_browser_goes_to_the_endpoint_with_the_request_token(
    endpoint: str, token: str, query: dict[str, list[str]]
) -> None:
    url = oauth1.authorization_url(endpoint, RequestToken(token, "the-secret"))
    assert url.startswith(endpoint.partition("?")[0] + "?")
    assert parse_qs(urlsplit(url).query, strict_parsing=True) == query
    assert "the-secret" not in url


# -- the answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [GOOD, GOOD + "\r\n", "\n" + GOOD, GOOD + "&oauth_expires_in=600&x=1&x=2", "&&" + GOOD]
)
def test_a_request_token_is_read(body: str) -> None:
    assert parse_request_token(body) == RequestToken("the-token", "the+secret")


BAD_REQUEST_TOKENS = {
    "nothing": "",
    "not confirmed": "oauth_token=canary&oauth_token_secret=canary",
    "confirmed not": "oauth_token=canary&oauth_token_secret=canary&oauth_callback_confirmed=false",
    "confirmed somehow": "oauth_token=canary&oauth_token_secret=canary&oauth_callback_confirmed=True",
    "confirmed as 1": "oauth_token=canary&oauth_token_secret=canary&oauth_callback_confirmed=1",
    "confirmed and not": GOOD + "&oauth_callback_confirmed=false",
    "two tokens": GOOD + "&oauth_token=canary",
    "no token": "oauth_token_secret=canary&oauth_callback_confirmed=true",
    "an empty token": "oauth_token=&oauth_token_secret=canary&oauth_callback_confirmed=true",
    "no secret": "oauth_token=canary&oauth_callback_confirmed=true",
    "an empty secret": "oauth_token=canary&oauth_token_secret=&oauth_callback_confirmed=true",
    "a space": "oauth_token=canary%20x&oauth_token_secret=canary&oauth_callback_confirmed=true",
    "a line break": "oauth_token=canary%0D%0AX:1&oauth_token_secret=canary&oauth_callback_confirmed=true",
    "an umlaut": "oauth_token=canary%C3%BC&oauth_token_secret=canary&oauth_callback_confirmed=true",
    "octets": "oauth_token=canary%FF&oauth_token_secret=canary&oauth_callback_confirmed=true",
    "json": '{"oauth_token": "canary", "oauth_token_secret": "canary", "oauth_callback_confirmed": "true"}',
    "a page": "<html><a href='?oauth_token=canary&oauth_token_secret=canary&oauth_callback_confirmed=true'>",
    "a flood": GOOD + "&canary=1" * 1000,
}


@pytest.mark.parametrize("name", BAD_REQUEST_TOKENS)
def test_what_is_no_request_token_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ValueError, match=r"^the answer ") as caught:
        parse_request_token(BAD_REQUEST_TOKENS[name])
    assert "canary" not in f"{caught.value!r}{caught.value.__cause__!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_access_token_is_read_with_its_secret() -> None:
    token = parse_token("oauth_token=the-token&oauth_token_secret=the%2Bsecret&oauth_session_handle=handle\n")
    assert (token.access_token, token.token_secret, token.token_type) == ("the-token", "the+secret", "oauth1")
    assert (token.refresh_token, token.scopes, token.expires_at) == ("", (), None)
    assert not token.expired()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3600", 3600),
        ("157680000", 157680000),
        ("0000000000000000060", 60),
        (str(20 * 366 * 24 * 3600), 20 * 366 * 24 * 3600),
        (str(20 * 366 * 24 * 3600 + 1), 20 * 366 * 24 * 3600),
        ("9" * 5000, 20 * 366 * 24 * 3600),
    ],
)
def test_the_lifetime_is_atlassians(value: str, seconds: int) -> None:
    """Five years are usual; none is longer than twenty."""
    before = datetime.now(UTC)
    token = parse_token(f"oauth_token=t&oauth_token_secret=s&oauth_expires_in={value}")
    after = datetime.now(UTC)
    assert token.expires_at is not None
    assert before <= token.expires_at - timedelta(seconds=seconds) <= after


@pytest.mark.parametrize("value", ["", "0", "000", "-1", "1.5", "1e3", "soon", "%D9%A1", "%C2%B2", "+60", "%2060"])
def test_what_is_no_lifetime_is_none(value: str) -> None:
    assert parse_token(f"oauth_token=t&oauth_token_secret=s&oauth_expires_in={value}").expires_at is None


def test_a_token_may_have_no_secret() -> None:
    """RSA-SHA1 doesn't use it, and an empty one is part of HMAC-SHA1 (RFC 5849, 3.4.2)."""
    assert parse_token("oauth_token=the-token").token_secret == ""


BAD_TOKENS = {
    "nothing": "",
    "no token": "oauth_token_secret=canary",
    "an empty token": "oauth_token=&oauth_token_secret=canary",
    "two tokens": "oauth_token=canary&oauth_token=canary&oauth_token_secret=canary",
    "two secrets": "oauth_token=canary&oauth_token_secret=canary&oauth_token_secret=other",
    "a line break": "oauth_token=canary%0AX&oauth_token_secret=canary",
    "OAuth 2.0": '{"access_token": "canary"}',
    "a problem": "oauth_problem=token_rejected&oauth_problem_advice=canary",
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_what_is_no_access_token_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ValueError, match=r"^the answer ") as caught:
        parse_token(BAD_TOKENS[name])
    assert "canary" not in repr(caught.value)


# -- the problems ------------------------------------------------------------------------------------------------------

IN_HEADERS = {
    'OAuth realm="https%3A%2F%2Fbitbucket.example", oauth_problem="token_rejected"': "token_rejected",
    'OAuth oauth_problem="timestamp_refused", oauth_acceptable_timestamps="1-2"': "timestamp_refused",
    "OAuth oauth_problem=nonce_used,realm=x": "nonce_used",
    'Basic realm="a, b", OAuth realm="x",oauth_problem = "user_refused"': "user_refused",
    'OAuth oauth_problem="permission%5Fdenied"': "permission_denied",
    'OAuth realm="x"': "",
    'Bearer error="invalid_token"': "",
    'OAuth xoauth_problem="other"': "",
    'OAuth oauth_problem_advice="other"': "",
    'OAuth oauth_problem=""': "",
}
IN_BODIES = {
    "oauth_problem=token_rejected": "token_rejected",
    "oauth_problem=consumer_key_unknown&oauth_problem_advice=ask+somebody\n": "consumer_key_unknown",
    "a=b&oauth_problem=signature_invalid": "signature_invalid",
    "401: oauth_problem=token_expired\n": "token_expired",
    "<p>oauth_problem=token_revoked</p>": "token_revoked",
    '{"error": "oauth_problem"}': "",
    "": "",
    "x" * 5000 + "&oauth_problem=too_late": "",
}


@pytest.mark.parametrize("value", IN_HEADERS)
def test_a_problem_is_found_in_the_header(value: str) -> None:
    assert oauth1.problem_from(CaseInsensitiveDict({"www-authenticate": value}), "") == IN_HEADERS[value]


@pytest.mark.parametrize("body", IN_BODIES)
def test_a_problem_is_found_in_the_body(body: str) -> None:
    assert oauth1.problem_from({}, body) == IN_BODIES[body]


def test_the_headers_problem_goes_before_the_bodys() -> None:
    headers = requests.Response().headers
    headers["WWW-Authenticate"] = 'OAuth oauth_problem="one"'
    assert oauth1.problem_from(headers, "oauth_problem=two") == "one"
    headers["WWW-Authenticate"] = 'OAuth oauth_problem=""'
    assert oauth1.problem_from(headers, "oauth_problem=two") == "two"


def test_a_problem_is_cut_and_printable() -> None:
    assert oauth1.problem_from({}, "oauth_problem=" + "x" * 3000) == "x" * 100
    assert (
        oauth1.problem_from({}, "oauth_problem=a%0D%0Ab%00%1B[31mc%E2%80%AEd%ED%A0%80") == "ab[31mcd\ufffd\ufffd\ufffd"
    )
