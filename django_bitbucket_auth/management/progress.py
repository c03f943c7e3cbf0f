"""A progress bar for commands that take their time, on terminals only."""

from __future__ import annotations

import time

from django.core.management.base import OutputWrapper

_WIDTH = 30


class Progress:
    """``123/1000   12%  [###      ]  45 s left``, drawn at most ten times a second; nothing where nobody looks."""

    def __init__(self, total: int, stream: OutputWrapper) -> None:
        self.total, self.done = total, 0
        self._stream = stream
        self._shown = stream.isatty()
        self._start = time.monotonic()
        self._drawn = 0.0

    def step(self, number: int = 1) -> None:
        """So many more are done."""
        self.done += number
        now = time.monotonic()
        if self._shown and (now - self._drawn >= 0.1 or self.done >= self.total):
            self._drawn = now
            self._write(f"\r{self._line(now - self._start)}\x1b[K")

    def close(self) -> None:
        """End the line."""
        if self._shown and self._drawn:
            self._write("\n")

    def _write(self, text: str) -> None:
        self._stream.write(text, style_func=str, ending="")
        self._stream.flush()

    def _line(self, seconds: float) -> str:
        # More may be done than were counted: others add to it meanwhile.
        total = max(self.total, self.done)
        part = self.done / total
        left = seconds / part - seconds
        bar = "#" * round(part * _WIDTH)
        return f"{self.done}/{total}  {part:4.0%}  [{bar:<{_WIDTH}}]  {left:.0f} s left"
