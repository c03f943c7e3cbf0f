"""Rows as the packages leave them, and the command that takes them over."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from logins import JANE, rows

from former.models import SocialAccount, SocialApp, SocialToken, UserSocialAuth

CLIENT, OTHER_CLIENT = "the-client", "another-client"
GIT = "https://git.example.com/bitbucket"
CLOUD = {"CLIENT_ID": CLIENT, "CLIENT_SECRET": "secret"}
DATA_CENTER = {"KIND": "data-center", "BASE_URL": GIT, **CLOUD}
PROFILE: dict[str, Any] = {
    "type": "user",
    "uuid": JANE.uid,
    "account_id": JANE.account_id,
    "username": "jdoe",
    "display_name": "Jane Doe",
}
#: Of the form that no user name can have.
ACCOUNT_ID = "557058:11111111-1111-4111-8111-111111111111"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("bitbucket_import", *arguments, stdout=out)
    return out.getvalue()


def lines(*arguments: str) -> list[str]:
    """What it says of each row, without the row's number and the user's."""
    found = run(*arguments).partition("\n\n")[0].splitlines()
    return [line.split(", ", 2)[2] for line in found if line.startswith("row ")]


def refused(*arguments: str) -> str:
    before = rows()
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    assert rows() == before
    return str(caught.value)


def person(name: str = "jane") -> User:
    return User.objects.create(username=name)


def allauth(user: User, uid: str = str(JANE.account_id), **profile: Any) -> SocialAccount:
    return SocialAccount.objects.create(
        user=user, provider="bitbucket_oauth2", uid=uid, extra_data={**PROFILE, **profile}
    )


def social(user: User, uid: str = JANE.uid, provider: str = "bitbucket-oauth2", **data: Any) -> UserSocialAuth:
    return UserSocialAuth.objects.create(user=user, provider=provider, uid=uid, extra_data=json.dumps(data))


def token_of(account: SocialAccount, app: SocialApp | None, **columns: Any) -> SocialToken:
    end = datetime.now(UTC) + timedelta(hours=1)
    values = {"token": "access", "token_secret": "refresh", "expires_at": end, **columns}
    return SocialToken.objects.create(account=account, app=app, **values)


def an_app(client_id: str = CLIENT) -> SocialApp:
    return SocialApp.objects.create(provider="bitbucket_oauth2", client_id=client_id)


def at_data_center(user: User, uid: str = "17", **data: Any) -> UserSocialAuth:
    return social(user, uid, "bitbucket-datacenter-oauth2", **{"url": f"{GIT}/users/jdoe", **data})
