"""Bitbucket Data Center: OAuth 2.0 since 7.20, OAuth 1.0a before and besides.

https://confluence.atlassian.com/bitbucketserver/bitbucket-oauth-2-0-provider-api-1108483661.html
https://developer.atlassian.com/server/bitbucket/rest/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes, urlencode, urlsplit, urlunsplit

import requests

from ..exceptions import ForeignURL, OAuthError, ProfileError
from ..oauth import urls
from ..oauth.grants import Grant, RefreshToken
from ..oauth.token import Token
from .oauth1 import OAuth1Provider
from .profiles import Profile, parse_data_center
from .provider import Provider

#: Pages of people whose names contain the one that is looked up, and how many a page has at most.
MAX_PAGES = 100
PAGE = 500
#: Open to everybody, and the smallest answer that says whose token it was asked with.
WHO = "/rest/api/latest/application-properties"
#: Pixels of the picture; without the parameter there is none.
AVATAR = 128


class DataCenterProvider(Provider):
    """Bitbucket Data Center by OAuth 2.0: authorization code with PKCE, and a profile in two steps.

    There is no "who am I": the name stands in a header, and the person is looked up by it.
    """

    paths: ClassVar[Mapping[str, str]] = {
        "authorize": "/rest/oauth2/latest/authorize",
        "token": "/rest/oauth2/latest/token",
        "user": "/rest/api/latest/users",
    }
    api_path: ClassVar[str] = "/rest/api/latest/"
    default_scopes: ClassVar[tuple[str, ...]] = ("PUBLIC_REPOS",)
    client_in_body: ClassVar[bool] = True
    self_hosted: ClassVar[bool] = True
    retired_grants: ClassVar[Mapping[str, str]] = {
        "password": "Bitbucket Data Center has never taken the password grant: let the person sign in",
        "implicit": "Bitbucket Data Center has never taken the implicit grant: use authorization_code",
    }

    def fetch_profile(self, token: Token) -> Profile:
        """The name from ``X-AUSERNAME``, then the one person with exactly this name.

        Raises:
            BitbucketAuthError: the token isn't accepted, or nobody can be told by the name.
            ProfileError: the account isn't a person's, is inactive, or has no id.
        """
        names = self._names(token)
        found = [person for name in names for person in self._people(token, name, names)]
        if len(found) != 1:
            raise ProfileError(f"{len(found)} people have the name in X-AUSERNAME", "name")
        configuration = self.configuration
        return parse_data_center(
            found[0],
            provider=configuration.alias,
            instance=self.instance,
            fetch_emails=configuration.fetch_emails,
            trust_emails=configuration.trust_emails,
        )

    def is_unauthorized(self, response: requests.Response) -> bool:
        """Also an answer that was given as to a stranger.

        Where anybody may ask, Data Center passes over a token that has ended, and leaves out what only its owner sees:
        half a list would look like a whole one.
        """
        if super().is_unauthorized(response):
            return True
        # Only of what was read: a stranger can't have written anything, and what was written isn't to be repeated.
        read = response.request is not None and response.request.method in ("GET", "HEAD")
        below = urls.within(response.url or "", self.configuration.api_url.rstrip("/") + "/rest/")
        return read and below and self.is_success(response) and "X-AUSERNAME" not in response.headers

    def refresh_grant(self, token: Token, redirect_uri: str) -> Grant:
        """With the redirect URI: without it, Data Center answers ``invalid_grant``."""
        return RefreshToken(token.refresh_token, redirect_uri)

    def next_page(self, body: Mapping[str, Any], url: str) -> str | None:
        """The same address from ``nextPageStart`` on (Bitbucket Data Center REST, "Paged APIs").

        Raises:
            ForeignURL: there is no number. Taken for the last page, half a list would look like a whole one.
        """
        if body.get("isLastPage", True) is True:
            return None
        start = body.get("nextPageStart")
        if isinstance(start, bool) or not isinstance(start, int):
            raise ForeignURL("the next page has no number")
        parts = urlsplit(url)
        query = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] != "start"]
        return urlunsplit(parts._replace(query="&".join([*query, f"start={start}"])))

    def _names(self, token: Token) -> tuple[str, ...]:
        # Anybody may ask for the version, so that a missing name means that the token was not accepted.
        _, response = self.json(token, f"{self.configuration.api_url.rstrip('/')}{WHO}")
        names = user_names(response)
        if not names:
            raise OAuthError(
                "invalid_token",
                "Bitbucket answered as to a stranger: without X-AUSERNAME",
                response.status_code,
                reason="client_refused",
            )
        return names

    def _people(self, token: Token, name: str, header: tuple[str, ...]) -> list[object]:
        """Who has exactly this name. ``filter`` finds all whose names, full names or addresses contain it.

        The name must not stand in the path of ``/users/{slug}``: there it could be another person's slug.
        """
        query = urlencode({"filter": name, "avatarSize": AVATAR, "limit": PAGE})
        url = f"{self.endpoint('user')}?{query}"
        found: list[object] = []
        for _ in range(MAX_PAGES):
            page, response = self.json(token, url)
            if user_names(response) != header:
                raise OAuthError("bad_name", "two answers to one token are about two people", response.status_code)
            values = page.get("values")
            if not isinstance(values, list):
                raise OAuthError("no_page", "the answer is not a page of people", response.status_code)
            found += [user for user in values if isinstance(user, dict) and user.get("name") == name]
            following = self.next_page(page, url)
            if following is None:
                return found
            url = following
        # Not all were seen, and one of the others might have the name, too.
        raise ProfileError("too many people are found by the name in X-AUSERNAME", "name")


class DataCenterOAuth1Provider(OAuth1Provider, DataCenterProvider):
    """Bitbucket Data Center by OAuth 1.0a, through an application link."""

    paths: ClassVar[Mapping[str, str]] = {
        "request_token": "/plugins/servlet/oauth/request-token",
        "authorize": "/plugins/servlet/oauth/authorize",
        "token": "/plugins/servlet/oauth/access-token",
        "user": "/rest/api/latest/users",
    }
    default_scopes: ClassVar[tuple[str, ...]] = ()
    default_signature_method: ClassVar[str] = "RSA-SHA1"


def user_names(response: requests.Response) -> tuple[str, ...]:
    """Whom an answer was given to, by ``X-AUSERNAME``, which is percent-encoded UTF-8; nobody for a stranger.

    Decoded once and strictly: decoded twice or leniently, two names could become one. A bare plus may stand for itself
    or, as in forms, for a space. Then it is either of two names, and only one of them may exist.

    Raises:
        OAuthError: it can't be decoded.
    """
    value = response.headers.get("X-AUSERNAME", "")
    try:
        readings = [unquote_to_bytes(text.encode("latin-1")).decode() for text in (value, value.replace("+", " "))]
    except UnicodeError:
        raise OAuthError("bad_name", "X-AUSERNAME isn't percent-encoded UTF-8", response.status_code) from None
    return tuple(dict.fromkeys(filter(None, readings)))
