"""Our pages and the headers that every answer carries."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeAlias
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_not_required
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.template.loader import get_template, render_to_string
from django.templatetags.static import static
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext as _

P = ParamSpec("P")
View: TypeAlias = Callable[Concatenate[HttpRequest, P], HttpResponse]
_OURS = Path(__file__).parent / "templates"


def guarded(view: View[P]) -> View[P]:
    """A view of ours: open to people who aren't signed in, never cached, never framed, in no transaction.

    Not atomic on any database, whatever ``ATOMIC_REQUESTS`` says: a transaction held while Bitbucket is waited for
    would lock others out, and one that is rolled back would lose what the spent code paid for.
    """

    @wraps(view)
    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        return private(view(request, *args, **kwargs))

    open_view: View[P] = login_not_required(answer)
    for alias in connections:
        open_view = transaction.non_atomic_requests(using=alias)(open_view)
    return open_view


def private(response: HttpResponse) -> HttpResponse:
    """The answer with the headers that keep it out of caches and frames."""
    response.headers["Cache-Control"] = "no-store, no-cache, private, max-age=0, must-revalidate"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    return response


def page(request: HttpRequest, name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render ``bitbucket_auth/<name>.html`` under a policy that allows our stylesheet, and forms to this site.

    A page on a project's own base.html loads what that project wants: then the project's policy is left to rule.
    """
    html = render_to_string(f"bitbucket_auth/{name}.html", context, request)
    response = HttpResponse(html, status=status)
    if name in ("error", "forward") or _are_ours(name, "base"):
        styles = _style_origin()
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; style-src {styles}; img-src {styles}; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
    return response


def forward(request: HttpRequest, url: str, message: str | None = None) -> HttpResponse:
    """A page that moves on to ``url``, where a redirect won't do.

    Browsers hold every redirect after a POST to the ``form-action`` of the page with the form, so it can't lead to
    Bitbucket; and a redirect on the way back from Bitbucket carries no strict cookie, while this page's step does.
    """
    url = iri_to_uri(url)  # a header is ASCII
    response = page(request, "forward", {"url": url, "message": message or _("Taking you on to the site.")})
    response.headers["Refresh"] = f"0;url={url}"
    return response


def _are_ours(*names: str) -> bool:
    origins = (getattr(get_template(f"bitbucket_auth/{name}.html"), "origin", None) for name in names)
    return all(_OURS in Path(getattr(origin, "name", "")).parents for origin in origins)


def _style_origin() -> str:
    parts = urlsplit(static("bitbucket_auth/bitbucket_auth.css"))
    if not parts.netloc:
        return "'self'"
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme else parts.netloc
