"""Guards of single views: who isn't signed in with Bitbucket, or may not see a page, is led there or told so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, overload

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views import generic

from . import api, conf, gates, memberships, policies, validators
from .conf import DEFAULT_ALIAS
from .exceptions import (
    BitbucketAuthError,
    ConfigurationError,
    InsufficientScope,
    LoginRefused,
    NotConnected,
    ProfileError,
    ReauthenticationRequired,
)
from .marks import Mark
from .models import BitbucketAccount
from .remembered import Known

View = TypeVar("View", bound=Callable[..., Any])

#: Seconds after a sign-in during which a missing token isn't a reason for another one: that would be a loop.
JUST_NOW = 60
_SENT = "_bitbucket_auth_sent"


@overload
def bitbucket_login_required(view: View, /) -> View: ...
@overload
def bitbucket_login_required(
    *,
    provider: str = DEFAULT_ALIAS,
    workspaces: Sequence[str] = (),
    scopes: Sequence[str] = (),
    max_age: float = 300,
) -> Callable[[View], View]: ...
def bitbucket_login_required(
    view: Any = None,
    /,
    *,
    provider: str = DEFAULT_ALIAS,
    workspaces: Sequence[str] = (),
    scopes: Sequence[str] = (),
    max_age: float = 300,
) -> Any:
    """A view for people who have signed in with Bitbucket; for use with and without parentheses, and with async views.

    Args:
        provider: an alias.
        workspaces: one of these has to have the person as a member: ``"workspace"`` or ``"workspace:role"`` entries.
        scopes: the person's token has to have all of these.
        max_age: seconds for which what Bitbucket said of the workspaces is remembered, in the session.

    Raises:
        ConfigurationError: an argument has the wrong type or value.
    """
    gate = Gate(provider, workspaces, scopes, max_age)

    def decorate(view: Any) -> Any:
        if iscoroutinefunction(view):

            @wraps(view)
            async def aguarded(request: HttpRequest, /, *args: Any, **kwargs: Any) -> Any:
                return await sync_to_async(gate.answer)(request) or await view(request, *args, **kwargs)

            return aguarded

        @wraps(view)
        def guarded(request: HttpRequest, /, *args: Any, **kwargs: Any) -> Any:
            return gate.answer(request) or view(request, *args, **kwargs)

        return guarded

    return decorate if view is None else decorate(view)


class BitbucketLoginRequiredMixin:
    """``bitbucket_login_required`` for class-based views; the arguments are attributes. It stands before ``View``."""

    provider: str = DEFAULT_ALIAS
    workspaces: Sequence[str] = ()
    scopes: Sequence[str] = ()
    max_age: float = 300

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a class that would be open to all.

        Raises:
            ConfigurationError: ``View`` stands before the mixin. Its ``dispatch`` never asks the next one.
        """
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if generic.View in order[: order.index(BitbucketLoginRequiredMixin)]:
            raise ConfigurationError(
                f"BitbucketLoginRequiredMixin guards nothing in {cls.__qualname__}: name it before the views there."
            )

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Ask, then let the view answer."""
        gate = Gate(self.provider, self.workspaces, self.scopes, self.max_age)
        dispatch: Callable[..., Any] = super().dispatch  # type: ignore[misc]
        if not getattr(self, "view_is_async", False):
            return gate.answer(request) or dispatch(request, *args, **kwargs)

        async def answer() -> HttpResponseBase:
            refusal: HttpResponseBase | None = await sync_to_async(gate.answer)(request)
            return refusal or await dispatch(request, *args, **kwargs)

        return answer()


@dataclass(frozen=True, slots=True)
class Gate:
    """What a page asks of its visitors."""

    provider: str
    workspaces: Sequence[str]
    scopes: Sequence[str]
    max_age: float

    def __post_init__(self) -> None:
        for name in ("workspaces", "scopes"):
            value = getattr(self, name)
            # A string is a sequence of letters: of workspaces, too.
            if not isinstance(value, (list, tuple)) or not all(item and isinstance(item, str) for item in value):
                raise ConfigurationError(f"{name} of bitbucket_login_required isn't a list of strings.")
        if trouble := next(filter(None, map(validators.entry_problem, self.workspaces)), None):
            raise ConfigurationError(f"workspaces of bitbucket_login_required {trouble}.")
        if isinstance(self.max_age, bool) or not isinstance(self.max_age, (int, float)) or not self.max_age >= 0:
            raise ConfigurationError("max_age of bitbucket_login_required isn't a number of seconds.")

    def answer(self, request: HttpRequest) -> HttpResponse | None:
        """``None`` for whoever may see the page; else where they go, or why they may not."""
        try:
            return self._check(request)
        except (NotConnected, ReauthenticationRequired) as error:
            if error.reason == "inactive" and isinstance(error, ReauthenticationRequired):
                return self._no(request, LoginRefused("", "inactive", cause=str(error)), 403)
            return self._again(request, str(error))
        except InsufficientScope as error:
            return self._no(request, error, 403)
        except (LoginRefused, ConfigurationError) as error:
            return self._no(request, error)

    def _check(self, request: HttpRequest) -> HttpResponse | None:
        if self.provider not in conf.aliases():
            raise ConfigurationError(f"A page is for people of the provider {self.provider!r}, which isn't configured.")
        if not request.user.is_authenticated:
            return gates.to_bitbucket(request, self.provider)
        mark = Mark.of(request.session)
        account = None
        if mark is None or mark.provider != self.provider or self.workspaces or self.scopes:
            account = memberships.account_of(request, self.provider)
        if account is None:
            if mark is None or mark.provider != self.provider:
                return gates.to_bitbucket(request, self.provider)
            if self.workspaces or self.scopes:
                raise NotConnected("the account that they signed in with is not connected")
            return None
        if reason := memberships.last_no(account, self.provider):
            # The row stays where `RECHECK` has thrown somebody out, and proves nothing until they sign in again.
            raise LoginRefused("", reason, cause=f"so said Bitbucket when it was last asked about {account.uid}")
        if self.workspaces:
            self._check_workspaces(request, account)
        return self._check_scopes(request, account) if self.scopes else None

    def _check_workspaces(self, request: HttpRequest, account: BitbucketAccount) -> None:
        known = Known(request, account)
        answer, cause = policies.answer_of(self.workspaces, account.uid, known.within(self.max_age))
        if answer == "unknown":
            fresh = {found.workspace.lower() for found in known.within(self.max_age)}
            names = dict.fromkeys(validators.split_entry(entry)[0] for entry in self.workspaces)
            if left := tuple(name for name in names if name.lower() not in fresh):
                self._ask(account, known, left)
            answer, cause = policies.answer_of(self.workspaces, account.uid, known.all())
        if answer != "yes":
            raise LoginRefused("", "membership_unknown" if answer == "unknown" else "not_a_member", cause=cause)

    def _ask(self, account: BitbucketAccount, known: Known, workspaces: tuple[str, ...]) -> None:
        configuration = conf.provider_settings(self.provider)
        try:
            _, found = memberships.identity(account, configuration, workspaces)
        except ProfileError as error:
            reason = error.reason if error.reason == "inactive" else "membership_unknown"
            raise LoginRefused("", reason, cause=str(error)) from None
        except (NotConnected, ReauthenticationRequired, ConfigurationError):
            raise
        except BitbucketAuthError as error:
            raise LoginRefused("", "membership_unknown", cause=str(error)) from None
        known.learn(found)

    def _check_scopes(self, request: HttpRequest, account: BitbucketAccount) -> HttpResponse | None:
        granted = api.token_source(account, self.provider).scopes
        missing = [scope for scope in self.scopes if scope not in granted]
        if not missing:
            return None
        asked = [f"{self.provider} {scope}" for scope in missing]
        sent = request.session.get(_SENT, [])
        if set(asked) <= set(sent) or gates.wants_json(request):
            raise InsufficientScope(tuple(missing), granted)
        # Once: if Bitbucket grants no more than before, nobody is sent there for ever.
        request.session[_SENT] = [*sent, *(name for name in asked if name not in sent)]
        return gates.to_bitbucket(request, self.provider)

    def _again(self, request: HttpRequest, cause: str) -> HttpResponse:
        """Let the person sign in once more; but not over and over, where that brings no token."""
        mark = Mark.of(request.session)
        if mark is not None and mark.provider == self.provider and 0 <= time.time() - mark.since < JUST_NOW:
            return self._no(request, LoginRefused("", "membership_unknown", cause=f"just signed in, and yet: {cause}"))
        return gates.to_bitbucket(request, self.provider)

    def _no(self, request: HttpRequest, error: BitbucketAuthError, status: int | None = None) -> HttpResponse:
        return gates.refuse(request, error, self.provider, status=status)
