"""Requests that don't depend on each other, at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Helpers:
    """The helper threads of one conversation, at most ``most`` at a time. Calls may themselves ask for helpers."""

    def __init__(self, most: int = 4) -> None:
        self._free = threading.BoundedSemaphore(most)

    def run(self, *calls: Callable[[], T]) -> list[T]:
        """The calls' results in order. The first runs here, each further one in a helper; in turn where there is none.

        All calls are over when this returns or raises; what is raised is the error of the first call that failed.
        """
        if not calls:
            return []
        first, *others = [_Call(call) for call in calls]
        waiting = [(other, self._start(other)) for other in others]
        first.run()
        for other, thread in waiting:
            if thread is None:
                other.run()
            else:
                thread.join()
        return [call.result() for call in (first, *others)]

    def _start(self, call: _Call[T]) -> threading.Thread | None:
        if not self._free.acquire(blocking=False):
            return None

        def run() -> None:
            try:
                call.run()
            finally:
                self._free.release()

        thread = threading.Thread(target=run, name="bitbucket-auth", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no threads on this platform, or no more of them
            self._free.release()
            return None
        return thread


class _Call(Generic[T]):
    """A call whose outcome, good or bad, is asked for later and in another thread."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._results: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._results.append(self._call())
        except BaseException as error:
            self._error = error

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._results[0]
