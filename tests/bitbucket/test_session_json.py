"""``json``: what it gives, and each failure as one of this app's exceptions."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests
from bitbucket.answers import error
from bitbucket.sessions import Tokens, sent, session_at
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.exceptions import (
    BitbucketAuthError,
    BitbucketTimeout,
    BitbucketUnavailable,
    InsufficientScope,
    OAuthError,
    RateLimited,
)


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for. Time passes, but not for the one who waits."""
    asked: list[float] = []
    monkeypatch.setattr("django_bitbucket_auth.oauth.reading.time.sleep", asked.append)
    return asked


def ask(server: Loopback, method: str = "GET", *, retries: int = 2, **keys: Any) -> Any:
    return session_at(server.url, retries=retries, **keys).json("things", method=method)


def failure(answer: Any, method: str = "GET", **keys: Any) -> BitbucketAuthError:
    """What is raised for this answer, which is shown to hold no secret."""
    with Loopback(answer) as server, pytest.raises(BitbucketAuthError) as caught:
        ask(server, method, **keys)
    assert "canary" not in f"{caught.value!r} {caught.value} {vars(caught.value)}"
    return caught.value


# -- JSON --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{}, {"a": [1, None]}, [], [1], "text", 7, 1.5, True, None])
def test_any_json_is_given_as_it_is(value: Any) -> None:
    with Loopback(reply(body=json.dumps(value))) as server:
        assert ask(server) == value


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_no_body_is_none(status: int) -> None:
    head = f"HTTP/1.1 {status} Fine\r\n" + ("" if status == 204 else "Content-Length: 0\r\n")
    with Loopback(f"{head}\r\n".encode()) as server:
        assert ask(server, "DELETE") is None


@pytest.mark.parametrize(
    "body",
    [b"<html>canary</html>", b"{", b" ", b"\xff\xfe\x00", b"[" * 100_000, b"9" * 10_000, b"canary"],
    ids=range(7),
)
def test_what_is_no_json_is_an_error_that_does_not_repeat_it(body: bytes) -> None:
    found = failure(reply(body=body))
    assert isinstance(found, OAuthError)
    assert (found.error, found.status) == ("no_json", 200)
    assert (found.__cause__, found.__suppress_context__) == (None, True)


def test_arguments_are_those_of_requests() -> None:
    with Loopback(lambda exchange: reply(body=exchange.request.body or b"{}")) as server:
        session = session_at(server.url)
        assert session.json("things", method="post", json={"a": 1}, headers={"X-Own": "1"}, stream=False) == {"a": 1}
        (request,) = server.requests
        assert (request.method, request.headers["x-own"]) == ("POST", "1")
        with pytest.raises(TypeError):
            session.json("things", nonsense=1)


def test_a_request_that_can_not_be_made_is_the_callers_error_and_not_bitbuckets() -> None:
    with Loopback(reply()) as server:
        session = session_at(server.url, retries=2)
        with pytest.raises(requests.exceptions.InvalidHeader):
            session.json("things", headers={"X-Own": "a\r\nb"})
        with pytest.raises(requests.exceptions.InvalidJSONError):
            session.json("things", method="POST", json={"a": float("nan")})
        assert server.connections == 0


# -- the cap -----------------------------------------------------------------------------------------------------------


def test_a_page_at_the_cap_is_read_and_one_byte_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_bitbucket_auth.bitbucket.session.MAX_PAGE", 1000)
    with Loopback(reply(body=json.dumps("x" * 998))) as server:
        assert ask(server) == "x" * 998
    found = failure(reply(body=json.dumps("x" * 999)))
    assert str(found) == "'body_too_large': 'more than 1000 bytes' (HTTP 200)"


def test_the_cap_is_32_mebibytes() -> None:
    from django_bitbucket_auth.bitbucket.session import MAX_PAGE

    assert MAX_PAGE == 32 * 1024**2


def test_an_error_is_capped_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_bitbucket_auth.bitbucket.session.MAX_PAGE", 1000)
    assert "body_too_large" in str(failure(reply(404, b"x" * 1001)))


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_missing_scope_says_which() -> None:
    body = error(
        "Your credentials lack one or more required privilege scopes.",
        detail={"required": ["repository:write"], "granted": ["account", "repository"]},
    )
    found = failure(reply(403, json.dumps(body)))
    assert isinstance(found, InsufficientScope)
    assert (found.required, found.granted, found.status) == (("repository:write",), ("account", "repository"), 403)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 410, 415, 422])
def test_a_refusal_has_bitbuckets_words_and_status(status: int) -> None:
    found = failure(reply(status, json.dumps(error("CHANGE-2770 - Functionality has been deprecated"))))
    assert type(found) is OAuthError
    assert (found.error, found.status) == (f"http_{status}", status)
    assert found.description == "CHANGE-2770 - Functionality has been deprecated"


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_refusal_need_not_be_json(status: int) -> None:
    found = failure(reply(status, "<html>"))
    assert isinstance(found, OAuthError)
    assert (found.error, found.description) == (f"http_{status}", "")


def test_what_success_is_and_what_an_error_means_may_be_overridden() -> None:
    from django_bitbucket_auth.bitbucket import CloudProvider

    class Odd(CloudProvider):
        def is_success(self, response: requests.Response) -> bool:
            return response.status_code == 418

        def error_from(self, response: requests.Response, grant: object = None) -> BitbucketAuthError:
            return OAuthError("odd", response.text)

    with Loopback([reply(418, "[1]"), reply(200, "two")]) as server:
        session = session_at(server.url, kind=Odd)
        assert session.json("things") == [1]
        with pytest.raises(OAuthError, match="'odd': 'two'"):
            session.json("things")


# -- later -------------------------------------------------------------------------------------------------------------


def test_a_429_says_when(sleeps: list[float]) -> None:
    found = failure(reply(429, headers={"Retry-After": "1800"}))
    assert isinstance(found, RateLimited)
    assert (found.retry_after, found.status, sleeps) == (1800, 429, [])


def test_a_429_that_does_not_say_when_is_not_repeated(sleeps: list[float]) -> None:
    with Loopback(reply(429)) as server:
        with pytest.raises(RateLimited) as caught:
            ask(server)
        assert (caught.value.retry_after, len(server.requests), sleeps) == (None, 1, [])


def test_a_429_is_repeated_when_it_says_if_that_is_soon(sleeps: list[float]) -> None:
    with Loopback([reply(429, headers={"Retry-After": "3"}), reply(body="[1]")]) as server:
        assert ask(server) == [1]
        assert sleeps == [3]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "get"])
def test_a_safe_request_is_repeated_as_often_as_the_settings_say(method: str, sleeps: list[float]) -> None:
    answer = b"HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n"

    def script(exchange: Exchange) -> None:
        exchange.write(answer)

    with Loopback(script) as server:
        with pytest.raises(BitbucketUnavailable) as caught:
            ask(server, method, retries=3)
        assert (caught.value.status, len(server.requests)) == (503, 4)
        assert sleeps == [0.2, 0.4, 0.8]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post"])
@pytest.mark.parametrize("answer", [reply(503), reply(502), reply(429, headers={"Retry-After": "0"}), None])
def test_a_request_that_changes_something_is_sent_once(method: str, answer: bytes | None, sleeps: list[float]) -> None:
    with Loopback(lambda _: answer) as server:
        with pytest.raises(BitbucketUnavailable):
            ask(server, method, retries=3)
        assert (len(server.requests), sleeps) == (1, [])


def test_a_request_with_a_body_is_sent_once(sleeps: list[float]) -> None:
    """It may have been read to its end by the first try."""
    with Loopback(reply(503)) as server:
        with pytest.raises(BitbucketUnavailable):
            session_at(server.url, retries=3).json("things", data=iter([b""]), headers={"Content-Length": "0"})
        assert (len(server.requests), sleeps) == (1, [])


def test_a_repeat_goes_out_with_the_token(sleeps: list[float]) -> None:
    with Loopback([reply(401), reply(503), reply(body="[1]")]) as server:
        tokens = Tokens()
        assert session_at(server.url, tokens, retries=1).json("things") == [1]
        assert [token for _, token in sent(server)] == ["1", "2", "2"]
        assert tokens.stale == ["canary-1"]


def test_requests_own_methods_are_not_repeated(sleeps: list[float]) -> None:
    with Loopback(reply(503)) as server:
        assert session_at(server.url, retries=3).get("things").status_code == 503
        assert (len(server.requests), sleeps) == (1, [])


# -- faults ------------------------------------------------------------------------------------------------------------


def cut(exchange: Exchange) -> None:
    exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}")


def test_a_cut_connection_is_repeated_and_then_unavailable(sleeps: list[float]) -> None:
    for script in (cut, lambda _: None):
        with Loopback(script) as server:
            with pytest.raises(BitbucketUnavailable, match=f"^no answer from {server.url} ") as caught:
                ask(server)
            assert (type(caught.value), len(server.requests)) == (BitbucketUnavailable, 3)
            assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


def test_a_refused_connection_is_unavailable() -> None:
    with Loopback(reply()) as server:
        pass
    with pytest.raises(BitbucketUnavailable, match="NewConnectionError"):
        ask(server, retries=0)


def test_silence_is_a_timeout_and_not_repeated() -> None:
    def silent(exchange: Exchange) -> bytes:
        exchange.pause(10)
        return reply()

    with Loopback(silent) as server:
        with pytest.raises(BitbucketTimeout, match=r"within 0\.2 s"):
            ask(server, timeout=(2, 0.2))
        assert len(server.requests) == 1


@pytest.mark.parametrize("before", [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_an_answer_that_drips_does_not_outlast_the_deadline(before: bytes) -> None:
    def script(exchange: Exchange) -> None:
        exchange.write(before)
        exchange.drip(b" ")

    with Loopback(script) as server, pytest.raises(BitbucketTimeout):
        ask(server, deadline=0.5)


def test_each_answer_has_a_deadline_of_its_own() -> None:
    with Loopback(reply()) as server:
        session = session_at(server.url, deadline=1)
        assert session.json("things") == {}
        time.sleep(1.1)
        assert session.json("things") == {}


def test_requests_own_methods_raise_requests_own_faults() -> None:
    with Loopback(lambda _: None) as server, pytest.raises(requests.ConnectionError):
        session_at(server.url).get("things")
    with Loopback(cut) as server, pytest.raises(requests.exceptions.ChunkedEncodingError):
        session_at(server.url).get("things")


def test_the_providers_other_conversations_have_no_part_in_it() -> None:
    """Its deadline is a login's: a session lives longer."""
    with Loopback(reply()) as server:
        session = session_at(server.url, deadline=1)
        session.provider.send(requests.Request("GET", server.url))
        time.sleep(1.1)
        assert session.json("things") == {}
