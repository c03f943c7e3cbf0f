"""Hooks. ``verify`` asks; the others only tell, once what they tell of is committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Any

from django.dispatch import Signal

from .exceptions import LoginRefused

logger = logging.getLogger("django_bitbucket_auth")


class VerifySignal(Signal):
    """A signal whose receivers answer (Passport's verify callback).

    Receivers are held strongly unless told otherwise: a closure held weakly would be collected, and veto nothing.
    """

    def connect(
        self,
        receiver: Callable[..., Any],
        sender: object | None = None,
        weak: bool = False,
        dispatch_uid: Hashable | None = None,
    ) -> None:
        super().connect(receiver, sender=sender, weak=weak, dispatch_uid=dispatch_uid)

    def _log_robust_failure(self, receiver: object, err: BaseException) -> None:
        # Django logs every exception of a receiver as an error. A `LoginRefused` is an answer.
        if not isinstance(err, LoginRefused):
            logger.error("The verify receiver %r failed, which refuses the sign-in", receiver, exc_info=err)


#: Sent once per sign-in, after policy and before any write, with ``request``, ``provider`` (the alias), ``profile``,
#: ``token``, ``intent`` (``"login"`` or ``"connect"``) and ``user`` (whom this account belongs to, or ``None``; on
#: connect, the person connecting). Answers: a user → sign in as this one (on connect: refused, unless it is the same);
#: ``None`` → no opinion; ``False`` or ``raise LoginRefused("why")`` → refused; anything else refuses.
verify = VerifySignal()

#: A Bitbucket account now belongs to a user: ``request``, ``user``, ``account``, ``created`` (whether the user is new).
account_connected = Signal()

#: A person has given up an account: ``request``, ``user``, ``account`` (deleted by now, along with its tokens).
account_disconnected = Signal()

#: A stored token was renewed: ``key``, ``provider``, ``account`` (``None`` for a token that isn't an account's). The
#: sender is the store's class.
token_refreshed = Signal()

#: A stored token is lost, as Bitbucket said twice: ``key``, ``provider``, ``account``, ``error`` (the exception). Its
#: person has to sign in again, and may be told so.
reauthentication_required = Signal()

#: A sign-in failed, or connecting an account: ``request``, ``provider``, ``reason`` (a reason code), ``trail`` (as on
#: the page and in the log).
login_refused = Signal()
