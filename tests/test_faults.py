"""Whatever Bitbucket, the browser or the network do, the answer is a page that says what to do, and never a 500."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from steps import code_for, come_back, reason_of, start

from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, Fault, override_provider

pytestmark = pytest.mark.django_db

JSON = {"Content-Type": "application/json"}
UUID = "{768f0000-0000-0000-0000-000000000000}"
TOKEN: dict[str, Any] = {
    "access_token": "a" * 2000,
    "token_type": "bearer",
    "expires_in": 7200,
    "scope": "account email",
}
USER: dict[str, Any] = {"type": "user", "uuid": UUID, "display_name": "Jane", "account_status": "active"}


def answers(endpoint: str, status: int, body: object, **headers: str) -> Callable[[BitbucketSimulator], Fault]:
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return lambda bitbucket: bitbucket.answer(endpoint, status, headers=JSON | headers, body=text)


def token_refusal(status: int, error: str, description: str = "") -> Callable[[BitbucketSimulator], Fault]:
    return answers("token", status, {"error": error, "error_description": description})


def user(**members: object) -> Callable[[BitbucketSimulator], Fault]:
    return answers("user", 200, {name: value for name, value in {**USER, **members}.items() if value is not ...})


def api_error(status: int, message: str, **members: object) -> dict[str, object]:
    return {"type": "error", "error": {"message": message, **members}}


#: name → (what goes wrong, status, reason)
LOST: dict[str, tuple[Callable[[BitbucketSimulator], Fault], int, str]] = {
    "token 429": (lambda b: b.fail("token", 429, retry_after=3), 503, "rate_limited"),
    "token 500": (lambda b: b.fail("token", 500), 503, "unavailable"),
    "token 503 in HTML": (lambda b: b.fail("token", 503), 503, "unavailable"),
    "token cut before": (lambda b: b.cut("token"), 503, "unavailable"),
    "token cut amid": (lambda b: b.cut("token", middle=True), 503, "unavailable"),
    "token slow": (lambda b: b.slow("token", 1.5), 504, "timed_out"),
    "token drips": (lambda b: b.drip("token", 0.05), 504, "timed_out"),
    "token redirects": (answers("token", 307, "", Location="https://evil.invalid/"), 502, "bad_answer"),
    "token moved": (answers("token", 301, "", Location="/elsewhere"), 502, "bad_answer"),
    "token HTML": (answers("token", 200, "<html>"), 502, "bad_answer"),
    "token empty": (answers("token", 200, ""), 502, "bad_answer"),
    "token null": (answers("token", 200, "null"), 502, "bad_answer"),
    "token list": (answers("token", 200, []), 502, "bad_answer"),
    "token without access_token": (answers("token", 200, {"token_type": "bearer"}), 502, "bad_answer"),
    "token null access_token": (answers("token", 200, {**TOKEN, "access_token": None}), 502, "bad_answer"),
    "token blank access_token": (answers("token", 200, {**TOKEN, "access_token": " "}), 502, "bad_answer"),
    "token of another type": (answers("token", 200, {**TOKEN, "access_token": ["a"]}), 502, "bad_answer"),
    "token not ASCII": (answers("token", 200, {**TOKEN, "access_token": "tökén"}), 502, "bad_answer"),
    "token with a line break": (answers("token", 200, {**TOKEN, "access_token": "a\nb"}), 502, "bad_answer"),
    "token deeply nested": (answers("token", 200, "[" * 100_000), 502, "bad_answer"),
    "token of 2 MB": (answers("token", 200, b" " * 2_000_000), 502, "bad_answer"),
    "token not UTF-8": (answers("token", 200, b"\xff\xfe\x00"), 502, "bad_answer"),
    "error with status 200": (token_refusal(200, "unauthorized_client", "x"), 502, "client_refused"),
    "no credentials": (
        token_refusal(400, "unauthorized_client", "Requests must be authenticated using OAuth client credentials"),
        502,
        "client_refused",
    ),
    "wrong credentials": (
        token_refusal(400, "unauthorized_client", "Invalid OAuth client credentials"),
        502,
        "client_refused",
    ),
    "invalid_client": (token_refusal(401, "invalid_client"), 502, "client_refused"),
    "no callback": (
        token_refusal(400, "invalid_request", "No callback uri defined for the OAuth client."),
        502,
        "client_refused",
    ),
    "other redirect_uri": (token_refusal(400, "invalid_grant", "redirect_uri doesn't match"), 502, "client_refused"),
    "grant not supported": (token_refusal(400, "invalid_grant", "Unsupported grant type: None"), 502, "client_refused"),
    "token 401 without words": (answers("token", 401, ""), 502, "client_refused"),
    "code spent": (token_refusal(400, "invalid_grant", "The specified code is not valid."), 400, "state_expired"),
    "code missing": (token_refusal(400, "invalid_request", "Missing required field: code"), 400, "state_expired"),
    "user inactive": (token_refusal(401, "access_denied", "User is inactive"), 403, "inactive"),
    "error of odd types": (answers("token", 400, {"error": {"a": 1}, "error_description": ["b"]}), 502, "bad_answer"),
    "token 404": (answers("token", 404, "{}"), 502, "bad_answer"),
    "user 401": (
        answers("user", 401, api_error(401, "Token is invalid, expired, or not supported")),
        502,
        "client_refused",
    ),
    "user 403 scope": (
        answers("user", 403, api_error(403, "lack", detail={"required": ["account"], "granted": ["team"]})),
        502,
        "insufficient_scope",
    ),
    "user 403": (answers("user", 403, api_error(403, "no")), 502, "bad_answer"),
    "user 404": (answers("user", 404, api_error(404, "no")), 502, "bad_answer"),
    "user 410": (answers("user", 410, api_error(410, "CHANGE-2770", detail="gone")), 502, "bad_answer"),
    "user 429": (lambda b: b.fail("user", 429), 503, "rate_limited"),
    "user 502": (lambda b: b.fail("user", 502), 503, "unavailable"),
    "user cut": (lambda b: b.cut("user"), 503, "unavailable"),
    "user slow": (lambda b: b.slow("user", 1.5), 504, "timed_out"),
    "user redirects": (answers("user", 302, "", Location="https://evil.invalid/"), 502, "bad_answer"),
    "user HTML": (answers("user", 200, "<html>"), 502, "bad_answer"),
    "user empty object": (answers("user", 200, {}), 502, "bad_answer"),
    "user list": (answers("user", 200, [USER]), 502, "bad_answer"),
    "user without uuid": (user(uuid=...), 502, "no_stable_id"),
    "user null uuid": (user(uuid=None), 502, "no_stable_id"),
    'user uuid "None"': (user(uuid="None"), 502, "no_stable_id"),
    "user empty uuid": (user(uuid=""), 502, "no_stable_id"),
    "user uuid 0": (user(uuid=0), 502, "no_stable_id"),
    "user uuid False": (user(uuid=False), 502, "no_stable_id"),
    "user uuid without braces": (user(uuid=UUID.strip("{}")), 502, "no_stable_id"),
    "app user": (user(type="app_user"), 502, "not_a_person"),
    "a workspace": (user(type="team"), 502, "not_a_person"),
    "no type": (user(type=...), 502, "not_a_person"),
    "inactive": (user(account_status="inactive"), 403, "inactive"),
    "status null": (user(account_status=None), 403, "inactive"),
}

#: What must not cost the login.
WORKS: dict[str, Callable[[BitbucketSimulator], Fault]] = {
    "scopes instead of scope": answers("token", 200, {"access_token": "a", "scopes": "account email"}),
    "expires_in as text": answers("token", 200, {**TOKEN, "expires_in": "7200"}),
    "expires_in garbage": answers("token", 200, {**TOKEN, "expires_in": "soon"}),
    "expires_in null": answers("token", 200, {**TOKEN, "expires_in": None}),
    "expires_in a list": answers("token", 200, {**TOKEN, "expires_in": [7200]}),
    "expires_in negative": answers("token", 200, {**TOKEN, "expires_in": -1}),
    "expires_in huge": answers("token", 200, {**TOKEN, "expires_in": 10**30}),
    "expires_in Infinity": answers("token", 200, '{"access_token": "a", "expires_in": Infinity}'),
    "scope of an odd type": answers("token", 200, {**TOKEN, "scope": 7}),
    "token_type Bearer": answers("token", 200, {**TOKEN, "token_type": "Bearer"}),
    "no token_type": answers("token", 200, {"access_token": "a"}),
    "odd members": answers("token", 200, {**TOKEN, "state": "authorization_code", "x": {"y": [1]}}),
    "tokens of 5 kB": answers("token", 200, {**TOKEN, "access_token": "a" * 5000, "refresh_token": "r" * 5000}),
    "a token in HTML's clothes": lambda b: b.answer(
        "token", 200, headers={"Content-Type": "text/html"}, body=json.dumps(TOKEN)
    ),
    "emails 403": answers("emails", 403, api_error(403, "lack", detail={"required": ["email"], "granted": []})),
    "emails 401": answers("emails", 401, api_error(401, "no")),
    "emails 404": answers("emails", 404, "{}"),
    "emails 429": lambda b: b.fail("emails", 429),
    "emails 500": lambda b: b.fail("emails", 500),
    "emails HTML": answers("emails", 200, "<html>"),
    "emails cut": lambda b: b.cut("emails"),
    "emails slow": lambda b: b.slow("emails", 1.5),
    "emails drip": lambda b: b.drip("emails", 0.05),
    "emails null": answers("emails", 200, "null"),
    "emails odd values": answers("emails", 200, {"values": [None, 1, {"email": None}, {"email": "x"}]}),
    "emails values null": answers("emails", 200, {"values": None}),
    "emails of 2 MB": answers("emails", 200, b" " * 2_000_000),
    "emails next elsewhere": answers("emails", 200, {"values": [], "next": "https://evil.invalid/2.0/user/emails"}),
    "emails next odd": answers("emails", 200, {"values": [], "next": {"a": 1}}),
    "user 503 once": lambda b: b.fail("user", 503, times=1),
    "user cut once": lambda b: b.cut("user", times=1),
    "user 429 once": lambda b: b.fail("user", 429, retry_after=0, times=1),
    "no links": user(links=...),
    "odd links": user(links={"avatar": "javascript:alert(1)", "html": {"href": "javascript:alert(1)"}}),
    "odd names": user(display_name=None, nickname=["x"], username={"y": 1}),
    "long names": user(display_name="x" * 5000, username="y" * 5000),
    "names with NUL and surrogates": answers(
        "user", 200, json.dumps({**USER, "display_name": "a\0b\ud800", "username": "\ud800"})
    ),
    "no account_id": user(account_id=None),
    "account_id too long": user(account_id="x" * 500),
}


@pytest.fixture(autouse=True)
def one_repeat(bitbucket: BitbucketSimulator) -> Iterator[None]:
    with override_provider("default", RETRIES=1):
        yield


def through_the_fault(bitbucket: BitbucketSimulator, break_it: Callable[[BitbucketSimulator], Fault]) -> Any:
    client = Client(raise_request_exception=False)
    started = start(client)
    code = code_for(bitbucket, started)
    fault = break_it(bitbucket)
    if fault.endpoint == "token":
        user()(bitbucket)  # the simulator wouldn't know a canned token
    # Short of time only where time is what goes wrong: elsewhere a busy machine must not decide.
    impatience = {"TIMEOUT": 1} if fault.delay else {"DEADLINE": 2} if fault.drip else {}
    with override_provider("default", **impatience):
        return come_back(client, code=code, state=started.state)


@pytest.mark.parametrize("fault", LOST)
def test_a_fault_ends_in_a_page_one_log_line_and_no_half_user(
    bitbucket: BitbucketSimulator, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    break_it, status, reason = LOST[fault]
    response = through_the_fault(bitbucket, break_it)
    assert (response.status_code, reason_of(response)) == (status, reason)
    (line,) = [vars(record) for record in caplog.records if hasattr(record, "trail")]
    assert line["name"] == "django_bitbucket_auth" and line["levelno"] >= logging.WARNING
    assert line["trail"] in response.content.decode() and line["reason"] == reason
    assert not User.objects.exists() and not BitbucketAccount.objects.exists() and not BitbucketToken.objects.exists()


@pytest.mark.parametrize("oddity", WORKS)
def test_an_oddity_does_not_cost_the_login(bitbucket: BitbucketSimulator, oddity: str) -> None:
    response = through_the_fault(bitbucket, WORKS[oddity])
    assert response.status_code == 302, response.content
    assert User.objects.get().is_active and BitbucketToken.objects.get().reveal() is not None


def test_bitbucket_that_refuses_connections_is_unavailable(bitbucket: BitbucketSimulator) -> None:
    client = Client()
    closed = {"BASE_URL": "http://127.0.0.1:9", "API_URL": "http://127.0.0.1:9"}
    with override_provider("default", **closed):
        response = come_back(client, code="c", state=start(client).state)
    assert response.status_code == 503 and reason_of(response) == "unavailable"


def test_the_answer_says_when_to_come_back(bitbucket: BitbucketSimulator) -> None:
    response = through_the_fault(bitbucket, lambda b: b.fail("token", 429, retry_after=42))
    assert response.status_code == 503 and response.headers["Retry-After"] == "42"


def test_a_code_is_sent_once_whatever_happens(bitbucket: BitbucketSimulator) -> None:
    for break_it in (lambda b: b.cut("token"), lambda b: b.fail("token", 503), lambda b: b.slow("token", 1.5)):
        before = len(bitbucket.requests_to("token"))
        assert through_the_fault(bitbucket, break_it).status_code in (503, 504)
        assert len(bitbucket.requests_to("token")) == before + 1
        bitbucket.heal()
