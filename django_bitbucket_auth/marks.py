"""What a session knows of the sign-in that it began with, and whether something is to be asked about it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.module_loading import import_string

from . import conf, validators
from .backends import BitbucketBackend
from .hooks import BitbucketLogin
from .models import aware

#: The part of ``RECHECK`` during which nothing is asked; for the rest of it, it is asked while requests go on.
FRESH = 0.75
_KEY = "_bitbucket_auth"


@dataclass(frozen=True, slots=True)
class Mark:
    """By which account a session began, when (``since``), and when Bitbucket last vouched (``at``); in Unix time."""

    provider: str
    instance: str
    uid: str
    since: float
    at: float

    @classmethod
    def read(cls, value: object) -> Self | None:
        """The mark that a session's value is; ``None`` for none, or one of another version of this app."""
        with suppress(TypeError):
            return cls(**value) if isinstance(value, dict) else None
        return None

    @classmethod
    def of(cls, session: SessionBase) -> Self | None:
        """The mark of a session."""
        return cls.read(session.get(_KEY))

    def write(self, session: SessionBase) -> None:
        """Keep it in a session."""
        session[_KEY] = asdict(self)


def remember(request: HttpRequest, login: BitbucketLogin) -> None:
    """Note in the session of a sign-in whose it is, and that Bitbucket has just vouched."""
    profile, now = login.profile, time.time()
    Mark(login.configuration.alias, profile.instance, profile.uid, now, now).write(request.session)


def is_due(session: SessionBase) -> bool:
    """Whether there is something to ask about a session's person. No query but the session's own, and no cache."""
    return _is_due(session.get(BACKEND_SESSION_KEY), session.get(_KEY))


async def ais_due(session: SessionBase) -> bool:
    """As ``is_due``."""
    return _is_due(await session.aget(BACKEND_SESSION_KEY), await session.aget(_KEY))


def _is_due(backend: object, value: object) -> bool:
    if not isinstance(backend, str) or not _is_ours(backend):
        return False  # nobody, or somebody who came in by another way
    mark = Mark.read(value)
    if mark is None:
        return any(recheck_seconds(alias) is not None for alias in conf.aliases())
    if is_orphan(mark):
        return True
    seconds = recheck_seconds(mark.provider)
    return seconds is not None and not 0 <= time.time() - mark.at < FRESH * seconds


def is_orphan(mark: Mark) -> bool:
    """Whether a session began at a provider that isn't configured any more: nobody could say who may stay."""
    return bool(mark.provider) and mark.provider not in conf.aliases()


def has_outlived(mark: Mark, session: SessionBase) -> bool:
    """Whether a session goes on for longer than Django would have kept it.

    Each save prolongs a session, and to note that Bitbucket has vouched is one: so no session would ever end.
    """
    if settings.SESSION_SAVE_EVERY_REQUEST:
        return False
    end = aware(session.get_expiry_date(modification=datetime.fromtimestamp(mark.since, UTC)))
    return end is not None and end < datetime.fromtimestamp(time.time(), UTC)


def recheck_seconds(alias: str) -> int | None:
    """``RECHECK`` of a provider, without a look at all the rest, for each request; 0 for a value that can't be."""
    given = conf.given(alias) if alias in conf.aliases() else {}
    if not isinstance(given, dict):
        return 0
    value: Any = given.get("RECHECK")
    if value is None:
        return None
    return 0 if validators.KEYS["RECHECK"][1](value) else value


def _is_ours(path: str) -> bool:
    try:
        found = import_string(path)
    except ImportError:
        return False  # then nobody is signed in by it, either
    return isinstance(found, type) and issubclass(found, BitbucketBackend)
