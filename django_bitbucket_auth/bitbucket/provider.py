"""A Bitbucket and the OAuth client registered there: what all kinds have in common."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl

import requests

from ..exceptions import ConfigurationError, OAuthError, StateError
from ..oauth import implicit, oauth2, urls
from ..oauth.grants import AuthorizationCode, Grant, RefreshToken
from ..oauth.token import Token
from . import responses
from .conversation import Conversation
from .profiles import Profile


@dataclass(frozen=True, slots=True)
class Membership:
    """What Bitbucket said of one workspace: ``"yes"``, ``"no"``, or ``"unknown"`` with the ``cause``.

    ``user_uid`` is the person that the answer is about, where it says.
    """

    workspace: str
    answer: Literal["yes", "no", "unknown"]
    role: str = ""
    user_uid: str | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A sign-in that was begun: where the browser goes (``url``), and what finishing it needs again.

    ``redirect_uri`` is repeated exactly, ``verifier`` is PKCE's; request token and its secret are OAuth 1.0a's.
    """

    redirect_uri: str
    url: str = field(default="", repr=False)
    verifier: str | None = field(default=None, repr=False)
    request_token: str = field(default="", repr=False)
    request_secret: str = field(default="", repr=False)


class Provider(Conversation):
    """One conversation with one Bitbucket. Make one per login or call: its deadline runs from the first request.

    Subclass it (or ``CloudProvider``) and name the class as ``KIND`` to change how it speaks: every method below may
    be overridden.
    """

    #: What people call it, for the pages.
    name: ClassVar[str] = "Bitbucket"
    #: Where the API's relative paths start, under ``API_URL``.
    api_path: ClassVar[str] = "/"
    #: The settings' defaults that differ from kind to kind.
    default_scopes: ClassVar[tuple[str, ...]] = ()
    default_signature_method: ClassVar[str] = ""
    #: Whether each request is signed (OAuth 1.0a), and not just sent with a token.
    signs_requests: ClassVar[bool] = False
    #: Whether the client's credentials go into the body of a token request, and not into HTTP Basic.
    client_in_body: ClassVar[bool] = False
    #: Whether it is somebody's own installation. Then it has an address of its own, perhaps by plain HTTP, and its
    #: people and their addresses come from a directory that the operator may vouch for.
    self_hosted: ClassVar[bool] = False
    #: The parameter of a callback that tells which of the browser's started sign-ins it finishes.
    picks: ClassVar[str] = "state"

    # -- a sign-in -------------------------------------------------------------------------------------------------

    def begin(self, redirect_uri: str, state: str, *, pkce: bool = True) -> Beginning:
        """Begin a sign-in that comes back to ``redirect_uri`` with ``state``."""
        verifier = oauth2.code_verifier() if pkce else None
        url = self.authorization_url(redirect_uri, state, verifier)
        return Beginning(redirect_uri, url, verifier)

    def grant_from(self, answer: Mapping[str, str], beginning: Beginning) -> Grant:
        """What the parameters of a callback are good for (RFC 6749, 4.1.2).

        Raises:
            OAuthError: it is a refusal.
            StateError: it is nothing (``bad_answer``).
        """
        if error := answer.get("error"):
            raise responses.authorization_error(error, answer.get("error_description", ""))
        code = answer.get("code")
        if not code:
            raise StateError("the callback has neither a code nor an error", "bad_answer")
        return AuthorizationCode(code, beginning.redirect_uri, beginning.verifier)

    # -- what is sent, and what the answers mean -------------------------------------------------------------------

    def authorization_url(self, redirect_uri: str, state: str, verifier: str | None) -> str:
        """Where the browser asks for a code; ``verifier`` is PKCE's, if it is used."""
        return oauth2.authorization_url(
            self.endpoint("authorize"),
            self.configuration.client_id,
            redirect_uri=redirect_uri,
            state=state,
            scopes=self.configuration.scopes,
            verifier=verifier,
        )

    def implicit_url(self, redirect_uri: str, state: str, scopes: tuple[str, ...] = ()) -> str:
        """Where the browser asks for a token of its own (RFC 6749, 4.2.1). Never for a sign-in.

        Warns (``UserWarning``) if this Bitbucket no longer takes the grant.
        """
        self._warn("implicit")
        return implicit.authorization_url(
            self.endpoint("authorize"),
            self.configuration.client_id,
            redirect_uri=redirect_uri,
            state=state,
            scopes=scopes,
        )

    def implicit_token(self, url: str, *, state: str) -> Token:
        """The token in the fragment of the address that ``implicit_url`` has led to.

        Raises:
            StateError: the address belongs to another request.
            OAuthError: it holds a refusal, or no token.
        """
        query = dict(parse_qsl(urls.query(url)))
        try:
            if "error" in query and query.get("state") == state:
                # Whoever doesn't know the grant answers as for a code.
                raise responses.authorization_error(query["error"], query.get("error_description", ""))
            return implicit.parse_fragment(url, state=state)
        except OAuthError as error:
            if error.error in ("unsupported_response_type", "unauthorized_client"):
                error.hint = self.retired_grants.get("implicit", "")
            raise

    def token_request(self, grant: Grant) -> requests.Request:
        """The request that turns a grant into a token.

        Raises:
            ConfigurationError: this kind of Bitbucket has no such grant.
        """
        configuration = self.configuration
        return oauth2.token_request(
            self.endpoint("token"),
            grant,
            configuration.client_id,
            configuration.client_secret,
            client_in_body=self.client_in_body,
        )

    def token_from(self, response: requests.Response) -> Token:
        """The token in a successful answer of the token endpoint.

        Raises:
            ValueError: there is none.
        """
        return oauth2.parse_token(response.content.decode("utf-8", "replace"))

    def fetch_token(self, grant: Grant) -> Token:
        """Turn a grant into a token. Sent once: a code is spent by the first request that arrives.

        Warns (``UserWarning``) of a grant that this Bitbucket no longer takes, and sends it all the same.

        Raises:
            BitbucketAuthError: what ``send`` raises, and ``error_from`` for a refusal.
        """
        self._warn(grant.name)
        response = self._sent(self.token_request(grant))
        if not self.is_success(response):
            raise self.error_from(response, grant)
        try:
            return self.token_from(response)
        except ValueError as error:
            # Some errors come with status 200; anything else without a token is nonsense.
            if "error" in responses.json_object(response):
                raise self.error_from(response, grant) from None
            raise OAuthError("no_token", str(error), response.status_code) from None

    def fetch_profile(self, token: Token) -> Profile:
        """Who the token's owner is."""
        raise ConfigurationError(f"{type(self).__name__} has no fetch_profile(); derive it from CloudProvider.")

    def fetch_memberships(self, token: Token, workspaces: tuple[str, ...]) -> tuple[Membership, ...]:
        """What Bitbucket says of the owner's membership in each workspace; ``"unknown"`` where it has none."""
        return tuple(Membership(name, "unknown", cause="this kind has no workspaces") for name in workspaces)

    def fetch_identity(self, token: Token, workspaces: tuple[str, ...]) -> tuple[Profile, tuple[Membership, ...]]:
        """Profile and memberships, asked for at the same time: one answer for each workspace, in their order."""
        if not workspaces:
            return self.fetch_profile(token), ()
        found: list[Any] = self._helpers.run(
            partial(self.fetch_profile, token), partial(self.fetch_memberships, token, workspaces)
        )
        profile, memberships = found
        # None required and none answered must not look alike, and other workspaces prove nothing: `fetch_memberships`
        # may be somebody else's code.
        answers = {membership.workspace: membership for membership in memberships}
        return profile, tuple(
            answers.get(name) or Membership(name, "unknown", cause="nothing was answered") for name in workspaces
        )

    def refresh_grant(self, token: Token, redirect_uri: str) -> Grant:
        """The grant that renews ``token``; ``redirect_uri`` is the one of the sign-in that it came from."""
        return RefreshToken(token.refresh_token)

    def next_page(self, body: Mapping[str, Any], url: str) -> str | None:
        """The address of the page after ``body``, which came from ``url``; ``None`` if that was the last."""
        raise ConfigurationError(f"{type(self).__name__} has no next_page(); derive it from CloudProvider.")

    def _warn(self, grant: str) -> None:
        if retired := self.retired_grants.get(grant):
            warnings.warn(f"{retired}.", stacklevel=3)
