"""The HTTP server in front of the simulator. It listens on this machine only."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from .client import is_loopback
from .messages import Answer, SimulatorRequest

#: Bytes of a request's body that are read; nothing a login sends is near it.
MAX_BODY = 1024 * 1024

Core = Callable[[SimulatorRequest], Answer]


class SimulatorServer(socketserver.ThreadingTCPServer):
    """HTTP/1.1 with kept connections, a thread each, as a context manager that leaves nothing
    behind.

    ``core`` answers requests, ``connected`` is called for each accepted connection, ``now`` is the time that answers
    are dated with, in seconds since 1970. ``ValueError`` if ``host`` isn't an IPv4 address of this machine, ``OSError``
    if ``port`` is taken.
    """

    allow_reuse_address = True
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(
        self,
        core: Core,
        connected: Callable[[], None],
        host: str,
        port: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not is_loopback(host) or ":" in host:
            # It answers for anybody to anybody who asks: it must not be reachable from elsewhere.
            raise ValueError(f"The simulator listens on 127.0.0.1 only, not on {host!r}.")
        self.core = core
        self.connected = connected
        self.now = now
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1" if host == "localhost" else host, port), Handler)
        self.url = f"http://{self.server_address[0]!s}:{self.server_address[1]}"
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="bitbucket-simulator"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stopping.set()
        try:
            self.shutdown()
            self._thread.join()
        finally:  # also if Ctrl-C is pressed twice
            with self._open_lock:
                for connection in self._open:
                    _hang_up(connection)
            self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._open_lock:
            self._open.add(connection)
        self.connected()
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no error of ours; anything else is shown as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Turns bytes into a `SimulatorRequest` and an `Answer` into bytes."""

    protocol_version = "HTTP/1.1"
    server_version = "BitbucketSimulator"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet
    server: SimulatorServer

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Quiet: the simulator keeps its own log, without secrets on the screen."""

    def log_error(self, format: str, *args: object) -> None:
        """Quiet, too: what tests send wrong on purpose is no news."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The date of an answer, by the simulated clock."""
        return super().date_time_string(self.server.now())

    def __getattr__(self, name: str) -> Any:
        # The library looks for do_GET, do_POST, ...: the core decides about methods, not this.
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= MAX_BODY or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
            return
        path, _, query = self.path.partition("?")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        body = self.rfile.read(length)
        answer = self.server.core(SimulatorRequest(self.command, path, query, headers, body))
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        if self.server.stopping.wait(answer.delay) or answer.cut == "before":
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        body = b"" if self.command == "HEAD" else answer.body
        if answer.cut == "middle":
            self.close_connection = True
            body = body[: len(body) // 2]
        step = 1 if answer.drip else max(len(body), 1)
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            if answer.drip:
                self.wfile.flush()
                self.close_connection |= self.server.stopping.wait(answer.drip)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side may be quicker
        connection.shutdown(socket.SHUT_RDWR)
