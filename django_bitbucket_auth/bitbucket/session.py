"""Bitbucket's API as a ``requests.Session``: relative paths, fresh tokens by itself, pages, errors that say more."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Protocol, cast

import requests
from requests.utils import rewind_body

from ..exceptions import ConfigurationError, ForeignURL, OAuthError
from ..oauth import urls
from ..oauth.token import Token
from ..oauth.transport import MAX_BODY, Bearer, Deadline, PooledSession, bounded, is_safe, read_body, repeated
from .provider import Provider

#: The body of one answer of ``json`` and ``paginate``, in bytes.
MAX_PAGE = 32 * 1024 * 1024


class TokenSource(Protocol):
    """Where a session has its tokens from. Asked by many threads."""

    def current(self) -> Token: ...
    def renew(self, stale: Token) -> Token: ...


class BitbucketSession(PooledSession):
    """Calls the API of one Bitbucket with the tokens of one person or application; many threads may use it.

    It behaves like requests, but for this: paths need no host, a token goes to addresses under ``API_URL`` only
    (anything else is ``ForeignURL``, and nothing is sent), redirects are followed within the API and by GET and HEAD
    only, the settings' ``TIMEOUT`` holds where none is given, and after a 401 the token is renewed and the request sent
    once more, if its body can be.

    ``json`` and ``paginate`` raise this app's exceptions, for faults of the network and refusals alike.
    """

    def __init__(self, provider: Provider, tokens: TokenSource) -> None:
        super().__init__(provider.network)
        self.provider = provider
        self._tokens = tokens
        self._api_url = provider.configuration.api_url.rstrip("/")

    def json(self, path: str, *, method: str = "GET", **arguments: Any) -> Any:
        """The JSON of an answer; ``None`` for one without a body. ``arguments`` are those of ``requests.request``.

        Raises:
            InsufficientScope: the token lacks a scope; ``required`` and ``granted`` say which.
            OAuthError: refused; ``status`` and ``description`` are Bitbucket's. Or no JSON, or more than 32 MiB of it.
            ReauthenticationRequired: the token is dead.
            BitbucketUnavailable, RateLimited, BitbucketTimeout: later; ``retry_after`` in seconds.
            ForeignURL: not an address of the API; nothing was sent.
        """
        url = self.url_for(path)
        deadline = Deadline(self.provider.configuration.deadline)

        def answer(timeout: tuple[float, float]) -> requests.Response:
            return self.request(method, url, **{**arguments, "stream": True, "timeout": timeout})

        response = repeated(
            lambda: bounded(answer, url, self.network, deadline, MAX_PAGE),
            self.network.retries if is_safe(method) else 0,
            deadline,
        )
        if not self.provider.is_success(response):
            raise self.provider.error_from(response)
        if not response.content:
            return None
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError):
            raise OAuthError("no_json", "the answer is not JSON", response.status_code) from None

    def paginate(
        self, path: str, *, params: Mapping[str, Any] | None = None, max_pages: int = 1000, **arguments: Any
    ) -> Iterator[Any]:
        """The values of a collection, page by page as they are asked for. Arguments and errors are those of ``json``.

        Raises:
            OAuthError: also for what is no page, for pages in a circle, and beyond ``max_pages``: half a list that
                looks like a whole one would mislead.
        """
        url, seen = self.url_for(path), set()
        for _ in range(max_pages):
            body = self.json(url, params=params, **arguments)
            values = body.get("values") if isinstance(body, dict) else None
            if not isinstance(values, list):
                raise OAuthError("no_page", "the answer is not a page of values", 200)
            yield from values
            seen.add(url)
            following = self.provider.next_page(body, url)
            if following is None:
                return
            url, params = following, None
            if url in seen:
                raise OAuthError("endless_pages", "the pages lead to each other in a circle", 200)
        raise OAuthError("too_many_pages", f"more than {max_pages} pages: say max_pages, or ask for less", 200)

    def url_for(self, path: str) -> str:
        """The address of a path: with a leading ``/`` from ``API_URL`` on, else under the API's version.

        Raises:
            ForeignURL: an address elsewhere, or one that a server could take for another path.
        """
        url = path
        if not path.lower().startswith(("https:", "http:")):
            url = self._api_url + (path if path.startswith("/") else self.provider.api_path + path)
        # Before requests tidies it: of `/2.0/../x` it would send `/x`.
        if not urls.within(url, self._api_url):
            raise ForeignURL("an address outside of API_URL was not asked with the token")
        return url

    # -- how requests does it --------------------------------------------------------------------------------------

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        request = copy.copy(request)
        request.url = self.url_for(request.url)
        prepared = super().prepare_request(request)
        token = self._tokens.current()
        self._authorize(prepared, token)
        cast(Any, prepared).register_hook("response", partial(self._after, token))
        return prepared

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if kwargs.get("verify") is False:
            # Whoever is in between would get the token.
            raise ConfigurationError("verify=False is not for a session with a token. Set CA_BUNDLE instead.")
        if not kwargs.get("timeout"):
            kwargs["timeout"] = self.network.timeout
        if not kwargs.get("proxies"):
            kwargs["proxies"] = self.proxies_for(request.url or "")
        if kwargs.get("verify") in (None, True):
            kwargs["verify"] = self.network.ca_bundle or True
        kwargs["cert"] = kwargs.get("cert") or self.network.client_cert
        return super().send(request, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is None or resp.request.method not in ("GET", "HEAD"):
            return None
        url = requests.compat.urljoin(resp.url, target)
        return url if urls.within(url, self._api_url) else None

    def __getstate__(self) -> Any:
        raise TypeError("a session with tokens can't be pickled: make one where it is needed, with get_session()")

    def _authorize(self, prepared: requests.PreparedRequest, token: Token) -> None:
        Bearer(token.access_token, self._api_url)(prepared)

    def _after(self, token: Token, response: requests.Response, **kwargs: Any) -> requests.Response:
        """A hook of requests: after a 401 renew the token, and send again what can be sent again, once."""
        if not self.provider.is_unauthorized(response):
            return response
        fresh = self._tokens.renew(token)
        again = response.request.copy()
        if fresh.access_token == token.access_token or not _rewind(again):
            return response
        # Read and not closed, so that the connection can be used again.
        read_body(response, MAX_BODY)
        self._authorize(again, fresh)
        # The adapter that the answer came by: the answer to this one isn't looked at again.
        second = cast(requests.Response, cast(Any, response).connection.send(again, **kwargs))
        second.history.append(response)
        return second


def _rewind(request: requests.PreparedRequest) -> bool:
    """Bring the body back to its start; whether that is possible."""
    body: object = request.body
    if body is None or isinstance(body, (str, bytes)):
        return True
    try:
        rewind_body(request)
    except requests.exceptions.UnrewindableBodyError:
        return False
    return True
