"""Content Security Policies: the site's for Django before 6.0, which has a middleware for it, and the admin's."""

from collections.abc import Callable, Collection, Mapping

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

#: What the admin has otherwise: its lists and actions need scripts. It gets those that Django serves from this site,
#: none inline, and no pictures from elsewhere.
ADMIN = {"script-src": ["'self'"], "img-src": ["'self'"]}

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class ContentSecurityPolicyMiddleware:
    """Send ``SECURE_CSP`` with every page that has no policy of its own."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.policy = written(settings.SECURE_CSP)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy)
        return response


class AdminPolicyMiddleware:
    """Send the admin's pages with ``SECURE_CSP`` as ``ADMIN`` changes it.

    It stands after the other one, which leaves a policy that is there.
    By the view and not by the path, which a URL configuration may change: nothing else may have scripts by accident.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.policy = written({**settings.SECURE_CSP, **ADMIN})

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.resolver_match and request.resolver_match.app_names[:1] == ["admin"]:
            response.headers.setdefault("Content-Security-Policy", self.policy)
        return response


def written(policy: Mapping[str, Collection[str]]) -> str:
    """A policy as the header has it."""
    return "; ".join(" ".join([name, *sources]) for name, sources in policy.items())
