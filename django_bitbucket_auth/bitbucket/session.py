"""Bitbucket's API as a ``requests.Session``: relative paths, fresh tokens by itself, pages, errors that say more."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Protocol, cast
from urllib.parse import urljoin

import requests
from requests.hooks import default_hooks
from requests.utils import rewind_body

from ..exceptions import ConfigurationError, ForeignURL, OAuthError
from ..oauth import urls
from ..oauth.reading import Deadline, bounded, is_safe, keep_body, repeated
from ..oauth.token import Token
from ..oauth.transport import PooledSession, without_libraries
from .provider import Provider

#: The body of one answer of ``json`` and ``paginate``, in bytes.
MAX_PAGE = 32 * 1024 * 1024
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
#: Seconds for which an address that refused a renewed token, too, isn't a reason to renew it again.
_FUTILE = 60
#: What ``requests.request`` takes for the sending; everything else makes the request.
_SENDING = ("timeout", "allow_redirects", "proxies", "verify", "cert")


class TokenSource(Protocol):
    """Where a session has its tokens from. Asked by many threads."""

    def current(self) -> Token: ...
    def renew(self, stale: Token) -> Token: ...


class BitbucketSession(PooledSession):
    """Calls the API of one Bitbucket with the tokens of one person or application; many threads may use it.

    It behaves like requests, but for this: paths need no host, a token goes to addresses under ``API_URL`` only
    (anything else is ``ForeignURL``, and nothing is sent) and in place of any other ``auth``, redirects are followed
    within the API and by GET and HEAD only, the settings' ``TIMEOUT`` holds where none is given, and after a 401 the
    token is renewed and the request sent once more, if its body can be.

    ``json`` and ``paginate`` raise this app's exceptions, for faults of the network and refusals alike.
    """

    def __init__(self, provider: Provider, tokens: TokenSource) -> None:
        super().__init__(provider.network)
        self.provider = provider
        self._tokens = tokens
        self._futile: tuple[Token, float] = Token(""), 0.0
        self._api_url = provider.configuration.api_url.rstrip("/")

    def json(self, path: str, *, method: str = "GET", **arguments: Any) -> Any:
        """The JSON of an answer; ``None`` for one without a body.

        ``arguments`` are those of ``requests.request``. The settings' ``DEADLINE`` is for each answer, without what it
        takes to get a token; ``RETRIES`` are for GET, HEAD and OPTIONS. Hooks see the last answer only.

        Raises:
            InsufficientScope: the token lacks a scope; ``required`` and ``granted`` say which.
            OAuthError: refused; ``status`` and ``description`` are Bitbucket's. Or no JSON, or more than 32 MiB of it.
            ReauthenticationRequired: the token is dead.
            BitbucketUnavailable, RateLimited, BitbucketTimeout: later; ``retry_after`` in seconds.
            ForeignURL: not an address of the API; nothing was sent.
        """
        arguments.pop("stream", None)
        sending = {name: arguments.pop(name) for name in _SENDING if name in arguments}
        url = self.url_for(path)
        token = self._tokens.current()
        prepared = self._prepared(requests.Request(method.upper(), url, **arguments), token)
        prepared.hooks, hooks = default_hooks(), prepared.hooks
        response = self._answer(prepared, sending)
        # Not by the hook that `prepare_request` sets: renewing must neither be repeated with the request (a refresh
        # token is sent once) nor use up its deadline (others may renew, and are waited for).
        if self.provider.is_unauthorized(response) and (renewed := self._renewed(prepared, token)):
            response = self._answer(renewed[0], sending)
            self._learn(response, renewed[1])
        for hook in hooks["response"]:
            response = hook(response, **sending) or response
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
        first = requests.PreparedRequest()
        first.prepare_url(self.url_for(path), params)
        url, seen = first.url or "", set()
        for _ in range(max_pages):
            body = self.json(url, **arguments)
            values = body.get("values") if isinstance(body, dict) else None
            if not isinstance(values, list):
                raise OAuthError("no_page", "the answer is not a page of values", 200)
            yield from values
            seen.add(url)
            following = self.provider.next_page(body, url)
            if following is None:
                return
            url = following
            if url in seen:
                raise OAuthError("endless_pages", "the pages lead to each other in a circle", 200)
        raise OAuthError("too_many_pages", f"more than {max_pages} pages: say max_pages, or ask for less", 200)

    def url_for(self, path: str) -> str:
        """The address of a path: with a leading ``/`` from ``API_URL`` on, else under the API's version.

        Raises:
            ForeignURL: an address elsewhere, or one that a server could take for another path.
        """
        url = path
        if not _ABSOLUTE.match(path):
            # A file may have a space in its name; requests would quote it, too.
            url = self._api_url + (path if path.startswith("/") else self.provider.api_path + path).replace(" ", "%20")
        # Before requests tidies it: of `/2.0/../x` it would send `/x`.
        if not urls.within(url, self._api_url):
            raise ForeignURL(
                "this is no address under API_URL, or its path has dots, encoded slashes or the like, which a server "
                "could take for another address: it was not asked with the token"
            )
        return url

    # -- how requests does it --------------------------------------------------------------------------------------

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        request = copy.copy(request)
        request.url = self.url_for(request.url)
        token = self._tokens.current()
        prepared = self._prepared(request, token)
        # Before the caller's own hooks: they are not to see (or to raise for) an answer that isn't the last.
        cast(Any, prepared.hooks)["response"].insert(0, partial(self._after, token))
        return prepared

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if not urls.within(request.url or "", self._api_url):
            # A request that was changed after it got its token.
            raise ForeignURL("an address outside of API_URL was not asked with the token")
        verify = self.verify if kwargs.get("verify") is None else kwargs["verify"]
        if not verify:
            # Whoever is in between would get the token. requests takes an empty path for `False`, too.
            raise ConfigurationError("verify=False is not for a session with a token. Set CA_BUNDLE instead.")
        kwargs["verify"] = verify if verify is not True else self.network.ca_bundle or True
        kwargs["timeout"] = kwargs.get("timeout") or self.network.timeout
        kwargs["proxies"] = kwargs.get("proxies") or self.proxies or self.proxies_for(request.url or "")
        kwargs["cert"] = kwargs.get("cert") or self.cert or self.network.client_cert
        if self.provider.signs_requests:
            # Now and not when it was prepared: a signature is for one address and one sending. A repeat or a redirect
            # with the same nonce would be refused (RFC 5849, 3.3).
            request = self.provider.credential(self._tokens.current())(request)
        try:
            return super().send(request, **kwargs)
        except Exception as error:
            # A report of it shows what is in the frames below, and in those of the libraries the token's header is.
            raise error.with_traceback(without_libraries(error.__traceback__)) from None

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        try:
            target = super().get_redirect_target(resp)
            url = urljoin(resp.url, target or "")
        except ValueError:
            return None  # not even an address
        if not target or resp.request.method not in ("GET", "HEAD") or not urls.within(url, self._api_url):
            return None
        keep_body(resp)  # or requests would, without a limit
        return url

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        # Along a redirect goes the token that was sent last: the first may have been renewed since.
        if "Authorization" in response.request.headers:
            prepared_request.headers["Authorization"] = response.request.headers["Authorization"]

    def __getstate__(self) -> Any:
        # Nor what holds one: an answer knows its request, and that has the token in its header.
        raise TypeError("a session with tokens can't be pickled: make one where it is needed, with get_session()")

    # -- with which token ------------------------------------------------------------------------------------------

    def _prepared(self, request: requests.Request, token: Token) -> requests.PreparedRequest:
        # In place of an `auth` of the caller's; requests applies it after the headers.
        request.auth = self.provider.credential(token)
        return super().prepare_request(request)

    def _renewed(
        self, request: requests.PreparedRequest, token: Token
    ) -> tuple[requests.PreparedRequest, Token] | None:
        """The refused request with another token; ``None`` if there is none, or it can't be sent again."""
        futile, until = self._futile
        if token.access_token == futile.access_token and time.monotonic() < until:
            return None
        fresh = self._tokens.renew(token)
        if fresh.access_token == token.access_token or not _rewind(request):
            return None
        return self.provider.credential(fresh)(request.copy()), fresh

    def _after(self, token: Token, response: requests.Response, **kwargs: Any) -> requests.Response:
        """A hook of requests: after a 401 renew the token, and send again what can be sent again, once."""
        if not self.provider.is_unauthorized(response) or not _carries(response.request, token):
            return response  # the second token was refused, too, maybe along a redirect
        try:
            renewed = self._renewed(response.request, token)
        except BaseException:
            response.close()
            raise
        if renewed is None:
            return response
        again, fresh = renewed
        keep_body(response)
        before = time.perf_counter()
        # The adapter that the answer came by: the answer to this one isn't looked at again.
        second = cast(requests.Response, cast(Any, response).connection.send(again, **kwargs))
        second.elapsed = timedelta(seconds=time.perf_counter() - before)
        second.history.append(response)
        self._learn(second, fresh)
        return second

    def _learn(self, response: requests.Response, fresh: Token) -> None:
        """Not to renew again for an address that refuses each token: each pair would be used up at once."""
        if self.provider.is_unauthorized(response):
            self._futile = fresh, time.monotonic() + _FUTILE

    def _answer(self, prepared: requests.PreparedRequest, sending: Mapping[str, Any]) -> requests.Response:
        """The answer to a request of ``json``, read whole."""
        given = sending.get("timeout")
        connect, read = given if isinstance(given, tuple) else (given, given)
        seconds = connect or self.network.timeout[0], read or self.network.timeout[1]
        deadline = Deadline(self.provider.configuration.deadline)

        def ask(timeout: tuple[float, float]) -> requests.Response:
            return self.send(prepared, **{**sending, "stream": True, "timeout": timeout})

        retries = self.network.retries if is_safe(prepared.method or "") and prepared.body is None else 0
        return repeated(lambda: bounded(ask, prepared.url or "", seconds, deadline, MAX_PAGE), retries, deadline)


def _carries(request: requests.PreparedRequest, token: Token) -> bool:
    # In no variable: reports of errors show those.
    return request.headers.get("Authorization") == f"Bearer {token.access_token}"


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
