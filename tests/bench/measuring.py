"""What benches have in common: the rows of their table, counts that have to be right, and time."""

from __future__ import annotations

import resource
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from django.db import connection
from django.test.utils import CaptureQueriesContext

from .bitbucket import Bitbucket

#: Not counted as SQL: what begins and ends transactions.
_NOISE = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    measured: str
    target: str = ""


@dataclass(frozen=True)
class Setting:
    """What a bench is told: the Bitbucket to ask, how many rows to use, and whether to be quick."""

    bitbucket: Bitbucket
    rows: int
    small: bool


def must(what: str, found: object, wanted: object) -> None:
    """Fail the bench unless it found what it has to find.

    Raises:
        AssertionError: it didn't.
    """
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} instead of {wanted!r}")


def race(
    ours: Callable[[], float], floor: Callable[[], float], *, rounds: int, calls: int = 1
) -> tuple[float, float, float]:
    """How many times ``floor``'s cost ours is, and the seconds of each: medians over so many rounds of both in turn.

    Both return the seconds that one call took. What else the machine does hits both of a round alike.
    """
    costs: list[tuple[float, float]] = []
    for turn in range(-2, rounds):  # the first two only warm up
        cost = {}
        for racer in (ours, floor) if turn % 2 else (floor, ours):
            cost[racer] = sum(racer() for _ in range(calls)) / calls
        if turn >= 0:
            costs.append((cost[ours], cost[floor]))
    return median(a / b for a, b in costs), median(a for a, _ in costs), median(b for _, b in costs)


def statements(act: Callable[[], object]) -> int:
    """How many SQL statements ``act`` takes."""
    with CaptureQueriesContext(connection) as queries:
        act()
    return sum(not query["sql"].startswith(_NOISE) for query in queries.captured_queries)


def peak_memory() -> float:
    """The most memory that this process has had so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, `ru_maxrss` of a process is at least that of the one that started it.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Pace:
    """When each of many like steps was done, and the memory after each hundredth of them; in memory that is fixed."""

    def __init__(self, most: int) -> None:
        self._times = array("d", bytes(8 * (most + 1)))
        self._peaks: list[tuple[int, float]] = []
        self._every = max(1, most // 100)
        self.done = 0
        self._times[0] = time.perf_counter()

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        self._times[self.done] = time.perf_counter()
        if self.done % self._every == 0:
            self._peaks.append((self.done, peak_memory()))

    def result(self) -> Steps:
        """What came of it."""
        early = next((peak for done, peak in self._peaks if done >= self.done / 10), 0.0)
        # Without the first, which is also the time that it took to begin.
        times, tenth = self._times[1 : self.done + 1], max(1, self.done // 10)
        return Steps(
            done=self.done,
            seconds=times[-1] - self._times[0] if times else 0.0,
            first=_each(times[: tenth + 1]),
            last=_each(times[-tenth - 1 :]),
            middle=_each(times),
            early_peak=early,
            peak=peak_memory(),
        )


@dataclass(frozen=True)
class Steps:
    """How many, in how many seconds; seconds for one in the first tenth of them, the last, and over all; peaks in MB
    at a tenth and at the end.
    """

    done: int
    seconds: float
    first: float
    last: float
    middle: float
    early_peak: float
    peak: float


def _each(times: Sequence[float]) -> float:
    """Seconds for a step: in blocks, since some work is done for many steps at once; their median."""
    block = max(1, min(50, (len(times) - 1) // 2))
    marks = times[::block]
    blocks = [(after - before) / block for before, after in pairwise(marks)]
    return median(blocks) if blocks else 0.0
