"""How answers are read: up to a limit, within a deadline, with their faults as ours; and when to ask again."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from ..exceptions import BitbucketTimeout, BitbucketUnavailable, OAuthError
from . import urls
from .connections import patience

#: Bodies of token, profile and membership calls, in bytes.
MAX_BODY = 1024 * 1024
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


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


def is_safe(method: str) -> bool:
    """Whether a request with this method may be repeated after a fault."""
    return method.upper() in _SAFE


def repeated(call: Callable[[], requests.Response], retries: int, deadline: Deadline) -> requests.Response:
    """What ``call`` returns or raises in the end, after at most ``retries`` repeats.

    It is called again after a fault of the connection, after 502, 503 and 504, and after 429 if the answer says when.
    """
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


def bounded(
    call: Callable[[tuple[float, float]], requests.Response],
    url: str,
    timeout: tuple[float, float],
    deadline: Deadline,
    limit: int,
) -> requests.Response:
    """The streamed answer of ``call``, read whole: up to ``limit`` bytes, within ``deadline``, its faults as ours.

    ``timeout`` is for the connection and each read; ``call`` gets what the deadline leaves of it.

    Raises:
        OAuthError: the body is larger than ``limit``, or ``call`` was redirected too often.
        BitbucketTimeout: a read or the deadline took too long.
        BitbucketUnavailable: there was no connection, or it broke.
    """
    where = place(url)
    connect, read = timeout
    left = deadline.remaining()
    with patience(lambda: min(read, deadline.remaining())):
        try:
            response = call((min(connect, left), min(read, left)))
            body = read_body(response, limit)
        except (requests.Timeout, PoolTimeoutError) as error:
            if isinstance(error, requests.ConnectTimeout):
                raise BitbucketUnavailable(f"no connection to {where} within {connect} s") from None
            raise BitbucketTimeout(f"no answer from {where} within {min(read, left):.3g} s") from None
        except requests.TooManyRedirects:
            raise OAuthError("too_many_redirects", f"redirects without an end at {where}") from None
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # `from None` and the class alone: the text of these errors can hold URLs, proxies with passwords and, where
            # http.client refuses a header (a plain ValueError), the credential itself.
            raise BitbucketUnavailable(f"no answer from {where} ({_cause(error)})") from None
    response.raw = io.BytesIO(body)
    return response


def read_body(response: requests.Response, limit: int) -> bytes:
    """The body of a streamed answer.

    Raises:
        OAuthError: it is larger than ``limit`` bytes.
    """
    if isinstance(response.raw, io.BytesIO):
        return response.content  # it was kept before
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


def keep_body(response: requests.Response) -> None:
    """Read the body of a streamed answer that isn't the last, and keep it: then its connection can be used again.

    Of one that breaks off or is too large, nothing is kept, and neither is the connection.
    """
    body = b""
    with suppress(OAuthError, HTTPError, OSError):
        body = read_body(response, MAX_BODY)
    response.raw = io.BytesIO(body)


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


def place(url: str) -> str:
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
