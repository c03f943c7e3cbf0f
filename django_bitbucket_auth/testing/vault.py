"""The codes and tokens the simulator gave out, and which of them still hold."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain


@dataclass(eq=False)
class Grant:
    """What a person allowed; one per consent.

    The client has grants of its own, where ``person`` is ``None``: its tokens stand for the workspace with the UUID
    ``workspace``, in which the app is installed, or else for the client.
    """

    person: str | None
    scopes: tuple[str, ...]
    workspace: str | None = None
    revoked: bool = False
    #: Where the person was sent back to; ``None``: nowhere, the tokens were given out without a login.
    redirect_uri: str | None = None


@dataclass
class Code:
    """An authorization code.

    ``redirect_uri_sent``: was it in the request, or the registered one?
    """

    grant: Grant
    redirect_uri: str
    redirect_uri_sent: bool
    challenge: str | None
    challenge_method: str | None
    expires_at: float


@dataclass
class IssuedToken:
    """An access or refresh token.

    ``used``: a refresh token that has been exchanged and lives on grace. ``secret``: an access token's of OAuth 1.0a.
    """

    grant: Grant
    expires_at: float
    used: bool = False
    secret: str = field(default="", repr=False)


@dataclass
class RequestToken:
    """Temporary credentials of OAuth 1.0a.

    ``grant`` and ``verifier`` are there once a person has allowed it.
    """

    secret: str = field(repr=False)
    callback: str
    expires_at: float
    grant: Grant | None = None
    verifier: str = field(default="", repr=False)
    denied: bool = False
    used: bool = False


@dataclass
class Vault:
    """Everything given out, keyed by its text. Times are the simulated clock's, in seconds."""

    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, IssuedToken] = field(default_factory=dict)
    refresh: dict[str, IssuedToken] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    #: Data Center's: the key of the person by the value of the cookie.
    sessions: dict[str, str] = field(default_factory=dict)
    #: OAuth 1.0a's request tokens, access tokens, and what may not be sent again: timestamp, nonce and token.
    requested: dict[str, RequestToken] = field(default_factory=dict)
    signing: dict[str, IssuedToken] = field(default_factory=dict)
    nonces: set[tuple[str, str, str]] = field(default_factory=set)

    def clear(self) -> None:
        self.codes.clear()
        self.access.clear()
        self.refresh.clear()
        self.grants.clear()
        self.sessions.clear()
        self.requested.clear()
        self.signing.clear()
        self.nonces.clear()

    def open_grant(self, person: str | None, scopes: tuple[str, ...], workspace: str | None = None) -> Grant:
        grant = Grant(person, scopes, workspace)
        self.grants.append(grant)
        return grant

    def take_code(self, code: str, now: float) -> Code | None:
        """The code, which is spent by this; ``None`` if it's unknown, spent, too old or revoked."""
        found = self.codes.pop(code, None)
        if found is None or found.expires_at <= now or found.grant.revoked:
            return None
        return found

    def all_access(self) -> Iterator[IssuedToken]:
        """The access tokens of both protocols."""
        return chain(self.access.values(), self.signing.values())

    def find_access(self, token: str, now: float) -> IssuedToken | None:
        return _usable(self.access.get(token), now)

    def find_refresh(self, token: str, now: float) -> IssuedToken | None:
        return _usable(self.refresh.get(token), now)

    def keep_refresh(self, token: str, issued: IssuedToken) -> None:
        """A new one, or new time for one that is there; but none for one that lives on grace."""
        known = self.refresh.get(token)
        if known is None or not known.used:
            self.refresh[token] = issued

    def use_refresh(self, token: str, now: float, grace: float) -> None:
        """The first use starts the grace; a later one doesn't prolong it."""
        issued = self.refresh[token]
        if not issued.used:
            issued.used = True
            issued.expires_at = min(issued.expires_at, now + grace)

    def revoke(self, person: str | None) -> None:
        for grant in self.grants:
            if grant.person == person:
                grant.revoked = True


def _usable(issued: IssuedToken | None, now: float) -> IssuedToken | None:
    if issued is None or issued.grant.revoked or issued.expires_at <= now:
        return None
    return issued


def new_token(length: int) -> str:
    """Random text of ``length`` characters that looks like a JWT, as Bitbucket's do, and isn't one.

    Clients are to treat tokens as opaque; nothing is to be found in these.
    """
    header = base64.urlsafe_b64encode(b'{"typ":"JWT","alg":"RS256"}').rstrip(b"=").decode()
    text = f"{header}.{secrets.token_urlsafe(length)}"
    signature = 43
    return f"{text[: length - signature - 1]}.{text[-signature:]}"
