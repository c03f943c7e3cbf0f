"""What OAuth 1.0a signs of a request, as the server will see it (RFC 5849, 3.4.1), and the header with the signature.

Nonce, timestamp, protocol parameters, both signature methods and the header are those of oauthlib's client. It isn't
shown the request itself: oauthlib logs what it signs, with every token in it, at DEBUG; refuses queries that requests
sends, by a ``ValueError`` that repeats them; decodes parameters named ``oauth_…`` twice; and writes some hosts and
paths another way than they are sent.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import parse_qsl

from oauthlib.common import Request
from oauthlib.oauth1 import Client
from oauthlib.oauth1.rfc5849.signature import normalize_parameters, signature_base_string
from requests import PreparedRequest
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from ..exceptions import OAuthError
from . import urls

_FORM = "application/x-www-form-urlencoded"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

Parameters = list[tuple[str, str]]


def sent_url(url: str) -> str:
    """``url`` as urllib3 sends it, with everything quoted that has to be; empty if it can't."""
    try:
        return parse_url(url).url
    except LocationParseError:
        return ""


def base_uri(request: PreparedRequest) -> str:
    """The base string URI (RFC 5849, 3.4.1.2) of a request whose URL is one of ``sent_url``."""
    parts = parse_url(request.url or "")
    scheme = parts.scheme or ""
    authority = (header(request, "Host") or parts.netloc or "").lower()
    return f"{scheme}://{authority.removesuffix(_DEFAULT_PORTS[scheme])}{parts.path or '/'}"


def parameters(request: PreparedRequest) -> Parameters:
    """What the query says, and the body if it is a form (RFC 5849, 3.4.1.3.1), in the clear.

    Raises:
        OAuthError: they can't be signed.
    """
    pairs = parse_qsl(urls.query(request.url or ""), keep_blank_values=True)
    if header(request, "Content-Type").partition(";")[0].strip().lower() == _FORM:
        pairs += parse_qsl(_text(request.body), keep_blank_values=True)
    if any(name.startswith("oauth_") for name, _ in pairs):
        # RFC 5849, 3.5: all of them stand in one place, and ours is the header. What is more, RSA-SHA1 proves nothing
        # about the token: who could slip in another `oauth_token` might have us sign for somebody else.
        raise OAuthError("invalid_request", "parameters named oauth_... have no place in an address or a form")
    return pairs


def _text(body: object) -> str:
    if isinstance(body, str):
        body = body.encode("utf-8", "replace")  # as urllib3 sends it, which refuses half a character
    if isinstance(body, bytes):
        return body.decode("utf-8", "replace")
    if body is None:
        return ""
    # To sign a form it has to be read, and what has been read from a stream may be gone.
    raise OAuthError("invalid_request", "a form that is a stream can't be signed: give its fields, or its text")


def header(request: PreparedRequest, name: str) -> str:
    """The value of a header, which requests takes as bytes, too; empty if there is none."""
    value: object = request.headers.get(name, "")
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def authorization(method: str, uri: str, signed: Parameters, **client: Any) -> str:
    """The ``Authorization`` header (RFC 5849, 3.5.1). ``client`` is what oauthlib's ``Client`` takes."""
    _, headers, _ = Signer(signed, **client).sign(uri, cast(Any, method))  # not only those that its types name
    return str(headers["Authorization"])


class Signer(Client):
    """oauthlib's client with a base string of our own making, which nobody logs."""

    def __init__(self, signed: Parameters, **client: Any) -> None:
        super().__init__(**client)
        self._signed = signed

    def base_string(self, request: Request) -> str:
        """What is signed (RFC 5849, 3.4.1.1)."""
        pairs: Any = [*self._signed, *request.oauth_params]
        return str(signature_base_string(request.http_method, request.uri, normalize_parameters(pairs)))

    def get_oauth_signature(self, request: Request) -> str:
        return str(self.SIGNATURE_METHODS[self.signature_method](self.base_string(request), self))
