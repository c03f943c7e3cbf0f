"""The page that calls Bitbucket's API as the person who looks at it, and those for members and owners."""

from __future__ import annotations

import logging
import math
from itertools import islice
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.generic import TemplateView

from django_bitbucket_auth.api import BitbucketSession, get_session
from django_bitbucket_auth.decorators import BitbucketLoginRequiredMixin
from django_bitbucket_auth.exceptions import (
    BitbucketAuthError,
    BitbucketUnavailable,
    ClientRefused,
    ConfigurationError,
    InsufficientScope,
    NotConnected,
    OAuthError,
    ReauthenticationRequired,
)

from .bitbucket import Workspace, by_project, is_data_center, newest_first, own_workspaces, workspaces_in

logger = logging.getLogger(__name__)

#: How many are shown: each workspace costs a request, and the page waits for it. Projects cost none.
MOST_WORKSPACES = 10
MOST_REPOSITORIES = 20
MOST_RECENT = 50
#: What a scope is called where an OAuth client is registered.
TICKS = {"account": "Account: Read", "email": "Email", "repository": "Repositories: Read"}


@require_safe
@never_cache
@login_required
def repositories(request: HttpRequest) -> HttpResponse:
    """A person's repositories. Of what can go wrong, each has its answer here."""
    try:
        # It renews its token by itself, also one that Bitbucket refuses before its time.
        session = get_session(request)
        shown = of_projects(session) if is_data_center() else of_workspaces(session)
    except NotConnected as error:
        return problem(request, error, "not_connected", 403)
    except ReauthenticationRequired as error:
        return problem(request, error, "withdrawn", 403)
    except InsufficientScope as error:
        missing = [one for one in error.required if one not in error.granted] or ["repository"]
        return problem(request, error, "scope", 403, ticks=[(one, TICKS.get(one, "")) for one in missing])
    except BitbucketUnavailable as error:  # also RateLimited and BitbucketTimeout
        seconds = None if error.retry_after is None else math.ceil(error.retry_after)
        response = problem(request, error, error.reason, 503, wait=in_words(seconds))
        if seconds is not None:
            response.headers["Retry-After"] = str(seconds)
        return response
    except (ClientRefused, ConfigurationError) as error:
        return problem(request, error, "misconfigured", 503)
    except BitbucketAuthError as error:  # the root of all of them
        if isinstance(error, OAuthError) and error.status == 401:
            # The token is refused though it is a fresh one, or (OAuth 1.0a) there is no renewing it. Another may do.
            return problem(request, error, "withdrawn", 403)
        return problem(request, error, "nonsense", 502)
    return render(request, "repositories.html", shown)


class Members(BitbucketLoginRequiredMixin, TemplateView):
    """For members of the site's workspace. What Bitbucket has said of somebody is good for five minutes."""

    template_name = "members.html"
    suffix = ""

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.workspaces = [f"{workspace}{self.suffix}" for workspace in own_workspaces()]
        if not self.workspaces:
            # Nobody is a member where a site belongs to no workspace; an empty list would let everybody in.
            raise Http404


class Owners(Members):
    """For its owners. Bitbucket is asked each time that somebody looks at it."""

    template_name = "owners.html"
    suffix = ":owner"
    max_age = 0


def of_workspaces(session: BitbucketSession) -> dict[str, Any]:
    """What the page shows of Bitbucket Cloud."""
    found = islice(session.paginate("user/workspaces", params={"sort": "slug"}), MOST_WORKSPACES)
    places = [with_repositories(session, workspace) for workspace in workspaces_in(found)]
    return {"places": places, "most_workspaces": MOST_WORKSPACES if len(places) == MOST_WORKSPACES else None}


def of_projects(session: BitbucketSession) -> dict[str, Any]:
    """What the page shows of a Data Center: what the person has used last, in one request.

    Not of ``repos``: there anybody may ask, so that one whose token has ended could be taken for a stranger, who is
    shown what is public, and no word of the token.
    """
    values = list(islice(session.paginate("profile/recent/repos", params={"limit": MOST_RECENT + 1}), MOST_RECENT + 1))
    found = by_project(values[:MOST_RECENT])
    places = [{"name": project.name or "Without a project", "repositories": ones} for project, ones in found.items()]
    return {"places": places, "most_recent": MOST_RECENT if len(values) > MOST_RECENT else None}


def with_repositories(session: BitbucketSession, workspace: Workspace) -> dict[str, Any]:
    """What the page shows of a workspace."""
    # One more than is shown, to see whether there are more; in one page of Bitbucket's, so that it takes one request.
    most = MOST_REPOSITORIES + 1
    pages = session.paginate(workspace.path, params=workspace.query(most))
    try:
        values = list(islice(pages, most))
    except OAuthError as error:
        # One that lets nobody in from here, or only with two-step verification, shall not hide the others.
        if error.error not in ("http_403", "http_404"):
            raise
        return {"name": workspace.slug, "refusal": error.description or "It gave no reason."}
    return {
        "name": workspace.slug,
        "repositories": newest_first(values[:MOST_REPOSITORIES]),
        "more": len(values) > MOST_REPOSITORIES,
    }


def problem(request: HttpRequest, error: BitbucketAuthError, what: str, status: int, **more: object) -> HttpResponse:
    """The page that says what happened and what to do; the log says why. No message of ours holds a secret."""
    logger.warning("The repositories of user %s can't be shown (%s): %s", request.user.pk, type(error).__name__, error)
    return render(request, "problem.html", {"what": what, **more}, status=status)


def in_words(seconds: int | None) -> str:
    """When to try again."""
    if not seconds:
        return "in a minute"
    number, unit = (seconds, "second") if seconds < 100 else (math.ceil(seconds / 60), "minute")
    return f"in {number} {unit}{'' if number == 1 else 's'}"
