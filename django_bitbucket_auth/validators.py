"""What the value of each setting has to be. Pure functions from a value to a problem."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .oauth import urls

_UUID = re.compile(r"\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}")
_SLUG = re.compile(r"[a-z0-9_][a-z0-9_.-]*", re.IGNORECASE)
_DOMAIN = re.compile(r"[\w-]+(\.[\w-]+)*")
USER_FIELDS = ("first_name", "last_name", "email")
#: Roles in a workspace, from the lowest. Bitbucket's "collaborator" is deprecated and makes no member.
ROLES = ("member", "create-project", "owner")
#: Least seconds between two questions about one person: Bitbucket answers a client a thousand times an hour.
LEAST_RECHECK = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the settings: the check's number, what it is, and what to do about it."""

    number: str
    message: str
    hint: str


def check(given: dict[str, Any], where: str) -> Iterator[Problem]:
    """The problems of one provider's dictionary, key by key."""
    # Whether this kind may have it is a question between two keys (`kinds.contradictions`).
    allow_http = given.get("ALLOW_HTTP") is True
    for name, value in given.items():
        if name not in KEYS:
            known = ", ".join(sorted(KEYS))
            yield Problem("E002", f"{where} has the unknown key {name!r}.", f"Remove it, or use one of: {known}.")
            continue
        number, problem = KEYS[name]
        trouble = problem(value, allow_http=allow_http) if name in _ADDRESSES else problem(value)
        if trouble is not None:
            # The value itself is left out: it may be a credential in the wrong place.
            yield Problem(number, f"{where}[{name!r}] {trouble}.", f"See {name} in the settings reference.")


def token_keys_problem(keys: object) -> Problem | None:
    """What is wrong with ``BITBUCKET_AUTH_TOKEN_KEYS``."""
    if isinstance(keys, (list, tuple)) and keys and all(isinstance(key, str) and len(key) >= 32 for key in keys):
        return None
    return Problem(
        "E007",
        "BITBUCKET_AUTH_TOKEN_KEYS isn't a list of strings of at least 32 characters.",
        "List secrets, newest first, such as django.core.management.utils.get_random_secret_key() makes.",
    )


def normal(name: str, value: Any) -> Any:
    """A valid value in the form that the code uses: lists as tuples, one timeout as two, paths as strings."""
    if name == "TIMEOUT" and not isinstance(value, (list, tuple)):
        return (value, value)
    if name == "CLIENT_CERT" and isinstance(value, (list, tuple)):
        return tuple(os.fspath(part) for part in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if name == "GROUPS":
        return {group: (entries,) if isinstance(entries, str) else tuple(entries) for group, entries in value.items()}
    return tuple(value) if isinstance(value, list) else value


def split_entry(entry: str) -> tuple[str, str]:
    """Workspace and least role of a ``"workspace"`` or ``"workspace:role"`` entry."""
    workspace, _, role = entry.partition(":")
    return workspace, role or ROLES[0]


def entry_problem(entry: object) -> str | None:
    """What is wrong with a ``"workspace"`` or ``"workspace:role"`` entry."""
    workspace, colon, role = entry.partition(":") if isinstance(entry, str) else ("", "", "")
    if not (_UUID.fullmatch(workspace) or _SLUG.fullmatch(workspace)):
        return "has an entry that is neither a workspace's uuid in braces nor its slug"
    return None if not colon or role in ROLES else f"has an entry with a role other than {', '.join(ROLES)}"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "isn't True or False"


def _text(value: object) -> str | None:
    good = isinstance(value, str) and value.strip() and value.isprintable()
    return None if good else "isn't a string with something in it"


def _instance(value: object) -> str | None:
    good = isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= 200
    return None if good else "isn't a string of 1 to 200 printable characters"


def _optional(problem: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    return lambda value: None if value is None else problem(value)


def _credential(value: object) -> str | None:
    return None if isinstance(value, str) or callable(value) else "is neither a string nor a callable"


def _decision(value: object) -> str | None:
    if isinstance(value, bool) or callable(value) or (isinstance(value, str) and "." in value):
        return None
    return "is neither True nor False nor a callable or its dotted path"


def _trust(value: object) -> str | None:
    if isinstance(value, bool):
        return None
    # A string is a sequence of letters, and an address no domain.
    good = isinstance(value, (list, tuple)) and all(isinstance(item, str) and _DOMAIN.fullmatch(item) for item in value)
    return None if good else "is neither True nor False nor a list of domains like example.com"


def _signature_method(value: object) -> str | None:
    # PLAINTEXT would send the secrets along with each request.
    return None if value in ("HMAC-SHA1", "RSA-SHA1") else "is neither 'HMAC-SHA1' nor 'RSA-SHA1'"


def _rsa_key(value: object) -> str | None:
    good = isinstance(value, os.PathLike) or (isinstance(value, str) and value.strip())
    return None if good else "is neither a private key in PEM form nor the path of one"


def _number(value: object, least: float) -> bool:
    """Whether the value is a number from ``least`` to a day's seconds, beyond which clocks and cookies give up."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= 86_400


def _seconds(value: object) -> str | None:
    return None if _number(value, 0.001) else "isn't a number of seconds above 0, at most 86400"


def _max_age(value: object) -> str | None:
    return (
        None
        if isinstance(value, int) and _number(value, 1)
        else "isn't a whole number of seconds above 0, at most 86400"
    )


def _retries(value: object) -> str | None:
    return None if isinstance(value, int) and _number(value, 0) and value <= 10 else "isn't a whole number from 0 to 10"


def _timeout(value: object) -> str | None:
    pair = value if isinstance(value, (list, tuple)) else (value, value)
    good = len(pair) == 2 and all(_number(seconds, 0.001) for seconds in pair)
    return None if good else "isn't a number of seconds, or two: to connect and for each read"


def _strings(value: object) -> str | None:
    if not isinstance(value, (list, tuple)):
        return "isn't a list"
    return (
        None
        if all(isinstance(item, str) and item.split() == [item] for item in value)
        else "has an item that isn't one word"
    )


def _user_fields(value: object) -> str | None:
    if not isinstance(value, (list, tuple)):
        return "isn't a list"
    return None if set(map(str, value)) <= set(USER_FIELDS) else f"has an item other than {', '.join(USER_FIELDS)}"


def _workspaces(value: object) -> str | None:
    # A string is a sequence of letters: "acme" would let in the members of five other workspaces.
    if not isinstance(value, (list, tuple)):
        return "isn't a list"
    if "*" in value:
        return None if len(value) == 1 else "has '*' beside other items"
    for item in value:
        if not isinstance(item, str) or not (_UUID.fullmatch(item) or _SLUG.fullmatch(item)):
            return "has an item that is neither a workspace's uuid in braces nor its slug"
    return None


def _groups(value: object) -> str | None:
    if not isinstance(value, dict):
        return "isn't a dictionary from a group's name to workspaces"
    for name, entries in value.items():
        if not isinstance(name, str) or not name.strip():
            return "has a group whose name isn't a string with something in it"
        listed = [entries] if isinstance(entries, str) else entries
        if not isinstance(listed, (list, tuple)) or not listed:
            # An empty list would take the group from everybody.
            return f"[{name!r}] isn't a workspace or a list of some"
        if trouble := next(filter(None, map(entry_problem, listed)), None):
            return f"[{name!r}] {trouble}"
    return None


def _recheck(value: object) -> str | None:
    good = isinstance(value, int) and _number(value, LEAST_RECHECK)
    return None if good else f"isn't a whole number of seconds from {LEAST_RECHECK} to 86400"


def _address(value: object, *, allow_http: bool) -> str | None:
    return None if value is None else urls.problem(value, allow_http=allow_http)


def _endpoints(value: object, *, allow_http: bool) -> str | None:
    names = ("authorize", "token", "request_token", "user")
    if not isinstance(value, dict) or not set(value) <= set(names):
        return f"isn't a dictionary with the keys {', '.join(names)}"
    troubles = ((name, urls.problem(url, allow_http=allow_http)) for name, url in value.items())
    return next((f"[{name!r}] {trouble}" for name, trouble in troubles if trouble), None)


def _proxies(value: object) -> str | None:
    good = isinstance(value, dict) and all(isinstance(item, str) and item for pair in value.items() for item in pair)
    return None if good else "isn't a dictionary from a scheme to a proxy's URL"


def _path(value: object) -> str | None:
    if not isinstance(value, (str, os.PathLike)) or not value:
        # `False` would switch the check of Bitbucket's certificate off: whoever is in between gets the secrets.
        return "isn't a path"
    try:
        there = Path(value).exists()
    except (OSError, ValueError):  # too long, or with a NUL in it
        there = False
    return None if there else "names a file that doesn't exist"


def _client_cert(value: object) -> str | None:
    parts = value if isinstance(value, (list, tuple)) else [value]
    if not 1 <= len(parts) <= 2:
        return "isn't a path or a pair of paths"
    return next((trouble for part in parts if (trouble := _path(part))), None)


#: Key → number of its check, and the function that finds what is wrong with a value.
KEYS: dict[str, tuple[str, Callable[..., str | None]]] = {
    "KIND": ("E004", _text),
    "CLIENT_ID": ("E003", _optional(_credential)),
    "CLIENT_SECRET": ("E003", _optional(_credential)),
    "SIGNATURE_METHOD": ("E003", _signature_method),
    "RSA_KEY": ("E020", _optional(_rsa_key)),
    "BASE_URL": ("E005", urls.problem),
    "API_URL": ("E005", urls.problem),
    "ENDPOINTS": ("E005", _endpoints),
    "INSTANCE": ("E003", _optional(_instance)),
    "SCOPES": ("E003", _strings),
    "PKCE": ("E003", _flag),
    "FETCH_EMAILS": ("E003", _flag),
    "TRUST_EMAILS": ("E003", _trust),
    "WORKSPACES": ("E008", _workspaces),
    "RECHECK": ("E025", _optional(_recheck)),
    "GROUPS": ("E023", _groups),
    "CREATE_USERS": ("E003", _flag),
    "LINK_BY_EMAIL": ("E003", _decision),
    "UPDATE_USERS": ("E003", _user_fields),
    "STORE_TOKENS": ("E003", _flag),
    "LOGIN_ON_GET": ("E003", _flag),
    "SUCCESS_URL": ("E003", _optional(_text)),
    "FAILURE_URL": ("E003", _optional(_text)),
    "CALLBACK_URL": ("E009", _address),
    "STATE_MAX_AGE": ("E003", _max_age),
    "TIMEOUT": ("E003", _timeout),
    "RETRIES": ("E003", _retries),
    "DEADLINE": ("E003", _seconds),
    "PROXIES": ("E003", _proxies),
    "CA_BUNDLE": ("E010", _optional(_path)),
    "CLIENT_CERT": ("E010", _optional(_client_cert)),
    "ALLOW_HTTP": ("E003", _flag),
}
#: Keys that hold addresses, which may be plain HTTP with ``ALLOW_HTTP``.
_ADDRESSES = frozenset({"BASE_URL", "API_URL", "ENDPOINTS", "CALLBACK_URL"})
