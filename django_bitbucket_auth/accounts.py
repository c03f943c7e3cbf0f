"""From a profile to a user: find, ask, link or create, and write, in that order.

Everything that can refuse comes before the first write, and all writes are one short transaction with no network in
it. Two simultaneous first logins of one person race on the unique ``(instance, uid)``: the loser's transaction, user
and all, is undone, and it finds the winner's account.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from django.db import DatabaseError, IntegrityError, OperationalError, router, transaction
from django.db.models import Q
from django.http import HttpRequest

from . import conf, groups, hooks, recognition, tokens, users
from .bitbucket import Profile
from .conf import ProviderSettings
from .exceptions import BitbucketAuthError, BitbucketUnavailable, ConfigurationError, LoginRefused, ProfileError
from .hooks import BitbucketLogin
from .models import BitbucketAccount
from .signals import account_connected

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from .backends import BitbucketBackend

logger = logging.getLogger("django_bitbucket_auth")
T = TypeVar("T")


def sign_in(request: HttpRequest, login: BitbucketLogin, backend: BitbucketBackend) -> User:
    """The user to sign in, with everything written.

    Raises:
        LoginRefused: a receiver, the settings or the account's state forbids it; nothing was written.
        BitbucketUnavailable: the database was locked twice; nothing was written.
        ConfigurationError: the user model wants more than a profile has; nothing was written.
    """
    if not login.profile.uid:
        return _only_if_named(request, login, backend)
    database = router.db_for_write(BitbucketAccount)
    account = patiently(partial(find, login.profile, database))
    if account is not None:
        recognition.check(account, login)
    answer = hooks.ask(request, login, account.user if account else None)
    try:
        return _settle(request, login, backend, database, account, answer)
    except LoginRefused as refusal:
        if account is not None or refusal.reason != "email_taken":
            raise
        # Taken by whom? A simultaneous first login of this very person may have committed since we looked.
        account = patiently(partial(find, login.profile, database))
        if account is None:
            raise
    return _settle(request, login, backend, database, account, answer)


def _only_if_named(request: HttpRequest, login: BitbucketLogin, backend: BitbucketBackend) -> User:
    """The user whom a ``verify`` receiver names for a profile without an id (1.0). Nothing is written.

    A user name is anybody's to take over once it is free, so it identifies nobody, and leaves no account row behind.
    """
    user = hooks.ask(request, login, None)
    if user is None:
        raise ProfileError("a profile in the 1.0 format has no id, and no verify receiver named a user", "uuid")
    check_active(user, backend)
    return user


def _settle(
    request: HttpRequest,
    login: BitbucketLogin,
    backend: BitbucketBackend,
    database: str,
    account: BitbucketAccount | None,
    answer: User | None,
) -> User:
    """Decide whose account it is, and write, again where others were in the way."""
    user = _owner(account, answer, login) if account else answer
    if user is None and (found := backend.find_user(request, login)) is not None:
        user = hooks.saved(found, "find_user")
    if user is None and not login.configuration.create_users:
        raise LoginRefused("", "sign_up_closed", cause=f"{login.profile.uid} is nobody's, and CREATE_USERS is off")
    check_active(user, backend)
    locked, known = False, account is not None
    lost: set[str] = set()
    for _ in range(users.MOST_NAMES + 1):
        fields = patiently(partial(_new_fields, login, backend, database, lost)) if user is None else {}
        try:
            return write(request, login, backend, database, account, user, fields)
        except DatabaseError as error:
            fault = error
        locked = worth_another(fault, locked)
        if known and isinstance(fault, IntegrityError):
            raise busy(fault)  # nobody was faster: a hook writes what can't be written
        # Somebody was faster, or in the way. Who, is asked by the identity alone: a user found by name or address here
        # would hand this person somebody else's account (CVE-2025-61783).
        account = patiently(partial(find, login.profile, database))
        if account is not None:
            user = _owner(account, answer, login)
            check_active(user, backend)
        elif isinstance(fault, IntegrityError):
            if user is not None:
                raise BitbucketUnavailable(f"the user changed while the account was linked ({_first_line(fault)})")
            if not _name_taken(fields, database):
                raise LoginRefused(
                    "", "email_taken", cause=f"no user could be created for {login.profile.uid}: {_first_line(fault)}"
                )
            lost.add(fields[users.model().USERNAME_FIELD].casefold())
    raise BitbucketUnavailable("no free user name was found in time")


def find(profile: Profile, database: str) -> BitbucketAccount | None:
    """The account of this identity, with its user; one query.

    An import that knew a person's Atlassian account id alone has left a placeholder. It is this account, if there is no
    other; the sign-in writes the uid over it.

    Raises:
        LoginRefused: another identity has this person's Atlassian account id. That can't be, so nobody gets in.
    """
    ids = Q(uid=profile.uid)
    if profile.account_id is not None:
        ids |= Q(account_id=profile.account_id)
    query = BitbucketAccount.objects.using(database).select_related("user").filter(ids, instance=profile.instance)
    # Compared again here: a collation may take "é" for "e" or "A" for "a" (CVE-2024-32879).
    rows = [row for row in query[:3] if row.instance == profile.instance]
    account = next((row for row in rows if row.uid == profile.uid), None)
    other = next((row for row in rows if row is not account and row.account_id == profile.account_id is not None), None)
    if account is None and other is not None and other.is_placeholder:
        return other
    if other is not None:
        cause = (
            f"the Atlassian account id of {profile.uid} on {profile.instance} is tied to another uid, {other.uid}: "
            "nobody is signed in until one of the two accounts is deleted"
        )
        logger.error("Two accounts for one profile: %s", cause)
        raise LoginRefused("", "already_connected", cause=cause)
    return account


def expel(who: Profile | BitbucketAccount, configuration: ProviderSettings) -> None:
    """Take the stored tokens and the managed groups from a person who certainly may not come in any more.

    Neither must outlive the membership that they came with. What fails, receivers of the project's too, is logged:
    nobody who was refused gets another answer for that. ``RECHECK`` tries again where a session ends.
    """
    uids = [who.uid]
    if who.account_id is not None:
        uids.append(BitbucketAccount.placeholder_uid(who.account_id))
    try:
        patiently(partial(_expel, who.instance, uids, configuration, router.db_for_write(BitbucketAccount)))
    except (BitbucketAuthError, DatabaseError) as error:
        logger.error("Groups and tokens could not be taken from %s: %s", who.uid, _first_line(error))
    except Exception:
        logger.exception("Groups and tokens could not be taken from %s", who.uid)


def _expel(instance: str, uids: list[str], configuration: ProviderSettings, database: str) -> None:
    with transaction.atomic(using=database):
        tokens.forget(instance, uids, configuration.alias, using=database)
        rows = BitbucketAccount.objects.using(database).select_related("user").filter(instance=instance, uid__in=uids)
        # Compared again here: a collation may take one id for another.
        accounts = [row for row in rows if row.instance == instance and row.uid in uids] if configuration.groups else []
        for account in accounts:
            groups.sync(account.user, configuration.groups, (), database)


def ungroup(account: BitbucketAccount, user: User, database: str) -> None:
    """Take from the user the groups that came with an account which is about to go.

    Afterwards nobody could: there would be no row to find when Bitbucket says that the person has left.
    """
    for alias in conf.aliases():
        with suppress(ConfigurationError):
            configuration = conf.provider_settings(alias)
            if configuration.groups and conf.provider(configuration).instance == account.instance:
                groups.sync(user, configuration.groups, (), database)


def check_active(user: User | None, backend: BitbucketBackend) -> None:
    """Refuse inactive users, whoever named them.

    Raises:
        LoginRefused: ``inactive``.
    """
    if user is not None and not backend.user_can_authenticate(user):
        raise LoginRefused("", "inactive", cause=f"the user {user.pk} is inactive")


def worth_another(fault: DatabaseError, locked: bool) -> bool:
    """Whether there has been a lock error by now. The second one, and what would fail again, ends the sign-in."""
    if isinstance(fault, IntegrityError):
        return locked
    if isinstance(fault, OperationalError) and not locked:
        return True
    raise busy(fault)


def _owner(account: BitbucketAccount, answer: User | None, login: BitbucketLogin) -> User:
    recognition.check(account, login)
    # An account is never tied to another user by a sign-in: whoever controls a receiver's answer could move in.
    if answer is not None and answer.pk != account.user_id:
        cause = f"a verify receiver named the user {answer.pk}, and {account.uid} is tied to {account.user_id}"
        raise LoginRefused("", "already_connected", cause=cause)
    return account.user


def _new_fields(login: BitbucketLogin, backend: BitbucketBackend, database: str, lost: set[str]) -> dict[str, str]:
    """The fields of a user to be created: a name that is free and wasn't ``lost``, an address that nobody has."""
    profile = login.profile
    fields = users.values_for(profile)
    email = profile.email or ""
    if users.named_by_email():
        if not email:
            raise profile.emails_error or LoginRefused(
                "", "email_required", cause=f"{profile.uid} has no confirmed address"
            )
        if users.taken([], email, database)[1]:
            raise LoginRefused("", "email_taken", cause=f"the address of {profile.uid} is another user's name")
        return fields
    wish: object = backend.username_for(profile)
    if not isinstance(wish, str) or not wish:
        raise ConfigurationError("username_for() of the authentication backend has to return a name.")
    names = users.candidates(wish)
    taken, email_taken = users.taken(names[:1], email, database)
    if lost or names[0].casefold() in taken:
        taken, _ = users.taken(names, "", database)
    if email_taken:
        # Two users with one address would share what is mailed to it.
        logger.info("The new user for %s gets no e-mail address: another user has it", profile.uid)
        fields.pop(users.email_field() or "", None)
    for name in names:
        if name.casefold() not in taken | lost:
            return {users.model().USERNAME_FIELD: name, **fields}
    raise BitbucketUnavailable(f"the user names {names[0]!r} to {names[-1]!r} are all taken")


def _name_taken(fields: dict[str, str], database: str) -> bool:
    # Here the database's opinion counts, not Python's: a collation that takes "ádmin" for "admin" refuses the name.
    return not users.named_by_email() and users.is_name(fields[users.model().USERNAME_FIELD], database)


def write(
    request: HttpRequest,
    login: BitbucketLogin,
    backend: BitbucketBackend,
    database: str,
    account: BitbucketAccount | None,
    user: User | None,
    fields: dict[str, str],
) -> User:
    """One attempt at writing all of it, or nothing."""
    columns = recognition.columns(login, known=account is not None)
    with transaction.atomic(using=database):
        created, connected = user is None, account is None
        if user is None:
            user = hooks.saved(backend.create_user(request, login, fields), "create_user")
            check_active(user, backend)
        if account is None:
            account = BitbucketAccount(user=user, **columns)
            account.save(using=database, force_insert=True)
            if login.intent == "login" and not created and not user.has_usable_password():
                user.save(using=database, update_fields=["password"])
        else:
            backend.update_user(request, user, login, account)
            if account.asked_by == login.configuration.alias and account.answer != "yes":
                # Asked before they came in: that says nothing of them now, nor does what is still being asked.
                columns |= {"asked_at": None, "answer": ""}
            changed = [name for name, value in columns.items() if getattr(account, name) != value]
            if changed:
                for name in changed:
                    setattr(account, name, columns[name])
                account.save(using=database, update_fields=[*changed, "updated_at"])
        if login.intent == "login":
            groups.sync(user, login.configuration.groups, login.groups, database)
        if login.configuration.store_tokens:
            tokens.write(
                account,
                login.token,
                login.configuration,
                grant=login.grant,
                redirect_uri=login.redirect_uri,
                using=database,
                new_account=connected,
            )
    if connected:
        tell = partial(
            account_connected.send_robust,
            sender=BitbucketAccount,
            request=request,
            user=user,
            account=account,
            created=created,
        )
        login.after.append(partial(transaction.on_commit, tell, using=database))
    return user


def patiently(call: Callable[[], T]) -> T:
    """Call again, once, after a lock error or deadlock (on SQLite "database is locked")."""
    try:
        return call()
    except OperationalError:
        pass
    try:
        return call()
    except OperationalError as error:
        raise busy(error) from None


def busy(error: DatabaseError) -> BitbucketUnavailable:
    return BitbucketUnavailable(f"the database refused the sign-in ({_first_line(error)})")


def _first_line(error: Exception) -> str:
    # PostgreSQL adds the values in a second line: they are somebody's, and the log has one line for each failure.
    return str(error).partition("\n")[0]
