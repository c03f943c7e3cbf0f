"""The documentation, in pieces that tests can run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.rst"), ROOT / "README.rst"])
_DIRECTIVE = ".. code-block:: python"


@dataclass(frozen=True, slots=True)
class Block:
    """Python that a page shows, under the title ``section``; ``str()`` says where."""

    path: Path
    section: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}"


def blocks(path: Path) -> Iterator[Block]:
    """The Python of a page, in its order."""
    section, before = "", ""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if before and len(line) == len(before) and set(line) in ({"="}, {"-"}, {"^"}):
            section = before
        if line.strip() == _DIRECTIVE:
            inside = takewhile(partial(_is_inside, _depth(line)), lines[number:])
            yield Block(path, section, number, textwrap.dedent("\n".join(inside)).strip() + "\n")
        before = line


def _is_inside(depth: int, line: str) -> bool:
    return not line or _depth(line) > depth


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
