"""What an account remembers of a profile, and whether a profile still is the person it was."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.utils import timezone

from . import kinds
from .bitbucket import Profile
from .exceptions import LoginRefused
from .hooks import BitbucketLogin
from .models import BitbucketAccount

logger = logging.getLogger("django_bitbucket_auth")

#: How long an administrator's word for a person counts: for the next sign-in, not for whoever comes years later.
VOUCHED_FOR = timedelta(days=7)


def check(account: BitbucketAccount, login: BitbucketLogin) -> None:
    """Refuse a person who has an id that is known here, and nothing else that is.

    Ids of a Data Center are numbers that start from 1: a new installation at an old address gives them to other people.
    Whoever was renamed keeps the address, and the other way round; an administrator can vouch for the others.

    Raises:
        LoginRefused: ``already_connected``.
    """
    profile = login.profile
    if not kinds.is_self_hosted(login.configuration.kind):
        return
    if account.confirmed_at is not None and timezone.now() - account.confirmed_at < VOUCHED_FOR:
        return
    known = [(account.username, profile.username), (account.email, address(profile))]
    # A row that has neither name nor address has nothing to compare.
    if not any(before for before, _ in known) or any(
        before and before.casefold() == now.casefold() for before, now in known
    ):
        return
    cause = (
        f"the id {profile.uid} on {profile.instance} was {account.username!r} and is {profile.username!r} now, with "
        "another address or none. If this is a new Bitbucket at an old address, give it an INSTANCE of its own; if it "
        f"is the same person, confirm the account {account.pk} in the admin"
    )
    logger.error("A known id has become somebody else: %s", cause)
    raise LoginRefused("", "already_connected", cause=cause)


def columns(login: BitbucketLogin, *, known: bool) -> dict[str, Any]:
    """The account's columns for a profile. Of a known account addresses that couldn't all be read stay as they were."""
    profile = login.profile
    found: dict[str, Any] = {
        "provider": profile.provider,
        "instance": profile.instance,
        "uid": profile.uid,
        "account_id": profile.account_id,
        "username": profile.username,
        "display_name": profile.display_name,
        "avatar_url": profile.avatar_url,
        "profile_url": profile.profile_url,
        # It was for the change that is written now.
        "confirmed_at": None,
        # Nor is it an import's to take away any more.
        "imported_from": "",
    }
    if profile.account_id is None:
        del found["account_id"]
    if profile.emails_error is None or not known:
        kept = profile.email or ""
        if kinds.is_self_hosted(login.configuration.kind):
            # Also one that isn't trusted, to recognise the person by.
            kept = address(profile)
        found |= {"email": kept, "email_verified": profile.email is not None}
    return found


def address(profile: Profile) -> str:
    """The address that counts, else the first."""
    return profile.email or next((email.address for email in profile.emails), "")
