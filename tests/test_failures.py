"""What a failed sign-in answers, logs and tells."""

import logging
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils.text import format_lazy
from steps import LOGIN, come_back, reason_of

from django_bitbucket_auth import conf, failures, phrases
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import (
    BitbucketAuthError,
    BitbucketTimeout,
    BitbucketUnavailable,
    ClientRefused,
    ConfigurationError,
    ForeignURL,
    InsufficientScope,
    LoginRefused,
    OAuthError,
    ProfileError,
    RateLimited,
    StateError,
)
from django_bitbucket_auth.signals import login_refused
from django_bitbucket_auth.testing import override_provider

#: The contract's codes.
CODES = [
    "cancelled",
    "state_missing",
    "state_expired",
    "state_reused",
    "state_mismatch",
    "not_a_member",
    "membership_unknown",
    "vetoed",
    "inactive",
    "not_a_person",
    "no_stable_id",
    "email_required",
    "email_taken",
    "sign_up_closed",
    "already_connected",
    "connect_mismatch",
    "client_refused",
    "insufficient_scope",
    "bad_answer",
    "unavailable",
    "rate_limited",
    "timed_out",
    "misconfigured",
    # Of pages that aren't a sign-in's.
    "login_required",
]


@pytest.fixture
def page_request(settings: Any) -> HttpRequest:
    settings.BITBUCKET_AUTH = {"default": {"CLIENT_ID": "i", "CLIENT_SECRET": "s"}}
    return RequestFactory().get("/bitbucket/callback/")


def test_every_reason_code_has_words_and_no_other_has() -> None:
    assert set(phrases.REASONS) == set(CODES) >= set(phrases.CONNECTING)
    for reason in phrases.REASONS.values():
        assert reason.title and reason.message and reason.status in (400, 401, 403, 502, 503, 504)
        assert reason.level >= logging.WARNING  # the line that a trail leads to is written with default logging


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (LoginRefused("No"), 403, "vetoed"),
        (LoginRefused("No", "sign_up_closed"), 403, "sign_up_closed"),
        (LoginRefused("No", "a code of somebody's own"), 403, "vetoed"),
        (StateError("x", "state_missing"), 400, "state_missing"),
        (StateError("x", "bad_answer"), 400, "bad_answer"),
        (ConfigurationError("x"), 503, "misconfigured"),
        (OAuthError("x"), 502, "bad_answer"),
        (OAuthError("x", reason="who knows"), 502, "bad_answer"),
        (ClientRefused("x"), 502, "client_refused"),
        (InsufficientScope(("account",), ()), 502, "insufficient_scope"),
        (ProfileError("x", "uuid"), 502, "no_stable_id"),
        (ForeignURL("x"), 502, "bad_answer"),
        (BitbucketUnavailable("x"), 503, "unavailable"),
        (RateLimited("x"), 503, "rate_limited"),
        (BitbucketTimeout("x"), 504, "timed_out"),
        (BitbucketAuthError("x"), 502, "bad_answer"),
    ],
)
def test_each_error_has_its_status_and_reason(
    page_request: HttpRequest, error: BitbucketAuthError, status: int, reason: str
) -> None:
    response = failures.answer(page_request, error, "default")
    assert (response.status_code, reason_of(response)) == (status, reason)
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';") and "script" not in policy
    assert b"<form" not in response.content and b"<script" not in response.content


def test_the_trail_on_the_page_finds_the_one_log_line(
    page_request: HttpRequest, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[dict[str, Any]] = []

    def listen(**kwargs: Any) -> None:
        told.append(kwargs)

    login_refused.connect(listen)
    try:
        response = failures.answer(page_request, OAuthError("boom", "why\r\nForged: line"), "default")
    finally:
        login_refused.disconnect(listen)
    (line,) = [vars(record) for record in caplog.records]
    assert line["trail"] in response.content.decode() and line["trail"].startswith("BB-") and len(line["trail"]) == 7
    assert "boom" in caplog.messages[0] and "\n" not in caplog.messages[0] and "\r" not in caplog.messages[0]
    assert (line["reason"], line["provider"], line["status"]) == ("bad_answer", "default", 502)
    assert (told[0]["reason"], told[0]["trail"], told[0]["provider"]) == ("bad_answer", line["trail"], "default")


def test_an_error_without_words_is_logged_by_its_name(
    page_request: HttpRequest, caplog: pytest.LogCaptureFixture
) -> None:
    failures.answer(page_request, LoginRefused(), "default")
    assert caplog.records[0].getMessage().endswith("LoginRefused")


def test_a_listener_that_fails_changes_nothing(page_request: HttpRequest) -> None:
    def listen(**kwargs: Any) -> None:
        raise RuntimeError("listener")

    login_refused.connect(listen)
    try:
        assert failures.answer(page_request, LoginRefused(), "default").status_code == 403
    finally:
        login_refused.disconnect(listen)


def test_the_words_of_a_refusal_are_shown_and_escaped(page_request: HttpRequest) -> None:
    html = failures.answer(page_request, LoginRefused("Ask <b>Ann</b>."), "default").content.decode()
    assert "Ask &lt;b&gt;Ann&lt;/b&gt;." in html


def test_when_to_come_back_is_rounded_up(page_request: HttpRequest) -> None:
    response = failures.answer(page_request, RateLimited("x", 1.2), "default")
    assert response.headers["Retry-After"] == "2"
    assert "Retry-After" not in failures.answer(page_request, RateLimited("x"), "default").headers


def test_trying_again_is_offered_where_it_makes_sense(page_request: HttpRequest) -> None:
    assert LOGIN.encode() in failures.answer(page_request, RateLimited("x"), "default").content
    assert LOGIN.encode() not in failures.answer(page_request, LoginRefused("", "inactive"), "default").content


@pytest.mark.parametrize("url", ["/private/", "/private/?a=1", "private", "/private/#top"])
@pytest.mark.django_db
def test_failures_can_go_to_a_page_of_the_project(client: Client, settings: Any, url: str) -> None:
    settings.BITBUCKET_AUTH = {"default": {"CLIENT_ID": "i", "CLIENT_SECRET": "s"}}
    with override_provider("default", FAILURE_URL=url):
        response = come_back(client, error="access_denied")
    location = response.headers["Location"]
    assert response.status_code == 302 and location.startswith("/private/?")
    assert "reason=cancelled" in location and "trail=BB-" in location and location.count("?") == 1
    (message,) = get_messages(response.wsgi_request)
    assert message.level_tag == "error" and "Bitbucket" in message.message


def test_without_the_messages_app_the_redirect_still_works(page_request: HttpRequest) -> None:
    with override_provider("default", FAILURE_URL="/private/"):
        assert failures.answer(page_request, LoginRefused(), "default", "", conf.provider_settings()).status_code == 302


def test_the_error_page_sends_no_referrer(client: Client, settings: Any) -> None:
    settings.BITBUCKET_AUTH = {"default": {"CLIENT_ID": "i", "CLIENT_SECRET": "s"}}
    response = come_back(client, code="c", state="s")
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Frame-Options"] == "DENY" and "no-store" in response.headers["Cache-Control"]
    assert response.content.count(b"http://") == response.content.count(b"https://") == 0


# -- the project's words -----------------------------------------------------------------------------------------------


class Unspeakable:
    """Words that fail when they are said, such as a translation with a wrong placeholder."""

    def __str__(self) -> str:
        raise KeyError("name")


class Wordy(BitbucketBackend):
    """Has its own words for those who aren't members, and fails for those who took too long, or sent too much."""

    def message_for(self, request: HttpRequest, reason: str) -> Any:
        if reason == "timed_out":
            raise ZeroDivisionError
        if reason == "rate_limited":
            return format_lazy("{0}", Unspeakable())
        return f"Write to <it@example.com> from {request.path}." if reason == "not_a_member" else None


@pytest.fixture
def wordy(settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = ["test_failures.Wordy"]


def test_a_project_has_its_own_words_for_a_reason(page_request: HttpRequest, wordy: None) -> None:
    page = failures.answer(page_request, LoginRefused("", "not_a_member"), "default").content.decode()
    assert "Write to &lt;it@example.com&gt; from /bitbucket/callback/." in page
    assert "invite you" not in page
    assert b"create accounts" in failures.answer(page_request, LoginRefused("", "sign_up_closed"), "default").content


def test_the_words_of_a_receiver_come_first(page_request: HttpRequest, wordy: None) -> None:
    page = failures.answer(page_request, LoginRefused("Ask Joe.", "not_a_member"), "default").content
    assert b"Ask Joe." in page and b"Write to" not in page


def test_words_that_fail_are_logged_and_ours_take_their_place(
    page_request: HttpRequest, wordy: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert b"in a minute" in failures.answer(page_request, BitbucketTimeout("x"), "default").content
    assert "message_for() of the authentication backend failed for 'timed_out'" in caplog.text


def test_words_that_fail_as_late_as_when_they_are_said_do_no_more_harm(
    page_request: HttpRequest, wordy: None, caplog: pytest.LogCaptureFixture
) -> None:
    response = failures.answer(page_request, RateLimited("x"), "default")
    assert (response.status_code, reason_of(response)) == (503, "rate_limited")
    assert "message_for() of the authentication backend failed for 'rate_limited'" in caplog.text


@pytest.mark.parametrize("backend", ["no.such.Backend", "django.contrib.auth.backends.ModelBackend"])
def test_without_a_backend_there_are_our_words(page_request: HttpRequest, settings: Any, backend: str) -> None:
    settings.AUTHENTICATION_BACKENDS = [backend]
    assert b"invite you" in failures.answer(page_request, LoginRefused("", "not_a_member"), "default").content
