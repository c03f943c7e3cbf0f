"""``manage.py workspace_report [workspace]``: a job for cron, which nobody has to be signed in for."""

from __future__ import annotations

from itertools import islice
from typing import Any
from urllib.parse import quote

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
from website.bitbucket import newest_first, workspaces_in

#: Names that are printed of one workspace.
MOST = 1000


class Command(BaseCommand):
    """Asks as the application itself, with a token that the database keeps, encrypted, from run to run."""

    help = "Print the repositories of a workspace, as the OAuth client of this site sees them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workspace", nargs="?", help="slug or uuid; default: all that the client can get into")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            # Nobody in particular (`None`), so by client credentials.
            session = get_session(None, store=DatabaseTokenStore())
            for name, path in self.workspaces(session, options["workspace"]):
                self.report(session, name, path)
        except BitbucketAuthError as error:
            raise CommandError(sentence(error)) from error

    def workspaces(self, session: BitbucketSession, wanted: str | None) -> list[tuple[str, str]]:
        """What each workspace is called, and what its path says."""
        if wanted:
            return [(wanted, wanted)]
        found = workspaces_in(session.paginate("user/workspaces"))
        if not found:
            raise CommandError("The OAuth client of this site can't get into any workspace.")
        return [(workspace.slug, workspace.uuid) for workspace in found]

    def report(self, session: BitbucketSession, name: str, path: str) -> None:
        """Print one workspace's repositories."""
        pages = session.paginate(f"repositories/{quote(path, safe='')}", params={"sort": "-updated_on", "pagelen": 100})
        found = newest_first(islice(pages, MOST))
        self.stdout.write(f"{name}: {len(found)} {'repository' if len(found) == 1 else 'repositories'}")
        for one in found:
            told = ["private" if one.is_private else "public", one.language]
            told.append(f"updated {one.updated:%Y-%m-%d}" if one.updated else "")
            self.stdout.write(f"  {one.name} ({', '.join(filter(None, told))})")


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
    if isinstance(error, InsufficientScope):
        return (
            f"The OAuth client of this site lacks a scope ({error.description}). An administrator of its workspace "
            "can add it at Bitbucket: Workspace settings, OAuth clients, Scopes, Repositories: Read and Account: Read."
        )
    if isinstance(error, ForeignURL):
        return "That can't be the name of a workspace: use its slug, or its uuid in braces."
    if isinstance(error, OAuthError) and error.error in ("http_403", "http_404"):
        return f"Bitbucket doesn't show this workspace to the OAuth client of this site: {error.description}"
    return f"Bitbucket's answer made no sense: {error}"
