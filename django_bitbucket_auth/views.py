"""The views. They only conduct: what Bitbucket is asked, who may come in and what is written is decided elsewhere."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import urlencode
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods

from . import accounts, backends, conf, connecting, failures, hooks, marks, navigation, pages, policies, starting, state
from .bitbucket import Provider
from .bitbucket.responses import authorization_error, problem_error
from .exceptions import (
    BitbucketAuthError,
    BitbucketUnavailable,
    ConfigurationError,
    LoginRefused,
    OAuthError,
    StateError,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: What a browser adds to the callback's path when we sent it there again for its strict cookie.
AGAIN = "again"


@pages.guarded
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest, alias: str | None = None) -> HttpResponse:
    """Start a sign-in: on to Bitbucket, or a page with a button that does so, and one for each other provider.

    Of the parameters only ``next`` is used: others would let anybody choose what is asked of Bitbucket.
    """
    if alias is None and conf.DEFAULT_ALIAS not in conf.aliases() and conf.aliases():
        return _choice(request)
    alias = alias or conf.DEFAULT_ALIAS
    starting.known_or_404(alias)
    asked = request.POST if request.method == "POST" else request.GET
    next_url = navigation.safe_next(request, asked.get("next"))
    configuration = None
    try:
        configuration = conf.provider_settings(alias)
        backends.installed()
        return _start(request, configuration, next_url)
    except BitbucketAuthError as error:
        return failures.answer(request, error, alias, next_url, configuration)


@pages.guarded
@csrf_exempt  # so that a POST is told 405 and not 403; nothing is read from its body
@require_GET
@sensitive_variables()
def callback(request: HttpRequest, alias: str = conf.DEFAULT_ALIAS) -> HttpResponse:
    """Finish what was begun, with what Bitbucket sent the browser back with (RFC 6749, 4.1.2).

    GET only: mail scanners and link previews send HEAD, which must not spend the code.
    """
    starting.known_or_404(alias)
    answer = _Answer.take(request)
    configuration, home = None, ""
    try:
        configuration = conf.provider_settings(alias)
        home = navigation.success_url(configuration)
        provider = conf.provider(configuration)
        path, backend = backends.installed()
        attempt = _attempt(request, provider, configuration, answer)
        connects = attempt.intent == "connect"
        person = connecting.present(request) if connects else None
        home = navigation.url_of("connections", conf.DEFAULT_ALIAS) if connects else home
    except BitbucketAuthError as error:
        return _failed(request, error, alias, answer, configuration, home)
    if connects and person is None and _may_be_strict(request):
        # The session decides whose account it becomes, and wasn't sent with a step that Bitbucket began. It comes with
        # one more step of our own, to which the answer goes along; nothing is spent before.
        return pages.forward(request, f"{request.path}?{answer.once_more()}")
    try:
        state.spend(attempt, configuration.state_max_age)
        if connects:
            person = connecting.check_person(person, attempt, backend)
        login = _redeem(provider, configuration, attempt, answer)
        try:
            if person is not None:
                connecting.connect(request, login, person, backend)
            else:
                _open_session(request, backend.authenticate(request, bitbucket_login=login), path)
                marks.remember(request, login)
        finally:
            for tell in login.after:
                tell()
        response = _onward(request, navigation.safe_next(request, attempt.next) or home)
    except BitbucketAuthError as error:
        response = _failed(request, error, alias, answer, configuration, home, attempt)
    state.forget(request, response, attempt)
    return response


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came with the callback. Its members are secrets until code or request token is redeemed."""

    state: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    error: str = ""
    error_description: str = ""
    oauth_token: str = field(default="", repr=False)
    oauth_verifier: str = field(default="", repr=False)
    oauth_problem: str = ""

    @classmethod
    def take(cls, request: HttpRequest) -> Self:
        """Read the answer, and take it out of the request: error mails and monitors print query strings."""
        request.encoding = "utf-8"  # whatever the request's own headers claim
        parameters = request.GET.copy()
        found = cls(**{name: parameters.get(name, "") for name in cls.__slots__})
        for name in {"state", "code", "oauth_token", "oauth_verifier"} & parameters.keys():
            parameters[name] = "***"
        request.GET = parameters  # type: ignore[assignment]
        request.META["QUERY_STRING"] = parameters.urlencode()
        for name in {"REQUEST_URI", "RAW_URI"} & request.META.keys():
            request.META[name] = request.get_full_path()
        return found

    def once_more(self) -> str:
        """The query that brings the same answer once more, marked as such."""
        found = {name: value for name in self.__slots__ if (value := getattr(self, name))}
        return urlencode({**found, AGAIN: 1})

    def stray_denial(self) -> OAuthError | None:
        """The person said no, but it isn't said to which sign-in: what comes with a denial isn't documented."""
        if self.error == "access_denied" and not self.state:
            return authorization_error(self.error, self.error_description)
        if self.oauth_problem and not self.oauth_token:
            error = problem_error(self.oauth_problem)
            return error if error.reason == "cancelled" else None
        return None


@sensitive_variables()
def _start(request: HttpRequest, configuration: conf.ProviderSettings, next_url: str) -> HttpResponse:
    """On to Bitbucket by a redirect after a deliberate GET, by the forwarding page after a POST; else the button."""
    redirect_uri = navigation.redirect_uri(request, configuration)
    elsewhere = navigation.other_host(request, configuration, next_url)
    posted = request.method == "POST"
    if not posted and not (
        request.method == "GET" and configuration.login_on_get and navigation.is_deliberate(request)
    ):
        return _button(request, configuration, next_url)
    if elsewhere:
        return pages.forward(request, elsewhere) if posted else HttpResponseRedirect(elsewhere)
    return starting.depart(request, configuration, redirect_uri, next_url)


def _button(request: HttpRequest, configuration: conf.ProviderSettings, next_url: str) -> HttpResponse:
    """The page with the button, and one for each other provider that is set up."""
    others = []
    for alias in conf.aliases():
        if alias != configuration.alias:
            # What is wrong with another provider is no reason not to offer this one.
            with suppress(ConfigurationError):
                others.append(_offer(conf.provider_settings(alias)))
    response = pages.page(request, "login", {**_offer(configuration), "others": others, "next": next_url})
    # The form's POST needs its origin: from a `no-referrer` page it is "null", which Django's CSRF check refuses.
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _choice(request: HttpRequest) -> HttpResponse:
    """The page with the buttons, where no provider is the default."""
    next_url = navigation.safe_next(request, request.GET.get("next"))
    fault: BitbucketAuthError = ConfigurationError("No provider can be used.")
    for alias in conf.aliases():
        try:
            backends.installed()
            return _button(request, conf.provider_settings(alias), next_url)
        except BitbucketAuthError as error:
            fault = error
    return failures.answer(request, fault, conf.aliases()[0], next_url)


def _offer(configuration: conf.ProviderSettings) -> dict[str, str]:
    return {"login_url": navigation.url_of("login", configuration.alias), **starting.place(configuration)}


def _attempt(
    request: HttpRequest, provider: Provider, configuration: conf.ProviderSettings, answer: _Answer
) -> state.LoginState:
    """The started login that the answer belongs to: this browser's, fresh, of this provider, for this client."""
    attempt = state.find(request, getattr(answer, provider.picks), answer.state)
    expected = (configuration.alias, state.fingerprint(provider))
    if (attempt.provider, attempt.fingerprint) != expected or attempt.intent not in ("login", "connect"):
        raise StateError("the sign-in was started at another provider, or its settings have changed", "state_mismatch")
    state.check_age(attempt, configuration.state_max_age)
    return attempt


@sensitive_variables()
def _redeem(
    provider: Provider, configuration: conf.ProviderSettings, attempt: state.LoginState, answer: _Answer
) -> hooks.BitbucketLogin:
    """Code → token → profile → policy: who this is, proved by this very attempt."""
    grant = provider.grant_from({name: getattr(answer, name) for name in answer.__slots__}, attempt.beginning)
    token = provider.fetch_token(grant)
    signs_in = attempt.intent == "login"
    asked = configuration.asked_workspaces if signs_in else configuration.required_workspaces
    profile, memberships = provider.fetch_identity(token, asked)
    try:
        policies.check_membership(configuration.required_workspaces, profile, memberships)
    except LoginRefused as refusal:
        if refusal.reason == "not_a_member":
            accounts.expel(profile, configuration)
        raise
    groups = policies.groups_for(configuration.groups if signs_in else {}, profile, memberships)
    return hooks.BitbucketLogin(configuration, profile, token, attempt.redirect_uri, attempt.intent, grant.name, groups)


def _open_session(request: HttpRequest, user: User | None, path: str) -> None:
    """Sign the user in, or leave nobody signed in.

    Raises:
        LoginRefused: there is no user, or a receiver of ``user_logged_in`` refused (a second factor, say).
        BitbucketUnavailable: the database refused the session.
    """
    if user is None:
        # `login()` would take None for whoever is signed in already.
        raise LoginRefused
    try:
        auth.login(request, user, backend=path)
    except (BitbucketAuthError, DatabaseError) as error:
        # The session says "signed in" by now, and would be saved with the page that says "refused".
        request.session = type(request.session)()
        request.user = AnonymousUser()
        if isinstance(error, DatabaseError):
            raise BitbucketUnavailable(f"the database refused the session ({type(error).__name__})") from None
        raise


def _failed(
    request: HttpRequest,
    error: BitbucketAuthError,
    alias: str,
    answer: _Answer,
    configuration: conf.ProviderSettings | None,
    home: str,
    attempt: state.LoginState | None = None,
) -> HttpResponse:
    """Answer a failed callback, kindly to those who only pressed "back" after they had signed in."""
    if isinstance(error, StateError) and error.reason in ("state_missing", "state_reused"):
        if _is_signed_in(request):
            return HttpResponseRedirect(home)
        if _may_be_strict(request):
            # A strict session cookie isn't sent with a step that Bitbucket began. One more step of our own shows
            # whether this person is signed in; it carries no answer, so nothing can be spent, and happens once.
            return pages.forward(request, f"{request.path}?{AGAIN}=1")
        error = answer.stray_denial() or error
    next_url, intent = (attempt.next, attempt.intent) if attempt else ("", "login")
    return failures.answer(request, error, alias, next_url, configuration, intent)


def _is_signed_in(request: HttpRequest) -> bool:
    try:
        return request.user.is_authenticated
    except DatabaseError:
        return False


def _onward(request: HttpRequest, url: str) -> HttpResponse:
    return pages.forward(request, url) if _strict() else HttpResponseRedirect(url)


def _may_be_strict(request: HttpRequest) -> bool:
    """Whether a session may be there that wasn't sent, and it wasn't looked for yet."""
    return _strict() and AGAIN not in request.GET and request.headers.get("Sec-Fetch-Site") != "same-origin"


def _strict() -> bool:
    return str(settings.SESSION_COOKIE_SAMESITE).lower() == "strict"
