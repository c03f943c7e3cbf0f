"""Django groups that follow workspaces. A group that ``GROUPS`` doesn't name is never touched, nor is a user's flag."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

from . import users
from .exceptions import ConfigurationError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("django_bitbucket_auth")


def sync(user: User, managed: Collection[str], wanted: Collection[str], using: str) -> None:
    """Put the user into the ``wanted`` ones of the ``managed`` groups, and take them out of the others.

    One query where nothing changes, two where a wanted group doesn't exist: groups are never created, for whoever
    can choose a group's name would then choose what it may do.

    Raises:
        ConfigurationError: the user model has no groups.
    """
    if not managed:
        return
    model: Any = group_model()
    if model is None:
        raise ConfigurationError("GROUPS is set, and the user model has no groups. Remove GROUPS.")
    present = _exactly(user.groups.using(using), managed)
    if surplus := [group for name, group in present.items() if name not in wanted]:
        user.groups.remove(*surplus)
    lacking = set(wanted) - present.keys()
    if not lacking:
        return
    found = _exactly(model._base_manager.using(using), lacking)
    if found:
        user.groups.add(*found.values())
    if missing := sorted(lacking - found.keys()):
        logger.warning("GROUPS names groups that don't exist: %s. Create them.", ", ".join(map(repr, missing)))


def group_model() -> type[Model] | None:
    """The model of the groups that users are in, if they are in any."""
    try:
        field = users.model()._meta.get_field("groups")
    except FieldDoesNotExist:
        return None
    related = field.related_model
    return related if isinstance(related, type) else None


def _exactly(rows: Any, names: Collection[str]) -> dict[str, Any]:
    # Compared again here: a collation may take "ádmin" for "admin".
    return {group.name: group for group in rows.filter(name__in=names) if group.name in names}
