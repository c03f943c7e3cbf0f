"""Bitbucket Cloud: who somebody is, and by which addresses."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest
import responses
from bitbucket.answers import API, EMAIL, EMAILS_URL, JANE, TOKEN, USER, USER_URL, cloud, error, page
from oauth.loopback import Exchange, Loopback, reply
from oauth.values import NAMED, NAMES
from responses import RequestsMock

from django_bitbucket_auth.bitbucket import Email
from django_bitbucket_auth.bitbucket.cloud import MAX_PAGES
from django_bitbucket_auth.exceptions import (
    BitbucketAuthError,
    BitbucketTimeout,
    BitbucketUnavailable,
    ForeignURL,
    InsufficientScope,
    OAuthError,
    ProfileError,
    RateLimited,
)

SHALLOW = [name for name in NAMES if name != "deep"]
SECOND = {**EMAIL, "email": "second@example.org", "is_primary": False}


# -- the profile -------------------------------------------------------------------------------------------------------


def test_profile_and_addresses_are_two_requests(bitbucket: RequestsMock) -> None:
    bitbucket.get(USER_URL, json=USER)
    bitbucket.get(EMAILS_URL, json=page(EMAIL))
    profile = cloud(alias="here").fetch_profile(TOKEN)
    assert (profile.provider, profile.instance, profile.uid) == ("here", "bitbucket.org", JANE)
    assert (profile.email, profile.emails, profile.emails_error) == (
        "user@example.org",
        (Email("user@example.org", True, True),),
        None,
    )
    assert sorted(str(call.request.url) for call in bitbucket.calls) == [USER_URL, EMAILS_URL]
    assert {call.request.headers["Authorization"] for call in bitbucket.calls} == {"Bearer canary-token"}


def test_profile_and_addresses_are_asked_at_the_same_time() -> None:
    meeting = threading.Barrier(2)

    def script(exchange: Exchange) -> bytes:
        meeting.wait(5)
        return reply(body=json.dumps(USER if exchange.request.target == "/2.0/user" else page(EMAIL)))

    with Loopback(script) as server:
        for _ in range(3):
            assert cloud(base_url=server.url, api_url=server.url).fetch_profile(TOKEN).email == "user@example.org"
        assert (len(server.requests), server.connections) == (6, 2)


def test_where_threads_do_not_run_they_are_asked_in_turn(
    bitbucket: RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    bitbucket.get(USER_URL, json=USER)
    bitbucket.get(EMAILS_URL, json=page(EMAIL))
    assert cloud().fetch_profile(TOKEN).email == "user@example.org"


def test_addresses_are_not_asked_for_if_they_are_not_wanted(bitbucket: RequestsMock) -> None:
    bitbucket.get(USER_URL, json=USER)
    profile = cloud(fetch_emails=False).fetch_profile(TOKEN)
    assert (profile.email, profile.emails_error) == (None, None)
    assert len(bitbucket.calls) == 1


def test_the_profile_may_be_elsewhere_under_the_api(bitbucket: RequestsMock) -> None:
    bitbucket.get(f"{API}/3.0/me", json=USER)
    profile = cloud(fetch_emails=False, endpoints={"user": f"{API}/3.0/me"}).fetch_profile(TOKEN)
    assert profile.uid == JANE


def test_a_profile_elsewhere_never_gets_the_token(bitbucket: RequestsMock) -> None:
    with pytest.raises(ForeignURL):
        cloud(endpoints={"user": "https://evil.example/2.0/user"}, fetch_emails=False).fetch_profile(TOKEN)
    assert len(bitbucket.calls) == 0


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (401, json.dumps(error("Token is invalid")), OAuthError, "client_refused"),
        (
            403,
            json.dumps(error("x", detail={"required": ["account"], "granted": ["team"]})),
            InsufficientScope,
            "insufficient_scope",
        ),
        (403, json.dumps(error("x")), OAuthError, "bad_answer"),
        (404, "<html>", OAuthError, "bad_answer"),
        (410, json.dumps(error("CHANGE-2770 - Functionality has been deprecated")), OAuthError, "bad_answer"),
        (429, "", RateLimited, "rate_limited"),
        (500, "<html>", BitbucketUnavailable, "unavailable"),
        (503, "<html>", BitbucketUnavailable, "unavailable"),
        (302, "", OAuthError, "bad_answer"),
        (200, "", OAuthError, "bad_answer"),
        (200, "<html>", OAuthError, "bad_answer"),
        (200, "null", OAuthError, "bad_answer"),
        (200, "[1]", OAuthError, "bad_answer"),
        (200, "{}", OAuthError, "bad_answer"),
        (200, '{"type": "team"}', ProfileError, "not_a_person"),
        (200, '{"type": "user"}', ProfileError, "no_stable_id"),
        (200, json.dumps({**USER, "account_status": "closed"}), ProfileError, "inactive"),
    ],
)
def test_a_failure_of_the_profile_is_an_accurate_error(
    bitbucket: RequestsMock, status: int, body: str, kind: type[BitbucketAuthError], reason: str
) -> None:
    """Peers answer a KeyError or a 500 to a 401, a 429, or what isn't JSON."""
    bitbucket.get(USER_URL, body, status=status, headers={"Location": "https://evil.example"})
    bitbucket.get(EMAILS_URL, json=page(EMAIL))
    with pytest.raises(BitbucketAuthError) as caught:
        cloud().fetch_profile(TOKEN)
    assert type(caught.value) is kind
    assert caught.value.reason == reason
    assert "canary" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize("name", SHALLOW)
def test_any_json_for_a_profile_is_one_of_our_errors(bitbucket: RequestsMock, name: str) -> None:
    bitbucket.get(USER_URL, json.dumps(NAMED[name]))
    with pytest.raises(BitbucketAuthError):
        cloud(fetch_emails=False).fetch_profile(TOKEN)


# -- the addresses -----------------------------------------------------------------------------------------------------


def test_the_next_page_is_followed(bitbucket: RequestsMock) -> None:
    """The one confirmed address may stand there."""
    bitbucket.get(USER_URL, json=USER)
    bitbucket.get(EMAILS_URL, json=page({**EMAIL, "is_confirmed": False}, next=f"{EMAILS_URL}?page=2&ctx=x"))
    bitbucket.get(
        f"{EMAILS_URL}?page=2&ctx=x", json=page(SECOND), match=[responses.matchers.query_string_matcher("page=2&ctx=x")]
    )
    profile = cloud().fetch_profile(TOKEN)
    assert [email.address for email in profile.emails] == ["user@example.org", "second@example.org"]
    assert (profile.email, profile.emails_error) == ("second@example.org", None)


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/2.0/user/emails?page=2",
        "http://api.bitbucket.org/2.0/user/emails?page=2",
        "https://bitbucket.org/2.0/user/emails?page=2",
        "https://api.bitbucket.org@evil.example/2.0/user/emails",
        "https://api.bitbucket.org/2.0/../evil",
        "//evil.example/2.0/user/emails",
        "/2.0/user/emails?page=2",
        "file:///etc/passwd",
        "nonsense",
        7,
        True,
        ["https://evil.example/"],
        {"href": EMAILS_URL},
    ],
)
def test_a_next_page_elsewhere_never_gets_the_token(
    bitbucket: RequestsMock, following: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bitbucket.get(USER_URL, json=USER)
    bitbucket.get(EMAILS_URL, json=page(EMAIL, next=following))
    profile = cloud().fetch_profile(TOKEN)
    assert profile.email == "user@example.org"
    assert isinstance(profile.emails_error, ForeignURL)
    assert len(bitbucket.calls) == 2
    assert [record.levelname for record in caplog.records if record.name == "django_bitbucket_auth"] == ["WARNING"]


@pytest.mark.parametrize("last", [None, "", 0, False, [], {}])
def test_a_page_without_a_next_is_the_last(bitbucket: RequestsMock, last: Any) -> None:
    bitbucket.get(USER_URL, json=USER)
    bitbucket.get(EMAILS_URL, json=page(EMAIL, next=last))
    assert cloud().fetch_profile(TOKEN).emails_error is None
    assert len(bitbucket.calls) == 2


def test_pages_without_an_end_are_left_after_twenty(bitbucket: RequestsMock) -> None:
    bitbucket.get(USER_URL, json=USER)
    bitbucket.get(EMAILS_URL, json=page(EMAIL, next=EMAILS_URL))
    profile = cloud().fetch_profile(TOKEN)
    assert MAX_PAGES == 20
    assert (len(profile.emails), profile.emails_error, profile.email) == (20, None, "user@example.org")
    assert len(bitbucket.calls) == 21


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, "", OAuthError),
        (403, json.dumps(error("x", detail={"required": ["email"], "granted": ["account"]})), InsufficientScope),
        (404, "", OAuthError),
        (429, "", RateLimited),
        (503, "<html>", BitbucketUnavailable),
        (302, "", OAuthError),
        (200, "<html>", OAuthError),
        (200, "[]", OAuthError),
        (200, "x" * (1024**2 + 1), OAuthError),
    ],
    ids=range(9),
)
def test_a_failure_of_the_addresses_breaks_no_login_and_is_logged_without_the_token(
    bitbucket: RequestsMock,
    status: int,
    body: str,
    kind: type[BitbucketAuthError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bitbucket.get(USER_URL, json=USER)
    bitbucket.get(EMAILS_URL, body, status=status)
    with caplog.at_level(logging.DEBUG):
        profile = cloud(alias="here").fetch_profile(TOKEN)
    assert (profile.uid, profile.emails, profile.email) == (JANE, (), None)
    assert type(profile.emails_error) is kind
    (record,) = [record for record in caplog.records if record.name == "django_bitbucket_auth"]
    assert (record.levelname, record.__dict__["provider"]) == ("WARNING", "here")
    assert kind.__name__ in record.getMessage()
    assert "canary" not in caplog.text


def test_the_addresses_found_before_a_failure_are_kept(bitbucket: RequestsMock) -> None:
    bitbucket.get(USER_URL, json=USER)
    bitbucket.get(
        EMAILS_URL,
        json=page(EMAIL, next=f"{EMAILS_URL}?page=2"),
        match=[responses.matchers.query_string_matcher("")],
    )
    bitbucket.get(f"{EMAILS_URL}?page=2", status=503, match=[responses.matchers.query_string_matcher("page=2")])
    profile = cloud().fetch_profile(TOKEN)
    assert profile.email == "user@example.org"
    assert isinstance(profile.emails_error, BitbucketUnavailable)


def test_addresses_that_drip_break_no_login_but_spend_the_deadline() -> None:
    def script(exchange: Exchange) -> bytes:
        if exchange.request.target == "/2.0/user":
            return reply(body=json.dumps(USER))
        exchange.pause(5)
        return b""

    with Loopback(script) as server:
        profile = cloud(api_url=server.url, deadline=1).fetch_profile(TOKEN)
    assert profile.uid == JANE
    assert isinstance(profile.emails_error, BitbucketTimeout)


@pytest.mark.parametrize("name", SHALLOW)
def test_any_json_for_the_addresses_breaks_no_login(bitbucket: RequestsMock, name: str) -> None:
    bitbucket.get(USER_URL, json=USER)
    bitbucket.get(EMAILS_URL, json.dumps({"values": [NAMED[name], EMAIL], "next": NAMED[name]}))
    assert cloud().fetch_profile(TOKEN).email == "user@example.org"
