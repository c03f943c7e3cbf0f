"""Grants as data (RFC 6749, 4): what is sent for a token, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """The code of a callback (RFC 6749, 4.1.3), with the redirect URI it was asked for and PKCE's verifier."""

    code: str = field(repr=False)
    redirect_uri: str
    code_verifier: str | None = field(default=None, repr=False)

    name = "authorization_code"


Grant = AuthorizationCode
