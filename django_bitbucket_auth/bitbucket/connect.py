"""Bitbucket's own grant: the JWT of an installed Connect app for an access token.

https://developer.atlassian.com/cloud/bitbucket/oauth-2/ and https://developer.atlassian.com/cloud/bitbucket/query-string-hash/.
Since 2 February 2026 no new Connect app can be installed; those that are go on.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..oauth.grants import Grant

#: Seconds that a signed assertion is good for, as Atlassian advises.
LIFETIME = 180


@dataclass(frozen=True, slots=True)
class BitbucketJWT(Grant):
    """An assertion for the account where the app is installed: never a visitor, so never a sign-in."""

    assertion: str = field(repr=False)

    name = "bitbucket_jwt"
    grant_type = "urn:bitbucket:oauth2:jwt"

    def authorization(self) -> str:
        return f"JWT {self.assertion}"  # the scheme's case counts at Bitbucket


def sign(*, app_key: str, client_key: str, shared_secret: str, endpoint: str) -> BitbucketJWT:
    """An assertion for ``endpoint``, HS256, good for three minutes.

    ``app_key`` is the key in the app's descriptor; ``client_key`` and ``shared_secret`` came with the installation.
    """
    import jwt

    now = int(time.time())
    claims = {
        "iss": app_key,
        "sub": client_key,
        "iat": now,
        "exp": now + LIFETIME,
        "qsh": query_string_hash("POST", endpoint),
    }
    return BitbucketJWT(jwt.encode(claims, shared_secret, algorithm="HS256"))


def query_string_hash(method: str, url: str) -> str:
    """Atlassian's hash of a request without parameters, which ties an assertion to it."""
    # An `&` in the path would read as the end of it.
    path = urlsplit(url).path.rstrip("/").replace("&", "%26") or "/"
    return hashlib.sha256(f"{method}&{path}&".encode()).hexdigest()
