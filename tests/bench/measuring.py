"""What benches have in common: the rows of their table, counts that have to be right, and time."""

from __future__ import annotations

import math
import resource
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

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


@dataclass(frozen=True)
class Cost:
    """Seconds for one step: by the clock, and of this process's CPU, which others on the machine disturb less."""

    wall: float
    cpu: float

    def over(self, other: Cost) -> str:
        """How many times the other's cost this is."""
        return f"{self.wall / other.wall:.2f}, {self.cpu / other.cpu:.2f}"


@dataclass(frozen=True)
class Steps:
    """How many, in how many seconds; one's cost in the first tenth of them, in the last, and over all; peaks in MB at a
    tenth and at the end.
    """

    done: int
    seconds: float
    first: Cost
    last: Cost
    middle: Cost
    early_peak: float
    peak: float


class Pace:
    """When each of many like steps was done, and the memory after each hundredth of them; in memory that is fixed."""

    def __init__(self, most: int) -> None:
        self._wall, self._cpu = array("d", bytes(8 * most)), array("d", bytes(8 * most))
        self._peaks: list[tuple[int, float]] = []
        self._every = max(1, most // 100)
        self._start = time.perf_counter()
        self.done = 0

    def step(self) -> None:
        """One more is done."""
        self._wall[self.done], self._cpu[self.done] = time.perf_counter(), time.process_time()
        self.done += 1
        if self.done % self._every == 0:
            self._peaks.append((self.done, peak_memory()))

    def result(self) -> Steps:
        """What came of it."""
        tenth = self.done // 10 + 1
        return Steps(
            done=self.done,
            seconds=time.perf_counter() - self._start,
            first=self._cost(slice(0, tenth)),
            last=self._cost(slice(self.done - tenth, self.done)),
            middle=self._cost(slice(0, self.done)),
            early_peak=next((peak for done, peak in self._peaks if done >= self.done / 10), 0.0),
            peak=peak_memory(),
        )

    def _cost(self, steps: slice) -> Cost:
        return Cost(_each(self._wall[steps]), _each(self._cpu[steps]))


def _each(times: Sequence[float]) -> float:
    """Seconds for a step: the median of blocks, since some work is done for ten at once."""
    if len(times) < 2:  # another process was faster
        return math.nan
    block = max(1, min(50, (len(times) - 1) // 2))
    return median((after - before) / block for before, after in pairwise(times[::block]))


def mean(costs: Sequence[Cost]) -> Cost:
    """Of several processes."""
    return Cost(fmean(cost.wall for cost in costs), fmean(cost.cpu for cost in costs))
