"""Accounts that somebody who is signed in adds or gives up. Who that is, the session says, and never Bitbucket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from django.contrib import auth
from django.contrib.auth.backends import ModelBackend, RemoteUserBackend
from django.contrib.auth.hashers import identify_hasher
from django.db import DatabaseError, router, transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from . import accounts, conf, hooks, recognition, users
from .backends import BitbucketBackend
from .exceptions import BitbucketUnavailable, ConfigurationError, LoginRefused, ProfileError, StateError
from .hooks import BitbucketLogin
from .models import BitbucketAccount
from .signals import account_disconnected
from .state import LoginState

if TYPE_CHECKING:
    from django.contrib.auth.models import User

T = TypeVar("T")
#: Enough for a lock error and for a rival who was faster.
_MOST_TRIES = 3


def present(request: HttpRequest) -> User | None:
    """Who is signed in.

    Raises:
        BitbucketUnavailable: the database can't say.
    """
    try:
        return request.user if request.user.is_authenticated else None
    except DatabaseError as error:
        raise accounts.busy(error) from None


def session_hash(user: User) -> str:
    """What changes with the password; empty for a user model without, as for Django's own sessions."""
    return str(getattr(user, "get_session_auth_hash", str)())


def check_person(person: User | None, attempt: LoginState, backend: BitbucketBackend) -> User:
    """See to it that whoever comes back is the one who began, and has the password that they had then.

    Otherwise Mallory begins, lets Jane finish in the same browser, and has Jane's Bitbucket account on her own user; or
    the thief of a session, whom a new password was to keep out, ties an account of theirs to the user and stays.

    Raises:
        StateError: ``connect_mismatch``.
        LoginRefused: ``inactive``.
    """
    if person is None or str(person.pk) != attempt.user:
        back = "nobody" if person is None else f"the user {person.pk}"
        raise StateError(
            f"the user {attempt.user} began to connect an account, and {back} came back", "connect_mismatch"
        )
    _check_unchanged(person, attempt.session_hash)
    accounts.check_active(person, backend)
    return person


def connect(request: HttpRequest, login: BitbucketLogin, person: User, backend: BitbucketBackend) -> None:
    """Tie the proved account to ``person``, or refresh it where it is theirs already.

    Raises:
        LoginRefused: it is somebody else's, or a receiver or the user's state forbids it; nothing was written.
        StateError: the password was changed meanwhile; nothing was written.
        ProfileError: it has no id to be known by.
        BitbucketUnavailable: the database didn't take it; nothing was written.
    """
    if not login.profile.uid:
        # Whoever gets the user name next would get in.
        raise ProfileError("a profile in the 1.0 format has no id, so it can't be connected", "uuid")
    database = router.db_for_write(BitbucketAccount)
    accounts.patiently(partial(_find, login, person, database))
    answer = hooks.ask(request, login, person)
    if answer is not None and answer.pk != person.pk:
        cause = f"a verify receiver named the user {answer.pk}, and {person.pk} connects {login.profile.uid}"
        raise LoginRefused(cause=cause)
    _persistently(partial(_tie, request, login, person, backend, database))


def disconnect(request: HttpRequest, person: User, pk: str, backend: BitbucketBackend) -> bool:
    """Give up one of the person's own accounts, unless nothing would be left to sign in with.

    Its tokens are deleted in any case: who presses that button doesn't want this site to act for them. A renewal that
    is under way updates a row, and never inserts one, so it can't bring them back.

    Raises:
        BitbucketAccount.DoesNotExist: it isn't the person's.
        BitbucketUnavailable: the database didn't take it; nothing was written.
    """
    return _persistently(
        partial(_give_up, request, person, pk, backend, instances(), router.db_for_write(BitbucketAccount))
    )


def is_needed(
    request: HttpRequest,
    user: User,
    account: BitbucketAccount,
    mine: Iterable[BitbucketAccount],
    known: set[str],
    backend: BitbucketBackend,
) -> bool:
    """Whether ``account`` is the user's last way in.

    Others count if they are of one of the ``known`` instances: what was taken out of the settings lets nobody in.
    """
    if any(other.pk != account.pk and other.instance in known for other in mine) or _has_password(user):
        return False
    # `is True`: the coroutine of an `async def` is true, too.
    return backend.can_disconnect(request, user, account) is not True


def instances() -> set[str]:
    """The Bitbuckets at which people can sign in now."""
    found = set()
    for alias in conf.aliases():
        with suppress(ConfigurationError):
            found.add(conf.provider(conf.provider_settings(alias)).instance)
    return found


def _find(login: BitbucketLogin, person: User, database: str) -> BitbucketAccount | None:
    account = accounts.find(login.profile, database)
    if account is None:
        return None
    # Never moved: whoever can sign in at Bitbucket for a moment would take the account, and with it the way in, along.
    if account.user_id != person.pk:
        cause = f"{account.uid} is tied to the user {account.user_id}, and {person.pk} wants to connect it"
        raise LoginRefused("", "already_connected", cause=cause)
    recognition.check(account, login)
    return account


def _tie(request: HttpRequest, login: BitbucketLogin, person: User, backend: BitbucketBackend, database: str) -> None:
    try:
        with transaction.atomic(using=database):
            user = _locked(person, database)
            if user is None:
                raise BitbucketUnavailable(f"the user {person.pk} is gone")
            # Bitbucket was waited for: the password may be a new one by now.
            _check_unchanged(user, session_hash(person))
            accounts.check_active(user, backend)
            accounts.write(request, login, backend, database, _find(login, user, database), user, {})
    except BaseException:
        # What was to be told of a try that was undone, by the commit even, isn't true.
        login.after.clear()
        raise


def _give_up(
    request: HttpRequest, person: User, pk: str, backend: BitbucketBackend, known: set[str], database: str
) -> bool:
    with transaction.atomic(using=database):
        # The user's row is locked: of two who each give up one of two accounts, one has to see what the other did.
        user = _locked(person, database)
        mine = list(BitbucketAccount.objects.using(database).filter(user=person.pk))
        account = next((one for one in mine if str(one.pk) == pk), None)
        if user is None or account is None:
            raise BitbucketAccount.DoesNotExist
        if is_needed(request, user, account, mine, known, backend):
            account.tokens.using(database).all().delete()
            return False
        accounts.ungroup(account, user, database)
        key = account.pk
        account.delete(using=database)
        account.pk = key  # receivers may know the account by it
        tell = partial(
            account_disconnected.send_robust, sender=BitbucketAccount, request=request, user=user, account=account
        )
        transaction.on_commit(cast(Callable[[], None], tell), using=database)
    return True


def _locked(person: User, database: str) -> User | None:
    """The user as the database has it now, with the row locked until the transaction ends."""
    rows = users.model()._base_manager.using(database).filter(pk=person.pk)
    # Written, though to no effect: SQLite locks nothing until something is, and has no patience with who has read
    # before; and for whoever has read an older state (REPEATABLE READ) a lock alone wouldn't be a conflict.
    name = users.model().USERNAME_FIELD
    rows.update(**{name: F(name)})
    return rows.first()


def _check_unchanged(user: User, before: str) -> None:
    if not constant_time_compare(session_hash(user), before):
        raise StateError(f"the password of the user {user.pk} has changed meanwhile", "connect_mismatch")


def _has_password(user: User) -> bool:
    """Whether the user can sign in with a password: one of a known form, which a backend checks."""
    try:
        # Django takes an empty one, as of users who were saved without, for usable.
        identify_hasher(user.password)
    except (ValueError, TypeError):
        return False
    return user.has_usable_password() and any(
        isinstance(backend, ModelBackend) and not isinstance(backend, BitbucketBackend | RemoteUserBackend)
        for backend in auth.get_backends()
    )


def _persistently(act: Callable[[], T]) -> T:
    """Call again where others were faster or in the way; it looks at everything anew."""
    locked, tries = False, 0
    while True:
        try:
            return act()
        except DatabaseError as error:
            fault = error
        tries += 1
        locked = accounts.worth_another(fault, locked)
        if tries >= _MOST_TRIES:
            raise accounts.busy(fault)
