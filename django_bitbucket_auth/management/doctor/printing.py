"""Reports as text, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap

from .. import registration
from .findings import Finding
from .report import Report

_WIDTH = 100
_MARGIN = " " * 9


def lines(report: Report) -> Iterator[str]:
    """What to enter, and what is configured."""
    if report.client is not None:
        yield from registration.lines(registration.form(report.client))
    if report.settings:
        yield ""
        yield "Configured:"
        yield ""
        width = max(map(len, report.settings))
        for name, value in report.settings.items():
            yield f"  {name:<{width}}  {value}"


def wrong(report: Report) -> Iterator[str]:
    """Settings to be corrected, as the checks say them."""
    for number, text in report.wrong:
        yield f"(bitbucket_auth.{number}) {text}"


def findings(found: Iterable[Finding]) -> Iterator[tuple[str, str]]:
    """Level, and the lines of a finding."""
    for finding in found:
        seen = wrap(f"{finding.seen} [{finding.code}]", _WIDTH, break_long_words=False, break_on_hyphens=False)
        todo = wrap(finding.next, _WIDTH - 3, break_long_words=False, break_on_hyphens=False)
        told = [f"{finding.level:<9}{seen[0]}", *(f"{_MARGIN}{line}" for line in seen[1:])]
        told += [f"{_MARGIN}{'   ' if place else '-> '}{line}" for place, line in enumerate(todo)]
        yield finding.level, "\n".join(told)
