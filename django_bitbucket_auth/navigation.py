"""Where a person comes from and goes to: this site's URLs, and what a browser says about a request."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language, override

from .conf import DEFAULT_ALIAS, ProviderSettings
from .exceptions import ConfigurationError
from .oauth import urls

#: Longest ``next``, percent-encoded, in bytes: it travels in the attempt's cookie.
MOST_NEXT = 1024
#: Views that must not be where a sign-in ends: they would start over, sign out, or loop.
_NO_PLACE = frozenset({"login", "callback", "connect", "disconnect", "logout"})
_CALLBACK = (f"{__package__}.views", "callback")
#: Says that a sign-in was sent here from another host already, so that a proxy that hides the host makes no loop.
HOP = "hop"


def url_of(view: str, alias: str, next_url: str = "") -> str:
    """The path of one of our views for a provider, with ``next`` if there is one.

    Raises:
        ConfigurationError: the URLs aren't included.
    """
    args = [] if alias == DEFAULT_ALIAS else [alias]
    try:
        path = reverse(f"bitbucket_auth:{view}", args=args)
    except NoReverseMatch:
        raise ConfigurationError(
            "The URLs of django_bitbucket_auth aren't included, or stand in another namespace. "
            "Add path('bitbucket/', include('django_bitbucket_auth.urls')) to the project's urlpatterns."
        ) from None
    return f"{path}?{urlencode({'next': next_url})}" if next_url else path


def safe_next(request: HttpRequest, value: object) -> str:
    """The place to go to after the sign-in, as a path of this site; empty if it isn't a good one.

    ``ALLOWED_HOSTS`` plays no part: with ``["*"]`` every host would be ours.
    """
    if not isinstance(value, str) or not value or re.search(r"[\x00-\x20\x7f\\]", value):
        return ""
    try:
        parts = urlsplit(value)
        if parts.scheme or parts.netloc:
            if parts.scheme not in ("http", "https") or parts.netloc.lower() != request.get_host().lower():
                return ""
            value = urlunsplit(parts._replace(scheme="", netloc="")) or "/"
        value = iri_to_uri(value)
    except ValueError:  # brackets, ports, lone surrogates
        return ""
    if not value.startswith("/") or len(value) > MOST_NEXT or not url_has_allowed_host_and_scheme(value, None):
        return ""
    return "" if _is_no_place(urlsplit(value).path) else value


def success_url(configuration: ProviderSettings) -> str:
    """Where a person who is signed in goes without a ``next``.

    Raises:
        ConfigurationError: ``SUCCESS_URL`` or ``LOGIN_REDIRECT_URL`` names no URL.
    """
    wanted = configuration.success_url or settings.LOGIN_REDIRECT_URL
    try:
        return resolve_url(wanted)
    except NoReverseMatch:
        raise ConfigurationError(
            f"{wanted!r} names no URL of this project. Correct SUCCESS_URL or LOGIN_REDIRECT_URL."
        ) from None


def redirect_uri(request: HttpRequest, configuration: ProviderSettings) -> str:
    """The callback URL to be registered at Bitbucket and sent to it, the same at both steps.

    Raises:
        ConfigurationError: the request says http where people come by https. Bitbucket would keep them on its own
            error page, so it is said here.
    """
    secure, configured = request.is_secure(), configuration.callback_url
    if configured and (urlsplit(configured).scheme == "https") != secure:
        raise ConfigurationError(
            f"CALLBACK_URL is {configured}, but this request came by {request.scheme}. Set SECURE_PROXY_SSL_HEADER if "
            "a proxy ends TLS, or redirect http to https (SECURE_SSL_REDIRECT)."
        )
    if not secure and _proxy_says_https(request):
        raise ConfigurationError(
            "A proxy's header says https, but Django takes this request for http, so the callback URL would not match. "
            "Set SECURE_PROXY_SSL_HEADER, for example to ('HTTP_X_FORWARDED_PROTO', 'https')."
        )
    return configured or request.build_absolute_uri(url_of("callback", configuration.alias))


def other_host(request: HttpRequest, configuration: ProviderSettings, next_url: str, view: str = "login") -> str | None:
    """Where to start if not here: the host of ``CALLBACK_URL``, whose cookie the callback will look for.

    Raises:
        ConfigurationError: we sent the browser to that host already, and the request still names another one.
    """
    if not configuration.callback_url:
        return None
    wanted = urlsplit(configuration.callback_url)
    if urls.origin(configuration.callback_url) == urls.origin(f"{request.scheme}://{request.get_host()}"):
        return None
    if HOP in request.GET:
        raise ConfigurationError(
            f"CALLBACK_URL is on {wanted.netloc}, but requests to it arrive as {request.get_host()}. Let the proxy "
            "pass the Host header on, or set USE_X_FORWARDED_HOST."
        )
    query: dict[str, Any] = {"next": next_url, HOP: 1} if next_url else {HOP: 1}
    return f"{wanted.scheme}://{wanted.netloc}{url_of(view, configuration.alias)}?{urlencode(query)}"


def is_deliberate(request: HttpRequest) -> bool:
    """Whether a GET is a person's own navigation: typed, bookmarked, or from this site, and not fetched in advance.

    Another site could otherwise sign its visitors in to an account of its choosing (login CSRF). Browsers send these
    headers (Fetch Metadata) on https and loopback only; without them, there is the page with the button.
    """
    headers = request.headers
    in_advance = (headers.get(name, "").lower() for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
    return (
        headers.get("Sec-Fetch-Site") in ("same-origin", "none")
        and headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
        and not any("prefetch" in value or "preview" in value for value in in_advance)
    )


def _proxy_says_https(request: HttpRequest) -> bool:
    headers = request.headers
    return (
        headers.get("X-Forwarded-Proto", "").split(",")[0].strip().lower() == "https"
        or headers.get("X-Forwarded-Ssl", "").strip().lower() == "on"
        or re.search(r"proto=\"?https", headers.get("Forwarded", "").split(",")[0], re.IGNORECASE) is not None
    )


def _is_no_place(path: str) -> bool:
    path = unquote(path)
    if {".", ".."} & set(path.split("/")):
        return True  # the browser would go somewhere else than it says
    inside = "/" + path.removeprefix(get_script_prefix()).lstrip("/")
    # APPEND_SLASH adds a slash, and `i18n_patterns` a language that may not be the present one.
    languages = [get_language(), *({inside.split("/")[1]} & set(dict(settings.LANGUAGES)))]
    return any(_leads_to_no_place(inside, language) for language in languages)


def _leads_to_no_place(path: str, language: str | None) -> bool:
    with override(language):
        for candidate in (path, f"{path}/"):
            try:
                match = resolve(candidate)
            except Resolver404:
                continue
            # Our callback may also stand at the path of a package that was there before, without a name.
            view = (getattr(match.func, "__module__", ""), getattr(match.func, "__name__", ""))
            ours = match.app_names[-1:] == ["bitbucket_auth"]
            if match.url_name == "logout" or (ours and match.url_name in _NO_PLACE) or view == _CALLBACK:
                return True
    return False
