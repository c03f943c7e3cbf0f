"""What Bitbucket's API tells of workspaces and repositories, as far as this site shows it.

Whatever is missing, or isn't what it should be, is left out: a page with a gap is better than none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace of ``user/workspaces``. Its slug can change; ``uuid`` can't, and is as good in paths."""

    uuid: str
    slug: str

    @classmethod
    def of(cls, value: Any) -> Self:
        workspace = _members(_members(value).get("workspace"))
        uuid = _text(workspace.get("uuid"))
        return cls(uuid, _text(workspace.get("slug")) or uuid)


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of ``repositories/{workspace}``. ``url`` is its page at Bitbucket, or empty."""

    name: str
    description: str
    language: str
    is_private: bool
    url: str
    updated: datetime | None

    @classmethod
    def of(cls, value: Any) -> Self:
        members = _members(value)
        url = _text(_members(_members(members.get("links")).get("html")).get("href"))
        return cls(
            name=_text(members.get("name")) or _text(members.get("full_name")) or "without a name",
            description=_text(members.get("description")),
            language=_text(members.get("language")),
            # Called public only if Bitbucket says so.
            is_private=members.get("is_private") is not False,
            # No other scheme: not `javascript:`, which would run here. A simulator's pages don't exist anyway.
            url=url if url.startswith("https://") else "",
            updated=_moment(members.get("updated_on")),
        )


def workspaces_in(values: Iterable[Any]) -> list[Workspace]:
    """The workspaces, in the order they came."""
    return [workspace for workspace in map(Workspace.of, values) if workspace.uuid]


def newest_first(values: Iterable[Any]) -> list[Repository]:
    """The repositories, those that changed last at the top."""
    found = [Repository.of(value) for value in values if isinstance(value, dict)]
    return sorted(found, key=lambda one: one.updated or LONG_AGO, reverse=True)


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
