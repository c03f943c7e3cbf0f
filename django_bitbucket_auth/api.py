"""Bitbucket's API as a person, or as the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from . import conf, flight, tokens
from .bitbucket import BitbucketSession
from .exceptions import NotConnected
from .flight import Flight
from .models import BitbucketAccount, BitbucketToken
from .oauth.token import Token
from .stores import Record, database

if TYPE_CHECKING:
    from django.contrib.auth.models import User

__all__ = ["BitbucketSession", "get_session"]

Who: TypeAlias = "HttpRequest | User | AbstractBaseUser | AnonymousUser | BitbucketAccount | None"


def get_session(who: Who, provider: str = conf.DEFAULT_ALIAS, **arguments: Any) -> BitbucketSession:
    """A session that calls the API of ``provider`` as ``who``, for as many threads as want it.

    Args:
        who: a request (its user), a user, an account, or ``None`` for the application itself. Of a user with several
            accounts there, the one that was connected first: name the account to choose.
        provider: an alias.
        arguments: for the application, those of ``tokens.get_access_token``; else none.

    Raises:
        NotConnected: the person has no token at this provider, or is inactive.
        ConfigurationError: the settings can't be used.
    """
    if who is None:
        force = arguments.pop("force_credentials", False)
        return _session(Tokens(tokens.flight_for(provider, **arguments), force=force))
    if arguments:
        raise TypeError(f"get_session() takes {', '.join(sorted(arguments))} for the application only (who=None)")
    return _session(token_source(who, provider))


def token_source(who: Who, provider: str) -> Tokens:
    """Where the tokens of a person at a provider come from. Raises what ``get_session`` raises."""
    return Tokens(*_stored(who, provider))


def renew(account: BitbucketAccount, provider: str) -> Token:
    """Renew an account's stored token, though it may be good for a while yet: by the flight that sessions use.

    Raises:
        NotConnected, ConfigurationError: as ``get_session``.
        BitbucketAuthError: what ``Flight.record`` raises.
    """
    way, record = _stored(account, provider)
    return way.token(record.token)


def _stored(who: Who, provider: str) -> tuple[Flight, Record]:
    """A person's stored token, and the way to another. Raises what ``get_session`` raises."""
    configuration = conf.provider_settings(provider)
    row = _row(_person(who), provider)
    account = row.account if row else None
    if row is None or account is None:
        raise NotConnected(f"there is no token of the provider {provider!r} for this person: let them sign in")
    database.check_active(row)
    conversation = conf.provider(configuration)
    way = Flight(
        configuration=configuration,
        instance=conversation.instance,
        store=database.AccountTokenStore(account),
        key=row.key,
        account=account,
    )
    record = database.record_of(row)
    if not way.fits(record) or (record.grant == "oauth1") is not conversation.signs_requests:
        raise NotConnected(f"the token {row.key} can't be used for the provider {provider!r}: let the person sign in")
    return way, record


def _person(who: Any) -> Any:
    """A user or an account.

    Raises:
        TypeError: it is neither, nor has a user. The row of another model would stand for whoever has its number.
    """
    persons = (get_user_model(), AnonymousUser, BitbucketAccount)
    # A request of Django REST framework is no HttpRequest, and has a user, too.
    person = who if isinstance(who, persons) else getattr(who, "user", None)
    if isinstance(who, HttpRequest) and person is None:
        return AnonymousUser()
    if not isinstance(person, persons):
        raise TypeError(f"get_session() takes a request, a user, an account, or None, not {type(who).__name__}")
    return person


def _row(who: Any, provider: str) -> BitbucketToken | None:
    """The token of a user or account; one query, which also tells whether the user is active now."""
    if who.pk is None:
        return None
    mine = {"account": who.pk} if isinstance(who, BitbucketAccount) else {"account__user": who.pk}
    rows = database.all_rows().select_related("account__user").filter(provider=provider, **mine)
    # Of several accounts always the same one: nobody acts as another because a job has renewed that one's token.
    return next((row for row in rows.order_by("account")[:1] if row.provider == provider), None)


def _session(source: Tokens) -> BitbucketSession:
    return BitbucketSession(conf.provider(source.way.configuration), source)


class Tokens:
    """A session's tokens: the store is asked again only when the one at hand comes to its end, or is refused."""

    def __init__(self, way: Flight, record: Record | None = None, *, force: bool = False) -> None:
        self.way = way
        self._record, self._force = record, force

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of the token at hand, as far as Bitbucket said; nobody is asked for them."""
        return self._record.token.scopes if self._record else ()

    def current(self) -> Token:
        """The token to use now."""
        record = self._record
        if not flight.is_good(record, None):
            record = self._record = self.way.record(force=self._force)
            self._force = False
        return record.token

    def renew(self, stale: Token) -> Token:
        """Another token than this one, which Bitbucket has refused."""
        record = self._record
        if record is None or record.token.access_token == stale.access_token:
            record = self._record = self.way.record(stale)
        return record.token
