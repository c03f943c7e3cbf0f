"""What is sent again, and what isn't."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate

import pytest
import requests
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.exceptions import BitbucketUnavailable, OAuthError
from django_bitbucket_auth.oauth.reading import Deadline, retry_after
from django_bitbucket_auth.oauth.transport import Network, send


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for. Time passes, but not for the one who waits."""
    asked: list[float] = []
    monkeypatch.setattr("django_bitbucket_auth.oauth.reading.time.sleep", asked.append)
    return asked


def ask(url: str, method: str = "GET", *, retries: int = 2, deadline: float = 20) -> requests.Response:
    network = Network("default", timeout=(5, 20), retries=retries)
    return send(requests.Request(method, url), network, Deadline(deadline))


def busy(status: int = 503, retry_after: str | None = None) -> bytes:
    return reply(status, "<html>busy</html>", {} if retry_after is None else {"Retry-After": retry_after})


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_request_is_repeated_after_a_gateways_error(status: int, method: str, sleeps: list[float]) -> None:
    answer = busy(status)
    if method == "HEAD":
        answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    with Loopback([answer, answer, reply(200, "")]) as server:
        assert ask(server.url, method).status_code == 200
        assert len(server.requests) == 3
    assert sleeps == [0.2, 0.4]


def test_a_method_may_be_written_as_requests_takes_it(sleeps: list[float]) -> None:
    with Loopback([busy(), reply()]) as server:
        assert ask(server.url, "get").status_code == 200
        assert [request.method for request in server.requests] == ["GET", "GET"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("answer", [busy(502), busy(503, "0"), busy(429, "0"), None])
def test_a_request_that_changes_something_is_sent_once(method: str, answer: bytes | None, sleeps: list[float]) -> None:
    """A code is spent by the first request that arrives."""
    with Loopback(lambda _: answer) as server:
        if answer is None:
            with pytest.raises(BitbucketUnavailable):
                ask(server.url, method)
        else:
            assert ask(server.url, method).status_code in (429, 502, 503)
        assert (len(server.requests), sleeps) == (1, [])


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 408, 410, 500, 501, 505])
def test_other_answers_stand(status: int, sleeps: list[float]) -> None:
    with Loopback(busy(status, "0")) as server:
        assert ask(server.url).status_code == status
        assert (len(server.requests), sleeps) == (1, [])


def test_the_last_answer_stands_when_the_repeats_are_used_up(sleeps: list[float]) -> None:
    with Loopback([busy(502), busy(503), busy(504), reply()]) as server:
        assert ask(server.url).status_code == 504
        assert len(server.requests) == 3
    assert len(sleeps) == 2


def test_no_retries_means_one_request(sleeps: list[float]) -> None:
    with Loopback(busy(503)) as server:
        assert ask(server.url, retries=0).status_code == 503
        assert (len(server.requests), sleeps) == (1, [])


def test_a_safe_request_is_repeated_after_a_cut_connection(sleeps: list[float]) -> None:
    def script(exchange: Exchange) -> bytes | None:
        return reply(body="[1]") if exchange.request.connection == 3 else None

    with Loopback(script) as server:
        assert ask(server.url).json() == [1]
        assert server.connections == 3
    assert sleeps == [0.2, 0.4]


def test_the_last_fault_is_raised_when_the_repeats_are_used_up(sleeps: list[float]) -> None:
    with Loopback(lambda _: None) as server:
        with pytest.raises(BitbucketUnavailable):
            ask(server.url)
        assert (len(server.requests), len(sleeps)) == (3, 2)


def test_a_capped_body_is_not_asked_for_again(sleeps: list[float]) -> None:
    with Loopback(reply(503, b"x" * 2_000_000)) as server:
        with pytest.raises(OAuthError):
            ask(server.url)
        assert (len(server.requests), sleeps) == (1, [])


# -- 429 and Retry-After -----------------------------------------------------------------------------------------------


def test_429_without_retry_after_stands(sleeps: list[float]) -> None:
    """Bitbucket doesn't document the header for OAuth; asking again at once would make it worse."""
    with Loopback([busy(429), reply()]) as server:
        assert ask(server.url).status_code == 429
        assert (len(server.requests), sleeps) == (1, [])


@pytest.mark.parametrize("garbage", ["", "soon", "-1", "1.5", "0x10", "1e3", "²", "Fri, 99 Nov 2026 99:99:99 GMT"])
def test_429_with_garbage_in_retry_after_stands(garbage: str, sleeps: list[float]) -> None:
    with Loopback([busy(429, garbage), reply()]) as server:
        assert ask(server.url).status_code == 429
        assert (len(server.requests), sleeps) == (1, [])


def test_429_is_repeated_when_it_says_when(sleeps: list[float]) -> None:
    with Loopback([busy(429, "2"), busy(429, "0"), reply()]) as server:
        assert ask(server.url).status_code == 200
    assert sleeps == [2, 0]


def test_429_is_repeated_at_the_date_it_says(sleeps: list[float]) -> None:
    with Loopback([busy(429, formatdate(time.time() + 5, usegmt=True)), reply()]) as server:
        assert ask(server.url).status_code == 200
    assert len(sleeps) == 1
    assert 3 < sleeps[0] <= 5


def test_503_waits_at_least_as_long_as_it_says(sleeps: list[float]) -> None:
    with Loopback([busy(503, "3"), busy(503, "0"), reply()]) as server:
        assert ask(server.url).status_code == 200
    assert sleeps == [3, 0.4]


@pytest.mark.parametrize(("status", "wait"), [(429, "6"), (503, "6"), (429, "3600"), (503, "999999999999")])
def test_what_is_to_be_repeated_after_the_deadline_stands_now(status: int, wait: str, sleeps: list[float]) -> None:
    with Loopback(busy(status, wait)) as server:
        assert ask(server.url, deadline=5).status_code == status
        assert (len(server.requests), sleeps) == (1, [])


def test_a_fault_is_not_repeated_after_the_deadline(sleeps: list[float]) -> None:
    with Loopback(lambda _: None) as server:
        with pytest.raises(BitbucketUnavailable):
            ask(server.url, deadline=0.15)
        assert (len(server.requests), sleeps) == (1, [])


def test_the_pause_is_really_waited_for() -> None:
    with Loopback([busy(503), reply()]) as server:
        before = time.monotonic()
        assert ask(server.url).status_code == 200
        assert time.monotonic() - before >= 0.2


@contextmanager
def zone(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


def asked(value: str) -> float | None:
    response = requests.Response()
    response.headers["Retry-After"] = value
    return retry_after(response)


def test_retry_after_is_seconds_or_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UTC", "Asia/Tokyo", "America/New_York"):
        with zone(name, monkeypatch):
            now = time.time()
            monkeypatch.setattr("django_bitbucket_auth.oauth.reading.time.time", lambda now=now: now)
            assert asked("120") == 120
            assert asked(" 7 ") == 7
            assert asked(formatdate(now + 120, usegmt=True)) == pytest.approx(120, abs=1)
            assert asked(formatdate(now + 120)) == pytest.approx(120, abs=1)  # "-0000": no zone
            monkeypatch.undo()


def test_retry_after_in_the_past_is_now() -> None:
    assert asked("Fri, 21 Nov 2025 07:28:00 GMT") == 0
    assert asked("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert asked("Mon, 01 Jan 0001 00:00:00 -0000") == 0
    assert asked("0") == 0


@pytest.mark.parametrize("value", ["3601", "86400", "9" * 20, "9" * 60_000, "Fri, 21 Nov 2126 07:28:00 GMT"])
def test_retry_after_is_at_most_an_hour(value: str) -> None:
    assert asked(value) == 3600


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "soon", "-1", "+1", "1.5", "1e3", "0x10", "1 2", "²", "\u0661", "nan", "inf", "None", "Fri",
        "Fri, 99 Nov 2026 07:28:00 GMT", "Fri, 21 Nov 2026 99:99:99 GMT", "Fri, 21 Nov 99999999999 07:28:00 GMT",
        f"Fri, {'9' * 5000} Nov 2026 07:28:00 GMT", "Fri, 21 Nov 2026 07:28:00 +99999999999999999999", "\x00",
        "x" * 60_000,
    ],
    ids=range(22),
)  # fmt: skip
def test_garbage_in_retry_after_says_nothing(value: str) -> None:
    assert asked(value) is None


def test_no_retry_after_says_nothing() -> None:
    assert retry_after(requests.Response()) is None
