"""Tokens without a login: what a test gives out as if somebody had consented."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .kinds import is_oauth1
from .vault import new_token

if TYPE_CHECKING:
    from .world import World


def issue(world: World, person: str | None, scopes: Iterable[str] | None) -> dict[str, object]:
    """See `World.issue`. The caller holds the lock."""
    given = world.client.scopes if scopes is None else tuple(scopes)
    if is_oauth1(world.kind):
        if person is None:
            raise ValueError("OAuth 1.0a has no tokens of the application itself")
        return _sign_for(world, person, given)
    rules = world.rules
    told: dict[str, object] = {
        "access_token": new_token(rules.token_length),
        "expires_in": rules.access_token_seconds,
        "token_type": "bearer",
        rules.scope_member: " ".join(given),
    }
    if person is not None:
        told["refresh_token"] = new_token(rules.token_length)
    world.keep(world.vault.open_grant(person, given), told)
    return told


def _sign_for(world: World, person: str, scopes: tuple[str, ...]) -> dict[str, object]:
    """The pair of OAuth 1.0a, by the names that its answer has, and by those of ``Token``."""
    token, secret = new_signing_token(), new_signing_token()
    world.keep_signing(world.vault.open_grant(person, scopes), token, secret)
    return {"oauth_token": token, "oauth_token_secret": secret, "access_token": token, "token_secret": secret}


def new_signing_token() -> str:
    """32 letters and digits, as Data Center's tokens and secrets of OAuth 1.0a are."""
    return secrets.token_hex(16)
