"""The guard of conftest.py: no test leaves this machine."""

import socket
import threading
from pathlib import Path

import pytest

FOREIGN = "192.0.2.1"  # TEST-NET-1, RFC 5737: routed nowhere


@pytest.mark.parametrize("host", [FOREIGN, "2001:db8::1", "bitbucket.org", "localhost.example"])
def test_a_connection_to_another_machine_fails_the_test(host: str) -> None:
    with (
        socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as client,
        pytest.raises(pytest.fail.Exception, match="tried to reach"),
    ):
        client.connect((host, 443))


def test_no_handler_of_exceptions_swallows_the_refusal() -> None:
    assert not issubclass(pytest.fail.Exception, Exception)


def test_connect_ex_is_guarded_too() -> None:
    with (
        socket.socket() as client,
        pytest.raises(pytest.fail.Exception, match="tried to reach"),
    ):
        client.connect_ex((FOREIGN, 443))


def test_another_machines_name_is_not_looked_up() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"tried to reach 'api\.bitbucket\.org'"):
        socket.getaddrinfo("api.bitbucket.org", 443)


def test_an_invalid_name_fails_as_it_does_with_a_network() -> None:
    with pytest.raises(socket.gaierror):
        socket.create_connection(("bitbucket.invalid", 443))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_can_be_reached(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((host, port)) as client:
            assert client.getpeername() == ("127.0.0.1", port)
        with socket.socket() as client:
            assert client.connect_ex((host, port)) == 0


def test_unix_sockets_are_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            assert client.getpeername() == path
        with socket.socket(socket.AF_UNIX) as client:
            assert client.connect_ex(path) == 0


def test_a_bound_to_anywhere_lookup_is_allowed() -> None:
    assert socket.getaddrinfo(None, 0)
    assert socket.getaddrinfo(b"127.0.0.1", 0)


def test_threads_are_guarded() -> None:
    refusals: list[BaseException] = []

    def reach() -> None:
        try:
            socket.create_connection((FOREIGN, 443))
        except pytest.fail.Exception as refusal:
            refusals.append(refusal)

    thread = threading.Thread(target=reach)
    thread.start()
    thread.join()
    assert len(refusals) == 1
