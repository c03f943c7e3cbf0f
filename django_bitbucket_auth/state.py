"""A login that was started: an encrypted cookie per attempt, and nothing anywhere else.

Nothing is written to the database or session, so a flood of started logins costs the site nothing, tabs don't disturb
each other, and strict session cookies work. The cookie's name carries a hash of the state (of the request token, with
OAuth 1.0a), so that the callback finds its own attempt among several.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from django.core.cache import cache
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import constant_time_compare

from . import crypto
from .bitbucket import Beginning, Provider
from .exceptions import BitbucketUnavailable, ConfigurationError, StateError

_PURPOSE = "started login"
_NAME = "bitbucket_auth_"
#: gunicorn answers 431 to every page once a browser sends more than 8 KB of headers, so cookies are few and small.
MOST_ATTEMPTS = 5
MOST_BYTES = 4096
MOST_BYTES_EACH = 2048


@dataclass(frozen=True, slots=True)
class LoginState:
    """One started login. ``fingerprint`` ties it to client and endpoints, ``redirect_uri`` is repeated exactly."""

    state: str = field(repr=False)
    provider: str
    fingerprint: str
    redirect_uri: str
    intent: str
    next: str
    verifier: str | None = field(repr=False)
    started: float
    #: OAuth 1.0a's, whose request token picks the attempt in place of the state.
    request_token: str = field(default="", repr=False)
    request_secret: str = field(default="", repr=False)
    #: Of an intent to connect: who began it (the primary key as text), and a hash that changes with the password.
    user: str = ""
    session_hash: str = field(default="", repr=False)

    @property
    def pick(self) -> str:
        """The parameter of the callback that this attempt is found by."""
        return self.request_token or self.state

    @property
    def beginning(self) -> Beginning:
        """What the provider needs to finish it."""
        return Beginning(
            self.redirect_uri,
            verifier=self.verifier,
            request_token=self.request_token,
            request_secret=self.request_secret,
        )


def secret() -> str:
    """A new state: 256 bits (RFC 6749, 10.10 asks for 128)."""
    return secrets.token_urlsafe(32)


def new(
    provider: Provider, state: str, beginning: Beginning, next_url: str, user: str = "", session_hash: str = ""
) -> LoginState:
    """A login that is started now; with a ``user``, one that connects an account to this one."""
    return LoginState(
        state=state,
        provider=provider.configuration.alias,
        fingerprint=fingerprint(provider),
        redirect_uri=beginning.redirect_uri,
        intent="connect" if user else "login",
        next=next_url,
        verifier=beginning.verifier,
        started=time.time(),
        request_token=beginning.request_token,
        request_secret=beginning.request_secret,
        user=user,
        session_hash=session_hash,
    )


def fingerprint(provider: Provider) -> str:
    """A hash of client and endpoints: a code must not be redeemed elsewhere than it was asked for (RFC 9700, 4.4)."""
    parts = [provider.configuration.client_id, provider.instance]
    names = ["authorize", "token", "user", *(["request_token"] if provider.signs_requests else [])]
    parts += [provider.endpoint(name) for name in names]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def remember(request: HttpRequest, response: HttpResponseBase, login: LoginState, max_age: int) -> None:
    """Set the attempt's cookie, and take the oldest attempts away where there are too many.

    Raises:
        ConfigurationError: the redirect URI alone is too long for a cookie.
    """
    name = _name(request, login.pick)
    sealed = _seal(name, login)
    if len(name) + len(sealed) > MOST_BYTES_EACH:
        # The way back is worth less than the login.
        sealed = _seal(name, replace(login, next=""))
    if len(name) + len(sealed) > MOST_BYTES_EACH:
        raise ConfigurationError(
            "The callback URL is too long to be kept in a cookie. Shorten its path or CALLBACK_URL."
        )
    kept, size = 0, len(name) + len(sealed)
    others = sorted(_attempts(request), key=lambda other: other[2].started, reverse=True)
    for other_name, length, _ in others:
        kept, size = kept + 1, size + length
        if kept >= MOST_ATTEMPTS or size > MOST_BYTES:
            _delete(request, response, other_name)
    response.set_cookie(
        name, sealed, max_age=max_age, path="/", secure=request.is_secure(), httponly=True, samesite="Lax"
    )


def find(request: HttpRequest, pick: str, state: str) -> LoginState:
    """The attempt of this browser that ``pick`` names, which has to have this ``state``.

    Raises:
        StateError: there is none (``state_missing``), or it isn't the one (``state_mismatch``).
    """
    name = _name(request, pick)
    values = [value for found, value in _raw_cookies(request) if found == name]
    if not values:
        raise StateError("no started login of this browser fits the state", "state_missing")
    if len(values) > 1:
        # A subdomain can plant a second cookie of the same name; which of them came first proves nothing.
        raise StateError("the cookie of the started login came twice", "state_mismatch")
    login = _open(name, values[0])
    if login is None:
        raise StateError("the cookie of the started login can't be decrypted", "state_missing")
    if not (constant_time_compare(login.pick, pick) and constant_time_compare(login.state, state)):
        raise StateError("the started login has another state", "state_mismatch")
    return login


def check_age(login: LoginState, max_age: int) -> None:
    """Judge the age by the encrypted payload: how long a browser keeps a cookie is up to the browser.

    Raises:
        StateError: it was started more than ``max_age`` seconds ago, or in the future.
    """
    age = time.time() - login.started
    if not -1 <= age <= max_age:
        raise StateError(f"the sign-in was started {age:.0f} s ago, and may take {max_age} s", "state_expired")


def spend(login: LoginState, max_age: int) -> None:
    """Mark the attempt as used. Exact where processes share a cache.

    Raises:
        StateError: it was used before (``state_reused``).
        BitbucketUnavailable: the cache failed, so it can't be told.
    """
    marker = f"bitbucket_auth:spent:{hashlib.sha256(login.state.encode()).hexdigest()}"
    try:
        first = cache.add(marker, 1, timeout=max_age)
    except Exception as error:
        raise BitbucketUnavailable(f"the cache failed ({type(error).__name__}: {error})") from None
    if not first:
        raise StateError("this sign-in was completed or tried before", "state_reused")


def forget(request: HttpRequest, response: HttpResponseBase, login: LoginState) -> None:
    """Delete the attempt's cookie."""
    _delete(request, response, _name(request, login.pick))


def _delete(request: HttpRequest, response: HttpResponseBase, name: str) -> None:
    # Not `delete_cookie`: a browser takes a `__Host-` name back only with the attributes that it was set with.
    response.set_cookie(name, "", max_age=0, path="/", secure=request.is_secure(), httponly=True, samesite="Lax")


def _name(request: HttpRequest, pick: str) -> str:
    digest = hashlib.sha256(pick.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_prefix(request)}{digest}"


def _prefix(request: HttpRequest) -> str:
    # On HTTPS only the `__Host-` name is read: a sibling subdomain can't set it (RFC 6265bis, 4.1.3.2).
    return f"__Host-{_NAME}" if request.is_secure() else _NAME


def _raw_cookies(request: HttpRequest) -> Iterator[tuple[str, str]]:
    # The header itself, not `request.COOKIES`: Django strips all Unicode white space from names, so a planted cookie
    # "U+2000__Host-x", which browsers keep, would be read as "__Host-x".
    for pair in request.META.get("HTTP_COOKIE", "").split(";"):
        name, _, value = pair.strip(" \t").partition("=")
        yield name, value


def _attempts(request: HttpRequest) -> Iterator[tuple[str, int, LoginState]]:
    pattern = re.compile(re.escape(_prefix(request)) + "[0-9a-f]{16}")
    for name, value in _raw_cookies(request):
        if pattern.fullmatch(name) and (login := _open(name, value)) is not None:
            yield name, len(name) + len(value), login


def _seal(name: str, login: LoginState) -> str:
    members = {member: getattr(login, member) for member in login.__slots__}
    return crypto.seal(_PURPOSE, name, json.dumps(members, separators=(",", ":")))


def _open(name: str, value: str) -> LoginState | None:
    try:
        return LoginState(**json.loads(crypto.unseal(_PURPOSE, name, value)))
    except (crypto.Unsealable, TypeError):  # TypeError: made by another version of this app
        return None
