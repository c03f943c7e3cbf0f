"""Calls that don't depend on each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from django_bitbucket_auth.oauth.concurrency import Helpers

PATIENCE = 10


def here() -> threading.Thread:
    return threading.current_thread()


def test_results_come_in_the_order_of_the_calls() -> None:
    def late() -> str:
        time.sleep(0.05)
        return "late"

    assert Helpers().run(late, lambda: "early", late, lambda: "last") == ["late", "early", "late", "last"]


def test_no_calls_have_no_results() -> None:
    results: list[int] = Helpers().run()
    assert results == []


def test_the_first_call_runs_here_and_each_other_in_a_thread_of_its_own() -> None:
    meeting = threading.Barrier(3)

    def meet() -> threading.Thread:
        meeting.wait(PATIENCE)
        return here()

    first, *others = Helpers().run(meet, meet, meet)
    assert first is here()
    assert len({first, *others}) == 3
    assert all(thread.daemon for thread in others)


def test_all_run_at_the_same_time() -> None:
    """Each waits for all others: in turn they would never be done."""
    meeting = threading.Barrier(5)
    assert sorted(Helpers().run(*[partial(meeting.wait, PATIENCE)] * 5)) == [0, 1, 2, 3, 4]


def test_at_most_four_helpers_run_at_a_time() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def count() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    Helpers().run(*[count] * 12)
    assert 1 < most <= 5  # four helpers and this thread


def test_helpers_are_shared_with_the_calls_that_ask_for_helpers() -> None:
    helpers = Helpers(most=2)
    started: set[threading.Thread] = set()

    def inner() -> None:
        time.sleep(0.02)
        started.add(here())

    def outer() -> None:
        helpers.run(inner, inner, inner)

    helpers.run(outer, outer, outer)
    assert len(started) > 1
    assert threading.active_count() < 20


def test_a_helper_is_free_again_when_its_call_is_over() -> None:
    helpers = Helpers(most=1)
    for _ in range(3):
        first, second = helpers.run(here, here)
        assert first is not second


def test_a_helper_is_free_again_when_its_call_has_failed() -> None:
    helpers = Helpers(most=1)

    def fail() -> threading.Thread:
        raise KeyError("x")

    for _ in range(3):
        with pytest.raises(KeyError):
            helpers.run(here, fail)
    first, second = helpers.run(here, here)
    assert first is not second


def no_threads(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_where_threads_do_not_run_the_calls_run_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []

    def note(number: int) -> threading.Thread:
        order.append(number)
        return here()

    monkeypatch.setattr(threading.Thread, "start", no_threads)
    assert Helpers().run(*[partial(note, number) for number in range(7)]) == [here()] * 7
    assert order == list(range(7))


def test_a_thread_that_did_not_start_takes_no_helper_away(monkeypatch: pytest.MonkeyPatch) -> None:
    helpers = Helpers(most=1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_threads)
        for _ in range(3):
            helpers.run(here, here)
    first, second = helpers.run(here, here)
    assert first is not second


def failing(error: BaseException, delay: float = 0) -> Callable[[], None]:
    def call() -> None:
        time.sleep(delay)
        raise error

    return call


@pytest.mark.parametrize("threads", [True, False])
def test_the_error_of_the_first_call_that_failed_is_raised_when_all_are_over(
    threads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not threads:
        monkeypatch.setattr(threading.Thread, "start", no_threads)
    done: list[int] = []

    def late() -> None:
        time.sleep(0.05)
        done.append(1)

    with pytest.raises(LookupError, match="second"):
        Helpers().run(late, failing(LookupError("second"), 0.02), failing(ValueError("third")), late)
    assert done == [1, 1]


def test_what_is_no_exception_is_raised_too() -> None:
    with pytest.raises(KeyboardInterrupt):
        Helpers().run(lambda: None, failing(KeyboardInterrupt()))
    with pytest.raises(SystemExit):
        Helpers().run(failing(SystemExit(1)), lambda: None)
