"""A Bitbucket and the OAuth client registered there: what all kinds have in common."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Protocol
from urllib.parse import parse_qsl

import requests

from ..exceptions import (
    BitbucketAuthError,
    BitbucketUnavailable,
    ClientRefused,
    ConfigurationError,
    ForeignURL,
    OAuthError,
)
from ..oauth import implicit, oauth2, urls
from ..oauth.concurrency import Helpers
from ..oauth.grants import Grant, RefreshToken
from ..oauth.reading import Deadline
from ..oauth.token import Token
from ..oauth.transport import Bearer, Network, send
from . import responses
from .profiles import Profile

#: The one API whose profiles are identities of bitbucket.org.
CLOUD_API = "https://api.bitbucket.org"
CLOUD_INSTANCE = "bitbucket.org"


class Configuration(Protocol):
    """What a provider has to be told; ``conf.ProviderSettings`` is one."""

    @property
    def alias(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    @property
    def client_secret(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def api_url(self) -> str: ...
    @property
    def endpoints(self) -> Mapping[str, str]: ...
    @property
    def instance(self) -> str | None: ...
    @property
    def scopes(self) -> tuple[str, ...]: ...
    @property
    def fetch_emails(self) -> bool: ...
    @property
    def timeout(self) -> tuple[float, float]: ...
    @property
    def retries(self) -> int: ...
    @property
    def deadline(self) -> float: ...
    @property
    def proxies(self) -> Mapping[str, str]: ...
    @property
    def ca_bundle(self) -> str | None: ...
    @property
    def client_cert(self) -> str | tuple[str, str] | None: ...


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


class Provider:
    """One conversation with one Bitbucket. Make one per login or call: its deadline runs from the first request.

    Subclass it (or ``CloudProvider``) and name the class as ``KIND`` to change how it speaks: every method below may
    be overridden.
    """

    #: What people call it, for the pages.
    name: ClassVar[str] = "Bitbucket"
    #: Paths under ``BASE_URL`` and ``API_URL``, by the names of the ``ENDPOINTS`` setting.
    paths: ClassVar[Mapping[str, str]] = {}
    #: Where the API's relative paths start, under ``API_URL``.
    api_path: ClassVar[str] = "/"
    #: Grants that are no longer taken: name → since when, and what to do instead.
    retired_grants: ClassVar[Mapping[str, str]] = {}

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._deadline: Deadline | None = None
        self._helpers = Helpers()
        self.network = Network(
            name=configuration.alias,
            timeout=configuration.timeout,
            retries=configuration.retries,
            proxies=configuration.proxies,
            ca_bundle=configuration.ca_bundle,
            client_cert=configuration.client_cert,
        )

    # -- where things are ------------------------------------------------------------------------------------------

    def endpoint(self, name: str) -> str:
        """The URL of ``"authorize"``, ``"token"`` or ``"user"``."""
        root = self.configuration.api_url if name == "user" else self.configuration.base_url
        return self.configuration.endpoints.get(name) or root.rstrip("/") + self.paths[name]

    @property
    def instance(self) -> str:
        """The name under which this Bitbucket's identities are kept.

        It says who vouched, so it follows from the URL that serves the profile: a "cloud" provider that is aimed at a
        test server must not mint identities of bitbucket.org.

        Raises:
            ConfigurationError: it would be bitbucket.org, and the API isn't Bitbucket Cloud's.
        """
        api_url = self.configuration.api_url
        genuine = urls.origin(api_url) == urls.origin(CLOUD_API)
        name = self.configuration.instance or (CLOUD_INSTANCE if genuine else _place(api_url))
        if name.strip().lower() != CLOUD_INSTANCE:
            return name
        if not genuine:
            raise ConfigurationError(f"INSTANCE may be {CLOUD_INSTANCE!r} only where API_URL is {CLOUD_API}.")
        return CLOUD_INSTANCE

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

    def send(self, request: requests.Request) -> requests.Response:
        """Send a request within this conversation's deadline, and read its answer.

        Raises:
            BitbucketUnavailable, BitbucketTimeout, ForeignURL, OAuthError: as ``oauth.transport.send``.
        """
        if self._deadline is None:
            self._deadline = Deadline(self.configuration.deadline)
        return send(request, self.network, self._deadline)

    def is_success(self, response: requests.Response) -> bool:
        """Whether the answer is what was asked for. A redirect is not: it would carry secrets elsewhere."""
        return 200 <= response.status_code < 300

    def is_unauthorized(self, response: requests.Response) -> bool:
        """Whether the answer says that the token is no longer good."""
        return response.status_code == 401

    def error_from(self, response: requests.Response, grant: Grant | None = None) -> BitbucketAuthError:
        """The error that an answer stands for: of the token endpoint if a ``grant`` was sent, else of the API."""
        if grant is None:
            return responses.api_error(response)
        error = responses.token_error(response, grant)
        if isinstance(error, ClientRefused):
            error.hint = self.retired_grants.get(grant.name, "")
        return error

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
        configuration = self.configuration
        self._warn(grant.name)
        response = self._sent(
            oauth2.token_request(self.endpoint("token"), grant, configuration.client_id, configuration.client_secret)
        )
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

    def get(self, token: Token, url: str) -> requests.Response:
        """GET a URL of the API with the token.

        Raises:
            ForeignURL: the URL isn't the API's; nothing was sent.
        """
        # Before requests tidies it: `..` would be gone from the URL that the credential sees.
        if not urls.within(url, self.configuration.api_url):
            raise ForeignURL("a URL outside of API_URL was not asked with the token")
        return self._sent(requests.Request("GET", url, auth=Bearer(token.access_token, self.configuration.api_url)))

    def _warn(self, grant: str) -> None:
        if retired := self.retired_grants.get(grant):
            warnings.warn(f"{retired}.", stacklevel=3)

    def _sent(self, request: requests.Request) -> requests.Response:
        try:
            return self.send(request)
        except requests.RequestException as error:
            # An overridden `send` may speak requests' own language. The class alone: its text can hold secrets.
            raise BitbucketUnavailable(f"no answer ({type(error).__name__})") from None


def _place(url: str) -> str:
    """Host, port unless it is the scheme's own, and path of a URL."""
    scheme, host, port = urls.origin(url)
    address = f"[{host}]" if ":" in host else host
    if port != {"https": 443, "http": 80}[scheme]:
        address = f"{address}:{port}"
    return address + urls.split(url).path.rstrip("/")
