"""Bitbucket Cloud's answers, as documented or captured (bitbucket.md), and a provider to read them."""

from __future__ import annotations

from typing import Any

import requests

from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.conf import ProviderSettings
from django_bitbucket_auth.oauth.token import Token

API = "https://api.bitbucket.org"
USER_URL = f"{API}/2.0/user"
EMAILS_URL = f"{API}/2.0/user/emails"
TOKEN_URL = "https://bitbucket.org/site/oauth2/access_token"

JANE = "{768f0000-0000-0000-0000-00000000000a}"
ACME = "{a15fb181-db1f-48f7-b41f-e1eff06929d6}"
TOKEN = Token("canary-token")

#: 3.1: a real body, values replaced.
USER: dict[str, Any] = {
    "username": "jdoe",
    "display_name": "Jane Doe",
    "nickname": "Jane",
    "has_2fa_enabled": None,
    "account_id": "5c65ffffffffffffffffffff",
    "account_status": "active",
    "is_staff": False,
    "created_on": "2019-02-19T10:36:46.361566-08:00",
    "type": "user",
    "uuid": JANE,
    "links": {
        "self": {"href": "https://api.bitbucket.org/2.0/users/%7B768f0000-0000-0000-0000-00000000000a%7D"},
        "html": {"href": "https://bitbucket.org/%7B768f0000-0000-0000-0000-00000000000a%7D/"},
        "avatar": {"href": "https://avatar-management--avatars.us-west-2.prod.public.atl-paas.net/5c65/128"},
    },
}
EMAIL = {
    "is_primary": True,
    "is_confirmed": True,
    "type": "email",
    "email": "user@example.org",
    "links": {"self": {"href": "https://api.bitbucket.org/2.0/user/emails/user@example.org"}},
}
#: 4.2, after the sibling examples.
MEMBERSHIP: dict[str, Any] = {
    "permission": "member",
    "type": "workspace_membership",
    "user": {"type": "user", "uuid": JANE, "display_name": "Jane Doe"},
    "workspace": {"type": "workspace", "uuid": ACME, "slug": "acme", "name": "Acme"},
}


def error(message: str, **members: Any) -> dict[str, Any]:
    """An error of the API (8)."""
    return {"type": "error", "error": {"message": message, **members}}


def page(*addresses: Any, **members: Any) -> dict[str, Any]:
    """A page of addresses (3.2)."""
    return {"pagelen": 10, "values": list(addresses), "page": 1, "size": len(addresses), **members}


def permission_url(workspace: str) -> str:
    return f"{API}/2.0/user/workspaces/{workspace.replace('{', '%7B').replace('}', '%7D')}/permission"


def answer(status: int = 200, body: bytes | str = b"", headers: dict[str, str] | None = None) -> requests.Response:
    """An answer that nobody sent."""
    response = requests.Response()
    response.status_code = status
    response._content = body.encode() if isinstance(body, str) else body
    response.headers.update(headers or {})
    return response


def settings(**keys: Any) -> ProviderSettings:
    """A provider's settings, with credentials."""
    return ProviderSettings(**{"alias": "default", "client_id": "the-id", "client_secret": "canary-secret", **keys})


def cloud(**keys: Any) -> CloudProvider:
    """A provider that asks once."""
    return CloudProvider(settings(retries=0, **keys))
