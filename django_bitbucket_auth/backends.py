"""The authentication backend. Subclass it to change how people are found, named, created or updated."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import load_backend
from django.contrib.auth.backends import ModelBackend
from django.db import DatabaseError, OperationalError, router, transaction
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from . import accounts, users
from .bitbucket import Email, Profile
from .bitbucket.profiles import split_name
from .exceptions import ConfigurationError, LoginRefused
from .hooks import BitbucketLogin
from .models import BitbucketAccount

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("django_bitbucket_auth")


class BitbucketBackend(ModelBackend):
    """Signs in whom a redeemed code proves, and nobody else. Permissions and ``get_user`` are ``ModelBackend``'s.

    Hooks get ``login``: its ``profile``, ``token`` and ``configuration``. Those that write run in the sign-in's
    transaction: don't call the network there.
    """

    def authenticate(
        self, request: HttpRequest | None, username: object = None, password: object = None, **credentials: Any
    ) -> User | None:
        """The user of a ``bitbucket_login``, which only our callback makes; ``None`` for anything else.

        Raises:
            BitbucketAuthError: the sign-in is refused or impossible; nothing was written.
        """
        login = credentials.pop("bitbucket_login", None)
        if request is None or username is not None or password is not None or credentials:
            return None
        return accounts.sign_in(request, login, self) if isinstance(login, BitbucketLogin) else None

    async def aauthenticate(
        self, request: HttpRequest | None, username: object = None, password: object = None, **credentials: Any
    ) -> User | None:
        """As ``authenticate``. ``ModelBackend``'s own would check a password."""
        return await sync_to_async(self.authenticate)(request, username, password, **credentials)

    def find_user(self, request: HttpRequest, login: BitbucketLogin) -> User | None:
        """An existing user whom this new Bitbucket account should join, or ``None`` to create one.

        By default only with ``LINK_BY_EMAIL``, and then only the one user who has the confirmed address, who is active
        and ordinary and has no Bitbucket account yet. An address is a weak proof: whoever registered it here first,
        without owning it, knows that user's password (pre-hijacking). So the password is made unusable, unless a
        callable vouches for this site's own addresses.

        Raises:
            LoginRefused: ``email_taken``, for any other user with this address.
        """
        decide, email = login.configuration.link_by_email, login.profile.email
        if not decide or not email or users.email_field() is None:
            return None
        database = router.db_for_write(BitbucketAccount)
        found = users.model()._base_manager.using(database).filter(users.same_address(email))
        matches = [user for user in found if users.address_of(user) == users.fold_address(email)]
        if not matches:
            return None
        user = matches[0]
        if (
            len(matches) > 1
            or not users.is_same_mailbox(email, str(getattr(user, users.email_field() or "")))
            or not self.user_can_authenticate(user)
            or getattr(user, "is_staff", False)
            or getattr(user, "is_superuser", False)
            or BitbucketAccount.objects.using(database).filter(user=user).exists()
        ):
            others = ", ".join(str(match.pk) for match in matches)
            raise LoginRefused("", "email_taken", cause=f"LINK_BY_EMAIL doesn't join {login.profile.uid} to {others}")
        if decide is not True:
            _vouch(decide, request, user, login.profile)
        else:
            user.set_unusable_password()
        return user

    def username_for(self, profile: Profile) -> str:
        """The user name wished for a new person; a number is appended where it is taken."""
        return users.suggest_name(profile)

    def message_for(self, request: HttpRequest, reason: str) -> str | Promise | None:
        """What to tell a person who isn't let in for ``reason`` (a reason code), in plain text.

        ``None``, which is what this one says, stands for the app's own words; so does an exception, here or from words
        that are lazy: it is logged. The sentence of a ``LoginRefused`` that a receiver raised comes before either.
        """
        return None

    def create_user(self, request: HttpRequest, login: BitbucketLogin, fields: dict[str, Any]) -> User:
        """Save a new user with ``fields`` (name, address, what else the profile gives). Add your own to them.

        Raises:
            ConfigurationError: the user model wants more fields.
            IntegrityError: a unique field is taken.
        """
        user = users.build(fields)
        user.save(using=router.db_for_write(type(user)))
        return user

    def can_disconnect(self, request: HttpRequest, user: User, account: BitbucketAccount) -> bool:
        """Whether ``user`` may give up ``account``, though it seems to be the last way to sign in.

        Asked if no other account of a configured provider remains, and no password. Return ``True`` for people who have
        another way, which this app doesn't know of.
        """
        return False

    def update_user(self, request: HttpRequest, user: User, login: BitbucketLogin, account: BitbucketAccount) -> None:
        """Refresh the fields of ``UPDATE_USERS`` that still hold what Bitbucket gave last, as ``account`` has it.

        A change that the database refuses is undone and logged; the sign-in goes on.
        """
        given_name, family_name = split_name(account.display_name)
        before = users.values_for(
            Profile(
                provider=account.provider,
                instance=account.instance,
                uid=account.uid,
                given_name=given_name,
                family_name=family_name,
                # One that didn't count was never given to the user.
                emails=(Email(account.email, True, True),) if account.email_verified else (),
            )
        )
        changes = {
            name: value
            for name, value in users.values_for(login.profile).items()
            if name in users.updatable(login.configuration.update_users)
            and getattr(user, name) == before.get(name, "") != value
        }
        if login.profile.emails_error is not None:
            # Some addresses couldn't be read, the primary one perhaps.
            changes.pop(users.email_field() or "", None)
        database = router.db_for_write(type(user))
        address = changes.get(users.email_field() or "")
        if address and users.fold_address(address) != users.address_of(user) and users.taken([], address, database)[1]:
            logger.info("The user %s keeps the e-mail address: another user has the new one", user.pk)
            del changes[users.email_field() or ""]
        if not changes:
            return
        old = {name: getattr(user, name) for name in changes}
        try:
            with transaction.atomic(using=database):
                for name, value in changes.items():
                    setattr(user, name, value)
                user.save(using=database, update_fields=list(changes))
        except OperationalError:
            raise
        except DatabaseError as error:
            logger.warning("The user %s could not be updated from Bitbucket: %s", user.pk, error)
            for name, value in old.items():
                setattr(user, name, value)


def _vouch(decide: Any, request: HttpRequest, user: User, profile: Profile) -> None:
    """Let the callable of ``LINK_BY_EMAIL`` decide; one that fails says no.

    Raises:
        LoginRefused: ``email_taken``.
    """
    try:
        decide = import_string(decide) if isinstance(decide, str) else decide
        # `is True`: the coroutine of an `async def` is true, too.
        vouched = decide(request=request, user=user, profile=profile) is True
    except Exception:
        logger.exception("The callable of LINK_BY_EMAIL failed, which refuses the sign-in")
        vouched = False
    if not vouched:
        raise LoginRefused("", "email_taken", cause=f"LINK_BY_EMAIL doesn't join {profile.uid} to {user.pk}")


def installed() -> tuple[str, BitbucketBackend]:
    """The first of ``AUTHENTICATION_BACKENDS`` that is a ``BitbucketBackend``, by its path.

    Raises:
        ConfigurationError: none is.
    """
    for path in settings.AUTHENTICATION_BACKENDS:
        backend = load_backend(path)
        if isinstance(backend, BitbucketBackend):
            return path, backend
    raise ConfigurationError(
        "AUTHENTICATION_BACKENDS has no BitbucketBackend. Add 'django_bitbucket_auth.backends.BitbucketBackend'."
    )
