"""What is missing or wrong with the settings of each provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage

from .. import conf, kinds, validators
from ..exceptions import ConfigurationError
from ..oauth import urls
from ..validators import Problem
from .messages import as_error, as_warning, split


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``BITBUCKET_AUTH``, ``BITBUCKET_AUTH_TOKEN_KEYS`` and the credentials."""
    found: list[CheckMessage] = []
    keys = getattr(settings, "BITBUCKET_AUTH_TOKEN_KEYS", None)
    if keys is not None and (problem := validators.token_keys_problem(keys)):
        found.append(as_error(problem))
    names = conf.aliases()
    if not names:
        found += map(as_error, conf.problems(conf.DEFAULT_ALIAS))
    for alias in names:
        if problems := list(conf.problems(alias)):
            found += map(as_error, problems)
        else:
            found += map(as_error, _credential_errors(alias))
            # A warning, so that tests and builds run without secrets; an error of `check --deploy`.
            found += map(as_warning, _missing_credentials(alias, "W001"))
            found += map(as_warning, _doors(alias))
    return found


def _credential_errors(alias: str) -> Iterator[Problem]:
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        try:
            conf.credential(alias, name)
        except ConfigurationError as error:
            yield split("E011", str(error))
    try:
        if key := conf.rsa_key(alias):
            from ..oauth.oauth1 import Consumer, check_signs

            # A machine may have a key that is fine, and no SHA-1.
            check_signs(Consumer("check", signature_method="RSA-SHA1", rsa_key=key))
    except (ConfigurationError, ValueError) as error:
        yield split("E020", str(error))


def _missing_credentials(alias: str, number: str) -> Iterator[Problem]:
    for name in conf.needed_credentials(alias):
        try:
            missing = not conf.credential(alias, name)
        except ConfigurationError:
            continue  # E011 tells of it
        if missing:
            yield split(number, conf.missing_credential(alias, name))


def _doors(alias: str) -> Iterator[Problem]:
    given = conf.given(alias)
    workspaces = tuple(given.get("WORKSPACES", ()))
    where = f"BITBUCKET_AUTH[{alias!r}]"
    kind = given.get("KIND", "cloud")
    if not workspaces and not kinds.is_self_hosted(kind):
        yield Problem(
            "W002",
            f"{where} has no WORKSPACES: anybody with a Bitbucket account can sign in.",
            "List the workspaces whose members may come in, or say that you mean everybody: WORKSPACES=['*'].",
        )
    for key, names in (("WORKSPACES", workspaces), ("GROUPS", _workspaces_of_groups(given))):
        if slugs := [name for name in names if name != "*" and not name.startswith("{")]:
            yield Problem(
                "W003",
                f"{where}[{key!r}] names {', '.join(map(repr, slugs))} by slug, which can be renamed and taken over.",
                "Use the uuid in braces; the documentation says how to find it (Limit sign-in to a workspace).",
            )
    if _loopback(alias):
        yield _loopback_problem("W004", alias)
    spoken = _addresses(alias, "CALLBACK_URL")
    if plain := [url for url in spoken if urls.origin(url)[0] == "http" and not urls.is_loopback(url)]:
        yield Problem(
            "W008",
            f"{where} speaks plain HTTP with {plain[0]}: whoever is in between reads codes, tokens and secrets.",
            "Let that Bitbucket speak https, with CA_BUNDLE for a certificate of your own, and remove ALLOW_HTTP.",
        )
    if kind == "cloud-oauth1" and urls.host(given.get("BASE_URL", kinds.CLOUD_URL)) == "bitbucket.org":
        yield Problem(
            "W009",
            f"{where} signs in by OAuth 1.0a, which bitbucket.org has not taken since early 2026.",
            "Use KIND='cloud': the same consumer is an OAuth 2.0 client once it has a callback URL.",
        )


def _workspaces_of_groups(given: Mapping[str, Any]) -> list[str]:
    listed = validators.normal("GROUPS", given.get("GROUPS", {})).values()
    return sorted({validators.split_entry(entry)[0] for entries in listed for entry in entries})


def _addresses(alias: str, *more: str) -> list[str]:
    given = conf.given(alias)
    names = ("BASE_URL", "API_URL", *more)
    return [*(given[name] for name in names if given.get(name)), *given.get("ENDPOINTS", {}).values()]


def _loopback(alias: str) -> bool:
    return any(map(urls.is_loopback, _addresses(alias)))


def _loopback_problem(number: str, alias: str) -> Problem:
    return Problem(
        number,
        f"BITBUCKET_AUTH[{alias!r}] believes what answers on this very machine.",
        "Fine for a simulator during development; remove BASE_URL, API_URL and ENDPOINTS before you deploy.",
    )


def check_deployment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What is fine at home and not on a server (``check --deploy``)."""
    found: list[CheckMessage] = []
    for alias in conf.aliases():
        if any(conf.problems(alias)):
            continue
        if _loopback(alias) and not settings.DEBUG:
            found.append(as_error(_loopback_problem("E016", alias)))
        found += map(as_error, _missing_credentials(alias, "E017"))
    return found
