"""What OAuth 1.0a changes about a kind of Bitbucket: how a sign-in begins and ends, and that requests are signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlencode

import requests
from requests.auth import AuthBase

from ..exceptions import BitbucketAuthError, ConfigurationError, OAuthError
from ..oauth import oauth1
from ..oauth.grants import Grant
from ..oauth.oauth1 import Consumer, RequestToken, Signed, VerifiedRequestToken
from ..oauth.token import Token, is_visible
from . import responses
from .provider import Beginning, Provider

#: Characters of a request token and its secret; Bitbucket's have 32 each. They travel in the attempt's cookie.
LONGEST = 512


class OAuth1Provider(Provider):
    """A provider by OAuth 1.0a (RFC 5849). Put it before the class that knows where things are and what they mean.

    ``paths`` of that one need ``"request_token"``, ``"authorize"`` and ``"token"``.
    """

    signs_requests: ClassVar[bool] = True
    #: RFC 5849 has no state: the request token takes its place. A state rides in the callback URL all the same.
    picks: ClassVar[str] = "oauth_token"
    #: It has none of the grants of OAuth 2.0 (``token_request`` says so).
    retired_grants: ClassVar[Mapping[str, str]] = {}
    #: Since when this Bitbucket doesn't take OAuth 1.0a any more, and what to do instead.
    retired: ClassVar[str] = ""

    @property
    def consumer(self) -> Consumer:
        """The client: its key, and what it signs with."""
        configuration = self.configuration
        return Consumer(
            configuration.client_id, configuration.client_secret, configuration.signature_method, configuration.rsa_key
        )

    def begin(self, redirect_uri: str, state: str, *, pkce: bool = True) -> Beginning:
        """Ask for a request token, and send the person to allow it (RFC 5849, 2.1 and 2.2). ``pkce`` doesn't matter.

        Raises:
            BitbucketAuthError: there is none to be had, or it wasn't given for our callback URL.
        """
        callback = f"{redirect_uri}?{urlencode({'state': state})}"
        response = self._sent(oauth1.request_token_request(self.endpoint("request_token"), self.consumer, callback))
        if not self.is_success(response):
            error = self.error_from(response)
            if isinstance(error, OAuthError):
                error.hint = error.hint or self.retired
            raise error
        try:
            # An unconfirmed callback may be anybody's: that was the session fixation of OAuth 1.0.
            request_token = oauth1.parse_request_token(_text(response))
        except ValueError as error:
            raise OAuthError("no_request_token", str(error), response.status_code) from None
        if not is_visible(request_token.secret) or len(request_token.token) + len(request_token.secret) > LONGEST:
            raise OAuthError("no_request_token", "the request token is too long for a cookie", response.status_code)
        url = oauth1.authorization_url(self.endpoint("authorize"), request_token)
        return Beginning(redirect_uri, url, None, request_token.token, request_token.secret)

    def grant_from(self, answer: Mapping[str, str], beginning: Beginning) -> Grant:
        """The request token that the person has allowed (RFC 5849, 2.2).

        Raises:
            OAuthError: they have not: there is an ``oauth_problem``, or no verifier.
        """
        if problem := answer.get("oauth_problem"):
            raise responses.problem_error(problem)
        verifier = answer.get("oauth_verifier")
        if not verifier:
            raise OAuthError("no_verifier", reason="cancelled")
        request_token = RequestToken(beginning.request_token, beginning.request_secret)
        return VerifiedRequestToken(request_token, verifier, beginning.redirect_uri)

    def credential(self, token: Token) -> AuthBase:
        return Signed(self.consumer, token, self.configuration.api_url)

    def is_unauthorized(self, response: requests.Response) -> bool:
        """Never: there is nothing to renew a token by, so that a refused one is an error like others."""
        return False

    def error_from(self, response: requests.Response, grant: Grant | None = None) -> BitbucketAuthError:
        return responses.signed_error(response, grant)

    def token_request(self, grant: Grant) -> requests.Request:
        if not isinstance(grant, VerifiedRequestToken):
            raise self._lacks(grant.name)
        return oauth1.access_token_request(self.endpoint("token"), self.consumer, grant)

    def implicit_url(self, redirect_uri: str, state: str, scopes: tuple[str, ...] = ()) -> str:
        raise self._lacks("implicit")

    def _lacks(self, grant: str) -> ConfigurationError:
        return ConfigurationError(
            f"The provider {self.configuration.alias!r} speaks OAuth 1.0a, which has no grant {grant!r}: its tokens "
            "come from people who sign in. Use a provider of a KIND with OAuth 2.0."
        )

    def token_from(self, response: requests.Response) -> Token:
        return oauth1.parse_token(_text(response))


def _text(response: requests.Response) -> str:
    return response.content.decode("utf-8", "replace")
