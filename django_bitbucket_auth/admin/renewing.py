"""Stored tokens renewed from the admin, while somebody waits for the page."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..exceptions import BitbucketAuthError, BitbucketUnavailable, ClientRefused
from ..models import BitbucketAccount

if TYPE_CHECKING:
    from ..oauth.token import Token

#: Most accounts at a time. `manage.py bitbucket_refresh` does any number.
MOST = 20
#: Seconds after which no other is begun: servers kill what takes half a minute.
LONGEST = 15


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one token: the new one, or why there is none, or neither where it wasn't tried."""

    account: BitbucketAccount
    provider: str
    token: Token | None = None
    error: BitbucketAuthError | None = None


def renew(accounts: Iterable[BitbucketAccount]) -> Iterator[Outcome]:
    """Renew the stored tokens of some accounts, by the single flight that everybody uses.

    A provider that is out of reach, or doesn't take our client, is asked once.
    """
    from .. import api  # here: the admin is imported whenever Django starts, and what speaks to Bitbucket is slow

    until, given_up = time.monotonic() + LONGEST, set()
    for account in accounts:
        for provider in sorted(token.provider for token in account.tokens.all()):
            if provider in given_up or time.monotonic() > until:
                yield Outcome(account, provider)
                continue
            try:
                yield Outcome(account, provider, token=api.renew(account, provider))
            except BitbucketAuthError as error:
                if isinstance(error, (BitbucketUnavailable, ClientRefused)):
                    given_up.add(provider)
                yield Outcome(account, provider, error=error)
