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

from django.db import DatabaseError, Error, router, transaction
from django.http import HttpRequest

from . import accounts, api, conf, policies
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

#: Most seconds that a question takes, besides renewing the token.
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
    except Error as error:
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
    """Ask, and write the answer where all see it. Who certainly may not be here loses groups and tokens."""
    found = "unknown"
    try:
        configuration = conf.provider_settings(provider)
        found, cause = ask(account, configuration)
        if found != "yes":
            logger.warning("Bitbucket doesn't vouch for %s: %s (%s)", account.uid, found, cause)
        if found in GONE:
            accounts.expel(account, configuration)
    except BitbucketAuthError as error:
        logger.error("It could not be asked or written what became of %s: %s", account.uid, error)
    account.asked_at, account.answer = claimed, found
    if found == "yes":
        account.checked_at = claimed
    try:
        with transaction.atomic(using=database()):
            # Whoever took so long that somebody else has asked since knows less than that one.
            rows().filter(pk=account.pk, asked_at=claimed).update(answer=found, checked_at=account.checked_at)
    except DatabaseError as error:
        logger.warning("An answer about %s could not be kept: %s", account.uid, _first_line(error))


def ask(account: BitbucketAccount, configuration: ProviderSettings) -> tuple[str, str]:
    """``"yes"``, one of ``GONE``, ``AGAIN``, or ``"unknown"``; and why, for the log.

    Raises:
        ConfigurationError: the settings can't be used.
    """
    required = configuration.required_workspaces
    try:
        profile, memberships = identity(account, configuration, required)
        policies.check_membership(required, profile, memberships)
    except LoginRefused as refusal:
        return (refusal.reason if refusal.reason in GONE else "unknown"), str(refusal)
    except (NotConnected, ReauthenticationRequired, ProfileError) as error:
        if isinstance(error, NotConnected):
            return AGAIN, str(error)
        if error.reason == "inactive":
            return "inactive", str(error)
        return (AGAIN if isinstance(error, ReauthenticationRequired) else "unknown"), str(error)
    except BitbucketAuthError as error:
        return "unknown", str(error)
    return "yes", ""


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
    """The account at a provider that a request's person signed in with, else the first that they have there."""
    mark = Mark.of(request.session)
    if mark is not None and mark.provider == provider:
        return marked(request.user.pk, mark)
    found = rows().filter(user=request.user.pk, provider=provider).order_by("pk")
    return next((row for row in found[:1] if row.provider == provider), None)


def marked(user: object, mark: Mark) -> BitbucketAccount | None:
    """The user's account that a mark names."""
    found = rows().filter(user=user, instance=mark.instance, uid=mark.uid)
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


def _first_line(error: Error) -> str:
    # PostgreSQL adds the values in a second line.
    return str(error).partition("\n")[0]
