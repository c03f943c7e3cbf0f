"""What Bitbucket says of somebody who has signed in, asked with the stored token.

Question and answer stand on the account's row, where all workers see them. Whoever changes ``asked_at`` from what was
read there is the one who asks.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.db import Error, router, transaction
from django.db.models import F, Q
from django.http import HttpRequest

from . import accounts, api, conf, groups, policies
from .bitbucket import Membership, Profile
from .conf import ProviderSettings
from .exceptions import (
    BitbucketAuthError,
    ClientRefused,
    LoginRefused,
    NotConnected,
    OAuthError,
    ProfileError,
    ReauthenticationRequired,
)
from .marks import Mark
from .models import BitbucketAccount, aware, storable
from .oauth.token import Token

logger = logging.getLogger("django_bitbucket_auth")

#: Most seconds that each of a question's conversations with Bitbucket takes. Where the token has ended there are three:
#: a refused one, the renewal, which has the provider's own deadline, and another.
DEADLINE = 15
#: Answers after which somebody may not be here: reason codes.
GONE = ("not_a_member", "inactive")
#: The answer where there is no token that works: a reason code, too.
AGAIN = "login_required"
#: The error of an access token that has ended, or that a Data Center passes over.
INVALID = "invalid_token"


def claim(account: BitbucketAccount, provider: str) -> datetime | None:
    """The moment at which this caller, and nobody else, begins to ask for an alias; ``None`` if somebody else does."""
    now = storable(datetime.fromtimestamp(time.time(), UTC))
    begun: dict[str, Any] = {"asked_at": now, "asked_by": provider, "answer": ""}
    if account.asked_by != provider:
        # Another alias of this Bitbucket asked something else.
        begun["checked_at"] = None
    try:
        with transaction.atomic(using=database()):
            first = bool(rows().filter(pk=account.pk, asked_at=account.asked_at).update(**begun))
    except Error as error:  # an InterfaceError, too, which is no DatabaseError
        # Locked, say. Not to be asked without: forty workers would.
        logger.warning("A question about %s could not be begun: %s", account.uid, _first_line(error))
        return None
    if not first:
        return None
    for name, value in begun.items():
        setattr(account, name, value)
    return now


def last_no(account: BitbucketAccount, provider: str) -> str:
    """The reason code, if what Bitbucket said last to this alias's question is that somebody may not be here; else "".

    A sign-in by the alias takes it back.
    """
    return account.answer if account.asked_by == provider and account.answer in GONE else ""


def answer(account: BitbucketAccount, provider: str, claimed: datetime) -> None:
    """Ask, write the answer where all see it, and then act on it. Nothing that fails on the way takes it back."""
    found, cause, wanted = _asked(account, provider)
    if found != "yes":
        logger.warning("Bitbucket doesn't vouch for %s: %s (%s)", account.uid, found, cause)
    account.asked_at, account.asked_by, account.answer = claimed, provider, found
    if found == "yes":
        account.checked_at = claimed
    kept = 0
    try:
        with transaction.atomic(using=database()):
            # Whoever took so long that somebody else has asked since knows less than that one.
            mine = rows().filter(pk=account.pk, asked_at=claimed, asked_by=provider)
            kept = mine.update(answer=found, checked_at=account.checked_at)
    except Error as error:
        logger.warning("An answer about %s could not be kept: %s", account.uid, _first_line(error))
    if found in GONE:
        expel(account, provider)
    elif kept and wanted is not None:
        _regroup(account, provider, wanted)


def _asked(account: BitbucketAccount, provider: str) -> tuple[str, str, frozenset[str] | None]:
    """As ``ask``; whatever fails is an outage."""
    try:
        return ask(account, conf.provider_settings(provider))
    except BitbucketAuthError as error:
        return "unknown", str(error), None
    except Exception as error:
        # Of a provider class of the project's, say. Without an answer it would look as if it was still being asked.
        logger.exception("What became of %s could not be asked", account.uid)
        return "unknown", type(error).__name__, None


def expel(account: BitbucketAccount, provider: str) -> None:
    """Take groups and tokens from a person of whom Bitbucket has said to this alias's question that they left.

    Not if somebody has asked since, or the person has signed in again: then that no is of yesterday. To be called again
    where it has failed; once there is nothing to take, nothing happens.
    """
    try:
        overtaken = rows().filter(pk=account.pk, asked_by=provider).exclude(asked_at=account.asked_at)
        if not overtaken.exists():
            accounts.expel(account, conf.provider_settings(provider))
    except (BitbucketAuthError, Error) as error:
        logger.error("Groups and tokens could not be taken from %s: %s", account.uid, _first_line(error))


def _regroup(account: BitbucketAccount, provider: str, wanted: frozenset[str]) -> None:
    try:
        with transaction.atomic(using=database()):
            groups.sync(account.user, conf.provider_settings(provider).groups, wanted, database())
    except Exception:
        # Receivers of the project's see it, too. Who may be here stays here.
        logger.exception("The groups of %s could not be brought up to date", account.uid)


def ask(account: BitbucketAccount, configuration: ProviderSettings) -> tuple[str, str, frozenset[str] | None]:
    """``"yes"``, one of ``GONE``, ``AGAIN``, or ``"unknown"``; why, for the log; and the groups that a yes comes with.

    ``None`` for the groups if they can't be known, so that they stay as they are.

    Raises:
        ConfigurationError: the settings can't be used.
    """
    try:
        profile, found = identity(account, configuration, configuration.asked_workspaces)
        policies.check_membership(configuration.required_workspaces, profile, found)
    except LoginRefused as refusal:
        return (refusal.reason if refusal.reason in GONE else "unknown"), str(refusal), None
    except (NotConnected, ReauthenticationRequired, ProfileError) as error:
        if isinstance(error, NotConnected):
            return AGAIN, str(error), None
        if error.reason == "inactive":
            return "inactive", str(error), None
        return (AGAIN if isinstance(error, ReauthenticationRequired) else "unknown"), str(error), None
    except BitbucketAuthError as error:
        return "unknown", str(error), None
    try:
        return "yes", "", policies.groups_for(configuration.groups, profile, found)
    except LoginRefused as refusal:
        logger.warning("The groups of %s stay as they are: %s", account.uid, refusal)
        return "yes", "", None


def identity(
    account: BitbucketAccount, configuration: ProviderSettings, workspaces: tuple[str, ...]
) -> tuple[Profile, tuple[Membership, ...]]:
    """Profile and memberships of an account's person. The token is renewed if need be.

    Raises:
        NotConnected, ReauthenticationRequired: there is no token that works.
        OAuthError: also if the token answers for another person.
        BitbucketAuthError: as ``Provider.fetch_identity``.
    """
    configuration = replace(configuration, fetch_emails=False, deadline=min(configuration.deadline, DEADLINE))
    source = api.token_source(account, configuration.alias)
    token = source.current()
    try:
        profile, memberships = _told(configuration, token, workspaces)
    except ReauthenticationRequired as error:
        if error.error != INVALID:
            raise
        profile, memberships = _told(configuration, source.renew(token), workspaces)
    if (profile.instance, profile.uid) != (account.instance, account.uid):
        raise OAuthError("another_person", f"the token of {account.uid} answers for {profile.uid}")
    return profile, memberships


def _told(
    configuration: ProviderSettings, token: Token, workspaces: tuple[str, ...]
) -> tuple[Profile, tuple[Membership, ...]]:
    """What Bitbucket says to a token; whatever refuses that is a ``ReauthenticationRequired``."""
    try:
        return conf.provider(configuration).fetch_identity(token, workspaces)
    except (ClientRefused, ReauthenticationRequired):
        raise
    except OAuthError as error:
        if error.status == 401 or error.error == INVALID:
            raise ReauthenticationRequired(error.error, error.description, error.status) from None
        raise


def account_of(request: HttpRequest, provider: str) -> BitbucketAccount | None:
    """The account at a provider that a request's person signed in with, else the first that they have there.

    ``provider`` of an account is where it was last signed in with. Where two aliases stand for one Bitbucket, the
    stored tokens tell that its person has signed in at the other, too, and hasn't been thrown out there.
    """
    mark = Mark.of(request.session)
    if mark is not None and mark.provider == provider:
        return marked(request.user.pk, mark)
    here = Q(provider=provider) | Q(tokens__provider=provider)
    found = rows().filter(here, user=request.user.pk).annotate(alias=F("tokens__provider")).order_by("pk")
    # Compared again here: a collation may take one alias for another.
    return next((row for row in found if provider in (row.provider, row.alias)), None)


def marked(user: object, mark: Mark) -> BitbucketAccount | None:
    """The user's account that a mark names."""
    found = rows().select_related("user").filter(user=user, instance=mark.instance, uid=mark.uid)
    # Compared again here: a collation may take one id for another.
    return next((row for row in found if (row.instance, row.uid) == (mark.instance, mark.uid)), None)


def rows() -> Any:
    """The accounts, where they are written: a replica may not know yet that somebody asks."""
    return BitbucketAccount.objects.using(database())


def database() -> str:
    """The alias of the database that has them."""
    return router.db_for_write(BitbucketAccount)


def stamp(moment: datetime | None) -> float:
    """A stored moment in Unix time; 0 for never."""
    found = aware(moment)
    return found.timestamp() if found else 0.0


def _first_line(error: Exception) -> str:
    # PostgreSQL adds the values in a second line.
    return str(error).partition("\n")[0]
