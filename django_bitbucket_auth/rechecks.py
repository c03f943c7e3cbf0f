"""``RECHECK``: whether somebody who has signed in may still be here. One asks, for all sessions and workers.

::

    sign-in             3/4 RECHECK             RECHECK                 2 RECHECK
       │ nothing is asked    │ asked aside, while    │ a request waits for   │ while Bitbucket can't
       │                     │ the requests go on    │ the answer; unknown:  │ say: 503
       │                     │                       │ it goes on            │
"""

from __future__ import annotations

import copy
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from django.db import connections
from django.http import HttpRequest

from . import conf, memberships
from .exceptions import LoginRefused
from .marks import FRESH, Mark, has_outlived, is_orphan, recheck_seconds
from .memberships import AGAIN, GONE
from .models import BitbucketAccount

#: How much longer than ``RECHECK`` somebody stays whom Bitbucket can't vouch for, as a part of it.
GRACE = 1.0
#: Seconds before it is asked again what Bitbucket couldn't say, or what somebody has asked who died.
RETRY = 60
#: Most seconds that a request waits for the answer to another one's question.
PATIENCE = 5
#: The threads of this process that ask, at most. Who gets none asks at the end of ``RECHECK``.
_free = threading.BoundedSemaphore(4)


def check(request: HttpRequest) -> None:
    """See to it that the person of a session that is due may still be here.

    Raises:
        LoginRefused: ``not_a_member`` or ``inactive``: the session has to end. ``login_required``: there is no token
            to ask with. ``membership_unknown``: Bitbucket couldn't say, and the grace is over.
        ConfigurationError: ``RECHECK`` can't be used.
    """
    if not request.user.is_authenticated:
        return
    mark = Mark.of(request.session) or _adopted(request)
    if is_orphan(mark):
        raise LoginRefused("", AGAIN, cause=f"the provider {mark.provider!r} is not configured any more")
    seconds = recheck_seconds(mark.provider)
    if seconds is None:
        return
    if has_outlived(mark, request.session):
        raise LoginRefused("", AGAIN, cause=f"the session of {mark.uid} has gone on for as long as one may")
    if not seconds:
        conf.provider_settings(mark.provider)  # says what is wrong
    account = memberships.marked(request.user.pk, mark)
    if account is None:
        raise LoginRefused("", AGAIN, cause=f"the account {mark.uid} is not connected any more")
    question = _Question(account, mark, seconds)
    question.settle()
    # Not after a wait: what other tabs have written to the session meanwhile would be lost, and one that was signed out
    # of would be an error. The next request finds the answer on the row.
    if question.at != mark.at and not question.has_waited:
        replace(mark, at=question.at).write(request.session)


def _adopted(request: HttpRequest) -> Mark:
    """A mark for a session from before there were any: asked about at once, and all of the grace is to come."""
    rows = memberships.rows().filter(user=request.user.pk, provider__in=conf.aliases()).order_by("pk")
    account = next((row for row in rows if recheck_seconds(row.provider) is not None), None)
    now = time.time()
    # Without an account, it is the project's own code that has signed them in: not to be looked for again.
    mark = Mark("", "", "", now, now)
    if account is not None:
        begun = now - (recheck_seconds(account.provider) or 0)
        mark = Mark(account.provider, account.instance, account.uid, begun, begun)
    mark.write(request.session)
    return mark


class _Question:
    """A request's part in a question about an account: ask it, wait for its answer, or go on without."""

    def __init__(self, account: BitbucketAccount, mark: Mark, seconds: int) -> None:
        self.account, self.mark, self.seconds = account, mark, seconds
        # From the future: a clock was put back. Then nothing is known.
        self.known = mark.at if mark.at <= time.time() else time.time() - seconds
        #: When Bitbucket last vouched, as far as this session has heard.
        self.at = self.known
        #: Whether time has passed since the session was read.
        self.has_waited = False
        self._listen()

    def settle(self) -> None:
        """Raises what ``check`` raises."""
        self._part(*GONE)
        if self._age < FRESH * self.seconds:
            return
        if self._age < self.seconds or (self._in_grace and self._heard == "unknown"):
            if self._may_ask:
                self._ask_aside()
        else:
            if self._may_ask:
                self._ask_here()
            self._wait()
            if self._may_ask and self.account.asked_by not in ("", self.mark.provider):
                # It was another alias that asked.
                self._ask_here()
        self._part(*GONE, AGAIN)
        if not (self._age < self.seconds or self._in_grace):
            raise LoginRefused("", "membership_unknown", cause=f"Bitbucket could not vouch for {self.mark.uid} in time")

    @property
    def _age(self) -> float:
        return time.time() - self.at

    @property
    def _in_grace(self) -> bool:
        return self.seconds <= self._age < self.seconds * (1 + GRACE)

    @property
    def _heard(self) -> str:
        """The latest answer. One from before this session's sign-in says nothing: that has proved more."""
        return self.account.answer if self._is_ours and memberships.stamp(self.account.asked_at) > self.known else ""

    @property
    def _is_ours(self) -> bool:
        """Whether the row tells of a question of this alias. Others of the same Bitbucket let other people in."""
        return self.account.asked_by == self.mark.provider

    @property
    def _may_ask(self) -> bool:
        waits_for = {"", "unknown", AGAIN}
        if not self._is_ours:
            # Let another alias finish: its answer would be lost. And while there is time, what is down for it is down.
            waits_for = {"", "unknown"} if self._age < self.seconds * (1 + GRACE) else {""}
        pause = RETRY if self.account.answer in waits_for else 0
        return not 0 <= time.time() - memberships.stamp(self.account.asked_at) < pause

    def _listen(self) -> None:
        vouched = memberships.stamp(self.account.checked_at) if self._is_ours else 0
        if self.at < vouched <= time.time():
            self.at = vouched

    def _part(self, *answers: str) -> None:
        if self._heard in answers:
            if self._heard in GONE:
                # It was done by whoever asked; but that may have failed.
                memberships.expel(self.account, self.mark.provider)
            raise LoginRefused("", self._heard, cause=f"Bitbucket was asked about {self.mark.uid}")

    def _ask_here(self) -> None:
        if claimed := memberships.claim(self.account, self.mark.provider):
            self._hear(claimed)
        else:
            self._look()

    def _hear(self, claimed: datetime) -> None:
        """Ask in this very request."""
        self.has_waited = True
        memberships.answer(self.account, self.mark.provider, claimed)
        self._listen()

    def _ask_aside(self) -> None:
        """Ask in a thread of its own, for the requests to come; here, where there is none."""
        if connections[memberships.database()].in_atomic_block:
            # Another connection wouldn't see what this one has written: in tests, mostly.
            self._ask_here()
            return
        if not _free.acquire(blocking=False):
            return
        started = False
        try:
            claimed = memberships.claim(self.account, self.mark.provider)
            if claimed is None:
                return
            # A copy: the thread writes to it.
            run = (copy.copy(self.account), self.mark.provider, claimed)
            with suppress(RuntimeError):  # no threads on this platform, or no more of them
                threading.Thread(target=_aside, args=run, name="bitbucket-auth-recheck", daemon=True).start()
                started = True
        finally:
            if not started:
                _free.release()
        if not started:
            self._hear(claimed)

    def _wait(self) -> None:
        """Wait for the answer while a question is under way, of whichever worker."""
        until, pause = time.monotonic() + PATIENCE, 0.05
        while self.account.asked_at and not self.account.answer and not self._may_ask and time.monotonic() < until:
            self.has_waited = True
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
            self._look()

    def _look(self) -> None:
        """See what others have written."""
        columns = ("asked_at", "asked_by", "checked_at", "answer")
        found = memberships.rows().filter(pk=self.account.pk).values_list(*columns).first()
        if found is None:
            raise LoginRefused("", AGAIN, cause=f"the account {self.mark.uid} was disconnected meanwhile")
        for name, value in zip(columns, found, strict=True):
            setattr(self.account, name, value)
        self._listen()


def _aside(account: BitbucketAccount, provider: str, claimed: datetime) -> None:
    """The helper thread: it leaves no connection behind."""
    try:
        memberships.answer(account, provider, claimed)
    finally:
        try:
            connections.close_all()
        finally:
            _free.release()
