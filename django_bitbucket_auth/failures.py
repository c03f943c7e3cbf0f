"""Why a sign-in failed: the reason codes, what each says to the person, and the one log line behind it."""

from __future__ import annotations

import logging
import math
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from . import backends, conf, navigation, pages, phrases
from .exceptions import BitbucketAuthError, BitbucketUnavailable, ConfigurationError, LoginRefused, StateError
from .signals import login_refused

logger = logging.getLogger("django_bitbucket_auth")


@dataclass(frozen=True, slots=True)
class Reason:
    """One way to fail: our HTTP status, the log's level, and the words on the page."""

    status: int
    level: int
    title: str | Promise
    message: str | Promise
    again: bool = True


#: Letters and digits that are hard to confuse on the phone.
_TRAIL = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
#: Reasons whose cause a developer wants to read on the page (with ``DEBUG`` only).
_TECHNICAL = frozenset({"misconfigured", "client_refused", "insufficient_scope"})

REASONS: dict[str, Reason] = {
    "cancelled": Reason(
        403,
        logging.WARNING,
        _("You were not signed in"),
        _(
            "Bitbucket was not allowed to tell this site who you are. If you change your mind, sign in again and "
            "choose “Grant access”."
        ),
    ),
    "state_missing": Reason(
        400,
        logging.WARNING,
        _("This sign-in was not started here"),
        _(
            "This browser has no record of the sign-in that Bitbucket answered: it may have begun in another "
            "browser, cookies may be switched off, or it is finished already. Please sign in again."
        ),
    ),
    "state_expired": Reason(
        400,
        logging.WARNING,
        _("The sign-in took too long"),
        _("For your safety a sign-in has to be finished within a few minutes. Please sign in again."),
    ),
    "state_reused": Reason(
        400, logging.WARNING, _("This sign-in was used before"), _("Each sign-in works once. Please sign in again.")
    ),
    "state_mismatch": Reason(
        400,
        logging.WARNING,
        _("This sign-in doesn't fit"),
        _("Bitbucket's answer doesn't belong to the sign-in that this browser started. Please sign in again."),
    ),
    "login_required": Reason(
        401,
        logging.WARNING,
        _("Please sign in with Bitbucket"),
        _("This page is for people who have signed in with Bitbucket, and what you sent was not accepted."),
    ),
    "not_a_member": Reason(
        403,
        logging.WARNING,
        _("You are not a member"),
        _(
            "This site is for members of certain Bitbucket workspaces, and your account is in none of them. Ask "
            "an administrator of the workspace to invite you, or sign in with another account."
        ),
    ),
    "membership_unknown": Reason(
        503,
        logging.WARNING,
        _("Your membership could not be checked"),
        _(
            "This site is for members of certain Bitbucket workspaces, and Bitbucket can't say at the moment "
            "whether you are one. Please try again in a minute."
        ),
    ),
    "vetoed": Reason(
        403,
        logging.WARNING,
        _("You may not sign in here"),
        _(
            "This site doesn't let this Bitbucket account in. If you think that it should, ask the people who run "
            "the site."
        ),
    ),
    "inactive": Reason(
        403,
        logging.WARNING,
        _("This account is deactivated"),
        _(
            "The account is switched off, at Bitbucket or on this site. Ask the people who run the site to switch "
            "it on again."
        ),
        again=False,
    ),
    "not_a_person": Reason(
        502,
        logging.WARNING,
        _("This is not a person's account"),
        _(
            "Bitbucket answered with an account that belongs to an app or an access token. Sign in at Bitbucket "
            "as yourself, and try again."
        ),
    ),
    "no_stable_id": Reason(
        502,
        logging.ERROR,
        _("Bitbucket didn't say who you are"),
        _(
            "Bitbucket's answer lacks the id that this site knows people by. Please tell the people who run this "
            "site, and give them the code below."
        ),
    ),
    "email_required": Reason(
        403,
        logging.WARNING,
        _("A confirmed e-mail address is needed"),
        _(
            "Your Bitbucket account has no confirmed e-mail address. Confirm one in Bitbucket's personal "
            "settings, then sign in again."
        ),
    ),
    "email_taken": Reason(
        403,
        logging.WARNING,
        _("Your e-mail address is in use here"),
        _(
            "There already is an account on this site with your e-mail address, or with something else that must "
            "be unique. Sign in to it the way you did before, or ask the people who run the site."
        ),
    ),
    "sign_up_closed": Reason(
        403,
        logging.WARNING,
        _("There is no account for you yet"),
        _("This site doesn't create accounts by itself. Ask the people who run it for one."),
    ),
    "already_connected": Reason(
        403,
        logging.WARNING,
        _("This Bitbucket account is tied to another user"),
        _(
            "Your Bitbucket account can't be used for this. Please tell the people who run this site, and give "
            "them the code below."
        ),
        again=False,
    ),
    "connect_mismatch": Reason(
        400,
        logging.WARNING,
        _("The account was not connected"),
        _(
            "It has to be connected by the same person from beginning to end. You signed out or changed your password "
            "in between, or somebody else had begun. Please sign in, and connect the account again."
        ),
    ),
    "client_refused": Reason(
        502,
        logging.ERROR,
        _("Bitbucket refuses this site"),
        _(
            "Bitbucket doesn't accept the credentials of this site. That isn't your fault. Please tell the people "
            "who run this site, and give them the code below."
        ),
    ),
    "insufficient_scope": Reason(
        502,
        logging.ERROR,
        _("This site may not ask who you are"),
        _(
            "The site's registration at Bitbucket lacks a permission. Please tell the people who run this site, "
            "and give them the code below."
        ),
    ),
    "bad_answer": Reason(
        502,
        logging.ERROR,
        _("Bitbucket's answer made no sense"),
        _("Please try again. If it happens twice, tell the people who run this site, and give them the code below."),
    ),
    "unavailable": Reason(
        503,
        logging.WARNING,
        _("Signing in doesn't work at the moment"),
        _("Bitbucket is down or overloaded, or the way there is. Please try again in a minute."),
    ),
    "rate_limited": Reason(
        503,
        logging.WARNING,
        _("Too many sign-ins at once"),
        _("Bitbucket answers this site only so often in an hour. Please try again in a few minutes."),
    ),
    "timed_out": Reason(
        504, logging.WARNING, _("Bitbucket took too long"), _("It didn't answer in time. Please try again in a minute.")
    ),
    "misconfigured": Reason(
        503,
        logging.ERROR,
        _("Sign-in isn't set up correctly"),
        _(
            "This site's settings for Bitbucket are incomplete or wrong. Please tell the people who run this "
            "site, and give them the code below."
        ),
        again=False,
    ),
}


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


def _projects_words(request: HttpRequest, code: str) -> str | Promise | None:
    """What the project's backend says to a person in place of our words."""
    try:
        _, backend = backends.installed()
        return backend.message_for(request, code)
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
