"""The views for people who are signed in: which Bitbucket accounts are theirs, one more, one less."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db import DatabaseError, router
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch
from django.utils.http import urlencode
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from . import accounts, backends, conf, connecting, failures, navigation, pages, starting
from .backends import BitbucketBackend
from .exceptions import BitbucketAuthError, ConfigurationError
from .models import BitbucketAccount, BitbucketToken, aware

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@pages.guarded
@csrf_protect
@require_POST
def connect(request: HttpRequest, alias: str = conf.DEFAULT_ALIAS) -> HttpResponse:
    """Begin to connect one more account, or the same once more, to whoever is signed in.

    By POST with a CSRF token only. *Seen elsewhere:* a link that begins it lets Mallory, who has signed the victim's
    browser in at Bitbucket as herself, tie her account to the victim's user.
    """
    starting.known_or_404(alias)
    next_url = navigation.safe_next(request, request.POST.get("next"))
    configuration = None
    try:
        person = connecting.present(request)
        if person is None:
            return _sign_in_first(request)
        configuration = conf.provider_settings(alias)
        accounts.check_active(person, backends.installed()[1])
        redirect_uri = navigation.redirect_uri(request, configuration)
        # The callback comes to that host, and so does the session that it needs: it is begun there.
        if elsewhere := navigation.other_host(request, configuration, "", "connections"):
            return pages.forward(request, elsewhere)
        return starting.depart(
            request,
            configuration,
            redirect_uri,
            next_url,
            user=str(person.pk),
            session_hash=connecting.session_hash(person),
        )
    except BitbucketAuthError as error:
        return failures.answer(request, error, alias, next_url, configuration, "connect")


@pages.guarded
@csrf_protect
@require_POST
def disconnect(request: HttpRequest, alias: str | None = None) -> HttpResponse:
    """Give up one account of whoever is signed in; somebody else's is none, and a 404."""
    if alias is not None:
        starting.known_or_404(alias)
    try:
        person = connecting.present(request)
        if person is None:
            return _sign_in_first(request)
        backend = backends.installed()[1]
        accounts.check_active(person, backend)
        try:
            gone = connecting.disconnect(request, person, request.POST.get("account", ""), backend)
        except BitbucketAccount.DoesNotExist:
            raise Http404("that is none of this person's accounts") from None
        if gone:
            next_url = navigation.safe_next(request, request.POST.get("next"))
            return HttpResponseRedirect(next_url or navigation.url_of("connections", conf.DEFAULT_ALIAS))
        notice = _(
            "The account stays connected: without it you couldn't sign in any more. But this site has forgotten its "
            "tokens, and no longer acts for you at Bitbucket."
        )
        return _page(request, person, backend, notice)
    except BitbucketAuthError as error:
        return failures.answer(request, error, alias or conf.DEFAULT_ALIAS, intent="connect")


@pages.guarded
@csrf_protect
@require_safe
def connections(request: HttpRequest, alias: str | None = None) -> HttpResponse:
    """The page with the person's accounts, the same whatever the provider in its address."""
    if alias is not None:
        starting.known_or_404(alias)
    try:
        person = connecting.present(request)
        if person is None:
            return redirect_to_login(request.get_full_path())
        backend = backends.installed()[1]
        accounts.check_active(person, backend)
        return _page(request, person, backend)
    except BitbucketAuthError as error:
        return failures.answer(request, error, alias or conf.DEFAULT_ALIAS)


def _sign_in_first(request: HttpRequest) -> HttpResponse:
    """By a page that moves on: a redirect after a POST would be held to ``form-action`` all the way to Bitbucket."""
    login = redirect_to_login(navigation.url_of("connections", conf.DEFAULT_ALIAS)).url
    response = pages.forward(request, login, _("Please sign in first."))
    response.status_code = 403
    return response


def _page(request: HttpRequest, person: User, backend: BitbucketBackend, notice: str = "") -> HttpResponse:
    database = router.db_for_write(BitbucketAccount)
    tokens = BitbucketToken.objects.using(database).defer("sealed").order_by("pk")
    query = BitbucketAccount.objects.using(database).filter(user=person.pk).order_by("created_at", "pk")
    try:
        mine = list(query.prefetch_related(Prefetch("tokens", tokens)))
    except DatabaseError as error:
        raise accounts.busy(error) from None
    known, disconnect_url = connecting.instances(), navigation.url_of("disconnect", conf.DEFAULT_ALIAS)
    shown = [
        {
            **_described(account, known),
            "only_way": connecting.is_needed(request, person, account, mine, known, backend),
            "disconnect_url": disconnect_url,
        }
        for account in mine
    ]
    context = {"accounts": shown, "providers": _providers(request), "notice": notice, "home_url": _home()}
    response = pages.page(request, "connections", context, 403 if notice else 200)
    # The forms' POST needs its origin: from a `no-referrer` page it is "null", which Django's CSRF check refuses.
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _home() -> str:
    """Where people go who have signed in; empty if that leads nowhere, which is no reason not to show the page."""
    try:
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    except NoReverseMatch:
        return ""


def _described(account: BitbucketAccount, known: set[str]) -> dict[str, Any]:
    name = account.display_name or account.username or account.uid
    place: dict[str, str] = {"provider_name": "", "place": account.instance}
    if account.provider in conf.aliases():
        with suppress(ConfigurationError):
            place = starting.place(conf.provider_settings(account.provider))
    return {
        "account": account,
        # As text: a number would be shown with thousands separators.
        "key": str(account.pk),
        **place,
        "name": name,
        # No picture: it would be loaded from wherever Bitbucket says, which the page's policy forbids.
        "initials": "".join(word[0] for word in name.split()[:2] if word[0].isalnum()).upper(),
        "is_usable": account.instance in known,
        "profile_url": account.profile_url if account.profile_url.startswith("https://") else "",
        "api_access": _api_access(account),
    }


def _api_access(account: BitbucketAccount) -> str:
    """Whether the site can call Bitbucket as this person, in words."""
    tokens = sorted(account.tokens.all(), key=lambda token: token.provider != account.provider)
    if not tokens:
        return _("no")
    alive = [token for token in tokens if token.lost_at is None]
    if not alive:
        return _("ended; connect the account again to renew it")
    end = aware(alive[0].expires_at)
    if end is None:
        return _("yes")
    if end > datetime.now(UTC):
        return _("yes, expires in %(time)s") % {"time": timeuntil(end)}
    if alive[0].grant == "oauth1":
        return _("ended; connect the account again to renew it")
    return _("yes, renewed when it is used next")


def _providers(request: HttpRequest) -> list[dict[str, str]]:
    """Where an account can be connected."""
    # That we sent the browser to this host already: see `other_host`.
    hop = f"?{urlencode({navigation.HOP: 1})}" if navigation.HOP in request.GET else ""
    found = []
    for alias in conf.aliases():
        # What is wrong with one provider is no reason not to offer the others.
        with suppress(ConfigurationError):
            place = starting.place(conf.provider_settings(alias))
            found.append({**place, "connect_url": f"{navigation.url_of('connect', alias)}{hop}"})
    return found
