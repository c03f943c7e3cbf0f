"""The dials that make Bitbucket fail."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .messages import Answer, Cut, api_error, data_center_error

#: What the dials and the log call the endpoints, besides "*" for all of them and a path for that
#: very one.
ENDPOINTS = (
    "authorize",
    "token",
    "request_token",
    "whoami",
    "user",
    "emails",
    "workspaces",
    "permission",
    "repositories",
    "removed",
    "other",
)

_HTML = (
    "<!DOCTYPE html><html><head><title>Bitbucket</title></head>"
    "<body><h1>{status}</h1><p>Something went wrong. We are working on it.</p></body></html>"
)
_CUT_WORDS = {"before": "without an answer", "middle": "in the middle of the answer"}


@dataclass
class Fault:
    """What goes wrong at ``endpoint`` (a name of `ENDPOINTS`, ``"*"``, or a decoded path), and how
    often.

    ``status``: answer this instead of the truth (with ``headers`` and ``body``), and do nothing.
    Without it the request is carried out, and its true answer is late (``delay``, seconds), slow
    (``drip``, seconds between bytes) or lost (``cut``): a client can't know whether a request that
    failed was carried out.
    """

    endpoint: str
    times: float = math.inf
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    drip: float = 0.0
    cut: Cut = ""

    def __str__(self) -> str:
        told = [f"answers {self.status}"] if self.status else []
        told += [f"answers after {self.delay:g} s"] if self.delay else []
        told += [f"sends a byte every {self.drip:g} s"] if self.drip else []
        told += [f"hangs up {_CUT_WORDS[self.cut]}"] if self.cut else []
        often = "" if math.isinf(self.times) else f", {self.times:g} times more"
        return f"{self.endpoint} {' and '.join(told) or 'works'}{often}"

    def answer(self) -> Answer | None:
        """The answer that replaces the truth, if one does."""
        if self.status is None:
            return None
        return Answer(self.status, dict(self.headers), self.body)

    def spoil(self, answer: Answer) -> Answer:
        """The same answer, with its trouble on the way."""
        return replace(answer, delay=self.delay, drip=self.drip, cut=self.cut)


class Faults:
    """The faults that are set; the oldest that fits is used first, and used up."""

    def __init__(self) -> None:
        self._set: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._set))

    def add(self, fault: Fault) -> Fault:
        """Set a fault; ``ValueError`` for an endpoint that doesn't exist."""
        if fault.endpoint not in (*ENDPOINTS, "*") and not fault.endpoint.startswith("/"):
            raise ValueError(f"No endpoint {fault.endpoint!r}, but: {', '.join(ENDPOINTS)}, * or a path")
        self._set.append(fault)
        return fault

    def clear(self, endpoint: str | None = None) -> None:
        """Forget all faults, or those of one endpoint."""
        self._set = [fault for fault in self._set if endpoint not in (None, fault.endpoint)]

    def take(self, endpoint: str, path: str) -> Fault | None:
        """The fault that meets this request; one with a count has one use less afterwards."""
        for fault in self._set:
            if fault.endpoint in (endpoint, path, "*") and fault.times > 0:
                fault.times -= 1
                self._set = [other for other in self._set if other.times > 0]
                return fault
        return None


def failure(status: int, retry_after: str | None, *, data_center: bool = False) -> Answer:
    """How Bitbucket fails: 429 in JSON, 5xx as a page of HTML (bitbucket.md 8)."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    error = data_center_error if data_center else api_error
    if status == 429:
        answer = error(429, "Rate limit for this resource has been exceeded")
    elif status < 500:
        answer = error(status, "Bad request")
    else:
        body = _HTML.format(status=status).encode()
        answer = Answer(status, {"Content-Type": "text/html; charset=utf-8"}, body)
    answer.headers |= headers
    return answer
