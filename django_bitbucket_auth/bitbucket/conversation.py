"""One conversation with one Bitbucket: where its addresses are, how it is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import requests
from requests.auth import AuthBase

from ..exceptions import (
    BitbucketAuthError,
    BitbucketUnavailable,
    ClientRefused,
    ConfigurationError,
    ForeignURL,
    OAuthError,
)
from ..oauth import urls
from ..oauth.concurrency import Helpers
from ..oauth.grants import Grant
from ..oauth.reading import Deadline
from ..oauth.token import Token
from ..oauth.transport import Bearer, Network, send
from . import responses
from .configuration import Configuration

#: The one API whose profiles are identities of bitbucket.org.
CLOUD_API = "https://api.bitbucket.org"
CLOUD_INSTANCE = "bitbucket.org"


class Conversation:
    """What a ``Provider`` speaks by. Its deadline runs from the first request."""

    #: Paths under ``BASE_URL`` and ``API_URL``, by the names of the ``ENDPOINTS`` setting.
    paths: ClassVar[Mapping[str, str]] = {}
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
        """The URL of ``"authorize"``, ``"token"``, ``"user"`` or, with OAuth 1.0a, ``"request_token"``."""
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
        name = self.configuration.instance or (CLOUD_INSTANCE if genuine else urls.address(api_url))
        if name.strip().lower() != CLOUD_INSTANCE:
            return name
        if not genuine:
            raise ConfigurationError(f"INSTANCE may be {CLOUD_INSTANCE!r} only where API_URL is {CLOUD_API}.")
        return CLOUD_INSTANCE

    # -- what is sent, and what the answers mean -------------------------------------------------------------------

    def credential(self, token: Token) -> AuthBase:
        """What proves to the API that a request is the token's owner's; for URLs under ``API_URL`` only."""
        return Bearer(token.access_token, self.configuration.api_url)

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

    def get(self, token: Token, url: str) -> requests.Response:
        """GET a URL of the API with the token.

        Raises:
            ForeignURL: the URL isn't the API's; nothing was sent.
        """
        # Before requests tidies it: `..` would be gone from the URL that the credential sees.
        if not urls.within(url, self.configuration.api_url):
            raise ForeignURL("a URL outside of API_URL was not asked with the token")
        return self._sent(requests.Request("GET", url, auth=self.credential(token)))

    def json(self, token: Token, url: str) -> tuple[dict[str, Any], requests.Response]:
        """The JSON object at a URL of the API, and the answer that it came in.

        Raises:
            BitbucketAuthError: what ``get`` raises, and ``error_from`` for a refusal.
            OAuthError: also for anything that is no JSON object.
        """
        response = self.get(token, url)
        if not self.is_success(response):
            raise self.error_from(response)
        body = responses.json_object(response)
        if not body:
            raise OAuthError("no_json", "the answer is not a JSON object", response.status_code)
        return body, response

    def _sent(self, request: requests.Request) -> requests.Response:
        try:
            return self.send(request)
        except requests.RequestException as error:
            # An overridden `send` may speak requests' own language. The class alone: its text can hold secrets.
            raise BitbucketUnavailable(f"no answer ({type(error).__name__})") from None
