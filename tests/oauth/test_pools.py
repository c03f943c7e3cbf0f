"""Connections: shared, kept, and never with another process."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from oauth.forks import in_a_child
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.exceptions import BitbucketUnavailable
from django_bitbucket_auth.oauth import transport
from django_bitbucket_auth.oauth.reading import Deadline
from django_bitbucket_auth.oauth.transport import Bearer, Network, close_pools, send


def ask(url: str, name: str = "default", method: str = "GET", retries: int = 0) -> requests.Response:
    return send(requests.Request(method, url), Network(name, timeout=(5, 20), retries=retries), Deadline(30))


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 429, 500])
def test_a_connection_is_kept_for_the_next_request(status: int) -> None:
    body = "" if status == 204 else "x" * 100_000
    with Loopback(reply(status, body)) as server:
        for method in ("GET", "POST", "GET"):
            ask(server.url, method=method)
        assert (len(server.requests), server.connections) == (3, 1)


def test_a_connection_is_kept_after_a_body_in_chunks() -> None:
    with Loopback(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n") as server:
        assert [ask(server.url).json() for _ in range(3)] == [[1]] * 3
        assert server.connections == 1


def test_a_connection_is_kept_for_another_persons_request_and_no_credential_with_it() -> None:
    with Loopback(reply()) as server:
        for token in ("jane's", "joe's"):
            request = requests.Request("GET", server.url + "/", auth=Bearer(token, server.url))
            send(request, Network("default"), Deadline(30))
        ask(server.url)
        assert server.connections == 1
        sent = [request.headers.get("authorization") for request in server.requests]
        assert sent == ["Bearer jane's", "Bearer joe's", None]


def test_threads_share_the_connections() -> None:
    meeting = threading.Barrier(4)

    def script(_: Exchange) -> bytes:
        meeting.wait(5)
        return reply()

    with Loopback(script) as server, ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            assert len(list(threads.map(ask, [server.url] * 4))) == 4
        assert (len(server.requests), server.connections) == (12, 4)


def test_each_provider_has_connections_of_its_own() -> None:
    with Loopback(reply()) as server:
        ask(server.url, "one")
        ask(server.url, "two")
        ask(server.url, "one")
        assert [request.connection for request in server.requests] == [1, 2, 1]


def test_a_connection_that_the_server_closed_meanwhile_is_replaced_even_for_a_code() -> None:
    gone = threading.Event()

    def script(exchange: Exchange) -> bytes | None:
        exchange.write(reply())
        gone.set()
        return None

    with Loopback(script) as server:
        for number in (1, 2, 3):
            gone.clear()
            assert ask(server.url, method="POST").status_code == 200
            assert gone.wait(5)
            assert server.is_left()
            assert server.connections == number


def test_close_pools_closes_idle_connections() -> None:
    with Loopback(reply()) as server:
        ask(server.url)
        assert server.open == 1
        close_pools()
        assert server.is_left()
        ask(server.url)
        assert server.connections == 2


def test_a_forked_child_opens_connections_of_its_own() -> None:
    """Two workers on one socket would read each other's answers."""
    with Loopback(reply()) as server:
        ask(server.url)

        assert in_a_child(lambda: ask(server.url).status_code == 200)
        ask(server.url)
        assert [request.connection for request in server.requests] == [1, 2, 1]


def test_a_lock_that_was_held_at_the_fork_does_not_stop_the_child() -> None:
    with Loopback(reply()) as server, transport._pools_lock:
        assert in_a_child(lambda: ask(server.url).status_code == 200)


def test_a_connection_after_a_fault_is_a_new_one() -> None:
    def script(exchange: Exchange) -> bytes | None:
        return None if exchange.request.connection == 1 else reply()

    with Loopback(script) as server:
        with pytest.raises(BitbucketUnavailable):
            ask(server.url)
        assert ask(server.url).status_code == 200
        assert server.connections == 2
