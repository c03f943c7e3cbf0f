"""People whose tokens are stored, without a sign-in: for tests of what happens to the tokens then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
from django_bitbucket_auth.stores import Record, TokenStore
from django_bitbucket_auth.testing import BitbucketSimulator, SimulatorRequest

LONG_AGO = timedelta(days=1)
#: Jane's, where passwords are still taken.
PASSWORD: dict[str, Any] = {"username": "jdoe", "password": "password-of-jane"}


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


class Shelf(TokenStore):
    """Two methods are all that a store needs."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def load(self, key: str) -> Record | None:
        return self.records.get(key)

    def save(self, key: str, record: Record) -> None:
        self.records[key] = record

    def end(self) -> None:
        """Let every access token run out."""
        for key, record in self.records.items():
            self.records[key] = replace(record, token=replace(record.token, expires_at=soon(-1)))


def owner(bitbucket: BitbucketSimulator, token: Token) -> Any:
    """Whom a token stands for, as Bitbucket says."""
    headers = {"host": "127.0.0.1", "authorization": f"Bearer {token.access_token}"}
    body = bitbucket.handle(SimulatorRequest("GET", "/2.0/user", headers=headers)).json()
    assert isinstance(body, dict)
    return body.get("username") or body.get("type") or body


def jwt_arguments(bitbucket: BitbucketSimulator) -> dict[str, Any]:
    client = bitbucket.client
    return {"app_key": client.app_key, "client_key": client.client_key, "shared_secret": client.shared_secret}
