"""Connections that keep to a deadline, whatever arrives on them and however slowly.

The timeout of a socket is for one read. Who sends a byte of a header, or an interim answer, every few seconds could
hold a worker for hours: requests and urllib3 return only when the head of an answer is complete. So here each read of
the socket asks anew how long it may take.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_patience: ContextVar[Callable[[], float] | None] = ContextVar("bitbucket_auth_patience", default=None)


@contextmanager
def patience(seconds: Callable[[], float]) -> Iterator[None]:
    """Within, in this thread, each read takes at most ``seconds()``; what that raises, the read raises."""
    mark = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(mark)


class _Arriving(io.RawIOBase):
    """What arrives at a socket, read with patience."""

    def __init__(self, arriving: io.RawIOBase, connection: socket.socket) -> None:
        self._arriving, self._connection = arriving, connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if (seconds := _patience.get()) is not None:
            self._connection.settimeout(seconds())
        return self._arriving.readinto(buffer)

    def close(self) -> None:
        self._arriving.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Arriving(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        _still_wanted()


class _TLSConnection(HTTPSConnection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        _still_wanted()


def _still_wanted() -> None:
    """Raise what patience raises: nothing bounds how long a name is looked up.

    What is sent when time is over is answered in vain, and a refresh token that is used up by it is lost.
    """
    if (seconds := _patience.get()) is not None:
        seconds()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_OURS: dict[type, type] = {HTTPConnectionPool: _Pool, HTTPSConnectionPool: _TLSPool}


class Adapter(HTTPAdapter):
    """requests' adapter with such connections, to servers and to HTTP proxies."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _patient(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        return _patient(super().proxy_manager_for(proxy, **proxy_kwargs))


def _patient(manager: Any) -> Any:
    # Pools of another kind (SOCKS has its own) stay what they are: there the timeout of a read is all there is.
    manager.pool_classes_by_scheme = {
        scheme: _OURS.get(kind, kind) for scheme, kind in manager.pool_classes_by_scheme.items()
    }
    return manager
