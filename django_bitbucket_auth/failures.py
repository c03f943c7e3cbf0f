"""Why a sign-in failed: the reason codes, what each says to the person, and the one log line behind it."""

from __future__ import annotations

import logging
import math
import secrets
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch
from django.utils.http import urlencode

from . import backends, conf, navigation, pages, phrases
from .exceptions import BitbucketAuthError, BitbucketUnavailable, ConfigurationError, LoginRefused, StateError
from .phrases import REASONS, Reason
from .signals import login_refused

logger = logging.getLogger("django_bitbucket_auth")


#: Letters and digits that are hard to confuse on the phone.
_TRAIL = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
#: Reasons whose cause a developer wants to read on the page (with ``DEBUG`` only).
_TECHNICAL = frozenset({"misconfigured", "client_refused", "insufficient_scope"})


def answer(
    request: HttpRequest,
    error: BitbucketAuthError,
    alias: str,
    next_url: str = "",
    configuration: conf.ProviderSettings | None = None,
    intent: str = "login",
) -> HttpResponse:
    """Answer a failed sign-in, or a failed connect: one log line, one signal, and the error page or ``FAILURE_URL``.

    ``configuration`` is ``None`` where the settings themselves are at fault.
    """
    code, reason = _reason(error)
    connects = intent == "connect"
    status = 400 if isinstance(error, StateError) else reason.status
    trail = _log("Connecting failed" if connects else "Sign-in failed", error, alias, status)
    login_refused.send_robust(sender=type(error), request=request, provider=alias, reason=code, trail=trail)
    return _shown(request, error, alias, next_url, configuration, status, trail, connects=connects)


def refuse(
    request: HttpRequest,
    error: BitbucketAuthError,
    alias: str,
    next_url: str = "",
    configuration: conf.ProviderSettings | None = None,
    *,
    event: str,
    status: int | None = None,
    as_json: bool = False,
) -> HttpResponse:
    """Answer a request that isn't a sign-in: one log line that begins with ``event``, and the error page or JSON."""
    code, reason = _reason(error)
    status = status or reason.status
    trail = _log(event, error, alias, status)
    if as_json:
        return JsonResponse({"reason": code, "trail": trail}, status=status)
    return _shown(request, error, alias, next_url, configuration, status, trail)


def _log(event: str, error: BitbucketAuthError, alias: str, status: int) -> str:
    """Write the one log line, and return the trail that finds it."""
    code, reason = _reason(error)
    trail = "BB-" + "".join(secrets.choice(_TRAIL) for _ in range(4))
    # `%s` of an error of ours holds no secret, and Bitbucket's words only as `%r`: they can't forge a second line.
    logger.log(
        reason.level,
        "%s: %s (trail %s, provider %s, status %s): %s",
        event,
        code,
        trail,
        alias,
        status,
        str(error) or type(error).__name__,
        extra={"reason": code, "trail": trail, "provider": alias, "status": status},
    )
    return trail


def _shown(
    request: HttpRequest,
    error: BitbucketAuthError,
    alias: str,
    next_url: str,
    configuration: conf.ProviderSettings | None,
    status: int,
    trail: str,
    *,
    connects: bool = False,
) -> HttpResponse:
    code, reason = _reason(error)
    title, words = phrases.CONNECTING.get(code if connects else "", (reason.title, reason.message))
    told = error.message if isinstance(error, LoginRefused) else ""
    message = str(told or _projects_words(request, code) or words)
    response: HttpResponse
    if url := _failure_url(configuration, code, trail):
        messages.error(request, f"{message} ({trail})", fail_silently=True)
        response = HttpResponseRedirect(url)
    else:
        context = {
            "reason": code,
            "title": title,
            "message": message,
            "trail": trail,
            # Whoever connects is signed in, and goes back to where that began.
            "login_url": _url("login", alias, next_url) if reason.again and not connects else None,
            "connections_url": _url("connections") if connects else None,
            "detail": str(error) if settings.DEBUG and code in _TECHNICAL else "",
        }
        response = pages.page(request, "error", context, status)
    if isinstance(error, BitbucketUnavailable) and error.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response


def _projects_words(request: HttpRequest, code: str) -> str | None:
    """What the project's backend says to a person in place of our words."""
    try:
        _, backend = backends.installed()
        words = backend.message_for(request, code)
        # Here, for words that are lazy may fail as late as this.
        return None if words is None else str(words)
    except (ConfigurationError, ImportError):
        return None
    except Exception:
        logger.exception("message_for() of the authentication backend failed for %r", code)
        return None


def _reason(error: BitbucketAuthError) -> tuple[str, Reason]:
    if error.reason in REASONS:
        return error.reason, REASONS[error.reason]
    code = "vetoed" if isinstance(error, LoginRefused) else "bad_answer"
    return code, REASONS[code]


def _failure_url(configuration: conf.ProviderSettings | None, code: str, trail: str) -> str | None:
    if configuration is None or configuration.failure_url is None:
        return None
    try:
        parts = urlsplit(resolve_url(configuration.failure_url))
    except (NoReverseMatch, ValueError):
        logger.exception("FAILURE_URL %r leads nowhere, so the error page is shown", configuration.failure_url)
        return None
    query = "&".join(filter(None, [parts.query, urlencode({"reason": code, "trail": trail})]))
    return urlunsplit(parts._replace(query=query))


def _url(view: str, alias: str = conf.DEFAULT_ALIAS, next_url: str = "") -> str | None:
    try:
        return navigation.url_of(view, alias, next_url)
    except ConfigurationError:
        return None
