"""The simulator: a Bitbucket of one client, Cloud or Data Center, as a function from requests to answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Protocol
from urllib.parse import urlsplit

from .client import RegisteredClient, is_loopback
from .dials import Dials
from .faults import Fault, Faults, failure
from .logs import LoggedRequest
from .messages import Answer, SimulatorRequest, html_answer, nothing_here
from .people import Person, default_repositories, default_workspaces
from .rules import Rules
from .server import SimulatorServer
from .world import World

_running: dict[str, BitbucketSimulator] = {}


class Product(Protocol):
    """Cloud, or a Data Center."""

    def endpoint_named(self, segments: list[str]) -> str: ...

    def answer(self, endpoint: str, request: SimulatorRequest, segments: list[str]) -> Answer: ...

    def whose(self, request: SimulatorRequest) -> str | None: ...


class BitbucketSimulator(World):
    """A Bitbucket for tests and for development: Cloud, or a Data Center. It refuses as Bitbucket refuses.

    ``kind`` is as in ``BITBUCKET_AUTH``: ``"cloud"``, ``"cloud-oauth1"`` (Cloud as it was), ``"data-center"`` or
    ``"data-center-oauth1"``. ``context_path`` is where all of a Data Center lies, like ``"/bitbucket"``.
    ``handle`` is all of it, without a socket; ``serving`` puts a server in front. People,
    workspaces, the client and the rules are what `World` says; here are the dials and the log.
    """

    def __init__(
        self,
        kind: str = "cloud",
        *,
        people: Iterable[Person] | None = None,
        client: RegisteredClient | None = None,
        rules: Rules | None = None,
        context_path: str = "",
    ) -> None:
        super().__init__(kind, people=people, client=client, rules=rules, context_path=context_path)
        self._beginning = deepcopy((self.people, self.client, self.rules))
        self.faults = Faults()
        #: All requests but those to the simulator's own pages, in the order they came.
        self.requests: list[LoggedRequest] = []
        #: TCP connections accepted since the start or the last reset.
        self.connections = 0
        self._product = _product(self)
        self._dials = Dials(self)

    # The core

    def handle(self, request: SimulatorRequest) -> Answer:
        """The answer to one request, with what shall go wrong on its way.

        Never raises, never waits.
        """
        if not _from_here(request.headers.get("host", "localhost")):
            # A page of a foreign name that resolves to this machine (DNS rebinding) gets nothing.
            return html_answer(421, "Wrong address", "<h1>This is a simulator on another address.</h1>")
        segments = request.segments
        with self.lock:
            if segments in ([""], ["favicon.ico"]):
                return self._dials.answer(request, segments)
            context = self.context_path.split("/")[1:]
            here, segments = segments[: len(context)] == context, segments[len(context) :] or [""]
            if here and segments[0] in ("", "_simulator"):
                return self._dials.answer(request, segments)
            endpoint = self._product.endpoint_named(segments) if here else "other"
            logged = self._log(endpoint, request)
            fault = self.faults.take(endpoint, "/" + "/".join(segments) if here else request.path)
            answer = fault.answer() if fault else None
            if answer is None:
                answer = self._product.answer(endpoint, request, segments) if here else nothing_here()
            logged.status = answer.status
            return fault.spoil(answer) if fault else answer

    def _log(self, endpoint: str, request: SimulatorRequest) -> LoggedRequest:
        form = dict(request.form)
        logged = LoggedRequest(
            endpoint=endpoint,
            method=request.method,
            path=request.path,
            query=dict(request.parameters),
            headers=dict(request.headers),
            form=form,
            person=self._product.whose(request) or form.get("person"),
        )
        self.requests.append(logged)
        return logged

    def requests_to(self, endpoint: str) -> list[LoggedRequest]:
        """The logged requests to one endpoint."""
        with self.lock:
            return [logged for logged in self.requests if logged.endpoint == endpoint]

    # The dials

    def fail(
        self,
        endpoint: str,
        status: int = 503,
        *,
        retry_after: str | int | None = None,
        times: float = math.inf,
    ) -> Fault:
        """Answer ``status`` as Bitbucket would: 429 in JSON, 5xx as a page of HTML."""
        seconds = None if retry_after is None else str(retry_after)
        answer = failure(status, seconds, data_center=self.is_data_center)
        return self.answer(endpoint, status, headers=answer.headers, body=answer.body, times=times)

    def answer(
        self,
        endpoint: str,
        status: int = 200,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        times: float = math.inf,
    ) -> Fault:
        """Answer exactly this."""
        data = body.encode() if isinstance(body, str) else body
        return self.set_fault(Fault(endpoint, times, status=status, headers=dict(headers or {}), body=data))

    def slow(self, endpoint: str, seconds: float, *, times: float = math.inf) -> Fault:
        """Wait before the first byte."""
        return self.set_fault(Fault(endpoint, times, delay=seconds))

    def drip(self, endpoint: str, seconds: float, *, times: float = math.inf) -> Fault:
        """Send the body byte by byte, with this pause between them."""
        return self.set_fault(Fault(endpoint, times, drip=seconds))

    def cut(self, endpoint: str, *, middle: bool = False, times: float = math.inf) -> Fault:
        """Carry the request out, then hang up: before the first byte or amid the body."""
        return self.set_fault(Fault(endpoint, times, cut="middle" if middle else "before"))

    def set_fault(self, fault: Fault) -> Fault:
        """Any combination; what the methods above do in one."""
        with self.lock:
            return self.faults.add(fault)

    def heal(self, endpoint: str | None = None) -> None:
        """Undo the faults of one endpoint, or all."""
        with self.lock:
            self.faults.clear(endpoint)

    def reset(self) -> None:
        """As at the start: people, rules, clock, nothing given out, no faults, an empty log."""
        with self.lock:
            # Copies: what a test does to a person or a rule must not outlive it.
            self.people, self.client, self.rules = deepcopy(self._beginning)
            self.workspaces, self.repositories = default_workspaces(), default_repositories()
            self.vault.clear()
            self.faults.clear()
            self.requests.clear()
            self.connections = 0
            self.clock_offset = 0.0

    # The server

    @contextmanager
    def serving(self, port: int = 0, host: str = "127.0.0.1") -> Iterator[BitbucketSimulator]:
        """Listen on this machine for the length of the block; ``url`` says where.

        Raises ``ValueError`` for a host that isn't this machine and ``OSError`` for a port that is
        taken.
        """
        with SimulatorServer(self.handle, self._connected, host, port, self.now) as server:
            self.url = f"{server.url}{self.context_path}"
            _running[server.url] = self
            try:
                yield self
            finally:
                del _running[server.url]

    def _connected(self) -> None:
        with self.lock:
            self.connections += 1


def _product(world: World) -> Product:
    # Imported here: whoever plays Cloud needn't load a Data Center, nor the other way round.
    if world.is_data_center:
        from .data_center import DataCenter

        return DataCenter(world)
    from .cloud import Cloud

    return Cloud(world)


def find_running(url: str) -> BitbucketSimulator | None:
    """The simulator of this process that serves ``url``, if one does."""
    parts = urlsplit(url)
    return _running.get(f"{parts.scheme}://{parts.netloc}")


def _from_here(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
