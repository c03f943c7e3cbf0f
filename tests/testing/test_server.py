"""The HTTP server: kept connections, broken ones, and a clean end."""

import gc
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit

import pytest
from testing.conversation import Conversation

from django_bitbucket_auth.testing import BitbucketSimulator


@pytest.fixture
def served(simulator: BitbucketSimulator) -> Iterator[BitbucketSimulator]:
    before = threading.active_count()
    with simulator.serving():
        yield simulator
    assert threading.active_count() == before
    gc.collect()  # an unclosed socket would warn now, and a warning is an error


@pytest.fixture
def connection(served: BitbucketSimulator) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=5)
    yield connection
    connection.close()


def get(connection: http.client.HTTPConnection, path: str = "/2.0/user") -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def raw(served: BitbucketSimulator, data: bytes) -> bytes:
    """Everything the server says to these bytes, until it hangs up."""
    parts = urlsplit(served.url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=5) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def arrived(simulator: BitbucketSimulator, count: int) -> bool:
    """Whether so many requests arrive within five seconds."""
    pause = threading.Event()
    return any(len(simulator.requests) >= count or pause.wait(0.01) for _ in range(500))


def test_it_listens_on_this_machine_only(simulator: BitbucketSimulator) -> None:
    for host in ("0.0.0.0", "::1", "", "192.0.2.1", "example.com"):  # noqa: S104
        with pytest.raises(ValueError, match="only, not on"):
            simulator.serving(host=host).__enter__()


def test_localhost_is_its_ipv4_address(simulator: BitbucketSimulator) -> None:
    with simulator.serving(host="localhost"):
        assert simulator.url.startswith("http://127.0.0.1:")


def test_a_taken_port_is_an_error(served: BitbucketSimulator) -> None:
    port = urlsplit(served.url).port or 0
    with pytest.raises(OSError, match="in use"):
        BitbucketSimulator().serving(port).__enter__()


def test_a_connection_is_kept(served: BitbucketSimulator, connection: http.client.HTTPConnection) -> None:
    assert [get(connection)[0] for _ in range(3)] == [401, 401, 401]
    assert served.connections == 1
    assert len(served.requests) == 3


def test_each_connection_is_counted(served: BitbucketSimulator, connection: http.client.HTTPConnection) -> None:
    for _ in range(3):
        get(connection)
        connection.close()
    assert served.connections == 3
    served.reset()
    assert served.connections == 0


def test_requests_are_answered_at_the_same_time(served: BitbucketSimulator) -> None:
    served.slow("user", 30, times=1)
    netloc = urlsplit(served.url).netloc
    slow, quick = http.client.HTTPConnection(netloc), http.client.HTTPConnection(netloc)
    slow.request("GET", "/2.0/user")
    assert arrived(served, 1)
    assert get(quick)[0] == 401
    slow.close()
    quick.close()


def test_the_end_waits_for_no_delay(simulator: BitbucketSimulator) -> None:
    simulator.slow("user", 30)
    simulator.drip("emails", 30)
    started = time.monotonic()
    with simulator.serving():
        netloc = urlsplit(simulator.url).netloc
        waiting = [http.client.HTTPConnection(netloc, timeout=5) for _ in range(2)]
        for connection, path in zip(waiting, ("user", "user/emails"), strict=True):
            connection.request("GET", f"/2.0/{path}")
        assert arrived(simulator, 2)
    with pytest.raises(ConnectionError):
        waiting[0].getresponse()
    for connection in waiting:
        connection.close()
    assert time.monotonic() - started < 5


def test_a_delay_comes_before_the_answer(served: BitbucketSimulator, connection: http.client.HTTPConnection) -> None:
    served.slow("user", 0.2)
    started = time.monotonic()
    assert get(connection)[0] == 401
    assert time.monotonic() - started >= 0.2


def test_a_dripping_answer_arrives_whole(served: BitbucketSimulator, connection: http.client.HTTPConnection) -> None:
    served.answer("user", body="0123456789")
    fault = next(iter(served.faults))
    fault.drip = 0.02
    started = time.monotonic()
    assert get(connection) == (200, b"0123456789")
    assert time.monotonic() - started >= 0.15


def test_a_connection_is_cut_before_the_answer(
    served: BitbucketSimulator, connection: http.client.HTTPConnection
) -> None:
    served.cut("user", times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        get(connection)
    connection.close()
    assert get(connection)[0] == 401


def test_a_connection_is_cut_amid_the_answer(
    served: BitbucketSimulator, connection: http.client.HTTPConnection
) -> None:
    served.cut("user", middle=True)
    with pytest.raises(http.client.IncompleteRead):
        get(connection)


def test_head_has_no_body(served: BitbucketSimulator, connection: http.client.HTTPConnection) -> None:
    connection.request("HEAD", "/_simulator/")
    response = connection.getresponse()
    assert int(response.headers["Content-Length"]) > 1000
    assert response.read() == b""
    assert get(connection)[0] == 401
    assert served.connections == 1


def test_answers_are_dated_by_the_simulated_clock(
    served: BitbucketSimulator, connection: http.client.HTTPConnection
) -> None:
    served.move_clock(-86400)
    connection.request("GET", "/2.0/user")
    with connection.getresponse() as answer:
        date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert abs(date - (time.time() - 86400)) < 60


def test_a_body_is_read(served: BitbucketSimulator, connection: http.client.HTTPConnection) -> None:
    question = Conversation(served).question() | {"person": "jane"}
    connection.request(
        "POST",
        "/site/oauth2/authorize",
        urlencode(question),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    response = connection.getresponse()
    response.read()
    assert response.status == 302
    assert served.requests[0].form["person"] == "jane"


@pytest.mark.parametrize("header", ["Content-Length: x", "Content-Length: -1", "Content-Length: 9999999"])
def test_a_body_without_a_sane_length_is_refused(served: BitbucketSimulator, header: str) -> None:
    head = f"POST /site/oauth2/access_token HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"
    assert raw(served, head.encode()).startswith(b"HTTP/1.1 411 ")


def test_a_body_in_chunks_is_refused(served: BitbucketSimulator) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(served, head).startswith(b"HTTP/1.1 411 ")


def test_a_header_twice_is_joined(served: BitbucketSimulator) -> None:
    head = b"GET /2.0/user HTTP/1.1\r\nHost: localhost\r\nA: 1\r\nA: 2\r\nConnection: close\r\n\r\n"
    assert b"401" in raw(served, head)
    assert served.requests[0].headers["a"] == "1, 2"


def test_a_foreign_host_is_refused(served: BitbucketSimulator) -> None:
    head = b"GET /_simulator/ HTTP/1.1\r\nHost: attacker.com\r\nConnection: close\r\n\r\n"
    assert raw(served, head).startswith(b"HTTP/1.1 421 ")


def test_nonsense_is_answered_and_not_printed(served: BitbucketSimulator, capfd: pytest.CaptureFixture[str]) -> None:
    assert b"400" in raw(served, b"nonsense\r\n\r\n")
    assert capfd.readouterr().err == ""


def test_who_hangs_up_early_is_not_printed(served: BitbucketSimulator, capfd: pytest.CaptureFixture[str]) -> None:
    served.answer("user", body=b"x" * 10_000_000)
    parts = urlsplit(served.url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=5) as connection:
        connection.sendall(b"GET /2.0/user HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(10)
    time.sleep(0.1)
    assert capfd.readouterr().err == ""


def test_a_mistake_of_ours_is_printed(served: BitbucketSimulator, capfd: pytest.CaptureFixture[str]) -> None:
    served.answer("user", headers={"X-Odd": "\N{SNOWMAN}"})
    assert raw(served, b"GET /2.0/user HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
    assert "UnicodeEncodeError" in capfd.readouterr().err


def test_it_can_be_started_again(simulator: BitbucketSimulator) -> None:
    for _ in range(2):
        with simulator.serving():
            connection = http.client.HTTPConnection(urlsplit(simulator.url).netloc, timeout=5)
            assert get(connection)[0] == 401
            connection.close()
