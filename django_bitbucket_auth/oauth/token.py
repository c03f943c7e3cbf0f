"""A token as every other module sees it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeGuard

#: A year in seconds: no access token of Bitbucket lives longer, and a larger number can overflow a date.
_LONGEST = 366 * 24 * 3600
#: What may stand in an Authorization header (RFC 6749, A.12, but no spaces): a line break would start another header.
_VISIBLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and what came with it (RFC 6749, 5.1; RFC 5849, 2.3 for ``token_secret``).

    Tokens of Bitbucket Cloud are opaque and some 2,500 characters long; don't decode or measure them.
    ``scopes`` is what was granted, ``expires_at`` an aware UTC datetime or ``None`` if unknown. Neither
    ``repr`` nor ``str`` shows a secret.
    """

    access_token: str = field(repr=False)
    token_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    token_type: str = "bearer"
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None

    def expired(self, leeway: float = 0) -> bool:
        """Whether the token is past its time, or will be in ``leeway`` seconds. Unknown counts as not expired."""
        return self.expires_at is not None and datetime.now(UTC) + timedelta(seconds=leeway) >= self.expires_at

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any], now: datetime | None = None) -> Self:
        """The token in the members of a token endpoint's answer.

        Unknown members are ignored (Bitbucket sends a ``state`` of its own), ``scope`` may be called ``scopes``,
        and what isn't a lifetime is no lifetime.

        Raises:
            ValueError: there is no usable ``access_token``.
        """
        access_token = answer.get("access_token")
        if not is_visible(access_token):
            raise ValueError("the answer has no access_token")
        refresh_token = answer.get("refresh_token")
        token_type = answer.get("token_type")
        return cls(
            access_token=access_token,
            refresh_token=refresh_token if is_visible(refresh_token) else "",
            token_type=token_type[:40] if is_visible(token_type) else "bearer",
            scopes=_scopes(answer.get("scope")) or _scopes(answer.get("scopes")),
            expires_at=_expiry(answer.get("expires_in"), now or datetime.now(UTC)),
        )


def _scopes(value: object) -> tuple[str, ...]:
    """Scopes from a string (RFC 6749, 3.3: by spaces; Bitbucket's headers: by commas too) or a list."""
    found = value.replace(",", " ").split() if isinstance(value, str) else value
    # A NUL or half a character would be refused by the database, and the login with it.
    return tuple(filter(is_visible, found)) if isinstance(found, (list, tuple)) else ()


def is_visible(value: object) -> TypeGuard[str]:
    """Whether a value may stand in an ``Authorization`` header."""
    return isinstance(value, str) and _VISIBLE.fullmatch(value) is not None


def _expiry(value: object, now: datetime) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    return now + timedelta(seconds=min(seconds, _LONGEST))
