"""Bitbucket Data Center's answers, as documented or captured (bitbucket.md 6), and providers to read them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from bitbucket.answers import settings
from responses import RequestsMock

from django_bitbucket_auth.bitbucket import DataCenterOAuth1Provider, DataCenterProvider

BASE = "https://git.example.com/bitbucket"
WHO_URL = f"{BASE}/rest/api/latest/application-properties"
USERS_URL = f"{BASE}/rest/api/latest/users"
TOKEN_URL = f"{BASE}/rest/oauth2/latest/token"
REQUEST_TOKEN_URL = f"{BASE}/plugins/servlet/oauth/request-token"
ACCESS_TOKEN_URL = f"{BASE}/plugins/servlet/oauth/access-token"

WHO = {"version": "8.15.0", "buildNumber": "8015000", "buildDate": "1697764661289", "displayName": "Bitbucket"}
NAME = "jane.doe@example.com"
#: 6.2: a real body, values replaced.
USER: dict[str, Any] = {
    "name": NAME,
    "emailAddress": "jane@example.com",
    "active": True,
    "displayName": "Jane Doe",
    "id": 101,
    "slug": "jane.doe_example.com",
    "type": "NORMAL",
    "links": {"self": [{"href": "https://git.example.com/bitbucket/users/jane.doe_example.com"}]},
    "avatarUrl": "https://git.example.com/bitbucket/users/jane.doe_example.com/avatar.png?s=128",
}


def page(*people: object, **members: Any) -> dict[str, Any]:
    """A page of people; the last one, unless ``members`` say otherwise."""
    return {"size": len(people), "limit": 25, "isLastPage": True, "values": list(people), "start": 0, **members}


def data_center(**keys: Any) -> DataCenterProvider:
    """A provider that asks once."""
    given = {"base_url": BASE, "api_url": BASE, "retries": 0, "scopes": ("PUBLIC_REPOS",), **keys}
    return DataCenterProvider(settings(**given))


def data_center_oauth1(**keys: Any) -> DataCenterOAuth1Provider:
    """A provider that asks once, and signs by a secret."""
    given = {"base_url": BASE, "api_url": BASE, "retries": 0, "signature_method": "HMAC-SHA1", **keys}
    return DataCenterOAuth1Provider(settings(**given))


def named(name: str = NAME) -> dict[str, str]:
    """The header that says whose token it was."""
    return {"X-AUSERNAME": quote(name, safe="")}


def play(bitbucket: RequestsMock, *pages: Any, name: str = NAME) -> None:
    """Let Bitbucket know who asks, and answer with these pages of people in turn."""
    bitbucket.get(WHO_URL, json=WHO, headers=named(name))
    for one in pages:
        bitbucket.get(USERS_URL, json=one, headers=named(name))
