"""What was found, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

#: From fine to broken. A ``note`` is nothing to do something about, or can't be found out from here.
Level = Literal["ok", "note", "warning", "error"]
LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "error")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``code`` stays the same between versions; ``seen`` and ``next`` are for people.

    None of them holds a secret: what it says may be passed on.
    """

    level: Level
    code: str
    seen: str
    next: str = ""

    def as_dict(self) -> dict[str, str]:
        """Its members, for JSON."""
        return {"level": self.level, "code": self.code, "seen": self.seen, "next": self.next}


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level of all; ``"ok"`` where there are none."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")
