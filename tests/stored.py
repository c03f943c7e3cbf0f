"""People whose tokens are stored, without a sign-in: for tests of what happens to the tokens then."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db import router
from django.utils import timezone

from django_bitbucket_auth import conf, tokens
from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.oauth.grants import Grant
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.testing import BitbucketSimulator

LONG_AGO = timedelta(days=1)


def stored(
    bitbucket: BitbucketSimulator, person: str = "jane", *, ended: bool = False, **columns: Any
) -> BitbucketToken:
    """The row of a person's token, as a sign-in leaves it; ``columns`` are overwritten then.

    ``ended``: its access token has run out, here and at Bitbucket.
    """
    configuration = conf.provider_settings()
    instance = conf.provider(configuration).instance
    user, _ = User.objects.get_or_create(username=person)
    account, _ = BitbucketAccount.objects.get_or_create(
        instance=instance, uid=bitbucket.person(person).uuid, defaults={"user": user, "provider": "default"}
    )
    token = Token.from_answer(bitbucket.issue(person))
    using = router.db_for_write(BitbucketToken)
    tokens.write(account, token, configuration, grant="authorization_code", using=using)
    rows = BitbucketToken.objects.filter(account=account)
    if ended:
        bitbucket.expire_access_tokens(person)
        columns = {"expires_at": timezone.now() - LONG_AGO, **columns}
    if columns:
        # Got an hour ago, so that an end that is near is not the end of a short life.
        rows.update(**{"updated_at": timezone.now() - timedelta(hours=1), **columns})
    return rows.select_related("account__user").get()


def soon(seconds: float) -> datetime:
    """A moment so many seconds from now."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def renewals(bitbucket: BitbucketSimulator) -> int:
    """How many refresh tokens Bitbucket was sent."""
    return len([1 for logged in bitbucket.requests_to("token") if logged.form.get("grant_type") == "refresh_token"])


class Overtaken(CloudProvider):
    """Somebody else acts while Bitbucket is waited for: ``acts`` of them, one a request."""

    acts: list[Any] = []  # noqa: RUF012 - the settings name the class

    def fetch_token(self, grant: Grant) -> Token:
        token = super().fetch_token(grant)
        take_turns()
        return token


class OvertakenRefusal(CloudProvider):
    """The same, and Bitbucket refuses."""

    def fetch_token(self, grant: Grant) -> Token:
        take_turns()
        return super().fetch_token(grant)


class NothingRetired(CloudProvider):
    """As Cloud was, and some servers are."""

    retired_grants: ClassVar[Mapping[str, str]] = {}


def take_turns() -> None:
    """Let the next of those who overtake act."""
    for act in Overtaken.acts[:1]:
        Overtaken.acts.remove(act)
        act()
