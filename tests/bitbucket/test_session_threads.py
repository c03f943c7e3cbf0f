"""One session for many threads, none for another process."""

from __future__ import annotations

import copy
import logging
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from bitbucket.sessions import Tokens, session_at
from oauth.forks import in_a_child
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.exceptions import BitbucketUnavailable

THREADS = 16


@pytest.mark.parametrize("way", ["get", "json", "paginate"])
def test_sixteen_threads_use_one_session(way: str) -> None:
    """All at once: each gets its own answer, the token is renewed for all, and connections are shared."""
    meeting = threading.Barrier(THREADS)

    def script(exchange: Exchange) -> bytes:
        meeting.wait(20)
        if exchange.request.headers["authorization"] == "Bearer canary-1":
            return reply(401)
        return reply(body=f'{{"values": ["{exchange.request.target}"]}}')

    with Loopback(script) as server, ThreadPoolExecutor(THREADS) as threads:
        tokens = Tokens()
        session = session_at(server.url, tokens, timeout=(20, 30), deadline=60)
        ways: dict[str, Callable[[int], Any]] = {
            "get": lambda number: session.get(f"things/{number}").json()["values"],
            "json": lambda number: session.json(f"things/{number}")["values"],
            "paginate": lambda number: list(session.paginate(f"things/{number}")),
        }
        for _ in range(3):
            found = list(threads.map(ways[way], range(THREADS)))
            assert found == [[f"/2.0/things/{number}"] for number in range(THREADS)]
        assert (tokens.number, len(tokens.stale)) == (2, THREADS)
        assert len(server.requests) == THREADS * 4
        assert server.connections == THREADS


def test_sessions_of_one_provider_share_connections_and_nothing_else() -> None:
    with Loopback(reply(headers={"Set-Cookie": "a=b; Path=/"})) as server:
        one, two = session_at(server.url), session_at(server.url, Tokens())
        two._tokens.current = lambda: Tokens().renew(Tokens().current())  # type: ignore[method-assign]
        one.get("user")
        two.get("user")
        one.json("user")
        assert server.connections == 1
        assert [request.headers["authorization"] for request in server.requests] == [
            "Bearer canary-1",
            "Bearer canary-2",
            "Bearer canary-1",
        ]
        assert all("cookie" not in request.headers for request in server.requests)


def test_closing_a_session_closes_nobodys_connection() -> None:
    with Loopback(reply()) as server:
        for _ in range(3):
            with session_at(server.url) as session:
                session.get("user")
        assert server.connections == 1


def test_a_forked_child_opens_connections_of_its_own() -> None:
    """Two workers on one socket would read each other's answers."""
    with Loopback(reply()) as server:
        session = session_at(server.url)
        session.get("user")

        assert in_a_child(lambda: session.get("user").status_code == 200 and session.json("user") == {})
        session.get("user")
        assert [request.connection for request in server.requests] == [1, 2, 2, 1]


# -- what must not leave the process -----------------------------------------------------------------------------------


def test_a_session_can_not_be_pickled_or_copied() -> None:
    session = session_at("https://api.bitbucket.org")
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="can't be pickled"):
            leave(session)


def test_neither_can_what_holds_its_token() -> None:
    """An answer in a cache would take the token there."""
    with Loopback(reply()) as server:
        session = session_at(server.url)
        for found in (session.get("user"), session.prepare_request(requests.Request("GET", "user"))):
            with pytest.raises(TypeError, match="can't be pickled"):
                pickle.dumps(found)


def test_no_repr_shows_a_token() -> None:
    with Loopback(reply(404, "canary-free")) as server:
        session = session_at(server.url)
        prepared = session.prepare_request(requests.Request("GET", "user"))
        response = session.send(prepared)
        assert "canary" not in f"{session!r} {vars(session)} {prepared!r} {prepared.hooks} {response!r}"


def test_nothing_that_is_logged_shows_a_token(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        Loopback([reply(401), reply(302, headers={"Location": "/2.0/x"}), reply()]) as server,
    ):
        session_at(server.url).get("user")
        session_at(server.url).json("user")
    assert caplog.records, "urllib3 logs at DEBUG"
    assert "canary" not in caplog.text


def cut(exchange: Exchange) -> bytes | None:
    """Hangs up; at ``old``, only behind a redirect."""
    return reply(302, headers={"Location": "/2.0/new"}) if exchange.request.target == "/2.0/old" else None


@pytest.mark.parametrize("path", ["user", "old"])
@pytest.mark.parametrize("way", ["get", "json", "renewed"])
def test_no_report_of_a_fault_shows_a_token(path: str, way: str) -> None:
    """Django's shows what is in the frames that an exception went through, headers of requests included."""
    renewed = way == "renewed"
    with Loopback(lambda exchange: reply(401) if renewed else cut(exchange)) as server:
        session = session_at(server.url, Tokens(BitbucketUnavailable("later")))
        ask: Callable[[str], object] = session.json if way == "json" else session.get
        with pytest.raises((requests.ConnectionError, BitbucketUnavailable)) as caught:
            ask(path)
    frames, trace = [], caught.value.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_name}: {trace.tb_frame.f_locals!r}")
        trace = trace.tb_next
    assert len(frames) > 1
    assert not [frame for frame in frames if "canary" in frame]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
