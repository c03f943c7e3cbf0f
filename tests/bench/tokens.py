"""The tokens of the stock: as long as Bitbucket's, and told by their number alone."""

from __future__ import annotations

#: Characters of an access token, and of a refresh token.
LENGTH = 2500
_BEGINNING = "stock-"


def access_token(number: int) -> str:
    """Good for nothing."""
    return f"access-{number}-".ljust(LENGTH, "a")


def refresh_token(number: int) -> str:
    """One that `bench.bitbucket` renews."""
    return f"{_BEGINNING}{number}-".ljust(LENGTH, "r")


def number_of(token: str) -> int | None:
    """Which of the stock's refresh tokens this is, if it is one."""
    return int(token.split("-", 2)[1]) if token.startswith(_BEGINNING) else None
