"""Tokens without a login: what a test gives out as if somebody had consented."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .vault import new_token

if TYPE_CHECKING:
    from .world import World


def issue(world: World, person: str | None, scopes: Iterable[str] | None) -> dict[str, object]:
    """See `World.issue`. The caller holds the lock."""
    given = world.client.scopes if scopes is None else tuple(scopes)
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
