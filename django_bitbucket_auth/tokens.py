"""Access tokens by any grant, from a store while they are fresh; and where a sign-in keeps its token."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from . import conf
from .conf import ProviderSettings
from .exceptions import ConfigurationError
from .flight import Flight, MissingArguments
from .models import BitbucketAccount, BitbucketToken
from .oauth.grants import AuthorizationCode, ClientCredentials, Grant, Password, RefreshToken
from .oauth.token import Token
from .stores import Record, TokenStore

if TYPE_CHECKING:
    from .bitbucket import Provider

__all__ = ["Token", "flight_for", "forget", "get_access_token", "write"]

Credentials = Callable[[], Mapping[str, Any]]


@sensitive_variables()
def get_access_token(
    provider: str = conf.DEFAULT_ALIAS,
    *,
    grant: str | None = None,
    store: TokenStore | None = None,
    key: str | None = None,
    credentials: Credentials | None = None,
    force_credentials: bool = False,
    use_refresh_token: bool | Callable[[Token], object] | None = None,
    **grant_arguments: Any,
) -> Token:
    """A usable token: from the store while it is fresh, else renewed, else by the grant (RFC 6749).

    Args:
        provider: an alias.
        grant: ``"client_credentials"`` (the default: the application for itself), ``"authorization_code"`` (``code``,
            ``redirect_uri``, ``code_verifier``), ``"password"`` (``username``, ``password``, ``scopes``),
            ``"refresh_token"`` (``refresh_token``), or ``"bitbucket_jwt"`` (``assertion``; or ``client_key`` and
            ``shared_secret``, and ``app_key`` where it isn't the client's id).
        store: where the token is kept; none by default.
        key: its name in the store. Needed there for every grant that stands for a person.
        credentials: called only when the grant is needed; the mapping that it returns joins the grant's arguments.
        force_credentials: use the grant even if the store has a token.
        use_refresh_token: ``False``, or a callable that says so of a stored token, never renews.

    Raises:
        ReauthenticationRequired: a refresh token is dead, and there is nothing else to send.
        ClientRefused: Bitbucket doesn't take this client or this grant; ``hint`` says since when, where that is known.
        OAuthError, BitbucketUnavailable: as ``Provider.fetch_token``.
        ConfigurationError: the settings or the store can't be used.
        TypeError: arguments that the grant doesn't have or lacks, and any that name endpoints or clients.
        ValueError: an unknown grant.
    """
    flight = flight_for(
        provider,
        grant=grant,
        store=store,
        key=key,
        credentials=credentials,
        use_refresh_token=use_refresh_token,
        **grant_arguments,
    )
    return flight.token(force=force_credentials)


@sensitive_variables()
def flight_for(
    provider: str = conf.DEFAULT_ALIAS,
    *,
    grant: str | None = None,
    store: TokenStore | None = None,
    key: str | None = None,
    credentials: Credentials | None = None,
    use_refresh_token: bool | Callable[[Token], object] | None = None,
    **grant_arguments: Any,
) -> Flight:
    """How ``get_access_token`` gets its tokens. Raises what it raises before anything is sent."""
    name = grant or ClientCredentials.name
    if name not in _FORMS:
        raise ValueError(f"there is no grant {name!r}; use one of {', '.join(_FORMS)}")
    form = _FORMS[name]
    form.check(name, grant_arguments)
    if credentials is not None and not callable(credentials):
        raise TypeError("credentials has to be a callable that returns a mapping: it is asked only when needed")
    if store is not None and key is None and form.is_personal:
        raise TypeError(f"with a store, {name} needs a key: one person's token must not be another's")
    configuration = conf.provider_settings(provider)
    conversation = conf.provider(configuration)
    if store is not None:
        store.check()
        if form.is_personal and not store.keeps_refresh_tokens:
            raise ConfigurationError(
                f"{type(store).__name__} can lose a refresh token, and {name} may bring one. Use a store that keeps "
                "it, or tell this one that eviction is fine."
            )
    if use_refresh_token is None or use_refresh_token is True:
        may_refresh: Callable[[Token], object] = bool
    else:
        may_refresh = use_refresh_token or (lambda token: False)
    return Flight(
        configuration=configuration,
        instance=conversation.instance,
        store=store or _Memory(),
        key=key or f"application:{provider}",
        grant=partial(form.grant, name, conversation, grant_arguments, credentials),
        asked=(name, _scopes(grant_arguments.get("scopes", ()))),
        may_refresh=may_refresh,
    )


class _Memory(TokenStore):
    """For one caller, or the threads of one session: others have nothing to do with it, nor wait for it."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._lock = threading.Lock()

    @contextmanager
    def lock(self, key: str) -> Iterator[TokenStore | None]:
        mine = self._lock.acquire(blocking=False)
        try:
            yield self if mine else None
        finally:
            if mine:
                self._lock.release()

    def load(self, key: str) -> Record | None:
        return self._records.get(key)

    def save(self, key: str, record: Record) -> None:
        self._records[key] = record


@dataclass(frozen=True, slots=True)
class _Form:
    """Which arguments a grant takes, and how it is made of them."""

    make: Callable[..., Grant]
    #: Each of these has to be there; of several alternatives, one.
    required: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...] = ()
    is_personal: bool = True

    def check(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Refuse what the grant doesn't have: an endpoint or a client named here would get the secrets.

        Raises:
            TypeError: for the first such argument.
        """
        known = {*self.optional, *(one for group in self.required for one in group)}
        for argument in arguments:
            if argument not in known:
                raise TypeError(f"{name} takes no {argument!r}, but: {', '.join(sorted(known))}")

    @sensitive_variables()
    def grant(
        self, name: str, provider: Provider, arguments: Mapping[str, Any], credentials: Credentials | None
    ) -> Grant:
        """The grant, with the credentials that are asked for now."""
        given = dict(arguments)
        if credentials is not None:
            told = credentials()
            if not isinstance(told, Mapping):
                raise TypeError(f"credentials() has to return a mapping, not a {type(told).__name__}")
            self.check(name, told)
            given.update(told)
        if not any(all(given.get(one) for one in group) for group in self.required):
            wanted = ", or ".join(" and ".join(group) for group in self.required)
            raise MissingArguments(f"{name} needs {wanted}")
        if "scopes" in given:
            given["scopes"] = _scopes(given["scopes"])
        return self.make(provider, **given)


@sensitive_variables()
def _jwt(
    provider: Provider, assertion: str = "", client_key: str = "", shared_secret: str = "", app_key: str = ""
) -> Grant:
    from .bitbucket.connect import BitbucketJWT, sign

    if assertion:
        return BitbucketJWT(assertion)
    return sign(
        app_key=app_key or provider.configuration.client_id,
        client_key=client_key,
        shared_secret=shared_secret,
        endpoint=provider.endpoint("token"),
    )


def _code(provider: Provider, code: str, redirect_uri: str = "", code_verifier: str | None = None) -> Grant:
    return AuthorizationCode(code, redirect_uri, code_verifier)


_FORMS: dict[str, _Form] = {
    "client_credentials": _Form(
        lambda provider, **given: ClientCredentials(**given), ((),), ("scopes",), is_personal=False
    ),
    "authorization_code": _Form(_code, (("code",),), ("redirect_uri", "code_verifier")),
    "password": _Form(lambda provider, **given: Password(**given), (("username", "password"),), ("scopes",)),
    "refresh_token": _Form(lambda provider, **given: RefreshToken(**given), (("refresh_token",),), ("redirect_uri",)),
    "bitbucket_jwt": _Form(_jwt, (("assertion",), ("client_key", "shared_secret")), ("app_key",)),
}


def _scopes(value: Any) -> tuple[str, ...]:
    """Scopes as words: of a string (RFC 6749, 3.3) or a list, in one order."""
    return tuple(sorted(set(value.split() if isinstance(value, str) else value)))


def write(
    account: BitbucketAccount,
    token: Token,
    configuration: ProviderSettings,
    *,
    grant: str,
    redirect_uri: str = "",
    using: str,
    new_account: bool = False,
) -> None:
    """Keep ``token`` as the account's one token at this provider, in place of whatever was there.

    One statement for an account that has one; ``new_account`` spares the look for a row that can't exist.
    """
    from .stores.database import replace_pair

    key = BitbucketToken.key_of(account.pk, configuration.alias)
    values = {
        **BitbucketToken.columns(key, token),
        "instance": account.instance,
        "client_id": configuration.client_id,
        "grant": grant,
        "redirect_uri": redirect_uri,
    }
    rows = BitbucketToken.objects.using(using)
    if new_account or not replace_pair(rows, key, values):
        rows.create(key=key, account=account, provider=configuration.alias, **values)


def forget(instance: str, uids: Iterable[str], provider: str, *, using: str) -> None:
    """Delete the tokens that a person's account has at a provider."""
    found = BitbucketToken.objects.using(using).filter(
        account__instance=instance, account__uid__in=uids, provider=provider
    )
    # A transaction of its own, or a savepoint: a lock error must not spoil the caller's for the next try.
    with transaction.atomic(using=using):
        found.delete()
