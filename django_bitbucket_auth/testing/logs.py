"""What the simulator was asked, for tests that count requests."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class LoggedRequest:
    """One request. ``endpoint`` is the name the dials use; ``person`` is whose token or choice it
    was.

    ``headers`` (lower-case names) and ``form`` hold secrets; they are kept out of ``repr``, and
    with it out of the output of failing tests.
    """

    endpoint: str
    method: str
    path: str
    query: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    form: dict[str, str] = field(repr=False)
    person: str | None = None
    status: int | None = None
