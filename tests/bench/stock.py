"""People with accounts and stored tokens, by the hundred thousand or one by one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.test import override_settings

from django_bitbucket_auth import conf
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.oauth.token import Token

from . import tokens
from .settings import BITBUCKET_AUTH, BITBUCKET_AUTH_TOKEN_KEYS

#: Rows of one INSERT.
_BATCH = 500


def clear() -> None:
    """Empty all tables."""
    call_command("flush", interactive=False, verbosity=0)


def fill(count: int) -> None:
    """So many people, and no others, whose access tokens have just ended; encrypted with the older of the keys."""
    clear()
    with override_settings(BITBUCKET_AUTH_TOKEN_KEYS=BITBUCKET_AUTH_TOKEN_KEYS[1:]):
        for start in range(0, count, _BATCH):
            _insert(range(start, min(start + _BATCH, count)))


def _insert(numbers: range) -> None:
    ended = datetime.now(UTC) - timedelta(minutes=1)
    with transaction.atomic():
        users = User.objects.bulk_create(User(username=f"person-{number}", password="!") for number in numbers)
        accounts = BitbucketAccount.objects.bulk_create(
            _account(user, f"{{{number}}}") for user, number in zip(users, numbers, strict=True)
        )
        BitbucketToken.objects.bulk_create(
            _token(account, Token(tokens.access_token(number), "", tokens.refresh_token(number), expires_at=ended))
            for account, number in zip(accounts, numbers, strict=True)
        )


def one(answer: Mapping[str, object], *, ended: bool = False) -> User:
    """A person who has the tokens of a token endpoint's answer; ``ended``: the access token's time is over."""
    clear()
    user = User.objects.create_user("jane")
    account = _account(user, "{jane}")
    account.save()
    now = datetime.now(UTC)
    token = Token.from_answer(answer, now - timedelta(days=1) if ended else now)
    _token(account, token).save()
    return user


def _account(user: User, uid: str) -> BitbucketAccount:
    return BitbucketAccount(user=user, provider=conf.DEFAULT_ALIAS, instance=_instance(), uid=uid)


@cache
def _instance() -> str:
    return conf.provider(conf.provider_settings()).instance


def _token(account: BitbucketAccount, token: Token) -> BitbucketToken:
    key = BitbucketToken.key_of(account.pk, account.provider)
    return BitbucketToken(
        key=key,
        account=account,
        provider=account.provider,
        instance=account.instance,
        client_id=BITBUCKET_AUTH["default"]["CLIENT_ID"],
        grant="authorization_code",
        **BitbucketToken.columns(key, token),
    )
