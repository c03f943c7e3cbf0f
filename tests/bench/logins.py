"""A sign-in, next to the floor: CPU and statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from . import stock
from .browser import Browser
from .measuring import Row, Setting, race, statements

OURS, FLOOR = "/bitbucket/", "/floor/"


def run(setting: Setting) -> Iterator[Row]:
    """Started, for the first time, and again when nothing but the token has changed."""
    yield from _statements()
    for root in (OURS, FLOOR):
        _sign_in(root)
    rounds = 30 if setting.small else 300
    for what, step, target in (
        ("starting a login", _started, "≤ 1.6"),
        ("a returning callback", _returned, "≤ 1.25"),
    ):
        ratio, ours, floor = race(partial(step, OURS), partial(step, FLOOR), rounds=rounds)
        yield Row(f"CPU of {what}, over the floor", f"{ratio:.2f} ({ours * 1e6:.0f} : {floor * 1e6:.0f} µs)", target)


def _statements() -> Iterator[Row]:
    stock.clear()
    for what, target, step in (
        ("to start a login", "0", _steps_to_start),
        ("of a first login", "≤ 9", _steps_to_come_back),
        ("of a returning login", "≤ 6", _steps_to_come_back),
    ):
        ours, floor = (statements(step(root)) for root in (OURS, FLOOR))
        yield Row(f"SQL {what}", f"{ours} (floor: {floor})", target)


def _steps_to_start(root: str) -> Callable[[], object]:
    return Browser(root).start


def _steps_to_come_back(root: str) -> Callable[[], object]:
    browser = Browser(root)
    return partial(browser.come_back, browser.consent(browser.start()))


def _sign_in(root: str) -> None:
    _steps_to_come_back(root)()


def _started(root: str) -> float:
    browser = Browser(root)
    browser.start()
    return browser.cost


def _returned(root: str) -> float:
    browser = Browser(root)
    browser.come_back(browser.consent(browser.start()))
    return browser.cost
