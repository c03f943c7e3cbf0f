"""``manage.py workspace_report [workspace or project]``: a job for cron, which nobody has to be signed in for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_bitbucket_auth.api import BitbucketSession, get_session
from django_bitbucket_auth.exceptions import (
    BitbucketAuthError,
    BitbucketUnavailable,
    ClientRefused,
    ConfigurationError,
    ForeignURL,
    InsufficientScope,
    OAuthError,
)
from django_bitbucket_auth.stores import DatabaseTokenStore
from website.bitbucket import Project, Workspace, is_data_center, newest_first, projects_in, workspaces_in

#: Names that are printed of one workspace or project.
MOST = 1000


class Command(BaseCommand):
    """Asks as the application itself, with a token that the database keeps, encrypted, from run to run."""

    help = "Print the repositories of a workspace (at a Data Center: a project), as this site's OAuth client sees them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "workspace", nargs="?", help="slug or uuid, or a project's key; default: all that the client can get into"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            # Nobody in particular (`None`), so by client credentials.
            session = get_session(None, store=DatabaseTokenStore())
            for place in self.places(session, options["workspace"]):
                self.report(session, place)
        except BitbucketAuthError as error:
            raise CommandError(sentence(error)) from error

    def places(self, session: BitbucketSession, wanted: str | None) -> Sequence[Workspace | Project]:
        """The one that is wanted, or all."""
        found: Sequence[Workspace | Project]
        if is_data_center():
            found = [Project(wanted, wanted)] if wanted else projects_in(session.paginate("projects"))
        else:
            found = [Workspace(wanted, wanted)] if wanted else workspaces_in(session.paginate("user/workspaces"))
        if not found:
            raise CommandError(f"The OAuth client of this site can't get into any {place_word()}.")
        return found

    def report(self, session: BitbucketSession, place: Workspace | Project) -> None:
        """Print the repositories of one."""
        found = newest_first(islice(session.paginate(place.path, params=place.query(100)), MOST))
        self.stdout.write(f"{place.name}: {len(found)} {'repository' if len(found) == 1 else 'repositories'}")
        for one in found:
            told = ["private" if one.is_private else "public", one.language]
            told.append(f"updated {one.updated:%Y-%m-%d}" if one.updated else "")
            self.stdout.write(f"  {one.name} ({', '.join(filter(None, told))})")


def place_word() -> str:
    """What repositories lie in."""
    return "project" if is_data_center() else "workspace"


def sentence(error: BitbucketAuthError) -> str:
    """What is wrong, and what to do, for whoever reads the mail that cron sends."""
    if isinstance(error, ConfigurationError):
        return str(error)
    if isinstance(error, BitbucketUnavailable):
        return f"Bitbucket can't be asked at the moment: {error}. The next run tries again."
    if isinstance(error, ClientRefused):
        return (
            f"Bitbucket refuses the OAuth client of this site: {error}. Check BITBUCKET_CLIENT_ID and "
            "BITBUCKET_CLIENT_SECRET, and that the client may use client credentials."
        )
    if isinstance(error, InsufficientScope):  # Cloud's answer
        return (
            f"The OAuth client of this site lacks a scope ({error.description}). An administrator of its workspace "
            "can add it at Bitbucket: Workspace settings, OAuth clients, Scopes, Repositories: Read and Account: Read."
        )
    if isinstance(error, ForeignURL):
        known_by = "key" if is_data_center() else "slug, or its uuid in braces"
        return f"That can't be the name of a {place_word()}: use its {known_by}."
    # A Data Center says 401 where others say 403, also to a token that is good.
    if isinstance(error, OAuthError) and error.error in ("http_403", "http_404", "invalid_token"):
        return f"Bitbucket doesn't show this {place_word()} to the OAuth client of this site: {error.description}"
    return f"Bitbucket's answer made no sense: {error}"
