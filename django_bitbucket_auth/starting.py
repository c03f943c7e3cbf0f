"""The last step before Bitbucket, by whichever view a person begins."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from . import conf, kinds, pages, state
from .oauth import urls

#: Most seconds that Bitbucket is waited for to begin a sign-in.
BEGINNING = 6


def known_or_404(alias: str) -> None:
    """Answer 404 to an alias that isn't configured.

    A setting that is no dictionary has no aliases: then every page says "misconfigured".
    """
    if alias not in conf.aliases() and isinstance(getattr(settings, "BITBUCKET_AUTH", {}) or {}, dict):
        raise Http404(f"BITBUCKET_AUTH has no provider {alias!r}")


def place(configuration: conf.ProviderSettings) -> dict[str, str]:
    """What people call a provider, and where it is, for a template."""
    # Where the browser goes: to this server, Bitbucket may have another name.
    authorize = configuration.endpoints.get("authorize")
    return {
        "provider_name": kinds.provider_class(configuration.kind).name,
        "place": urls.host(authorize) if authorize else urls.address(configuration.base_url),
    }


@sensitive_variables()
def depart(
    request: HttpRequest,
    configuration: conf.ProviderSettings,
    redirect_uri: str,
    next_url: str,
    *,
    user: str = "",
    session_hash: str = "",
) -> HttpResponse:
    """Begin, keep the attempt in the browser, and lead on to Bitbucket; with a ``user``, to connect an account."""
    # By OAuth 1.0a Bitbucket is asked before anybody has proved anything: nobody is to hold a worker for long by that.
    hasty = replace(configuration, deadline=min(configuration.deadline, BEGINNING))
    provider, secret = conf.provider(hasty), state.secret()
    beginning = provider.begin(redirect_uri, secret, pkce=configuration.pkce)
    attempt = state.new(provider, secret, beginning, next_url, user, session_hash)
    url = beginning.url
    response = (
        pages.forward(request, url, _("Taking you to Bitbucket."))
        if request.method == "POST"
        else HttpResponseRedirect(url)
    )
    state.remember(request, response, attempt, configuration.state_max_age)
    return response
