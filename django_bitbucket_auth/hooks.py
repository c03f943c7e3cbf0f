"""What a project's receivers and backend hooks are given and may answer. Whatever else they answer lets nobody in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.http import HttpRequest

from . import users
from .bitbucket import Profile
from .conf import ProviderSettings
from .exceptions import ConfigurationError, LoginRefused
from .models import BitbucketAccount
from .oauth.token import Token
from .signals import verify

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("django_bitbucket_auth")


@dataclass(frozen=True, slots=True)
class BitbucketLogin:
    """What a callback has proved: made only where a code was redeemed, and the one thing the backend accepts."""

    configuration: ProviderSettings
    profile: Profile
    token: Token = field(repr=False)
    redirect_uri: str
    intent: str = "login"
    #: The name of the grant that the token came by.
    grant: str = "authorization_code"
    #: The groups of ``GROUPS`` that the person belongs in.
    groups: frozenset[str] = frozenset()
    #: Telling signals, to be called once the person is signed in; each waits for a caller's transaction.
    after: list[Callable[[], object]] = field(default_factory=list, repr=False, compare=False)


def ask(request: HttpRequest, login: BitbucketLogin, owner: User | None) -> User | None:
    """What the ``verify`` receivers answer: a user, or no opinion. All run; one refusal beats every user."""
    answers = verify.send_robust(
        sender=BitbucketAccount,
        request=request,
        provider=login.configuration.alias,
        profile=login.profile,
        token=login.token,
        intent=login.intent,
        user=owner,
    )
    named: dict[object, User] = {}
    refusal: LoginRefused | None = None
    for receiver, answer in answers:
        if isinstance(answer, LoginRefused):
            refusal = answer
        elif isinstance(answer, users.model()) and answer.pk is not None and not answer._state.adding:
            named[answer.pk] = answer
        elif answer is not None:
            if answer is not False and not isinstance(answer, BaseException):
                logger.error(
                    "The verify receiver %r answered with a %s, which refuses the sign-in. Return a saved user, None "
                    "or False, or raise LoginRefused.",
                    receiver,
                    type(answer).__name__,
                )
            refusal = refusal or LoginRefused(cause=f"the verify receiver {receiver!r} refused {login.profile.uid}")
    if refusal is None and len(named) > 1:
        logger.error(
            "The verify receivers named different users (%s), which refuses the sign-in", sorted(map(str, named))
        )
        refusal = LoginRefused(cause="the verify receivers named different users")
    if refusal is not None:
        raise refusal
    return next(iter(named.values()), None)


def saved(answer: object, hook: str) -> User:
    """A hook's answer, which has to be a user that can own an account.

    Raises:
        ConfigurationError: it is something else. Nobody gets in by a mistake.
    """
    if isinstance(answer, users.model()) and answer.pk is not None and not answer._state.adding:
        return answer
    raise ConfigurationError(
        f"{hook}() of the authentication backend has to return a saved user, not a {type(answer).__name__}."
    )
