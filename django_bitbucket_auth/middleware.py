"""Middleware: signs people out who may not be here any more."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib import auth
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from . import conf, gates, marks, memberships, rechecks
from .exceptions import BitbucketAuthError, ConfigurationError
from .marks import Mark

#: Views that anybody may ask for at any time: they serve files.
_FILES = ("django.views.static", "django.contrib.staticfiles.views")
#: Our own that signing in takes. Not those that connect and disconnect: whoever has left would open another way in.
_FREE = frozenset({"login", "callback", "connections"})


class MembershipMiddleware:
    """Enforces ``RECHECK``. It stands after ``AuthenticationMiddleware``, and works with both WSGI and ASGI.

    People who came in by another way than Bitbucket are never asked about. Nor is anybody on our own pages, when
    signing out, or for files.
    """

    #: Before the view and after the URL is resolved; of the kind that Django runs in the present server.
    process_view: Callable[..., Any]

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        before: Callable[..., Any] = self._before
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)
            before = self._abefore
        # A subclass may have its own.
        if not hasattr(self, "process_view"):
            self.process_view = before

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Coroutine[Any, Any, HttpResponseBase]:
        answer: HttpResponseBase | Coroutine[Any, Any, HttpResponseBase] = self.get_response(request)
        return answer

    def _before(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if _is_free(request, view) or not marks.is_due(request.session):
            return None
        return _checked(request)

    async def _abefore(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if _is_free(request, view) or not await marks.ais_due(request.session):
            return None
        return await sync_to_async(_checked)(request)


def _is_free(request: HttpRequest, view: Any) -> bool:
    """Whether nobody has to be asked about for this page.

    Raises:
        ConfigurationError: there are no sessions.
    """
    if not hasattr(request, "session") or not hasattr(request, "user"):
        raise ConfigurationError("MembershipMiddleware has to stand after AuthenticationMiddleware in MIDDLEWARE.")
    # Without looking into the session, which would make the page one that depends on cookies.
    if request.session.session_key is None:
        return True
    match = request.resolver_match
    ours = match is not None and (
        match.url_name == "logout" or (match.app_names[-1:] == ["bitbucket_auth"] and match.url_name in _FREE)
    )
    kind = getattr(view, "view_class", None)
    leaving = isinstance(kind, type) and issubclass(kind, LogoutView)
    return ours or leaving or getattr(view, "__module__", "") in _FILES


def _checked(request: HttpRequest) -> HttpResponse | None:
    """``None``, or the answer to a person who may not be here."""
    try:
        rechecks.check(request)
    except BitbucketAuthError as error:
        return _turned_back(request, error)
    return None


def _turned_back(request: HttpRequest, error: BitbucketAuthError) -> HttpResponse:
    mark = Mark.of(request.session)
    alias = mark.provider if mark and mark.provider in conf.aliases() else conf.DEFAULT_ALIAS
    if error.reason in memberships.GONE:
        auth.logout(request)
        return gates.refuse(request, error, alias, _settings(alias), event="Session ended")
    if error.reason == memberships.AGAIN and request.method in ("GET", "HEAD"):
        return gates.to_bitbucket(request, alias)
    return gates.refuse(request, error, alias)


def _settings(alias: str) -> conf.ProviderSettings | None:
    try:
        return conf.provider_settings(alias)
    except ConfigurationError:
        return None
