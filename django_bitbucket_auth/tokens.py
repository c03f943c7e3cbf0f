"""Tokens and where a sign-in keeps them."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from .conf import ProviderSettings
from .models import BitbucketAccount, BitbucketToken
from .oauth.token import Token

__all__ = ["Token", "forget", "write"]


def write(
    account: BitbucketAccount,
    token: Token,
    configuration: ProviderSettings,
    *,
    grant: str,
    redirect_uri: str = "",
    using: str,
    new_account: bool = False,
) -> None:
    """Keep ``token`` as the account's one token at this provider, in place of whatever was there.

    One statement for an account that has one; ``new_account`` spares the look for a row that can't exist.
    """
    key = BitbucketToken.key_of(account.pk, configuration.alias)
    values = {
        **BitbucketToken.columns(key, token),
        "instance": account.instance,
        "client_id": configuration.client_id,
        "grant": grant,
        "redirect_uri": redirect_uri,
    }
    rows = BitbucketToken.objects.using(using)
    if new_account or not rows.filter(key=key).update(version=F("version") + 1, updated_at=timezone.now(), **values):
        rows.create(key=key, account=account, provider=configuration.alias, **values)


def forget(instance: str, uid: str, provider: str, *, using: str) -> None:
    """Delete the tokens that a person's account has at a provider."""
    found = BitbucketToken.objects.using(using).filter(account__instance=instance, account__uid=uid, provider=provider)
    # A transaction of its own, or a savepoint: a lock error must not spoil the caller's for the next try.
    with transaction.atomic(using=using):
        found.delete()
