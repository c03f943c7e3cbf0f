"""How people are turned back from pages that aren't ours: to Bitbucket, by a page, or in JSON."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse

from . import conf, failures, navigation, pages
from .exceptions import BitbucketAuthError


def wants_json(request: HttpRequest) -> bool:
    """Whether a client could do nothing with a page or with the way to Bitbucket.

    It asks for JSON rather than for HTML; or it is a script (Fetch Metadata, or jQuery's header), which another site's
    pages are closed to (CORS).
    """
    headers = request.headers
    return (
        headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
        or headers.get("X-Requested-With") == "XMLHttpRequest"
        or _prefers_json(request)
    )


def _prefers_json(request: HttpRequest) -> bool:
    """Whether ``Accept`` ranks JSON above HTML, of whatever version and level (``application/json;version=1``)."""
    known = {("text", "html"), ("application", "json")}
    # As the client writes them: without its parameters, Django takes none of them for what is wanted.
    theirs = [str(kind) for kind in request.accepted_types if (kind.main_type, kind.sub_type) in known]
    best = request.get_preferred_type(["text/html", "application/json", *theirs])
    return best is not None and best.startswith("application/json")


def to_bitbucket(request: HttpRequest, alias: str) -> HttpResponse:
    """Send a person to sign in and back here; clients that want JSON are told ``login_required`` (401)."""
    if wants_json(request):
        # Without a line in the log: to ask before signing in is nobody's mistake.
        return pages.private(JsonResponse({"reason": "login_required"}, status=401))
    # What was posted is lost, as it is with Django's own decorators: the way back is a GET.
    return pages.private(HttpResponseRedirect(navigation.url_of("login", alias, next_url(request))))


def refuse(
    request: HttpRequest,
    error: BitbucketAuthError,
    alias: str,
    configuration: conf.ProviderSettings | None = None,
    *,
    event: str = "Request refused",
    status: int | None = None,
) -> HttpResponse:
    """Say no, for the error's reason: on the error page, or in JSON."""
    response = failures.refuse(
        request,
        error,
        alias,
        next_url(request),
        configuration,
        event=event,
        status=status,
        as_json=wants_json(request),
    )
    return pages.private(response)


def next_url(request: HttpRequest) -> str:
    """The way back to this page."""
    return navigation.safe_next(request, request.get_full_path())
