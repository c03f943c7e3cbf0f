"""What a session remembers of what Bitbucket said of workspaces, for the guards of single views."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.http import HttpRequest

from .bitbucket import Membership
from .models import BitbucketAccount

#: Most seconds for which a no is remembered: whoever was just invited tries again.
NO_AGE = 30
_KEY = "_bitbucket_auth_answers"


class _Said(NamedTuple):
    """An answer, and when it was given, in Unix time."""

    at: float
    membership: Membership


class Known:
    """What is remembered of an account: each yes and each no."""

    def __init__(self, request: HttpRequest, account: BitbucketAccount) -> None:
        self.session, self.whose = request.session, f"{account.instance} {account.uid}"
        kept = self.session.get(_KEY)
        # Another account's answers are of no use, and go with the next that is learnt.
        mine = kept.get("answers") if isinstance(kept, dict) and kept.get("account") == self.whose else None
        self._answers = dict(_readable(mine))
        self._now: tuple[Membership, ...] = ()

    def within(self, max_age: float) -> tuple[Membership, ...]:
        """What was said less than so many seconds ago."""
        return tuple(
            said.membership
            for said in self._answers.values()
            if 0 <= time.time() - said.at < (max_age if said.membership.answer == "yes" else min(max_age, NO_AGE))
        )

    def all(self) -> tuple[Membership, ...]:
        """What was said just now, and what was remembered of the others."""
        return (*self._now, *(said.membership for said in self._answers.values()))

    def learn(self, found: tuple[Membership, ...]) -> None:
        """Remember what was said just now."""
        self._now = found
        for membership in found:
            self._answers.pop(membership.workspace.lower(), None)
            if membership.answer != "unknown":
                self._answers[membership.workspace.lower()] = _Said(time.time(), membership)
        self.session[_KEY] = {
            "account": self.whose,
            "answers": {workspace: _kept(said) for workspace, said in self._answers.items()},
        }


def _kept(said: _Said) -> dict[str, Any]:
    """What is remembered of an answer: not its cause, which may be long, and is for the log."""
    member = said.membership
    return {"at": said.at, "answer": member.answer, "role": member.role, "user_uid": member.user_uid}


def _readable(answers: object) -> Iterator[tuple[str, _Said]]:
    """The remembered answers, without those that another version of this app has written in another way."""
    for workspace, said in answers.items() if isinstance(answers, dict) else ():
        match said:
            case {
                "at": float(at),
                "answer": "yes" | "no" as answer,
                "role": str(role),
                "user_uid": str() | None as user_uid,
            }:
                yield workspace, _Said(at, Membership(workspace, answer, role, user_uid))
