"""What the admin says of tokens and addresses."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _

from ..exceptions import ConfigurationError
from ..models import BitbucketAccount, BitbucketToken, aware


def tokens_of(account: BitbucketAccount) -> str:
    """The state of an account's stored tokens; each with its provider, where there are several."""
    tokens = sorted(account.tokens.all(), key=lambda token: token.provider)
    if tokens and not getattr(account.user, "is_active", True):
        return _("not used: the user is deactivated")
    if len(tokens) == 1:
        return state(tokens[0])
    return "; ".join(f"{token.provider}: {state(token)}" for token in tokens) or _("none")


def state(token: BitbucketToken) -> str:
    """The state of a stored token, without a word of it."""
    personal = token.account_id is not None
    try:
        held = token.holds()
    except ConfigurationError:
        return _("stored, but BITBUCKET_AUTH_TOKEN_KEYS is wrong")
    if token.lost_at is not None:
        return _("lost: signs in again") if personal else _("lost")
    if not held:
        return _("can't be decrypted: signs in again") if personal else _("can't be decrypted")
    ends = aware(token.expires_at)
    if ends is None or ends > timezone.now():
        return stored(ends)
    if "refresh_token" in held:
        return _("stored, renews by itself")
    return _("ended: signs in again") if personal else _("ended")


def stored(ends: datetime | None) -> str:
    """Of a token that can be used, until when."""
    if ends is None:
        return _("stored, has no end")
    return _("stored, expires in %(time)s") % {"time": timeuntil(ends)}


def link(url: str) -> str | None:
    """A link to an address from a profile, which tells that site nothing of this one; ``None`` if there is none.

    Anything but https is shown as text: what a row holds need not have come by the sign-in, which keeps no other.
    """
    if not url.startswith("https://"):
        return url or None
    return format_html('<a href="{}" rel="noreferrer noopener">{}</a>', url, url)
