"""What Bitbucket's API tells of repositories, as far as this site shows it: of a workspace at Cloud, of a project at a
Data Center.

Whatever is missing, or isn't what it should be, is left out: a page with a gap is better than none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

from django.conf import settings

LONG_AGO = datetime.min.replace(tzinfo=UTC)


def is_data_center() -> bool:
    """Whether this site's Bitbucket is one. A site that has one kind only needn't ask."""
    provider = getattr(settings, "BITBUCKET_AUTH", {}).get("default", {})
    return str(provider.get("KIND", "cloud")).startswith("data-center")


def own_workspaces() -> list[str]:
    """The workspaces of which somebody has to be a member to come in; none where everybody is meant."""
    provider = getattr(settings, "BITBUCKET_AUTH", {}).get("default", {})
    return [workspace for workspace in provider.get("WORKSPACES", []) if workspace != "*"]


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

    @property
    def name(self) -> str:
        return self.slug

    @property
    def path(self) -> str:
        """Of its repositories."""
        return f"repositories/{quote(self.uuid, safe='')}"

    def query(self, most: int) -> dict[str, Any]:
        """For a page of the repositories that changed last."""
        return {"sort": "-updated_on", "pagelen": most}


@dataclass(frozen=True, slots=True)
class Project:
    """A project of ``projects``, or of a repository, at a Data Center."""

    key: str
    name: str

    @classmethod
    def of(cls, value: Any) -> Self:
        members = _members(value)
        key = _text(members.get("key"))
        return cls(key, _text(members.get("name")) or key)

    @property
    def path(self) -> str:
        """Of its repositories."""
        return f"projects/{quote(self.key, safe='')}/repos"

    def query(self, most: int) -> dict[str, Any]:
        """For a page of repositories."""
        return {"limit": most}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of either. ``url`` is its page at Bitbucket, or empty; a Data Center tells no language, no date."""

    name: str
    description: str
    language: str
    is_private: bool
    url: str
    updated: datetime | None

    @classmethod
    def of(cls, value: Any) -> Self:
        members = _members(value)
        links = _members(members.get("links"))
        own = links.get("self")
        page = links.get("html") or (own[0] if isinstance(own, list) and own else None)
        url = _text(_members(page).get("href"))
        return cls(
            name=_text(members.get("name")) or _text(members.get("full_name")) or "without a name",
            description=_text(members.get("description")),
            language=_text(members.get("language")),
            # Called public only if Bitbucket says so, each in its own words.
            is_private=members.get("is_private") is not False and members.get("public") is not True,
            # No other scheme: not `javascript:`, which would run here. A simulator's pages don't exist anyway.
            url=url if url.startswith("https://") else "",
            updated=_moment(members.get("updated_on")),
        )


def workspaces_in(values: Iterable[Any]) -> list[Workspace]:
    """The workspaces, in the order they came."""
    return [workspace for workspace in map(Workspace.of, values) if workspace.uuid]


def projects_in(values: Iterable[Any]) -> list[Project]:
    """The projects, in the order they came."""
    return [project for project in map(Project.of, values) if project.key]


def by_project(values: Iterable[Any]) -> dict[Project, list[Repository]]:
    """Repositories of a Data Center by their projects, in the order they came."""
    found: dict[Project, list[Repository]] = {}
    for value in values:
        if isinstance(value, dict):
            found.setdefault(Project.of(value.get("project")), []).append(Repository.of(value))
    return found


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
