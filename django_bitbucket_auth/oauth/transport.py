"""How requests leave this process: pooled, bounded, within one deadline, and never along a redirect.

Only the connection pool is shared between people. Each call has a ``requests.Session`` of its own whose cookie
jar accepts nothing and which reads neither netrc nor the environment's CA bundle: a netrc entry for the host would
silently replace the bearer (everybody becomes the service account), and one person's cookie would travel with
another's call.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, cast
from urllib.request import getproxies, getproxies_environment

import requests
from requests.auth import AuthBase
from requests.utils import get_environ_proxies

from .. import __version__
from ..exceptions import ForeignURL, OAuthError
from . import urls
from .connections import Adapter
from .reading import MAX_BODY, Deadline, bounded, is_safe, place, repeated
from .token import is_visible

_USER_AGENT = f"django-bitbucket-auth/{__version__}"


@dataclass(frozen=True, slots=True)
class Network:
    """How one provider is reached. ``timeout``: seconds to connect and for each read; ``retries``: of safe requests."""

    name: str
    timeout: tuple[float, float] = (3.05, 10)
    retries: int = 2
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_bundle: str | None = None
    client_cert: str | tuple[str, str] | None = field(default=None, repr=False)


class Bearer(AuthBase):
    """The access token in the header (RFC 6750, 2.1), for URLs under ``api_url`` and no other.

    The scheme is always ``Bearer``: Bitbucket says ``bearer`` in its answers and refuses it in requests.
    """

    def __init__(self, access_token: str, api_url: str) -> None:
        self._access_token, self._api_url = access_token, api_url

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not is_visible(self._access_token):
            # http.client refuses it as well, by a `ValueError` that shows it.
            raise OAuthError("invalid_token", "the access token has characters that can't be sent")
        if not urls.within(request.url or "", self._api_url):
            raise ForeignURL(f"a token for {self._api_url} is not for {place(request.url or '')}")
        request.headers["Authorization"] = f"Bearer {self._access_token}"
        return request


#: Who has headers in its frames: the libraries, and this app below its session.
_SENDING = frozenset({"requests", "urllib3", "http", "ssl", "socket", __name__.partition(".")[0]})


def without_libraries(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of what sends: they hold headers, and reports of errors show what frames hold.

    Frames of a caller's own code, that of a body which fails, stay.
    """
    frames = []
    while traceback is not None:
        name = traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if name not in _SENDING:
            frames.append(traceback)
        traceback = traceback.tb_next
    found = None
    for frame in reversed(frames):
        found = TracebackType(found, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return found


_pools: dict[str, Adapter] = {}
_pools_lock = threading.Lock()


def _pool(name: str) -> Adapter:
    with _pools_lock:
        if name not in _pools:
            _pools[name] = Adapter(pool_connections=8, pool_maxsize=64, max_retries=0)
        return _pools[name]


def close_pools() -> None:
    """Close every idle connection of this process; the next request opens new ones."""
    with _pools_lock:
        for adapter in _pools.values():
            adapter.close()
        _pools.clear()


def _forget_pools() -> None:
    # Two workers writing to one inherited socket would read each other's answers. The parent's connections are left
    # open (closing TLS would write to them), and a lock that another thread held at the fork is replaced.
    global _pools, _pools_lock
    _pools, _pools_lock = {}, threading.Lock()


os.register_at_fork(after_in_child=_forget_pools)


def _no_cookies() -> DefaultCookiePolicy:
    return DefaultCookiePolicy(allowed_domains=[])


class PooledSession(requests.Session):
    """A session on the shared pool of its provider, which keeps no cookie and reads no netrc."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.trust_env = False
        self.cookies.set_policy(_no_cookies())
        self.headers["User-Agent"] = _USER_AGENT

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        prepared = super().prepare_request(request)
        # A request has a jar of its own, which a redirect would fill and send on.
        cast(Any, prepared)._cookies.set_policy(_no_cookies())
        return prepared

    def get_adapter(self, url: str | bytes) -> Adapter:
        # Asked for at each request: after a fork there is another pool.
        return _pool(self.network.name)

    def proxies_for(self, url: str) -> dict[str, str]:
        """The configured proxies, else the environment's."""
        return dict(self.network.proxies) or _environment_proxies(url)


def _environment_proxies(url: str) -> dict[str, str]:
    # requests goes through the whole environment twice to find nothing: up to a third of what a call costs. Where the
    # system itself may name a proxy (macOS, Windows), it is asked all the same.
    if getproxies is getproxies_environment and not any(name.lower().endswith("_proxy") for name in os.environ):
        return {}
    return get_environ_proxies(url)


class _Session(PooledSession):
    """For one call of ours."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})

    def get_redirect_target(self, resp: requests.Response) -> None:
        # Even with `allow_redirects=False` requests reads the body of a redirect, uncapped, to prepare the next step.
        return None


def send(
    request: requests.Request, network: Network, deadline: Deadline, *, limit: int = MAX_BODY
) -> requests.Response:
    """Send ``request`` and read the answer's body, up to ``limit`` bytes.

    Requests that change nothing (RFC 9110, 9.2.1) are repeated after a connection fault, after 502, 503 and 504, and
    after 429 if the answer says when; others never: a code is spent by the first try that arrives.

    Raises:
        BitbucketTimeout: a read or the deadline took too long.
        BitbucketUnavailable: there was no connection, or it broke.
        OAuthError: the body is larger than ``limit``, or the access token can't stand in a header.
        ForeignURL: the request's credential isn't for its URL.
    """
    retries = network.retries if is_safe(request.method) else 0
    return repeated(lambda: _send_once(request, network, deadline, limit), retries, deadline)


def _send_once(request: requests.Request, network: Network, deadline: Deadline, limit: int) -> requests.Response:
    with _Session(network) as session:

        def answer(timeout: tuple[float, float]) -> requests.Response:
            return session.send(
                session.prepare_request(request),
                stream=True,
                allow_redirects=False,
                timeout=timeout,
                verify=network.ca_bundle or True,
                cert=network.client_cert,
                proxies=session.proxies_for(request.url),
            )

        return bounded(answer, request.url, network.timeout, deadline, limit)
