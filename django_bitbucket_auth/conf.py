"""The settings, typed. Read at each use, never at import: there is no cache to clear.

``BITBUCKET_AUTH`` maps an alias to the keys of one provider. What is wrong with them is found in one place,
``problems``; the system checks print it, and ``provider_settings`` raises it, so that nobody gets in by a mistake.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.module_loading import import_string

from . import kinds, validators
from .exceptions import ConfigurationError
from .oauth import urls
from .validators import Problem

if TYPE_CHECKING:
    from .bitbucket import Provider

DEFAULT_ALIAS = "default"
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_VERBS = frozenset({"login", "callback", "connect", "disconnect", "connections", "session", "api"})
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One provider's settings, complete and checked. ``repr`` shows no secret."""

    alias: str
    kind: str = "cloud"
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    signature_method: str = ""
    rsa_key: str = field(default="", repr=False)
    base_url: str = kinds.CLOUD_URL
    api_url: str = kinds.CLOUD_API_URL
    endpoints: Mapping[str, str] = field(default_factory=dict)
    instance: str | None = None
    scopes: tuple[str, ...] = ()
    pkce: bool = True
    fetch_emails: bool = True
    trust_emails: bool | tuple[str, ...] = False
    workspaces: tuple[str, ...] = ()
    recheck: int | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    create_users: bool = True
    link_by_email: bool | str | Callable[..., object] = False
    update_users: tuple[str, ...] = ("first_name", "last_name", "email")
    store_tokens: bool = True
    login_on_get: bool = True
    success_url: str | None = None
    failure_url: str | None = None
    callback_url: str | None = None
    state_max_age: int = 600
    timeout: tuple[float, float] = (3.05, 10)
    retries: int = 2
    deadline: float = 20
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_bundle: str | None = None
    client_cert: str | tuple[str, str] | None = None
    allow_http: bool = False

    @property
    def required_workspaces(self) -> tuple[str, ...]:
        """The workspaces of which one must vouch; none where everybody is meant."""
        return () if self.workspaces == ("*",) else self.workspaces

    @property
    def asked_workspaces(self) -> tuple[str, ...]:
        """The workspaces that a sign-in asks about, each once: the required ones, and those that ``GROUPS`` names."""
        found: dict[str, str] = {}
        for name in (
            *self.required_workspaces,
            *(validators.split_entry(entry)[0] for entries in self.groups.values() for entry in entries),
        ):
            found.setdefault(name.lower(), name)
        return tuple(found.values())


def aliases() -> tuple[str, ...]:
    """The configured providers' aliases; ``("default",)`` where the setting is absent."""
    configured = getattr(settings, "BITBUCKET_AUTH", None)
    if configured is None:
        return (DEFAULT_ALIAS,)
    return tuple(configured) if isinstance(configured, dict) else ()


def provider_settings(alias: str = DEFAULT_ALIAS, *, unregistered: bool = False) -> ProviderSettings:
    """The settings of one provider, with its credentials.

    ``unregistered`` does without credentials that are set nowhere: to ask what takes none.

    Raises:
        ConfigurationError: something about them is missing or wrong.
    """
    for problem in problems(alias):
        raise ConfigurationError(f"{problem.message} {problem.hint}")
    keys = given(alias)
    keys = kinds.defaults(keys) | keys
    values = {name.lower(): validators.normal(name, value) for name, value in keys.items()}
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        values[name.lower()] = credential(alias, name)
    for name in needed_credentials(alias):
        if not (values[name.lower()] or unregistered):
            raise ConfigurationError(missing_credential(alias, name))
    values["rsa_key"] = rsa_key(alias)
    return ProviderSettings(alias=alias, **values)


def provider(configuration: ProviderSettings) -> Provider:
    """A new conversation with the provider.

    Raises:
        ConfigurationError: ``KIND`` names no provider.
    """
    return kinds.provider_class(configuration.kind)(configuration)


def instance(alias: str) -> tuple[str, str]:
    """The name of a provider's Bitbucket, and the address of the API that vouches for its people.

    Raises:
        ConfigurationError: the settings contradict each other.
    """
    keys = given(alias)
    values = {name.lower(): value for name, value in (kinds.defaults(keys) | keys).items()}
    values.update(client_id="", client_secret="", rsa_key="")
    settings_of = ProviderSettings(alias=alias, **values)
    scheme, host, port = urls.origin(settings_of.api_url)
    return provider(settings_of).instance, f"{scheme}://{host}:{port}{urls.split(settings_of.api_url).path.rstrip('/')}"


def problems(alias: str) -> Iterator[Problem]:
    """What is wrong with a provider's settings, credentials aside."""
    configured = getattr(settings, "BITBUCKET_AUTH", None)
    if configured is not None and not isinstance(configured, dict):
        yield Problem("E001", "BITBUCKET_AUTH isn't a dictionary.", "Map an alias to settings: {'default': {…}}.")
        return
    if alias not in aliases():
        yield Problem(
            "E001",
            f"BITBUCKET_AUTH has no provider {alias!r}.",
            f"Use one of {', '.join(map(repr, aliases())) or 'none yet'}, or add it.",
        )
        return
    if not isinstance(alias, str) or not _ALIAS.fullmatch(alias):
        yield Problem(
            "E001",
            f"BITBUCKET_AUTH has the alias {alias!r}, which can't stand in a URL.",
            "Use up to 40 ASCII letters, digits, '-' and '_'.",
        )
        return
    if alias in _VERBS:
        yield Problem(
            "E001",
            f"BITBUCKET_AUTH has the alias {alias!r}, which is a word of our URLs.",
            "Choose another: its callback URL would begin like another provider's.",
        )
        return
    for other in aliases():
        if other != alias and environment_variable(str(other), "") == environment_variable(alias, ""):
            yield Problem(
                "E001",
                f"BITBUCKET_AUTH has the aliases {alias!r} and {other!r}, which are one name in the environment.",
                "Choose aliases that differ in more than case, '-' and '_'.",
            )
            return
    keys = given(alias)
    if not isinstance(keys, dict):
        yield Problem("E001", f"BITBUCKET_AUTH[{alias!r}] isn't a dictionary.", "Give its settings as a dictionary.")
        return
    where = f"BITBUCKET_AUTH[{alias!r}]"
    wrong = list(validators.check(keys, where))
    yield from wrong or [*kinds.contradictions(where, keys), *_contested_groups(alias, keys)]


def _contested_groups(alias: str, keys: Mapping[str, Any]) -> Iterator[Problem]:
    """Groups that another provider manages as well: a sign-in at one would undo what the other has said."""
    for other in aliases():
        theirs = given(other).get("GROUPS") if other != alias and isinstance(given(other), dict) else None
        if isinstance(theirs, dict) and (both := sorted(set(keys.get("GROUPS", ())) & set(theirs))):
            yield Problem(
                "E024",
                f"BITBUCKET_AUTH[{alias!r}]['GROUPS'] names {', '.join(map(repr, both))}, as does {other!r}.",
                "Let one provider manage a group, and give the other one a group of its own.",
            )


def _is_callable(path: str) -> bool:
    try:
        return callable(import_string(path))
    except ImportError:
        return False


def credential(alias: str, name: str) -> str:
    """``CLIENT_ID`` or ``CLIENT_SECRET``: the setting (a string, a callable or its dotted path), else the environment.

    Returns an empty string where it is set nowhere.

    Raises:
        ConfigurationError: the file or the callable that should give it fails. The cause isn't chained: it can hold
            the value.
    """
    value = given(alias).get(name)
    variable = environment_variable(alias, name)
    try:
        # A value with dots in it that names no callable is no path.
        if isinstance(value, str) and _DOTTED.fullmatch(value) and _is_callable(value):
            value = import_string(value)
        if callable(value):
            value = value()
        elif not value:
            from environ.fileaware_mapping import FileAwareMapping

            # The mapping itself, not `Env`: that takes a leading `$` for the name of another variable. Without its
            # cache, so that a rotated secret is seen.
            value = FileAwareMapping(cache=False).get(variable, "")
    except Exception as error:
        raise ConfigurationError(
            f"{name} of the provider {alias!r} can't be read ({type(error).__name__}). "
            f"Check the callable that the setting names, or the file that {variable}_FILE names."
        ) from None
    value = value.strip() if isinstance(value, str) else ""
    if name == "CLIENT_ID" and not (value.isascii() and value.isprintable()):
        raise ConfigurationError(f"CLIENT_ID of the provider {alias!r} isn't plain ASCII (RFC 6749, A.1). Correct it.")
    return value


def needed_credentials(alias: str) -> tuple[str, ...]:
    """The credentials that a provider can't do without. Who signs with a private key shares no secret."""
    return ("CLIENT_ID",) if _signs_by_rsa(alias) else ("CLIENT_ID", "CLIENT_SECRET")


def rsa_key(alias: str) -> str:
    """``RSA_KEY``, as PEM text; empty where requests aren't signed with it.

    Raises:
        ConfigurationError: it is no private key that can sign, or its file can't be read.
    """
    if not _signs_by_rsa(alias):
        return ""
    from .oauth.rsa_keys import private_key

    try:
        return private_key(os.fspath(given(alias)["RSA_KEY"]))
    except ValueError as error:
        raise ConfigurationError(f"RSA_KEY of the provider {alias!r} can't be used: {error}") from None


def _signs_by_rsa(alias: str) -> bool:
    keys = given(alias)
    method: object = (kinds.defaults(keys) | keys).get("SIGNATURE_METHOD")
    return method == "RSA-SHA1"


def environment_variable(alias: str, name: str) -> str:
    """The variable that holds a credential: ``BITBUCKET_CLIENT_ID``, for other aliases ``BITBUCKET_DC_CLIENT_ID``."""
    middle = "" if alias == DEFAULT_ALIAS else f"{alias.upper().replace('-', '_')}_"
    return f"BITBUCKET_{middle}{name}"


def missing_credential(alias: str, name: str) -> str:
    """What to do about a credential that is set nowhere."""
    variable = environment_variable(alias, name)
    return (
        f"The OAuth client's {name} of the provider {alias!r} is set nowhere. Set the environment variable {variable} "
        f"(or {variable}_FILE), or BITBUCKET_AUTH[{alias!r}][{name!r}]."
    )


def token_keys() -> list[str | bytes]:
    """The secrets that encryption keys are derived from, newest first.

    Raises:
        ConfigurationError: ``BITBUCKET_AUTH_TOKEN_KEYS`` isn't a list of strings of 32 characters or more.
    """
    keys = getattr(settings, "BITBUCKET_AUTH_TOKEN_KEYS", None)
    if keys is None:
        return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    if problem := validators.token_keys_problem(keys):
        raise ConfigurationError(f"{problem.message} {problem.hint}")
    return list(keys)


def given(alias: str) -> Any:
    """What the setting says of a provider, as it is; an empty dictionary where there is no setting."""
    configured = getattr(settings, "BITBUCKET_AUTH", None)
    # A copy: what one request does to it must not be seen by the next.
    found = {} if configured is None else configured[alias]
    return dict(found) if isinstance(found, dict) else found
