"""The simulator's own pages under ``/_simulator/``: what tests do in Python, done by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any, get_args

from . import dial_pages, pages
from .faults import Fault, failure
from .messages import Answer, SimulatorRequest, redirect_answer
from .people import Role
from .rules import Rules

if TYPE_CHECKING:
    from .simulator import BitbucketSimulator

Form = dict[str, str]


class Dials:
    """The index, the pictures, and one address that takes every dial; the caller holds the lock."""

    def __init__(self, simulator: BitbucketSimulator) -> None:
        self.simulator = simulator
        self._dials: dict[str, Callable[[Form], object]] = {
            "fault": self._fault,
            "heal": lambda form: simulator.heal(),
            "reset": lambda form: simulator.reset(),
            "clock": lambda form: simulator.move_clock(float(form["hours"]) * 3600),
            "rules": self._rules,
            "rules-older": lambda form: simulator.use_older_rules(),
            "rules-today": lambda form: simulator.use_todays_rules(),
            "revoke": lambda form: simulator.revoke(form["person"]),
            "rotate": lambda form: simulator.rotate(form["person"]),
            "expire": lambda form: simulator.expire_access_tokens(form["person"]),
            "deactivate": lambda form: simulator.deactivate(form["person"]),
            "reactivate": lambda form: simulator.reactivate(form["person"]),
            "leave": lambda form: simulator.leave(form["person"], form["workspace"]),
            "join": self._join,
            "rename": self._rename,
        }

    def answer(self, request: SimulatorRequest, segments: list[str]) -> Answer:
        """The page or picture, or the effect of a dial and the way back to the page."""
        match request.method, segments:
            case "GET" | "HEAD", ["_simulator"]:
                return dial_pages.index(self.simulator)
            case "GET" | "HEAD", [""]:
                return redirect_answer(self._home)
            case "GET" | "HEAD", ["_simulator", "avatars", name]:
                return self._picture(name.removesuffix(".svg"))
            case "GET" | "HEAD", ["favicon.ico"]:
                return _drawing("")
            case "POST", ["_simulator"]:
                return self._turn(request)
        return pages.problem(self.simulator, 404, "There is no such dial.")

    @property
    def _home(self) -> str:
        return f"{self.simulator.context_path}/_simulator/"

    def _turn(self, request: SimulatorRequest) -> Answer:
        # Another site's page may not turn dials in somebody's browser.
        if request.from_elsewhere:
            return pages.problem(self.simulator, 403, "Dials are turned from this page only.")
        form = dict(request.form)
        try:
            self._dials[form.get("dial", "")](form)
        except (LookupError, ValueError) as error:
            return pages.problem(self.simulator, 400, f"That can't be done: {error}")
        return redirect_answer(self._home, 303)

    def _fault(self, form: Form) -> None:
        times = float(form["times"]) if form.get("times") else math.inf
        seconds = float(form.get("seconds") or 5)
        if not 0 <= seconds <= 86400:
            raise ValueError("seconds are between 0 and 86400")
        fault = Fault(form["endpoint"], times)
        match form["trouble"]:
            case "slow":
                fault.delay = seconds
            case "drip":
                fault.drip = seconds
            case "cut":
                fault.cut = "before"
            case "cut-middle":
                fault.cut = "middle"
            case status:
                retry_after = f"{seconds:.0f}" if form.get("seconds") else None
                answer = failure(int(status), retry_after, data_center=self.simulator.is_data_center)
                fault.status, fault.headers, fault.body = int(status), answer.headers, answer.body
        self.simulator.set_fault(fault)

    def _rules(self, form: Form) -> None:
        rules = self.simulator.rules
        given: dict[str, Any] = {}
        for rule in Rules.of(self.simulator.kind):
            kind = type(getattr(rules, rule.name))
            given[rule.name] = rule.name in form if kind is bool else kind(form[rule.name])
        # All or nothing: a number that is none must not leave half of them changed.
        self.simulator.rules = replace(rules, **given)

    def _join(self, form: Form) -> None:
        roles: dict[str, Role] = {role: role for role in get_args(Role)}
        self.simulator.join(form["person"], form["workspace"], roles[form["role"]])

    def _rename(self, form: Form) -> None:
        self.simulator.rename(
            form["person"],
            username=form.get("username") or None,
            nickname=form.get("nickname") or None,
            dc_name=form.get("dc_name") or None,
            display_name=form.get("display_name") or None,
        )

    def _picture(self, key: str) -> Answer:
        if key not in self.simulator.people:
            return pages.problem(self.simulator, 404, "There is no such picture.")
        return _drawing(self.simulator.people[key].initials)


def _drawing(letters: str) -> Answer:
    """A disc with letters on it."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        '<circle cx="32" cy="32" r="32" fill="#6b3fa0"/>'
        '<text x="32" y="41" fill="#fff" font-family="sans-serif" font-size="26" '
        f'text-anchor="middle">{escape(letters)}</text></svg>'
    )
    return Answer(200, {"Content-Type": "image/svg+xml"}, svg.encode())
