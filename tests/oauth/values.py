"""Whatever a stranger's JSON can hold. Python's reader also takes ``Infinity``, ``NaN`` and lone surrogates."""

from __future__ import annotations

import math
from typing import Any


def nested(depth: int = 100_000) -> Any:
    """A list in a list in a list …: printing it, or comparing two of them, ends in a ``RecursionError``."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


NAMED: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "negative": -1,
    "float": 1.5,
    "huge": 10**400,
    "infinity": math.inf,
    "nan": math.nan,
    "empty": "",
    "blank": " \t ",
    "none": "None",
    "nul": "a\x00b",
    "surrogate": "a\ud800b",
    "line-break": "a\r\nX-Evil: 1",
    "long": "x" * 100_000,
    "list": [],
    "list-of-null": [None],
    "object": {},
    "object-of-list": {"a": [1, {"b": None}]},
    "deep": nested(),
}
NAMES = list(NAMED)
