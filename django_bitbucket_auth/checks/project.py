"""What the project has to have besides: the backend, the URLs, sessions, a shared cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string
from django.utils.translation import override

from .. import conf
from ..exceptions import ConfigurationError
from ..oauth import urls
from ..validators import Problem
from .messages import as_error, as_warning, split

_PER_PROCESS = ("django.core.cache.backends.locmem.", "django.core.cache.backends.dummy.")


def check_project(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What the project has to have besides: the backend, the URLs, sessions, a shared cache."""
    return [
        *map(as_error, _backend()),
        *map(as_error, _urls()),
        *map(as_error, _middleware()),
        *map(as_error, _callback_urls()),
        *map(as_error, _instances()),
        *map(as_error, _places()),
        *map(as_error, _user_groups()),
        *map(as_warning, _rechecks()),
        *map(as_warning, _languages()),
        *map(as_warning, _cache()),
        *map(as_warning, _user_model()),
    ]


def _backend() -> Iterator[Problem]:
    from .. import backends

    try:
        backends.installed()
    except ConfigurationError as error:
        yield split("E012", str(error))
    except ImportError as error:
        yield Problem("E012", f"AUTHENTICATION_BACKENDS can't be imported: {error}.", "Correct the path.")


def _urls() -> Iterator[Problem]:
    try:
        reverse("bitbucket_auth:login")
    except NoReverseMatch:
        yield Problem(
            "E013",
            "The URLs of django_bitbucket_auth aren't included.",
            "Add path('bitbucket/', include('django_bitbucket_auth.urls')) to urlpatterns.",
        )


def _middleware() -> Iterator[Problem]:
    for path in (
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ):
        if _place(path) is None:
            yield Problem("E014", f"MIDDLEWARE lacks {path}.", "Add it: nobody can stay signed in without.")


def _rechecks() -> Iterator[Problem]:
    asking = [alias for alias in conf.aliases() if not any(conf.problems(alias)) and conf.given(alias).get("RECHECK")]
    if not asking:
        return
    path = "django_bitbucket_auth.middleware.MembershipMiddleware"
    ours, theirs = _place(path), _place("django.contrib.auth.middleware.AuthenticationMiddleware")
    if ours is None:
        yield Problem(
            "W010",
            f"BITBUCKET_AUTH[{asking[0]!r}] has RECHECK, and MIDDLEWARE lacks {path}.",
            "Add it after AuthenticationMiddleware: nobody is asked about without.",
        )
    elif theirs is not None and ours < theirs:
        yield Problem(
            "W010",
            "MIDDLEWARE has MembershipMiddleware before AuthenticationMiddleware, by which it knows people.",
            "Move it behind.",
        )
    for alias in asking:
        if conf.given(alias).get("STORE_TOKENS") is False:
            yield Problem(
                "W011",
                f"BITBUCKET_AUTH[{alias!r}] has RECHECK, and keeps no tokens to ask with: STORE_TOKENS is off.",
                "Switch STORE_TOKENS on, or people have to sign in again each time that they are asked about.",
            )


def _place(path: str) -> int | None:
    """Where in ``MIDDLEWARE`` a class or one that derives from it stands."""
    return next((number for number, installed in enumerate(settings.MIDDLEWARE) if _derives(installed, path)), None)


def _derives(installed: str, path: str) -> bool:
    try:
        found, wanted = import_string(installed), import_string(path)
    except ImportError:
        return False  # Django says so itself
    return isinstance(found, type) and issubclass(found, wanted)


def _callback_urls() -> Iterator[Problem]:
    seen: dict[str, tuple[str, str, int, str]] = {}
    for alias in conf.aliases():
        given = conf.given(alias)
        url = given.get("CALLBACK_URL") if isinstance(given, dict) else None
        if url is None or urls.problem(url, allow_http=True):
            continue  # E009 tells of what isn't a URL
        place = (*urls.origin(url), urls.split(url).path)
        for other, taken in seen.items():
            # Bitbucket may accept whatever begins with the registered URL.
            if place[:3] == taken[:3] and (place[3].startswith(taken[3]) or taken[3].startswith(place[3])):
                yield Problem(
                    "E015",
                    f"The CALLBACK_URL of the provider {alias!r} is, or begins like, that of {other!r}.",
                    "Give each its own, with its alias before callback/: an answer of one must not reach the other.",
                )
        seen[alias] = place


def _instances() -> Iterator[Problem]:
    """Two Bitbucket installations by one name would vouch for each other's people: their ids both count from 1."""
    seen: dict[str, tuple[str, str]] = {}
    for alias in conf.aliases():
        if any(conf.problems(alias)):
            continue  # which are told
        name, place = conf.instance(alias)
        other, taken = seen.setdefault(name, (alias, place))
        if taken != place:
            yield Problem(
                "E022",
                f"The providers {other!r} and {alias!r} are both the instance {name!r}, at {taken} and {place}.",
                "Give each Bitbucket an INSTANCE of its own. If it is one Bitbucket by two addresses, use the same "
                "API_URL, or silence this check.",
            )


def _places() -> Iterator[Problem]:
    for alias in conf.aliases():
        given = conf.given(alias)
        for name in ("SUCCESS_URL", "FAILURE_URL"):
            wanted = given.get(name) if isinstance(given, dict) else None
            if not isinstance(wanted, str):
                continue  # E003 tells of what isn't a string
            try:
                urlsplit(resolve_url(wanted))
            except (NoReverseMatch, ValueError):
                yield Problem(
                    "E018",
                    f"BITBUCKET_AUTH[{alias!r}][{name!r}] is {wanted!r}, which leads nowhere.",
                    "Use a path such as /welcome/, or the name of one of the project's URLs.",
                )


def _user_groups() -> Iterator[Problem]:
    from .. import groups

    if groups.group_model() is not None:
        return
    for alias in conf.aliases():
        if not any(conf.problems(alias)) and conf.given(alias).get("GROUPS"):
            yield Problem(
                "E023",
                f"BITBUCKET_AUTH[{alias!r}] has GROUPS, and the user model has no groups.",
                "Derive the user model from PermissionsMixin, or remove GROUPS.",
            )


def _languages() -> Iterator[Problem]:
    configured = [conf.given(alias) for alias in conf.aliases()]
    if all(isinstance(given, dict) and given.get("CALLBACK_URL") for given in configured):
        return
    found = set()
    for language, _ in settings.LANGUAGES:
        with override(language):
            try:
                found.add(reverse("bitbucket_auth:callback"))
            except NoReverseMatch:
                return  # E013 tells of it
    if len(found) > 1:
        yield Problem(
            "W007",
            "The callback URL differs from language to language, and one alone can be registered at Bitbucket.",
            "Include the URLs outside of i18n_patterns(), or set CALLBACK_URL.",
        )


def _cache() -> Iterator[Problem]:
    if settings.CACHES["default"]["BACKEND"].startswith(_PER_PROCESS):
        yield Problem(
            "W005",
            "The default cache isn't shared between processes, so a started login can be used once in each of them.",
            "Use a shared one in CACHES['default']: Redis, Memcached, the database or files.",
        )


def _user_model() -> Iterator[Problem]:
    from django.contrib.auth import get_user_model
    from django.db.models import NOT_PROVIDED

    user = get_user_model()
    known = {user.USERNAME_FIELD, user.get_email_field_name(), "first_name", "last_name", "password"}
    wanted = [
        field.name
        for field in user._meta.concrete_fields
        if field.name not in known
        and field.editable
        and not (field.blank or field.primary_key or field.has_default() or field.db_default is not NOT_PROVIDED)
    ]
    if wanted and not _creates_users_itself():
        yield Problem(
            "W006",
            f"The user model requires {', '.join(wanted)}, which a Bitbucket profile doesn't have.",
            "Override create_user() of BitbucketBackend, and name your class in AUTHENTICATION_BACKENDS.",
        )


def _creates_users_itself() -> bool:
    from .. import backends

    try:
        _, backend = backends.installed()
    except (ConfigurationError, ImportError):
        return True  # E012 tells of it
    return type(backend).create_user is not backends.BitbucketBackend.create_user
