"""How requests leave this process: pooled, bounded, within one deadline, and never along a redirect.

Only the connection pool is shared between people. Each call has a ``requests.Session`` of its own whose cookie
jar accepts nothing and which reads neither netrc nor the environment's CA bundle: a netrc entry for the host would
silently replace the bearer (everybody becomes the service account), and one person's cookie would travel with
another's call.
"""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.auth import AuthBase
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from .. import __version__
from ..exceptions import BitbucketTimeout, BitbucketUnavailable, ForeignURL, OAuthError
from . import urls
from .connections import Adapter, patience

#: Bodies of token, profile and membership calls, in bytes.
MAX_BODY = 1024 * 1024
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
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


class Deadline:
    """The time by which a whole conversation has to be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            BitbucketTimeout: none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise BitbucketTimeout("the conversation with Bitbucket took longer than DEADLINE")
        return left


class Bearer(AuthBase):
    """The access token in the header (RFC 6750, 2.1), for URLs under ``api_url`` and no other.

    The scheme is always ``Bearer``: Bitbucket says ``bearer`` in its answers and refuses it in requests.
    """

    def __init__(self, access_token: str, api_url: str) -> None:
        self._access_token, self._api_url = access_token, api_url

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not urls.within(request.url or "", self._api_url):
            raise ForeignURL(f"a token for {self._api_url} is not for {_place(request.url or '')}")
        request.headers["Authorization"] = f"Bearer {self._access_token}"
        return request


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


class PooledSession(requests.Session):
    """A session on the shared pool of its provider, which keeps no cookie and reads no netrc."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = _USER_AGENT

    def get_adapter(self, url: str | bytes) -> Adapter:
        # Asked for at each request: after a fork there is another pool.
        return _pool(self.network.name)

    def proxies_for(self, url: str) -> dict[str, str]:
        """The configured proxies, else the environment's."""
        return dict(self.network.proxies) or get_environ_proxies(url)


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
        OAuthError: the body is larger than ``limit``.
        ForeignURL: the request's credential isn't for its URL.
    """
    retries = network.retries if request.method in _SAFE else 0
    return repeated(lambda: _send_once(request, network, deadline, limit), retries, deadline)


def is_safe(method: str) -> bool:
    """Whether a request with this method may be repeated after a fault."""
    return method.upper() in _SAFE


def repeated(call: Callable[[], requests.Response], retries: int, deadline: Deadline) -> requests.Response:
    """What ``call`` returns or raises in the end, after at most ``retries`` repeats, as ``send`` says."""
    left, pause = retries, 0.2
    while True:
        outcome: requests.Response | BitbucketUnavailable
        try:
            outcome = call()
            wait = _pause_before_repeat(outcome, pause)
        except BitbucketTimeout:
            raise
        except BitbucketUnavailable as fault:
            outcome, wait = fault, pause
        if not left or wait is None or wait >= deadline.remaining():
            if isinstance(outcome, BitbucketUnavailable):
                raise outcome
            return outcome
        time.sleep(wait)
        left, pause = left - 1, pause * 2


def _pause_before_repeat(response: requests.Response, pause: float) -> float | None:
    """Seconds to wait before a safe request is repeated for this answer; ``None`` if the answer stands."""
    if response.status_code == 429:
        return retry_after(response)
    return max(pause, retry_after(response) or 0) if response.status_code in (502, 503, 504) else None


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

        return bounded(answer, request.url, network, deadline, limit)


def bounded(
    call: Callable[[tuple[float, float]], requests.Response],
    url: str,
    network: Network,
    deadline: Deadline,
    limit: int,
) -> requests.Response:
    """The streamed answer of ``call``, read whole: up to ``limit`` bytes, within ``deadline``, its faults as ours.

    ``call`` gets the timeout to ask with.
    """
    place = _place(url)
    connect, read = network.timeout
    left = deadline.remaining()
    with patience(lambda: min(read, deadline.remaining())):
        try:
            response = call((min(connect, left), min(read, left)))
            body = read_body(response, limit)
        except (requests.Timeout, PoolTimeoutError) as error:
            if isinstance(error, requests.ConnectTimeout):
                raise BitbucketUnavailable(f"no connection to {place} within {connect} s") from None
            raise BitbucketTimeout(f"no answer from {place} within {min(read, left):.3g} s") from None
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # `from None` and the class alone: the text of these errors can hold URLs, proxies with passwords and, where
            # http.client refuses a header (a plain ValueError), the credential itself.
            raise BitbucketUnavailable(f"no answer from {place} ({_cause(error)})") from None
    response.raw = io.BytesIO(body)
    return response


def read_body(response: requests.Response, limit: int) -> bytes:
    """The body of a streamed answer.

    Raises:
        OAuthError: it is larger than ``limit`` bytes.
    """
    # `read1` returns what has arrived, and of what is packed no more than asked for: `response.content` would unpack a
    # bomb before it could be counted.
    body = bytearray()
    try:
        while chunk := response.raw.read1(64 * 1024, decode_content=True):
            body += chunk
            if len(body) > limit:
                raise OAuthError("body_too_large", f"more than {limit} bytes", response.status_code)
    except BaseException:
        response.close()  # a connection with half an answer on it must not go back to the pool
        raise
    return bytes(body)


def retry_after(response: requests.Response) -> float | None:
    """Seconds that the answer asks to wait (RFC 9110, 10.2.3), at most an hour; ``None`` if it doesn't say."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(min(int(value[:6]), 3600))
    try:
        date = parsedate_to_datetime(value)
        # HTTP's dates are GMT; one without a zone would be taken for the site's own.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), 3600.0)


def _place(url: str) -> str:
    """Scheme and host of a URL, for messages: its path and query are nobody's business."""
    try:
        scheme, host, port = urls.origin(url)
    except ValueError:
        return "an unreadable URL"
    return f"{scheme}://{host}:{port}"


def _cause(error: BaseException) -> str:
    """The classes of an error and of what it wraps, which tell a refused connection from a failed name look-up."""
    names = [type(error).__name__]
    inner = error.args[0] if error.args else None
    inner = getattr(inner, "reason", inner)
    if isinstance(inner, BaseException):
        names.append(type(inner).__name__)
    return ": ".join(names)
