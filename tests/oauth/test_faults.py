"""What the network does wrong: each fault is one of our errors, says where, and shows no secret."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.exceptions import BitbucketTimeout, BitbucketUnavailable, OAuthError
from django_bitbucket_auth.oauth.connections import Adapter
from django_bitbucket_auth.oauth.reading import MAX_BODY, Deadline
from django_bitbucket_auth.oauth.transport import Network, send

#: Patient: where a fault is to be told from a timeout, a busy machine must not make it one.
ONCE = Network("default", timeout=(5, 20), retries=0)
HASTY = Network("default", timeout=(5, 0.3), retries=0)


def get(url: str, network: Network = ONCE, *, deadline: float = 30, limit: int = MAX_BODY) -> requests.Response:
    return send(requests.Request("GET", url + "/path?secret=canary"), network, Deadline(deadline), limit=limit)


@contextmanager
def within_seconds(limit: float) -> Iterator[None]:
    before = time.monotonic()
    yield
    assert time.monotonic() - before < limit


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# -- no connection, or half an answer ----------------------------------------------------------------------------------


def test_a_refused_connection_is_unavailable_and_named() -> None:
    port = refused_port()
    with pytest.raises(BitbucketUnavailable) as caught:
        get(f"http://127.0.0.1:{port}")
    assert type(caught.value) is BitbucketUnavailable
    assert str(caught.value) == f"no answer from http://127.0.0.1:{port} (ConnectionError: NewConnectionError)"
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


def test_a_name_that_does_not_exist_is_unavailable_and_named() -> None:
    with pytest.raises(BitbucketUnavailable, match=r"http://bitbucket\.invalid:80 \(ConnectionError: NameResolution"):
        get("http://bitbucket.invalid")


def test_a_connection_that_is_never_made_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(self: socket.socket, address: object) -> None:
        raise TimeoutError("timed out")

    with Loopback(reply()) as server:
        monkeypatch.setattr(socket.socket, "connect", connect)
        with pytest.raises(BitbucketUnavailable) as caught:
            get(server.url)
        monkeypatch.undo()
        assert type(caught.value) is BitbucketUnavailable
        assert str(caught.value) == f"no connection to {server.url} within 5 s"


def test_the_deadline_cuts_the_wait_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []

    def connect(self: socket.socket, address: object) -> None:
        waits.append(self.gettimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(BitbucketUnavailable):
        get("http://127.0.0.1:1", Network("default", timeout=(30, 30), retries=0), deadline=2)
    assert waits[0] is not None
    assert 1 < waits[0] <= 2


def cut(written: bytes) -> Callable[[Exchange], None]:
    """Sends this and hangs up."""
    return lambda exchange: exchange.write(written)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"H",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        b"HTTP/1.1 nonsense\r\n\r\n",
        b"HTTP/1.1 99999 x\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip, gzip, gzip, gzip, gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=range(19),
)
def test_an_answer_that_breaks_off_or_is_garbled_is_unavailable(written: bytes) -> None:
    with Loopback(cut(written)) as server, pytest.raises(BitbucketUnavailable) as caught:
        get(server.url)
    assert type(caught.value) is BitbucketUnavailable
    assert str(caught.value).startswith(f"no answer from {server.url} (")
    assert "canary" not in f"{caught.value!r}"


def test_a_connection_that_broke_amid_an_answer_is_not_used_again() -> None:
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", reply(body="[1]")]

    def script(exchange: Exchange) -> bytes | None:
        exchange.write(answers[exchange.request.connection - 1])
        return None

    with Loopback(script) as server:
        with pytest.raises(BitbucketUnavailable):
            get(server.url)
        assert get(server.url).json() == [1]
        assert server.connections == 2


# -- silence, drips and the deadline -----------------------------------------------------------------------------------


def silent(exchange: Exchange) -> bytes:
    exchange.pause(10)
    return reply()


def test_silence_is_a_timeout_that_says_how_long_it_waited() -> None:
    with Loopback(silent) as server, within_seconds(9):
        with pytest.raises(BitbucketTimeout) as caught:
            get(server.url, HASTY)
        assert str(caught.value) == f"no answer from {server.url} within 0.3 s"
        assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


def test_silence_amid_a_body_is_a_timeout() -> None:
    def script(exchange: Exchange) -> bytes:
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}")
        return silent(exchange)

    with Loopback(script) as server, within_seconds(9), pytest.raises(BitbucketTimeout, match=r"within 0\.3 s"):
        get(server.url, HASTY)


def test_a_timeout_is_not_repeated() -> None:
    with Loopback(silent) as server:
        with pytest.raises(BitbucketTimeout):
            get(server.url, Network("default", timeout=(1, 0.2), retries=5))
        assert len(server.requests) == 1


def test_the_deadline_cuts_the_wait_for_an_answer() -> None:
    """The answer would come after ten seconds, and be waited for."""
    with Loopback(silent) as server, pytest.raises(BitbucketTimeout):
        get(server.url, Network("default", timeout=(30, 30)), deadline=0.3)


def drip(before: bytes, dripping: bytes) -> Callable[[Exchange], None]:
    def script(exchange: Exchange) -> None:
        exchange.write(before)
        exchange.drip(dripping)

    return script


EMPTY_BLOCK = zlib.compressobj(wbits=-15).flush(zlib.Z_SYNC_FLUSH)
GZIP_HEAD = gzip.compress(b"")[:10]


@pytest.mark.parametrize(
    "script",
    [
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["length", "open-end", "chunked"],
)
def test_a_body_that_drips_does_not_outlast_the_deadline(script: Callable[[Exchange], None]) -> None:
    """Each byte comes well within the time of a read."""
    with Loopback(script) as server, within_seconds(9):
        with pytest.raises(BitbucketTimeout):
            get(server.url, Network("default", timeout=(1, 5), retries=5), deadline=0.4)
        assert len(server.requests) <= 1


@pytest.mark.parametrize(
    "script",
    [
        drip(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + GZIP_HEAD, EMPTY_BLOCK),
    ],
    ids=["header", "continue", "chunk-extension", "empty-gzip"],
)
def test_what_drips_before_a_byte_of_the_body_is_there_does_not_outlast_the_deadline(
    script: Callable[[Exchange], None],
) -> None:
    with Loopback(script) as server, within_seconds(9), pytest.raises(BitbucketTimeout):
        get(server.url, Network("default", timeout=(1, 5), retries=5), deadline=0.4)


def test_a_proxy_that_drips_does_not_outlast_the_deadline() -> None:
    with Loopback(drip(b"HTTP/1.1 200 OK\r\nX: ", b"y")) as proxy, within_seconds(9):
        for scheme in ("http", "https"):
            network = Network("default", timeout=(1, 5), retries=0, proxies={scheme: proxy.url})
            with pytest.raises(BitbucketTimeout):
                get(f"{scheme}://bitbucket.invalid", network, deadline=0.4)
        assert [request.method for request in proxy.requests] == ["GET", "CONNECT"]


def test_the_adapter_alone_keeps_to_the_timeout_of_requests() -> None:
    with Loopback(reply(body="[1]")) as server, requests.Session() as session:
        session.mount("http://", Adapter())
        assert session.get(server.url, timeout=1).json() == [1]


def test_silence_after_a_drip_does_not_outlast_the_deadline() -> None:
    def script(exchange: Exchange) -> bytes:
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        exchange.pause(0.7)
        exchange.write(b"{")
        exchange.pause(5)
        return b"}"

    with Loopback(script) as server, within_seconds(5), pytest.raises(BitbucketTimeout):
        get(server.url, Network("default", timeout=(1, 5)), deadline=0.9)


def test_nothing_is_sent_after_the_deadline() -> None:
    with Loopback(reply()) as server:
        deadline = Deadline(0.05)
        time.sleep(0.06)
        with pytest.raises(BitbucketTimeout, match="took longer than DEADLINE"):
            send(requests.Request("GET", server.url), ONCE, deadline)
        assert server.connections == 0


def test_nothing_is_sent_if_the_deadline_is_over_when_the_name_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing bounds that, and a refresh token that is answered in vain is used up."""
    find = socket.getaddrinfo

    def slowly(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.3)
        return find(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with Loopback(reply()) as server, pytest.raises(BitbucketTimeout, match="DEADLINE"):
        send(requests.Request("POST", f"http://localhost:{server.port}/"), Network("default"), Deadline(0.2))
    assert server.requests == []


def test_one_deadline_is_for_all_of_a_conversation() -> None:
    def script(exchange: Exchange) -> bytes:
        exchange.pause(0.2)
        return reply()

    def converse(url: str) -> None:
        deadline = Deadline(1)
        while True:
            send(requests.Request("GET", url), Network("default", timeout=(5, 5)), deadline)

    with Loopback(script) as server, within_seconds(9):
        with pytest.raises(BitbucketTimeout):
            converse(server.url)
        assert len(server.requests) <= 5


def test_the_deadline_tells_what_is_left() -> None:
    assert 0.9 < Deadline(1).remaining() <= 1
    with pytest.raises(BitbucketTimeout):
        Deadline(0).remaining()


# -- the cap -----------------------------------------------------------------------------------------------------------


def test_a_body_at_the_cap_is_read_and_one_byte_more_is_refused() -> None:
    with Loopback([reply(body=b"x" * 1000), reply(body=b"x" * 1001)]) as server:
        assert len(get(server.url, limit=1000).content) == 1000
        with pytest.raises(OAuthError, match=r"body_too_large.*more than 1000 bytes.*HTTP 200"):
            get(server.url, limit=1000)


def test_the_cap_is_one_mebibyte() -> None:
    with Loopback([reply(body=b"x" * 1024**2), reply(body=b"x" * (1024**2 + 1))]) as server:
        assert len(get(server.url).content) == 1024**2
        with pytest.raises(OAuthError, match="body_too_large"):
            get(server.url)


@pytest.mark.parametrize("status", [200, 302, 401, 500])
def test_an_endless_body_is_cut_off_at_the_cap(status: int) -> None:
    sent: list[int] = []

    def script(exchange: Exchange) -> None:
        def send_on(size: int) -> None:
            exchange.write(b"x" * size)
            sent.append(size)

        exchange.write(f"HTTP/1.1 {status} x\r\nLocation: /\r\n\r\n".encode())
        list(map(send_on, [65536] * 5000))  # or until one side has hung up

    with Loopback(script) as server, within_seconds(10), pytest.raises(OAuthError, match="body_too_large"):
        get(server.url, limit=200_000)
    assert sum(sent) < 50 * 1024**2  # what fits into the buffers of two sockets


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip"])
def test_a_bomb_is_capped_by_what_it_unpacks_to(encoding: str) -> None:
    bomb = (gzip if "gzip" in encoding else zlib).compress(b"\0" * 50 * 1024**2)
    if "," in encoding:
        bomb = gzip.compress(bomb)
    assert len(bomb) < 60_000
    packed = {"Content-Encoding": encoding}
    tracemalloc.start()
    try:
        with Loopback(reply(body=bomb, headers=packed)) as server, pytest.raises(OAuthError, match="body_too_large"):
            get(server.url)
        assert tracemalloc.get_traced_memory()[1] < 10 * 1024**2
    finally:
        tracemalloc.stop()


def test_a_packed_answer_is_unpacked_though_it_was_not_asked_for() -> None:
    with Loopback(reply(body=gzip.compress(b"[1]"), headers={"Content-Encoding": "gzip"})) as server:
        assert get(server.url).json() == [1]


def test_a_connection_with_the_rest_of_a_capped_body_is_not_used_again() -> None:
    with Loopback([reply(body=b"x" * 3_000_000), reply(body="[1]")]) as server:
        with pytest.raises(OAuthError) as caught:
            get(server.url, limit=1000)
        assert caught.tb is not None  # which holds the answer
        assert server.is_left()
        assert get(server.url).json() == [1]
        assert server.connections == 2


@pytest.mark.parametrize(
    ("head", "body"),
    [(b"204 No Content\r\n", b""), (b"304 Not Modified\r\n", b""), (b"200 OK\r\nContent-Length: 0\r\n", b"")],
)
def test_an_answer_without_a_body_is_an_answer(head: bytes, body: bytes) -> None:
    with Loopback(b"HTTP/1.1 " + head + b"\r\n") as server:
        assert get(server.url).content == body
