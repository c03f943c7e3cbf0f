"""The simulator: a Bitbucket Cloud of one client, as a function from requests to answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from urllib.parse import urlsplit

from .api import Api
from .dials import Dials
from .faults import Fault, Faults, endpoint_named, failure
from .grants import authorization_server
from .logs import LoggedRequest
from .messages import Answer, SimulatorRequest, html_answer
from .people import Person, default_repositories, default_workspaces
from .rules import RegisteredClient, Rules, is_loopback
from .server import SimulatorServer
from .site import Site
from .world import World

_running: dict[str, BitbucketSimulator] = {}


class BitbucketSimulator(World):
    """A Bitbucket Cloud for tests and for development. It refuses as Bitbucket refuses.

    ``handle`` is all of it, without a socket; ``serving`` puts a server in front. People,
    workspaces, the client and the rules are what `World` says; here are the dials and the log.
    """

    def __init__(
        self,
        *,
        people: Iterable[Person] | None = None,
        client: RegisteredClient | None = None,
        rules: Rules | None = None,
    ) -> None:
        super().__init__(people=people, client=client, rules=rules)
        self._beginning = deepcopy((self.people, self.client, self.rules))
        self.faults = Faults()
        #: All requests but those to the simulator's own pages, in the order they came.
        self.requests: list[LoggedRequest] = []
        #: TCP connections accepted since the start or the last reset.
        self.connections = 0
        self._site = Site(self, authorization_server(self))
        self._api = Api(self)
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
        endpoint = endpoint_named(segments)
        with self.lock:
            if endpoint == "simulator":
                return self._dials.answer(request, segments)
            logged = self._log(endpoint, request)
            fault = self.faults.take(endpoint, "/" + "/".join(segments))
            answer = fault.answer() if fault else None
            if answer is None:
                answer = self._truth(endpoint, request, segments)
            logged.status = answer.status
            return fault.spoil(answer) if fault else answer

    def _truth(self, endpoint: str, request: SimulatorRequest, segments: list[str]) -> Answer:
        if endpoint == "authorize":
            return self._site.authorize(request)
        if endpoint == "token":
            return self._site.token(request)
        if segments[0] == "2.0":
            return self._api.answer(request, tuple(segments[1:]))
        return html_answer(404, "Not found", "<h1>There is nothing at this address.</h1>")

    def _log(self, endpoint: str, request: SimulatorRequest) -> LoggedRequest:
        form = dict(request.form)
        caller, _ = self._api.caller(request)
        logged = LoggedRequest(
            endpoint=endpoint,
            method=request.method,
            path=request.path,
            query=dict(request.parameters),
            headers=dict(request.headers),
            form=form,
            person=(caller.key or None) if caller else form.get("person"),
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
        answer = failure(status, None if retry_after is None else str(retry_after))
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
        with SimulatorServer(self.handle, self._connected, host, port) as server:
            self.url = server.url
            _running[self.url] = self
            try:
                yield self
            finally:
                del _running[self.url]

    def _connected(self) -> None:
        with self.lock:
            self.connections += 1


def find_running(url: str) -> BitbucketSimulator | None:
    """The simulator of this process that serves ``url``, if one does."""
    parts = urlsplit(url)
    return _running.get(f"{parts.scheme}://{parts.netloc}")


def _from_here(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
