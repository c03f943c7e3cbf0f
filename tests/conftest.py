"""What holds for every test: nothing leaves this machine."""

import gc
import ipaddress
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest


def is_here(host: object) -> bool:
    """Whether a host, as sockets take it (name, address, ``None``), is this very machine."""
    if host is None or host in ("", b"", "localhost", b"localhost"):
        return True
    text = host.decode("ascii") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


# Whoever runs the tests in the background (a shell's `&`) has them ignore Ctrl-C, and so would the processes that they
# start, of which some are to end by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection and every lookup that would leave the machine.

    The refusal is pytest's own failure, a ``BaseException``: code under test that turns faults of
    the network into polite pages can't swallow it. Names under ``.invalid`` don't exist anywhere
    (RFC 6761) and fail as they would with a network.
    """
    connect, connect_ex, getaddrinfo = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def check(host: object) -> None:
        if not is_here(host):
            pytest.fail(f"a test tried to reach {host!r}")

    def checked_connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple):  # unix sockets have a path
            check(address[0])
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        if isinstance(address, tuple):
            check(address[0])
        return connect_ex(self, address)

    def checked_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(host, str) and host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        check(host)
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        patch.setattr(socket, "getaddrinfo", checked_getaddrinfo)
        yield


@pytest.fixture(scope="module", autouse=True)
def old_objects_are_frozen() -> None:
    """Leave out of every later garbage collection what has outlived a module's tests.

    That is all code, all collected tests and their reports: to walk through them takes a tenth of a second or two,
    and some tests collect by themselves. What is garbage by now is collected first, and may still complain.
    """
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests have recorded, so that they can be read where CI ran."""
    figures = [
        str(value)
        for report in terminalreporter.stats.get("passed", [])
        for name, value in getattr(report, "user_properties", [])
        if name == "figure"
    ]
    terminalreporter.ensure_newline()
    terminalreporter.write("".join(f"{text}\n" for text in sorted(figures)))
