"""The provider that is looked at, and how it is asked: bounded, and with our own errors only."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, urlsplit

import requests

from ... import conf
from ...bitbucket import Provider
from ...bitbucket.data_center import WHO
from ...conf import ProviderSettings
from ...exceptions import BitbucketUnavailable
from ...oauth.token import Token


@dataclass(slots=True)
class Patient:
    """A provider whose settings are fine. ``callback_url``: empty where nobody said where the site is.

    What is found out on the way: whether its credentials are ``accepted``, and a token of the ``application`` itself,
    which is never shown.
    """

    configuration: ProviderSettings
    callback_url: str = ""
    accepted: bool = False
    application: Token | None = field(default=None, repr=False)
    #: What was answered first, and what the API answered to a stranger.
    first: requests.Response | None = field(default=None, repr=False)
    about: requests.Response | None = field(default=None, repr=False)

    @property
    def redirect_uri(self) -> str:
        """The callback URL, or one that leads nowhere: what is asked with it comes to no end anyway."""
        return self.callback_url or "https://site.invalid/callback/"

    @property
    def has_credentials(self) -> bool:
        configuration = self.configuration
        return all(getattr(configuration, name.lower()) for name in conf.needed_credentials(configuration.alias))

    def scrubbed(self, text: str) -> str:
        """Words of whoever answered, without what they were sent: they may have repeated it."""
        configuration, token = self.configuration, self.application or Token("")
        basic = base64.b64encode(f"{configuration.client_id}:{configuration.client_secret}".encode(errors="replace"))
        # A client's id is none, but it names somebody. A short one may stand in words that mean something else.
        name = configuration.client_id if len(configuration.client_id) > 11 else ""
        secrets = (configuration.client_secret, basic.decode(), token.access_token, token.refresh_token)
        for secret in (name, *secrets):
            for form in (secret, quote(secret, "", errors="replace"), quote_plus(secret, errors="replace")):
                # Quoted words of Bitbucket's are Python's `repr` of them.
                for written in (form, repr(form)[1:-1], repr(f"\"{form}'")[2:-3]):
                    text = text.replace(written, "…") if written else text
        return text

    def conversation(self) -> Provider:
        """A new one, with all of ``DEADLINE`` before it: what is slow in one place isn't held against the next."""
        return conf.provider(self.configuration)


def about_url(provider: Provider) -> str:
    """The address of the API that answers anybody, if only to refuse."""
    if provider.self_hosted:
        return provider.configuration.api_url.rstrip("/") + WHO
    return provider.endpoint("user")


def token_url(provider: Provider) -> str:
    """The first address of the site that our server asks."""
    return provider.endpoint("request_token" if provider.signs_requests else "token")


def get(provider: Provider, url: str, token: Token | None = None, **headers: str) -> requests.Response:
    """The answer to a GET, with a token or as anybody.

    Raises:
        BitbucketAuthError: there is none, or the token isn't for this address.
    """
    auth = provider.credential(token) if token else None
    try:
        return provider.send(requests.Request("GET", url, headers=headers, auth=auth))
    except requests.RequestException as error:
        # An overridden `send` may speak requests' own language. The class alone: its text can hold secrets.
        raise BitbucketUnavailable(f"no answer ({type(error).__name__})") from None


def shown(url: str) -> str:
    """Scheme, host and port of an address, without whatever else it may hold."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or "?"
        host = f"[{host}]" if ":" in host else host
        place = f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"
        # Somebody else's words: they are not to steer a terminal.
        return "".join(filter(str.isprintable, place))
    except ValueError:
        return "an unreadable address"
