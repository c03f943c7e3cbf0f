"""The kinds of Bitbucket: which class a ``KIND`` names, and what it makes of the other settings.

Bitbucket Cloud by OAuth 2.0, which most projects use, is answered for without importing anything: settings are checked
whenever Django starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import import_string

from .exceptions import ConfigurationError
from .oauth import urls
from .validators import Problem

if TYPE_CHECKING:
    from .bitbucket import Provider

CLOUD_URL = "https://bitbucket.org"
CLOUD_API_URL = "https://api.bitbucket.org"
#: ``KIND`` → class in ``bitbucket``.
_CLASSES = {
    "cloud": "CloudProvider",
    "cloud-oauth1": "CloudOAuth1Provider",
    "data-center": "DataCenterProvider",
    "data-center-oauth1": "DataCenterOAuth1Provider",
}


def provider_class(kind: str) -> type[Provider]:
    """The class that a ``KIND`` names.

    Raises:
        ConfigurationError: none, or one that isn't a ``Provider``.
    """
    from . import bitbucket

    try:
        found = getattr(bitbucket, _CLASSES[kind]) if kind in _CLASSES else import_string(kind)
    except Exception as error:  # an import can fail in any way
        raise ConfigurationError(f"KIND {kind!r} can't be imported ({type(error).__name__}: {error}).") from error
    if not (isinstance(found, type) and issubclass(found, bitbucket.Provider)):
        raise ConfigurationError(f"KIND {kind!r} isn't a subclass of django_bitbucket_auth.bitbucket.Provider.")
    wanted = {"authorize", "token", "user", *(["request_token"] if found.signs_requests else [])}
    if missing := wanted - set(found.paths):
        raise ConfigurationError(f"KIND {kind!r} has no paths for {', '.join(sorted(missing))}.")
    return found


def is_self_hosted(kind: str) -> bool:
    """Whether a ``KIND`` is somebody's own installation.

    Raises:
        ConfigurationError: it names no provider.
    """
    return kind != "cloud" and provider_class(kind).self_hosted


def defaults(keys: Mapping[str, Any]) -> dict[str, Any]:
    """What holds where a provider's settings don't say so, as far as it depends on its kind.

    Raises:
        ConfigurationError: ``KIND`` names no provider.
    """
    kind = keys.get("KIND", "cloud")
    if kind == "cloud":
        return {}
    found = provider_class(kind)
    values: dict[str, Any] = {"SCOPES": found.default_scopes, "SIGNATURE_METHOD": found.default_signature_method}
    if found.self_hosted and "BASE_URL" in keys:
        values["API_URL"] = keys["BASE_URL"]
    return values


def contradictions(where: str, keys: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong between keys that are fine each by itself."""
    try:
        known = defaults(keys)
        self_hosted = is_self_hosted(keys.get("KIND", "cloud"))
    except ConfigurationError as error:
        names = ", ".join(map(repr, _CLASSES))
        yield Problem("E004", f"{where}: {error}", f"Use one of {names}, or the dotted path of a Provider subclass.")
        return
    yield from _of_own_installations(where, keys) if self_hosted else _of_cloud(where, keys)
    yield from _of_signatures(where, keys)
    yield from _of_addresses(where, {**known, **keys})
    decide = keys.get("LINK_BY_EMAIL")
    try:
        decides = not isinstance(decide, str) or callable(import_string(decide))
    except Exception:  # an import can fail in any way
        decides = False
    if not decides:
        yield Problem(
            "E003",
            f"{where}['LINK_BY_EMAIL'] names no callable that can be imported.",
            "Use True or False, a callable, or its dotted path.",
        )


def _of_own_installations(where: str, keys: Mapping[str, Any]) -> Iterator[Problem]:
    if "BASE_URL" not in keys:
        yield Problem(
            "E019",
            f"{where} has no BASE_URL.",
            "Say where your Bitbucket is, with the context path if it has one: https://git.example.com/bitbucket",
        )
    elif urls.host(keys["BASE_URL"]) == urls.host(CLOUD_URL):
        yield Problem(
            "E019",
            f"{where}['BASE_URL'] is Bitbucket Cloud's.",
            "Use the KIND 'cloud', or say where your own Bitbucket is.",
        )
    if tuple(keys.get("WORKSPACES", ())) not in ((), ("*",)):
        # Otherwise the operator would believe in a limit that isn't there: so nobody gets in.
        yield Problem(
            "E008",
            f"{where}['WORKSPACES'] can't be checked: Data Center has no workspaces.",
            "Remove it. To limit who may come in, answer the verify signal, or limit who may use that Bitbucket.",
        )
    if keys.get("GROUPS"):
        yield Problem(
            "E023",
            f"{where}['GROUPS'] can't be filled: Data Center has no workspaces.",
            "Remove it, and put people into groups in a receiver of account_connected or user_logged_in.",
        )


def _of_cloud(where: str, keys: Mapping[str, Any]) -> Iterator[Problem]:
    if keys.get("ALLOW_HTTP"):
        yield Problem(
            "E021",
            f"{where}['ALLOW_HTTP'] is for Data Center only.",
            "Remove it: Bitbucket Cloud speaks https.",
        )
    if keys.get("TRUST_EMAILS"):
        # Anybody can add anybody's address to an account of Bitbucket Cloud; only confirming it proves something.
        yield Problem(
            "E021",
            f"{where}['TRUST_EMAILS'] is for Data Center only.",
            "Remove it: at Bitbucket Cloud people can enter any address, and nobody vouches for those not confirmed.",
        )
    if keys.get("ENDPOINTS", {}).get("user", "").endswith("/1.0/user/"):
        yield from _of_old_profiles(where, keys)


def _of_old_profiles(where: str, keys: Mapping[str, Any]) -> Iterator[Problem]:
    """Whom a profile in the 1.0 format is about can't be told, so nothing can be asked about that person."""
    hint = "Remove ENDPOINTS['user'], so that the profile is read in the 2.0 format."
    for name, number, asked in (
        ("WORKSPACES", "E008", tuple(keys.get("WORKSPACES", ())) not in ((), ("*",))),
        ("GROUPS", "E023", bool(keys.get("GROUPS"))),
        ("RECHECK", "E025", keys.get("RECHECK") is not None),
    ):
        if asked:
            yield Problem(number, f"{where}[{name!r}] can't be checked: a profile in the 1.0 format has no id.", hint)


def _of_signatures(where: str, keys: Mapping[str, Any]) -> Iterator[Problem]:
    kind = keys.get("KIND", "cloud")
    if kind == "cloud" or not provider_class(kind).signs_requests:
        for name in ("SIGNATURE_METHOD", "RSA_KEY"):
            if keys.get(name):
                yield Problem(
                    "E003",
                    f"{where}[{name!r}] is for OAuth 1.0a, and the KIND {kind!r} speaks OAuth 2.0.",
                    "Remove it, or use the KIND 'data-center-oauth1'.",
                )
        return
    if {**defaults(keys), **keys}["SIGNATURE_METHOD"] == "RSA-SHA1" and not keys.get("RSA_KEY"):
        yield Problem(
            "E020",
            f"{where} has no RSA_KEY to sign with.",
            "Give the private key whose public key the application link has, as PEM text or a path "
            "(manage.py bitbucket_check --new-key makes a pair), or use SIGNATURE_METHOD='HMAC-SHA1'.",
        )


def _of_addresses(where: str, keys: Mapping[str, Any]) -> Iterator[Problem]:
    api_url = keys.get("API_URL", CLOUD_API_URL)
    user = keys.get("ENDPOINTS", {}).get("user")
    if user and not urls.within(user, api_url):
        yield Problem(
            "E005",
            f"{where}['ENDPOINTS']['user'] isn't under API_URL ({api_url}).",
            "The token goes to URLs under API_URL only: set API_URL to match.",
        )
    if (keys.get("INSTANCE") or "").strip().lower() == "bitbucket.org" and urls.origin(api_url) != urls.origin(
        CLOUD_API_URL
    ):
        yield Problem(
            "E006",
            f"{where}['INSTANCE'] is 'bitbucket.org', but the profiles come from {api_url}.",
            "Choose another name: whoever answers there would vouch for people of bitbucket.org.",
        )
