"""Links that begin a sign-in, for a project's own templates.

::

    {% load bitbucket_auth %}
    {% bitbucket_login_button %}
    <a href="{% bitbucket_login_url provider="dc" next="/welcome/" %}">Sign in with Data Center</a>
"""

from __future__ import annotations

from typing import Any

from django import template
from django.conf import settings
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from .. import conf, kinds, navigation
from ..exceptions import ConfigurationError

register = template.Library()


@register.simple_tag(takes_context=True)
def bitbucket_login_url(context: Context, provider: str = "", next: object = None) -> str:
    """The URL at which a sign-in begins.

    Args:
        context: the template's.
        provider: an alias; without one, ``default``, or where none has that name, the page that asks at which.
        next: where the person goes afterwards, a path of this site. Not given: the page's own ``next``, or back to the
            page that this is on, if it was asked for by GET and the context has the request. Empty: to ``SUCCESS_URL``.

    Raises:
        ConfigurationError: the alias is unknown, or the URLs aren't included.
    """
    alias = provider or conf.DEFAULT_ALIAS
    if provider and provider not in conf.aliases() and isinstance(getattr(settings, "BITBUCKET_AUTH", {}), dict):
        raise ConfigurationError(f"BITBUCKET_AUTH has no provider {provider!r}, which a template names.")
    return navigation.url_of("login", alias, _next(context, next))


@register.simple_tag(takes_context=True)
def bitbucket_login_button(
    context: Context,
    text: object = None,
    *,
    provider: str = "",
    next: object = None,
    css_class: str = "bba-button",
) -> SafeString:
    """A link to that URL, with a text. Looks like a button where ``bitbucket_auth.css`` is loaded.

    Raises:
        ConfigurationError: as ``bitbucket_login_url``.
    """
    url = bitbucket_login_url(context, provider, next)
    words = text or _("Sign in with %(provider_name)s") % {"provider_name": _name(provider or conf.DEFAULT_ALIAS)}
    # A crawler that followed it would find a page with a button.
    return format_html('<a class="{}" href="{}" rel="nofollow">{}</a>', css_class, url, words)


def _next(context: Context, given: object) -> str:
    request = context.get("request")
    if given is not None:
        # The sign-in looks at it once more. Here it is so that a page doesn't promise what it won't keep.
        return navigation.safe_next(request, str(given)) if request else str(given)
    if request is None or request.method != "GET":
        return ""  # to come back to the answer of a form would be to send it again, or to ask for what isn't there
    # A project's own page to sign in at has been told where the person wants to go.
    return navigation.safe_next(request, request.GET.get("next")) or navigation.safe_next(
        request, request.get_full_path()
    )


def _name(alias: str) -> Any:
    """What the provider is called. What is wrong with it is no reason not to show the page that this is on."""
    keys = conf.given(alias) if alias in conf.aliases() else {}
    try:
        return kinds.provider_class(keys.get("KIND", "cloud") if isinstance(keys, dict) else "cloud").name
    except ConfigurationError:
        return "Bitbucket"
