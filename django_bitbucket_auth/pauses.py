"""When Bitbucket isn't asked to renew a token, since it couldn't be of use: in this process, for some seconds."""

from __future__ import annotations

import time

from .exceptions import BitbucketUnavailable, OAuthError, ReauthenticationRequired
from .oauth.token import Token
from .stores import Record

#: Seconds after which a token is tried again that works for a while yet, or that Bitbucket has refused twice.
PAUSE = 20
#: Most seconds for which Bitbucket's wish to be left alone is heeded without looking whether it still holds.
MOST_PAUSE = 60

#: Until when, for those who can do without; and for all others, where there is the error that they would get.
_pauses: dict[int, tuple[float, OAuthError | BitbucketUnavailable | None]] = {}
_MOST_PAUSES = 1000


def heed(current: Record, error: OAuthError | BitbucketUnavailable) -> None:
    """Leave Bitbucket alone where it says for how long, and with a pair that it has refused before."""
    if isinstance(error, BitbucketUnavailable):
        if error.retry_after:
            pause(current.token, min(error.retry_after, MOST_PAUSE), error)
    elif isinstance(error, ReauthenticationRequired) and current.refused_at is not None:
        pause(current.token, PAUSE, error)


def pause(token: Token, seconds: float | None = None, error: OAuthError | BitbucketUnavailable | None = None) -> None:
    """Let ``PAUSE`` (or other) seconds pass before the token is tried again; with an ``error``, for everybody."""
    if len(_pauses) >= _MOST_PAUSES:
        _pauses.clear()  # a pause that is forgotten costs a request
    # A hash: no secret is kept longer than it has to be.
    _pauses[hash(token.access_token)] = time.monotonic() + (PAUSE if seconds is None else seconds), error


def is_paused(token: Token) -> bool:
    """Whether those wait who can do without a new token."""
    until, _ = _pauses.get(hash(token.access_token), (0, None))
    return time.monotonic() < until


def binding(token: Token) -> Exception | None:
    """The error of a pause that binds those, too, who can't do without."""
    until, error = _pauses.get(hash(token.access_token), (0, None))
    left = until - time.monotonic()
    if left <= 0 or error is None:
        return None
    if isinstance(error, BitbucketUnavailable):
        return type(error)(str(error), left, error.status)
    return type(error)(error.error, error.description, error.status, reason=error.reason)
