"""A server on this machine that does with its sockets what a test says. Unlike the simulator it knows no Bitbucket."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Self


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire; ``connection`` counts from 1."""

    connection: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)


def reply(status: int = 200, body: bytes | str = b"{}", headers: dict[str, str] | None = None) -> bytes:
    """A whole answer, with its length unless ``headers`` says otherwise."""
    data = body.encode() if isinstance(body, str) else body
    given = {"Content-Length": str(len(data)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} Answer\r\n{head}\r\n".encode("latin-1") + data


#: What a script does for one request: it returns bytes to send (``None``: hang up), or writes by itself.
Script = Callable[["Exchange"], bytes | None]


@dataclass
class Exchange:
    """One request and the means to answer it."""

    request: Received
    server: Loopback
    write: Callable[[bytes], None]

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        self.server.stopping.wait(seconds)

    def drip(self, data: bytes, seconds: float = 0.05) -> None:
        """Write this again and again, for ten seconds or until one side has hung up."""

        def drop(_: int) -> None:
            self.write(data)
            self.pause(seconds)

        list(map(drop, range(round(10 / seconds))))


class Loopback:
    """``with Loopback(script) as server``: ``server.url``, ``server.requests``, ``server.connections``."""

    def __init__(self, script: Script | bytes | list[bytes], *, tls: ssl.SSLContext | None = None) -> None:
        self._answers = script if isinstance(script, list) else []
        self._script = script
        self._tls = tls
        self.requests: list[Received] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Condition()

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        self._start(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stopping.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._threads[0].join()
        self._listening.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    @property
    def open(self) -> int:
        """Connections that neither side has closed."""
        with self._lock:
            return len(self._open)

    def is_left(self) -> bool:
        """Whether all connections are closed, now or in a moment."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._open, 5)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._converse, connection, self.connections)

    def _converse(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), connection:  # a client that hangs up is no error of ours
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.add(connection)
            try:
                with connection, connection.makefile("rb") as lines:
                    while (request := _read(lines, number)) is not None:
                        with self._lock:
                            self.requests.append(request)
                        answer = self._answer(Exchange(request, self, connection.sendall))
                        if answer is None:
                            return
                        connection.sendall(answer)
            finally:
                with self._lock:
                    self._open.discard(connection)
                    self._lock.notify_all()

    def _answer(self, exchange: Exchange) -> bytes | None:
        if isinstance(self._script, bytes):
            return self._script
        if isinstance(self._script, list):
            with self._lock:
                return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return self._script(exchange)


def _read(lines: BufferedReader, number: int) -> Received | None:
    first = lines.readline()
    if not first.strip():
        return None
    method, target, _ = first.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while line := lines.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = lines.read(int(headers.get("content-length", 0)))
    return Received(number, method, target, headers, body)
