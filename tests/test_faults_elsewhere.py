"""The fault matrix of Data Center and of OAuth 1.0a: a page that says what to do, and never a 500."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import Client
from steps import TYPED, code_for, come_back, nothing_was_written, reason_of, signed_answer, start

from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, Fault, override_provider, simulated_bitbucket

pytestmark = pytest.mark.django_db

Break = Callable[[BitbucketSimulator], Fault]
JSON = {"Content-Type": "application/json"}
NAME = "jane.doe@example.com"
WHO = {**JSON, "X-AUSERNAME": "jane.doe%40example.com"}
USER: dict[str, Any] = {"name": NAME, "id": 7, "type": "NORMAL", "active": True, "displayName": "Jane"}


def answers(endpoint: str, status: int, body: object, headers: dict[str, str] = JSON) -> Break:
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return lambda bitbucket: bitbucket.answer(endpoint, status, headers=headers, body=text)


def people(*values: object, **members: Any) -> Break:
    return answers("user", 200, {"isLastPage": True, "values": list(values), **members}, WHO)


def user(**members: object) -> Break:
    return people({**USER, **members})


def problem(endpoint: str, status: int, name: str) -> Break:
    return answers(endpoint, status, "", {"WWW-Authenticate": f'OAuth realm="x", oauth_problem="{name}"'})


#: name → (what goes wrong, status, reason)
DATA_CENTER: dict[str, tuple[Break, int, str]] = {
    "code too old": (answers("token", 400, {"error": "invalid_grant"}), 400, "state_expired"),
    "other redirect_uri": (
        answers("token", 400, {"error": "invalid_grant", "error_description": "redirect_uri mismatch"}),
        502,
        "client_refused",
    ),
    "wrong secret": (answers("token", 401, {"error": "invalid_client"}), 502, "client_refused"),
    "token 500": (lambda b: b.fail("token", 500), 503, "unavailable"),
    "token cut": (lambda b: b.cut("token"), 503, "unavailable"),
    "token slow": (lambda b: b.slow("token", 1.5), 504, "timed_out"),
    "token HTML": (answers("token", 200, "<html>"), 502, "bad_answer"),
    "a stranger": (answers("whoami", 200, {"version": "8"}), 502, "client_refused"),
    "whoami 401": (answers("whoami", 401, {"errors": []}), 502, "client_refused"),
    "whoami 404": (answers("whoami", 404, "<html>"), 502, "bad_answer"),
    "whoami 429": (lambda b: b.fail("whoami", 429), 503, "rate_limited"),
    "whoami 503": (lambda b: b.fail("whoami", 503), 503, "unavailable"),
    "whoami cut": (lambda b: b.cut("whoami"), 503, "unavailable"),
    "whoami HTML": (answers("whoami", 200, "<html>", WHO), 502, "bad_answer"),
    "whoami redirects": (
        answers("whoami", 302, "", {"Location": "https://evil.invalid/", **WHO}),
        502,
        "bad_answer",
    ),
    "a name of bad bytes": (
        answers("whoami", 200, {"version": "8"}, {**JSON, "X-AUSERNAME": "%ff"}),
        502,
        "bad_answer",
    ),
    "users 401": (answers("user", 401, {"errors": [{"message": "no"}]}), 502, "client_refused"),
    "users 403": (answers("user", 403, {"errors": [{"message": "no"}]}), 502, "bad_answer"),
    "users 500": (lambda b: b.fail("user", 500), 503, "unavailable"),
    "users slow": (lambda b: b.slow("user", 1.5), 504, "timed_out"),
    "users of another": (
        answers("user", 200, {"values": [USER]}, {**JSON, "X-AUSERNAME": "mallory"}),
        502,
        "bad_answer",
    ),
    "users list": (answers("user", 200, [USER], WHO), 502, "bad_answer"),
    "users of 2 MB": (answers("user", 200, b" " * 2_000_000, WHO), 502, "bad_answer"),
    "users without values": (answers("user", 200, {"isLastPage": True}, WHO), 502, "bad_answer"),
    "users without end": (people(isLastPage=False, nextPageStart="x"), 502, "bad_answer"),
    "nobody": (people(), 502, "no_stable_id"),
    "two": (people(USER, {**USER, "id": 8}), 502, "no_stable_id"),
    "user without id": (user(id=None), 502, "no_stable_id"),
    "user id true": (user(id=True), 502, "no_stable_id"),
    "user id 0": (user(id=0), 502, "no_stable_id"),
    "user id text": (user(id="7"), 502, "no_stable_id"),
    "a service": (user(type="SERVICE"), 502, "not_a_person"),
    "inactive": (user(active=False), 403, "inactive"),
    "deeply nested": (answers("user", 200, "[" * 100_000, WHO), 502, "bad_answer"),
}
DATA_CENTER_WORKS: dict[str, Break] = {
    "no address": user(),
    "odd members": user(emailAddress=7, displayName=None, links="x", avatarUrl=["y"], slug={}),
    "names with NUL and surrogates": user(displayName="a\0b\ud800", emailAddress="\ud800@x"),
    "long names": user(displayName="x" * 5000),
    "users 503 once": lambda b: b.fail("user", 503, times=1),
    "whoami cut once": lambda b: b.cut("whoami", times=1),
}
#: Before the person goes to Bitbucket.
BEGINNING: dict[str, tuple[Break, int, str]] = {
    "unknown consumer": (problem("request_token", 401, "consumer_key_unknown"), 502, "client_refused"),
    "bad signature": (problem("request_token", 401, "signature_invalid"), 502, "client_refused"),
    "clocks": (problem("request_token", 401, "timestamp_refused"), 502, "client_refused"),
    "a word of its own": (problem("request_token", 400, "what's this"), 502, "bad_answer"),
    "401": (answers("request_token", 401, ""), 502, "client_refused"),
    "404": (answers("request_token", 404, "<html>"), 502, "bad_answer"),
    "429": (lambda b: b.fail("request_token", 429), 503, "rate_limited"),
    "500": (lambda b: b.fail("request_token", 500), 503, "unavailable"),
    "cut": (lambda b: b.cut("request_token"), 503, "unavailable"),
    "slow": (lambda b: b.slow("request_token", 1.5), 504, "timed_out"),
    "redirects": (answers("request_token", 302, "", {"Location": "https://evil.invalid/"}), 502, "bad_answer"),
    "HTML": (answers("request_token", 200, "<html>"), 502, "bad_answer"),
    "unconfirmed": (answers("request_token", 200, "oauth_token=t&oauth_token_secret=s"), 502, "bad_answer"),
    "not ASCII": (
        answers("request_token", 200, "oauth_token=ü&oauth_token_secret=s&oauth_callback_confirmed=true"),
        502,
        "bad_answer",
    ),
    "2 MB": (answers("request_token", 200, b" " * 2_000_000), 502, "bad_answer"),
}
#: After it.
EXCHANGE: dict[str, tuple[Break, int, str]] = {
    "token expired": (problem("token", 401, "token_expired"), 400, "state_expired"),
    "verifier": (problem("token", 401, "verifier_invalid"), 400, "state_expired"),
    "withdrawn": (problem("token", 401, "permission_denied"), 403, "cancelled"),
    "signature": (problem("token", 401, "signature_invalid"), 502, "client_refused"),
    "token 401": (answers("token", 401, ""), 502, "client_refused"),
    "token 500": (lambda b: b.fail("token", 500), 503, "unavailable"),
    "token cut": (lambda b: b.cut("token"), 503, "unavailable"),
    "token HTML": (answers("token", 200, "<html>"), 502, "bad_answer"),
    "token not UTF-8": (answers("token", 200, b"oauth_token=\xff"), 502, "bad_answer"),
    "token twice": (answers("token", 200, "oauth_token=a&oauth_token=b&oauth_token_secret=s"), 502, "bad_answer"),
    "revoked at once": (problem("whoami", 401, "token_revoked"), 502, "client_refused"),
    "a stranger": (answers("whoami", 200, {"version": "8"}), 502, "client_refused"),
    "users 500": (lambda b: b.fail("user", 500), 503, "unavailable"),
}


@contextmanager
def broken(kind: str, fault: Break) -> Iterator[tuple[BitbucketSimulator, Client, dict[str, Any]]]:
    """A sign-in that has got to its callback, where something breaks; with the answer that the browser brings."""
    client = Client(raise_request_exception=False)
    with simulated_bitbucket(kind=kind, RETRIES=1) as simulator:
        started = start(client)
        if kind.endswith("oauth1"):
            answer = signed_answer(simulator, started)
        else:
            answer = {"code": code_for(simulator, started), "state": started.state}
        set_up = fault(simulator)
        if set_up.endpoint == "user" and set_up.status is not None:
            # Canned people have a canned name.
            simulator.answer("whoami", 200, headers=WHO, body='{"version": "8"}')
        with override_provider("default", **({"TIMEOUT": 1} if set_up.delay else {})):
            yield simulator, client, answer


def check_page(response: Any, status: int, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    assert (response.status_code, reason_of(response)) == (status, reason), caplog.text
    (line,) = [vars(record) for record in caplog.records if hasattr(record, "trail")]
    assert line["levelno"] >= logging.WARNING
    assert line["trail"] in response.content.decode() and line["reason"] == reason
    assert nothing_was_written()


@pytest.mark.parametrize("name", DATA_CENTER)
def test_a_fault_of_data_center_is_a_page(name: str, caplog: pytest.LogCaptureFixture) -> None:
    fault, status, reason = DATA_CENTER[name]
    with broken("data-center", fault) as (_, client, answer):
        check_page(come_back(client, **answer), status, reason, caplog)


@pytest.mark.parametrize("name", DATA_CENTER_WORKS)
def test_an_oddity_of_data_center_does_not_cost_the_login(name: str) -> None:
    with broken("data-center", DATA_CENTER_WORKS[name]) as (_, client, answer):
        response = come_back(client, **answer)
    assert response.status_code == 302, response.content
    assert BitbucketToken.objects.get().reveal() is not None


@pytest.mark.parametrize("name", EXCHANGE)
def test_a_fault_after_the_consent_of_oauth_1_0a_is_a_page(name: str, caplog: pytest.LogCaptureFixture) -> None:
    fault, status, reason = EXCHANGE[name]
    with broken("data-center-oauth1", fault) as (simulator, client, answer):
        check_page(come_back(client, **answer), status, reason, caplog)
        # A request token is spent by the first request that arrives.
        assert len(simulator.requests_to("token")) == 1


@pytest.mark.parametrize("name", BEGINNING)
def test_a_fault_before_the_consent_is_a_page_and_leaves_no_attempt(
    name: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    fault, status, reason = BEGINNING[name]
    with simulated_bitbucket(kind="data-center-oauth1") as simulator:
        with override_provider("default", **({"TIMEOUT": 1} if fault(simulator).delay else {})):
            check_page(client.get("/bitbucket/login/", headers=TYPED), status, reason, caplog)
        assert "bitbucket_auth" not in client.cookies.output()
        assert len(simulator.requests_to("request_token")) == 1
