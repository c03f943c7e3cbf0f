"""Proved sign-ins, made without a Bitbucket: for tests of what happens once it is known who somebody is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest
from django.test import RequestFactory

from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.bitbucket import Email, Profile
from django_bitbucket_auth.conf import ProviderSettings
from django_bitbucket_auth.exceptions import LoginRefused
from django_bitbucket_auth.hooks import BitbucketLogin
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.signals import verify

JANE = Profile(
    provider="default",
    instance="bitbucket.org",
    uid="{11111111-1111-4111-8111-111111111111}",
    account_id="557058:jane",
    nickname="jane",
    display_name="Jane Doe",
    given_name="Jane",
    family_name="Doe",
    emails=(Email("jane@example.com", True, True),),
    avatar_url="https://avatars.example.com/jane.png",
    profile_url="https://bitbucket.org/jane/",
)
#: Somebody else with the same name and address.
NAMESAKE = replace(JANE, uid="{22222222-2222-4222-8222-222222222222}", account_id="557058:namesake")
TOKEN = Token("access-secret", "", "refresh-secret", "bearer", ("account", "email"), datetime(2030, 1, 1, tzinfo=UTC))


def emails(*addresses: str) -> tuple[Email, ...]:
    """Confirmed addresses, the first of which is the primary one."""
    return tuple(Email(address, number == 0, True) for number, address in enumerate(addresses))


def a_request() -> HttpRequest:
    return RequestFactory().get("/bitbucket/callback/")


def a_login(profile: Profile = JANE, token: Token = TOKEN, **keys: Any) -> BitbucketLogin:
    """A redeemed code; ``keys`` are fields of the provider's settings."""
    configuration = ProviderSettings(**{"alias": profile.provider, "client_id": "id", "client_secret": "s"} | keys)
    return BitbucketLogin(configuration, profile, token, "https://testserver/bitbucket/callback/")


def sign_in(profile: Profile = JANE, backend: BitbucketBackend | None = None, **keys: Any) -> User:
    """Sign the person in; as the callback does."""
    login = a_login(profile, **keys)
    user = (backend or BitbucketBackend()).authenticate(a_request(), bitbucket_login=login)
    assert user is not None
    for tell in login.after:
        tell()
    return user


def refusal(profile: Profile = JANE, backend: BitbucketBackend | None = None, **keys: Any) -> str:
    """The reason for which the person is refused. Asserts that nothing was written."""
    before = rows()
    try:
        user = sign_in(profile, backend, **keys)
    except LoginRefused as error:
        assert rows() == before
        return error.reason
    raise AssertionError(f"{user} was signed in")


def rows() -> list[Any]:
    """All that a sign-in writes."""
    return [list(model.objects.order_by("pk").values()) for model in (User, BitbucketAccount, BitbucketToken)]


@contextmanager
def verified_by(*receivers: Callable[..., Any]) -> Iterator[None]:
    """Connect receivers to ``verify``."""
    for receiver in receivers:
        verify.connect(receiver)
    try:
        yield
    finally:
        for receiver in receivers:
            verify.disconnect(receiver)


@contextmanager
def statements_fail(part: str, error: Exception, times: int = 1) -> Iterator[list[str]]:
    """The database answers the next ``times`` statements that hold ``part`` with an error; yields all statements."""
    seen: list[str] = []

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal times
        seen.append(sql)
        if times and part in sql.replace("`", '"'):
            times -= 1
            raise error
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield seen


@contextmanager
def overtaken_by(*acts: Callable[[], object]) -> Iterator[None]:
    """Others act just before the transaction of each attempt, one ``act`` an attempt: after all that was looked up."""
    left = list(acts)

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        # Tests run in a transaction, so that of a sign-in is a savepoint.
        if left and sql.startswith("SAVEPOINT"):
            left.pop(0)()
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield
    assert not left
