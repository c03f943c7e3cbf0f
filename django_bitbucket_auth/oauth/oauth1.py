"""OAuth 1.0a (RFC 5849) on oauthlib: signed requests, and the three steps from a request token to an access token.

Names are Atlassian's: the *consumer* is RFC 5849's client, the *request token* its temporary credentials, the *access
token* with its secret its token credentials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urljoin

from oauthlib.common import add_params_to_uri
from requests import PreparedRequest, Request
from requests.auth import AuthBase

from ..exceptions import BitbucketAuthError, ConfigurationError, ForeignURL, OAuthError
from . import rsa_keys, signature, urls
from .grants import Grant
from .reading import place
from .token import Token, is_visible

#: Not ``PLAINTEXT``, which is the secrets themselves.
SIGNATURE_METHODS = ("HMAC-SHA1", "RSA-SHA1")

#: Twenty years in seconds. Data Center gives tokens for five; a larger number can overflow a date.
_LONGEST = 20 * 366 * 24 * 3600
_MEMBERS = frozenset({"oauth_token", "oauth_token_secret", "oauth_callback_confirmed", "oauth_expires_in"})
_PROBLEM = re.compile(r"""(?:^|[\s,&?"'>])oauth_problem\s*=\s*"?([^"&,;\s<]+)""")


@dataclass(frozen=True, slots=True)
class Consumer:
    """The client (RFC 5849, 1.1). ``rsa_key``: a private key as PEM text, for RSA-SHA1, which uses no ``secret``."""

    key: str
    secret: str = field(default="", repr=False)
    signature_method: str = "HMAC-SHA1"
    rsa_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RequestToken:
    """Temporary credentials (RFC 5849, 2.1), which a person is asked to allow."""

    token: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedRequestToken(Grant):
    """A request token that a person has allowed, with the verifier of the callback (RFC 5849, 2.2)."""

    request_token: RequestToken
    verifier: str = field(repr=False)
    redirect_uri: str = ""

    name = "oauth1"
    grant_type = "oauth1"

    def parameters(self) -> dict[str, str]:
        return {"oauth_verifier": self.verifier}


class Signed(AuthBase):
    """Signs requests in the header (RFC 5849, 3.5.1), for URLs under ``prefix`` and no other.

    Without a ``token`` it signs for the consumer alone. Each call signs anew, with another nonce, in place of any
    signature that is there; of the request it changes nothing else, but writes its URL as it will be sent.
    ``protocol``: further arguments for oauthlib's ``Client``.

    A call raises:
        ForeignURL: the URL isn't under ``prefix``; nothing was signed.
        OAuthError: the token, the consumer's key, or the request itself is such that it can't be signed.
        ConfigurationError: the consumer's secret or key can't sign.
    """

    def __init__(self, consumer: Consumer, token: Token | None, prefix: str, **protocol: str) -> None:
        self._consumer, self._token, self._prefix, self._protocol = consumer, token, prefix, protocol

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        url = request.url or ""
        # As it was given, and as urllib3 reads and sends it: what two parsers make of a URL can be two things.
        if not (urls.within(url, self._prefix) and urls.within(sent := signature.sent_url(url), self._prefix)):
            raise ForeignURL(f"a signature for {self._prefix} is not for {place(url)}")
        if not self._can_be_sent():
            raise OAuthError("invalid_token", "the token or the consumer key has characters that can't be sent")
        if flaw := _flaw(self._consumer):
            raise ConfigurationError(flaw)
        request.url = sent
        request.headers["Authorization"] = self._authorization(request)
        return request

    def _can_be_sent(self) -> bool:
        # As percent-encoded UTF-8 nearly everything can, and a consumer's key is what its administrator liked. Not so
        # half a character, by which Python shows bytes that are no UTF-8.
        token = self._token or Token("none")
        others = (self._consumer.key, token.token_secret, *self._protocol.values())
        return bool(self._consumer.key) and is_visible(token.access_token) and all(map(_is_text, others))

    def _authorization(self, request: PreparedRequest) -> str:
        try:
            return signature.authorization(
                request.method or "",
                signature.base_uri(request),
                signature.parameters(request),
                **self._client(),
                **self._protocol,
            )
        except BitbucketAuthError:
            raise
        except Exception as error:
            # Whatever the libraries raise: its text, and the frames below, can hold what was signed, and by what.
            method, cause = self._consumer.signature_method, type(error).__name__
            raise ConfigurationError(f"the consumer can't sign by {method} ({cause})") from None

    def _client(self) -> dict[str, Any]:
        consumer, token = self._consumer, self._token
        return {
            "client_key": consumer.key,
            "client_secret": consumer.secret,
            "signature_method": consumer.signature_method,
            "rsa_key": rsa_keys.load(consumer.rsa_key) if consumer.signature_method == "RSA-SHA1" else None,
            "resource_owner_key": token.access_token if token else None,
            "resource_owner_secret": token.token_secret if token else None,
        }


def check_signs(consumer: Consumer) -> None:
    """Sign once.

    Raises:
        ValueError: that isn't possible; the message says why.
    """
    nowhere = "https://bitbucket.invalid/"
    try:
        Signed(consumer, None, nowhere)(Request("GET", nowhere).prepare())
    except BitbucketAuthError as error:
        raise ValueError(str(error)) from None


def _flaw(consumer: Consumer) -> str:
    """Why the consumer can't sign, as far as that is plain to see; empty if it isn't."""
    if consumer.signature_method not in SIGNATURE_METHODS:
        return f"{consumer.signature_method!r} is not one of the signature methods {', '.join(SIGNATURE_METHODS)}"
    if consumer.signature_method == "HMAC-SHA1":
        # By an empty secret anybody could sign.
        return "" if consumer.secret else "to sign by HMAC-SHA1 the consumer needs its secret"
    try:
        rsa_keys.load(consumer.rsa_key)
    except ValueError as error:
        return str(error)
    return ""


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


# -- from a request token to an access token ---------------------------------------------------------------------------


def request_token_request(endpoint: str, consumer: Consumer, callback: str) -> Request:
    """The request for a request token that comes back to ``callback`` (RFC 5849, 2.1)."""
    return _request(endpoint, consumer, None, callback_uri=callback)


def authorization_url(endpoint: str, request_token: RequestToken) -> str:
    """Where the browser goes, for its person to allow the request token (RFC 5849, 2.2)."""
    return str(add_params_to_uri(endpoint, [("oauth_token", request_token.token)]))


def access_token_request(endpoint: str, consumer: Consumer, grant: VerifiedRequestToken) -> Request:
    """The request for the access token (RFC 5849, 2.3)."""
    token = Token(grant.request_token.token, grant.request_token.secret)
    return _request(endpoint, consumer, token, verifier=grant.verifier)


def _request(endpoint: str, consumer: Consumer, token: Token | None, **protocol: str) -> Request:
    # Signed when it is prepared, and only for its neighbourhood: an endpoint isn't under its own path.
    auth = Signed(consumer, token, urljoin(endpoint, "."), **protocol)
    return Request("POST", endpoint, headers={"Accept": "*/*"}, auth=auth)


def parse_request_token(body: str) -> RequestToken:
    """The request token in the body of a successful answer (RFC 5849, 2.1).

    Raises:
        ValueError: there is none, or none for our callback. The message doesn't repeat the body.
    """
    members = _members(body)
    if members.get("oauth_callback_confirmed") != "true":
        # Without it the server is one of OAuth 1.0, where an attacker could have a victim allow the attacker's request
        # token, and then come back with it.
        raise ValueError("the answer doesn't confirm the callback URL (oauth_callback_confirmed)")
    token, secret = members.get("oauth_token"), members.get("oauth_token_secret")
    if not is_visible(token) or not secret:
        raise ValueError("the answer has no oauth_token with an oauth_token_secret")
    return RequestToken(token, secret)


def parse_token(body: str) -> Token:
    """The access token in the body of a successful answer (RFC 5849, 2.3).

    Its lifetime is Atlassian's ``oauth_expires_in``, in seconds. There is no refresh token: people sign in again.

    Raises:
        ValueError: there is none. The message doesn't repeat the body.
    """
    members = _members(body)
    token = members.get("oauth_token")
    if not is_visible(token):
        raise ValueError("the answer has no oauth_token")
    return Token(
        access_token=token,
        token_secret=members.get("oauth_token_secret", ""),
        token_type="oauth1",  # noqa: S106 - a name
        expires_at=_expiry(members.get("oauth_expires_in", ""), datetime.now(UTC)),
    )


def _members(body: str) -> dict[str, str]:
    """The members of an answer that this app reads."""
    try:
        # Some end in a line break, which would be part of the last value.
        pairs = parse_qsl(body.strip(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise ValueError("the answer has too many members") from None
    known = [pair for pair in pairs if pair[0] in _MEMBERS]
    members = dict(known)
    if len(members) != len(known):
        raise ValueError("the answer has a member twice")
    return members


def _expiry(seconds: str, now: datetime) -> datetime | None:
    if not (seconds.isascii() and seconds.isdigit()):
        return None
    lifetime = min(int(seconds.lstrip("0")[:12] or "0"), _LONGEST)
    return now + timedelta(seconds=lifetime) if lifetime else None


def problem_from(headers: Mapping[str, str], body: str) -> str:
    """The ``oauth_problem`` of an answer (OAuth's Problem Reporting extension), like ``token_rejected``; else empty.

    It stands in the ``WWW-Authenticate`` header, in the body, or in both; it is the server's word, cut and printable.
    """
    for text in (headers.get("WWW-Authenticate", ""), body[:4096]):
        if found := _PROBLEM.search(text):
            return "".join(filter(str.isprintable, unquote(found[1])))[:100]
    return ""
