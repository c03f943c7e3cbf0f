"""What is expected of Bitbucket Cloud's API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ...bitbucket.responses import json_object
from ...oauth.grants import ClientCredentials
from ...oauth.token import Token
from ..doctor.credentials import made_up
from .cases import Case, is_cloud, is_cloud_by_oauth2
from .subject import Subject, Unknown


def made_up_token(subject: Subject) -> str:
    response = subject.get(subject.provider().endpoint("user"), Token(made_up()))
    return f"HTTP {response.status_code}, {'JSON' if json_object(response) else 'no JSON'}"


def removed_workspaces(subject: Subject) -> str:
    return f"HTTP {subject.get('/2.0/workspaces', subject.somebody()).status_code}"


def first_api(subject: Subject) -> str:
    return f"HTTP {subject.get('/1.0/user').status_code}"


def oauth1(subject: Subject) -> str:
    root = subject.configuration.base_url.rstrip("/")
    return f"HTTP {subject.get(f'{root}/api/1.0/oauth/request_token').status_code}"


def scopes_header(subject: Subject) -> str:
    response = subject.answer(subject.provider().endpoint("user"), subject.somebody())
    return "named" if response.headers.get("X-OAuth-Scopes") else "not named"


def rate_limit_headers(subject: Subject) -> str:
    response = subject.answer(subject.provider().endpoint("user"), subject.somebody())
    found = sorted(name for name in response.headers if "ratelimit" in name.lower())
    return ", ".join(found)[:200] or "none"


def account_opens_emails(subject: Subject) -> str:
    """Whether ``/2.0/user/emails`` answers to a token with no scope but ``account``."""
    answer = subject.exchange(ClientCredentials(("account",)))
    token = answer.token
    if token.scopes != ("account",):
        raise Unknown("no token with the scope account alone")
    status = subject.get("/2.0/user/emails", token).status_code
    return {200: "opened", 403: "refused"}.get(status, f"HTTP {status}")


def workspace_list(subject: Subject) -> str:
    _, workspace = _first_workspace(subject)
    known = [name for name in ("uuid", "slug") if isinstance(workspace.get(name), str)]
    return " and ".join(known) or "neither uuid nor slug"


def permission_role(subject: Subject) -> str:
    return "named" if isinstance(_permission(subject)[1].get("permission"), str) else "not named"


def permission_workspace(subject: Subject) -> str:
    asked, body = _permission(subject)
    told = body.get("workspace")
    return "the same" if isinstance(told, dict) and told.get("uuid") == asked else "another"


def profile(subject: Subject) -> str:
    body = json_object(subject.answer("/2.0/user", subject.somebodys_own()))
    kind = body.get("type")
    found = [name for name in ("uuid", "account_id", "nickname", "account_status") if isinstance(body.get(name), str)]
    return f"{kind if kind in ('user', 'team', 'app_user') else 'something else'} with {', '.join(found) or 'no id'}"


def emails(subject: Subject) -> str:
    response = subject.answer("/2.0/user/emails", subject.somebodys_own())
    values = json_object(response).get("values")
    first = values[0] if isinstance(values, list) and values else None
    if not isinstance(first, dict):
        raise Unknown("the person has none")
    known = [name for name in ("email", "is_primary", "is_confirmed") if name in first]
    return ", ".join(known) or "nothing that is known"


def _first_workspace(subject: Subject) -> tuple[Token, dict[str, Any]]:
    token = subject.somebody()
    values = json_object(subject.answer("/2.0/user/workspaces", token)).get("values")
    entry = values[0] if isinstance(values, list) and values else None
    workspace = entry.get("workspace") if isinstance(entry, dict) else None
    if not isinstance(workspace, dict):
        raise Unknown("whoever was asked as is in no workspace")
    return token, workspace


def _permission(subject: Subject) -> tuple[str, dict[str, Any]]:
    """The uuid of a workspace, and what is answered about it."""
    token, workspace = _first_workspace(subject)
    uuid = str(workspace.get("uuid"))
    return uuid, json_object(subject.answer(f"/2.0/user/workspaces/{quote(uuid, safe='')}/permission", token))


CASES = (
    Case(
        name="made-up-token",
        about="The API is asked with a token that was made up.",
        expected="HTTP 401, JSON",
        ask=made_up_token,
        applies=is_cloud_by_oauth2,
    ),
    Case(
        name="removed-workspaces",
        about="The list of workspaces that was removed in April 2026.",
        expected="HTTP 410",
        ask=removed_workspaces,
        applies=is_cloud_by_oauth2,
    ),
    Case(
        name="first-api",
        about="The API 1.0, which was removed in 2019.",
        expected="HTTP 410",
        ask=first_api,
        applies=is_cloud_by_oauth2,
        question="How are old calls answered today?",
    ),
    Case(
        name="oauth1",
        about="A request token of OAuth 1.0a, which was switched off in 2026.",
        expected="HTTP 401",
        ask=oauth1,
        applies=is_cloud_by_oauth2,
        question="How are old calls answered today?",
    ),
    Case(
        name="scopes-header",
        about="X-OAuth-Scopes of an answer of the API.",
        expected="named",
        ask=scopes_header,
        applies=is_cloud,
    ),
    Case(
        name="rate-limit-headers",
        about="Headers that tell of the rate limit.",
        expected="none",
        ask=rate_limit_headers,
        applies=is_cloud,
        question="Is the limit counted for the client or for the person?",
    ),
    Case(
        name="account-opens-emails",
        about="The addresses, asked for with the scope account alone.",
        expected="refused",
        ask=account_opens_emails,
        applies=is_cloud_by_oauth2,
        question="Does account alone open /2.0/user/emails?",
    ),
    Case(
        name="workspace-list",
        about="What names a workspace in /2.0/user/workspaces.",
        expected="uuid and slug",
        ask=workspace_list,
        applies=is_cloud,
    ),
    Case(
        name="permission-role",
        about="The role in an answer about membership.",
        expected="named",
        ask=permission_role,
        applies=is_cloud,
        question="The exact body isn't documented.",
    ),
    Case(
        name="permission-workspace",
        about="The workspace that an answer about membership is about.",
        expected="the same",
        ask=permission_workspace,
        applies=is_cloud,
        question="The exact body isn't documented.",
    ),
    Case(
        name="profile",
        about="What a profile tells a person by.",
        expected="user with uuid, account_id, nickname, account_status",
        ask=profile,
        applies=is_cloud,
    ),
    Case(
        name="emails",
        about="The members of an address.",
        expected="email, is_primary, is_confirmed",
        ask=emails,
        applies=is_cloud,
        question="The schema isn't documented.",
    ),
)
