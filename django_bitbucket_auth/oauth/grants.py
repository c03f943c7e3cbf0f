"""Grants as data (RFC 6749, 4): what is sent for a token, and nothing else.

One function, ``oauth2.token_request``, makes the request of any of them; a kind of Bitbucket may add its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Grant:
    """What all grants have in common. ``repr`` shows no secret.

    ``name`` is what callers say, ``grant_type`` what is sent. A grant that ``is_personal`` gives a token that stands
    for somebody, and not for the application itself.
    """

    name: ClassVar[str]
    grant_type: ClassVar[str]
    is_personal: ClassVar[bool] = True

    def parameters(self) -> dict[str, str]:
        """What is sent besides ``grant_type``, by the names of RFC 6749; empty values are left out."""
        return {}

    def authorization(self) -> str | None:
        """The ``Authorization`` header of a grant that proves itself; ``None``: the client's credentials go there."""
        return None


@dataclass(frozen=True, slots=True)
class AuthorizationCode(Grant):
    """The code of a callback (RFC 6749, 4.1.3), with the redirect URI it was asked for and PKCE's verifier."""

    code: str = field(repr=False)
    redirect_uri: str
    code_verifier: str | None = field(default=None, repr=False)

    name = "authorization_code"
    grant_type = "authorization_code"

    def parameters(self) -> dict[str, str]:
        return {"code": self.code, "redirect_uri": self.redirect_uri, "code_verifier": self.code_verifier or ""}


@dataclass(frozen=True, slots=True)
class ClientCredentials(Grant):
    """The application for itself (RFC 6749, 4.4.2); no ``scopes``: all that the client has."""

    scopes: tuple[str, ...] = ()

    name = "client_credentials"
    grant_type = "client_credentials"
    is_personal = False

    def parameters(self) -> dict[str, str]:
        return {"scope": " ".join(self.scopes)}


@dataclass(frozen=True, slots=True)
class Password(Grant):
    """A person's own user name and password (RFC 6749, 4.3.2)."""

    username: str
    password: str = field(repr=False)
    scopes: tuple[str, ...] = ()

    name = "password"
    grant_type = "password"

    def parameters(self) -> dict[str, str]:
        return {"username": self.username, "password": self.password, "scope": " ".join(self.scopes)}


@dataclass(frozen=True, slots=True)
class RefreshToken(Grant):
    """A refresh token (RFC 6749, 6), for the scopes that it has.

    There is no ``scope`` to narrow them: what a refresh gives up is gone for good. Data Center wants the
    ``redirect_uri`` of the sign-in again.
    """

    refresh_token: str = field(repr=False)
    redirect_uri: str = ""

    name = "refresh_token"
    grant_type = "refresh_token"

    def parameters(self) -> dict[str, str]:
        return {"refresh_token": self.refresh_token, "redirect_uri": self.redirect_uri}
