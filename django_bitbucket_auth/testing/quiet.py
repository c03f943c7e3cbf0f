"""Keeps oauthlib's debug log out of the way while the simulator uses it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import oauthlib.oauth2  # noqa: F401 - its loggers have to exist before they can be quietened

# oauthlib logs whole requests and grants at DEBUG. A test that looks for its secrets in the logs
# must find the app's mistakes, not the simulator's.
_playing_bitbucket: ContextVar[bool] = ContextVar("playing_bitbucket", default=False)


def _not_ours(record: logging.LogRecord) -> bool:
    return not _playing_bitbucket.get()


def hush() -> None:
    """Let `quiet_oauthlib` hold for all of oauthlib's loggers that exist by now."""
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("oauthlib.")]:
        logging.getLogger(name).addFilter(_not_ours)  # a second time changes nothing


hush()


@contextmanager
def quiet_oauthlib() -> Iterator[None]:
    """Within, oauthlib logs nothing (in this thread)."""
    mark = _playing_bitbucket.set(True)
    try:
        yield
    finally:
        _playing_bitbucket.reset(mark)
