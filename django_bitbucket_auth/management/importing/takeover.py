"""Accounts of another package become accounts here, on the same users; and back, as long as nobody has used them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.views.decorators.debug import sensitive_variables

from ... import conf, kinds, tokens
from ...bitbucket.profiles import text
from ...models import BitbucketAccount, BitbucketToken
from ...oauth.token import Token
from . import identities
from .crowd import Crowd, Found, Relatives
from .identities import Identity, Unidentified
from .packages import PAGE, Package, Row

TWO_USERS = "is several users'"
ANOTHERS = "belongs to another user here"
UNCLEAR = "may be an account that the user has here: its account id is known after another sign-in"
NO_USER = "has no user any more"

NO_TOKEN = "no token was kept"
FOREIGN_TOKEN = "its token is not known to be this client's"
DEAD_TOKEN = "its token has ended"
OWN_TOKEN = "the token that is here stays"

What = Literal["new", "known", "again", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one row, ``why`` it is refused, and of its token: ``"new"``, why not, or empty if none is wanted.

    ``"known"``: this user has the account here already. ``"again"``: an earlier row was the same person and user.
    """

    row: int
    user: str
    person: str
    what: What
    why: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What the command was told to do. Writes only if ``apply``, and never a user."""

    package: Package
    sources: tuple[str, ...]
    configuration: conf.ProviderSettings
    instance: str
    database: str
    apply: bool
    usernames: bool = False
    addresses: tuple[str, ...] = ()
    tokens: bool = False
    client_id: str | None = None
    redirect_uri: str = ""

    def outcomes(self) -> Iterator[Outcome]:
        """One for each row: first of those who can't be identified."""
        with Crowd() as crowd:
            for row in self.package.rows(self.sources):
                try:
                    identity = self._identify(row)
                except Unidentified as reason:
                    yield Outcome(row.pk, str(row.user_pk), text(row.key), "refused", str(reason))
                else:
                    crowd.add(Found(row.pk, str(row.user_pk), identity))
            crowd.complete()
            for found in crowd:
                yield self._settle(found, crowd)

    def _identify(self, row: Row) -> Identity:
        if kinds.is_self_hosted(self.configuration.kind):
            addresses = (self.configuration.base_url, *self.addresses)
            return identities.of_data_center(row.key, row.profile, addresses=addresses)
        return identities.of_cloud(row.key, row.profile, usernames=self.usernames)

    def _settle(self, found: Found, crowd: Crowd) -> Outcome:
        who = found.identity
        relatives = crowd.relatives(who)
        rows = self._accounts(who)
        why = self._obstacle(found, relatives, rows)
        outcome = Outcome(found.row, found.user, str(who), "refused", why)
        if why:
            return outcome
        account = rows[0] if rows else None
        what: What = "known"
        if found.row != relatives.first:
            what = "again"
        elif account is None:
            what = "new"
            account = self._create(found) if self.apply else None
        return replace(
            outcome, what=what, token=self._token(found.row, account, partial(crowd.takes_token, relatives.first))
        )

    def _accounts(self, who: Identity) -> list[BitbucketAccount]:
        """The accounts here that have one of the ids."""
        ids = Q(uid=who.stored_uid)
        if who.account_id is not None:
            ids |= Q(account_id=who.account_id)
        rows = BitbucketAccount.objects.using(self.database).filter(ids, instance=self.instance)
        # Compared again: a collation may take one id for another.
        return [
            row
            for row in rows
            if row.instance == self.instance
            and (row.uid == who.stored_uid or row.account_id == who.account_id is not None)
        ]

    def _obstacle(self, found: Found, relatives: Relatives, rows: list[BitbucketAccount]) -> str:
        """Why this row isn't taken over; empty if it is."""
        who = found.identity
        if relatives.contradict:
            return identities.CONTRADICTION
        if relatives.users > 1:
            return TWO_USERS
        if any(str(row.user_id) != found.user for row in rows):
            return ANOTHERS
        if len(rows) > 1 or not all(_may_be(row, who) for row in rows):
            return identities.CONTRADICTION
        return "" if rows else self._obstacle_to_new(found)

    def _obstacle_to_new(self, found: Found) -> str:
        users = get_user_model()._base_manager.using(self.database)
        if not users.filter(pk=found.user).exists():
            return NO_USER
        mine = BitbucketAccount.objects.using(self.database).filter(user__pk=found.user, instance=self.instance)
        # A placeholder beside the same person's row would keep that person out: they would be two for one profile.
        return UNCLEAR if found.identity.uid is None and mine.filter(account_id=None).exists() else ""

    def _create(self, found: Found) -> BitbucketAccount:
        who = found.identity
        return BitbucketAccount.objects.using(self.database).create(
            user_id=get_user_model()._meta.pk.to_python(found.user),
            provider=self.configuration.alias,
            instance=self.instance,
            uid=who.stored_uid,
            account_id=who.account_id,
            username=who.username,
            display_name=who.display_name,
            email=who.email,
            imported_from=self.package.name,
        )

    @sensitive_variables()
    def _token(self, row: int, account: BitbucketAccount | None, is_first: Callable[[], bool]) -> str:
        """Take over the token of a row, if that's wanted, and the person has none."""
        if not self.tokens:
            return ""
        held = self.package.tokens(row)
        if not held:
            return NO_TOKEN
        # Another client's would be refused by Bitbucket, and its secret is none of this provider's.
        own = [one.token for one in held if (one.client_id or self.client_id) == self.configuration.client_id]
        if not own:
            return FOREIGN_TOKEN
        alive = [token for token in own if _is_alive(token)]
        if not alive:
            return DEAD_TOKEN
        # Of an account that its person has used, a sign-in has brought the token, or nothing here is to keep any.
        used = account is not None and (not account.imported_from or self._has_token(account))
        if used or not is_first():
            return OWN_TOKEN
        if account is not None and self.apply:
            tokens.write(
                account,
                _with_end(alive[0]),
                self.configuration,
                grant="authorization_code",
                redirect_uri=self.redirect_uri,
                using=self.database,
                new_account=True,
            )
        return "new"

    def _has_token(self, account: BitbucketAccount) -> bool:
        rows = BitbucketToken.objects.using(self.database)
        return rows.filter(key=BitbucketToken.key_of(account.pk, self.configuration.alias)).exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """Takes away what an import of the package has written for a provider, where nobody has used it since.

    A sign-in makes an account the person's own, an administrator's word vouches for it, and the renewal of a token
    leaves the only pair that works here.
    """

    package: str
    alias: str
    instance: str
    database: str
    apply: bool

    def accounts(self) -> Iterator[tuple[BitbucketAccount, bool]]:
        """Each account that an import wrote and nobody signed in to, and whether it goes."""
        last = 0
        while page := list(self._imported().filter(pk__gt=last).order_by("pk")[:PAGE]):
            last = page[-1].pk
            going = [account.pk for account in page if not account.is_used]
            if self.apply:
                BitbucketAccount.objects.using(self.database).filter(pk__in=going).delete()
            for account in page:
                yield account, not account.is_used

    def _imported(self) -> QuerySet[Any]:
        rows = BitbucketAccount.objects.using(self.database)
        if self.apply:
            # A sign-in that is on its way comes before, or finds nobody.
            rows = rows.select_for_update()
        renewed = BitbucketToken.objects.filter(account=OuterRef("pk"), version__gt=1)
        return rows.filter(imported_from=self.package, instance=self.instance, provider=self.alias).annotate(
            is_used=Exists(renewed) | Q(confirmed_at__isnull=False)
        )


def _may_be(account: BitbucketAccount, who: Identity) -> bool:
    """Whether the account's ids are this person's, as far as both are known."""
    return (account.is_placeholder or who.uid in (None, account.uid)) and (
        account.account_id is None or who.account_id in (None, account.account_id)
    )


def _is_alive(token: Token) -> bool:
    return bool(token.refresh_token) or (token.expires_at is not None and not token.expired())


def _with_end(token: Token) -> Token:
    """The token, renewed at its first use if nobody knows until when it lasts."""
    return token if token.expires_at is not None else replace(token, expires_at=datetime.now(UTC))
