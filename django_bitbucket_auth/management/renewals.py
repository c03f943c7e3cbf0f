"""Many stored tokens renewed, by as many hosts as there are.

Each claims a few at a time, in a short transaction that passes over what others have locked, and goes through the table
once: neither memory nor work for a token grows with their number.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from .. import conf
from ..exceptions import NotConnected, ReauthenticationRequired
from ..flight import Flight
from ..models import BitbucketAccount, BitbucketToken, storable
from ..stores import database
from ..stores.base import LEASE

#: Tokens that are claimed at a time: so few that a host which dies keeps hardly any from the others, for seconds.
CLAIM = 10
#: Due tokens that are looked up at a time.
PAGE = 1000
#: Grants whose tokens have no refresh token: they are got anew by who needs them, or by the person (OAuth 1.0a).
_ANEW = ("client_credentials", "bitbucket_jwt", "oauth1")


@dataclass(slots=True)
class Claim:
    """A lease of some tokens, and until when it lasts (``time.monotonic()``)."""

    lease: str
    until: float


@dataclass(slots=True)
class Claimed:
    """A token whose lease is ours."""

    row: BitbucketToken
    claim: Claim


@dataclass(slots=True)
class Renewals:
    """The tokens of one provider that are due.

    ``within``: their access token ends in that time, or has ended; ``unused``: nobody has used their refresh token for
    so long. Tokens of inactive users, lost ones, and those of another client or Bitbucket aren't.
    """

    alias: str
    within: timedelta | None
    unused: timedelta
    configuration: conf.ProviderSettings = field(init=False)
    instance: str = field(init=False)

    def __post_init__(self) -> None:
        self.configuration = conf.provider_settings(self.alias)
        self.instance = conf.provider(self.configuration).instance

    def due(self) -> QuerySet[BitbucketToken]:
        """The rows, as of now."""
        now = datetime.now(UTC)
        when = Q(updated_at__lte=storable(now - self.unused))
        if self.within is not None:
            when |= Q(expires_at__lte=storable(now + self.within))
        rows = database.all_rows().filter(
            when,
            provider=self.alias,
            instance=self.instance,
            client_id=self.configuration.client_id,
            lost_at=None,
        )
        return _of_active_people(rows.exclude(grant__in=_ANEW))

    def claimed(self) -> Iterator[Claimed]:
        """Each due token that nobody else is renewing, claimed shortly before."""
        for some in self._candidates():
            yield from self._claim(some)

    def renew(self, claimed: Claimed) -> str:
        """Renew one: ``"renewed"``, ``"refused"`` (Bitbucket says it is dead), or ``"skipped"`` (there is nothing to
        renew, or somebody else does).

        Raises:
            BitbucketAuthError: Bitbucket is out of reach, or doesn't take our client.
        """
        row, claim = claimed.row, claimed.claim
        token = row.reveal()
        if token is None or not token.refresh_token:
            return "skipped"
        store = database.AccountTokenStore(row.account) if row.account else database.DatabaseTokenStore()
        flight = Flight(
            configuration=self.configuration,
            instance=self.instance,
            store=store,
            key=row.key,
            account=row.account,
        )
        try:
            with store.holding(row.key, claim.lease, claim.until) as held:
                renewed = flight.renew(held, token)
        except ReauthenticationRequired:
            return "refused"
        except NotConnected:
            return "skipped"
        return "renewed" if renewed else "skipped"

    def give_back(self, claimed: Claimed) -> None:
        """Let others have it, and what was claimed along with it, at once: as if the lease had lapsed."""
        claimed.claim.until = 0
        lapsed = storable(datetime.now(UTC) - timedelta(seconds=1))
        database.all_rows().filter(lease=claimed.claim.lease).update(lease_until=lapsed)

    def _candidates(self) -> Iterator[list[int]]:
        """The due rows' numbers, so many as are claimed together at a time; each once.

        What is due is asked for a page at a time: as long as a database hasn't counted a new table, it may answer that
        by going through all of it.
        """
        last = 0
        while page := list(self.due().filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:PAGE]):
            last = page[-1]
            some = [page[start : start + CLAIM] for start in range(0, len(page), CLAIM)]
            # In an order of its own for each host: they get into each other's way less.
            secrets.SystemRandom().shuffle(some)
            yield from some

    def _claim(self, candidates: list[int]) -> list[Claimed]:
        lease, now = secrets.token_hex(16), datetime.now(UTC)
        # From before the UPDATE, which may wait for other writers: as the lease is counted in the database.
        claim = Claim(lease, time.monotonic() + LEASE)
        rows = self.due().filter(database.free(now), pk__in=candidates)
        features = connections[rows.db].features
        # SQLite has one writer and no row locks: there the UPDATE alone decides.
        with transaction.atomic(using=rows.db) if features.has_select_for_update else nullcontext():
            rows = rows.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
            found = list(rows.values_list("pk", flat=True))
            # Due still: without row locks, another may have claimed and renewed one since it was found.
            ours = self.due().filter(database.free(now), pk__in=found)
            ours.update(**database.leased(lease, now))
        rows = database.all_rows().filter(lease=lease, pk__in=found).select_related("account__user").order_by("pk")
        return [Claimed(row, claim) for row in rows]


def _of_active_people(rows: QuerySet[BitbucketToken]) -> QuerySet[BitbucketToken]:
    try:
        get_user_model()._meta.get_field("is_active")
    except FieldDoesNotExist:
        return rows
    return rows.filter(~Exists(BitbucketAccount.objects.filter(pk=OuterRef("account"), user__is_active=False)))
