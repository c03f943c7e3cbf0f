"""People who sign in at the same moment: real threads, each with a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from logins import JANE, emails, sign_in, verified_by

from django_bitbucket_auth import conf
from django_bitbucket_auth.bitbucket import Profile
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, Person, log_in

pytestmark = pytest.mark.django_db(transaction=True)
T = TypeVar("T")


def at_once(number: int, act: Callable[[int], T]) -> list[T]:
    """What ``act(0)`` to ``act(number - 1)`` return, each in its own thread, all of them past ``verify`` together.

    So everybody has looked for an account, and nobody has written one, when the writing begins.
    """
    barrier = threading.Barrier(number, timeout=20)

    def wait(**kwargs: Any) -> None:
        barrier.wait()

    def run(place: int) -> T:
        try:
            return act(place)
        finally:
            connections.close_all()

    with verified_by(wait), ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def somebody(number: int, **changes: Any) -> Profile:
    return replace(
        JANE,
        uid=f"{{{number:08}-1111-4111-8111-111111111111}}",
        account_id=f"557058:{number}",
        emails=emails(f"p{number}@example.com"),
        **changes,
    )


@pytest.mark.parametrize("number", [2, 8])
def test_simultaneous_first_sign_ins_of_one_person_are_one_user(number: int) -> None:
    users = at_once(number, lambda _: sign_in())
    assert users == [User.objects.get()] * number
    assert BitbucketAccount.objects.get().user == users[0]
    token = BitbucketToken.objects.get()
    assert token.version == number
    assert token.reveal() is not None


@pytest.mark.parametrize("number", [2, 8])
@pytest.mark.parametrize("atomic_requests", [False, True])
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_simultaneous_first_callbacks_of_one_person_all_sign_in(
    number: int, atomic_requests: bool, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for configured in connections.settings.values():
        monkeypatch.setitem(configured, "ATOMIC_REQUESTS", atomic_requests)
    clients = [Client() for _ in range(number)]
    answers = at_once(number, lambda place: log_in(clients[place], "jane"))
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, "/")] * number
    user = User.objects.get()
    assert BitbucketAccount.objects.get().user == user
    assert [client.session["_auth_user_id"] for client in clients] == [str(user.pk)] * number
    assert [client.get("/private/").content for client in clients] == [user.username.encode()] * number


def test_simultaneous_first_sign_ins_of_namesakes_get_a_name_each() -> None:
    users = at_once(8, lambda place: sign_in(somebody(place)))
    assert sorted(user.username for user in users) == ["jane", *(f"jane-{number}" for number in range(2, 9))]
    assert {user.bitbucket_accounts.get().uid for user in users} == {somebody(number).uid for number in range(8)}
    for number, user in enumerate(users):
        assert user.bitbucket_accounts.get().uid == somebody(number).uid
    assert User.objects.count() == 8


def test_nobodys_token_ends_in_anothers_row(bitbucket: BitbucketSimulator) -> None:
    """Concurrent logins share no mutable state."""
    for number in range(6):
        bitbucket.people[f"p{number}"] = Person(f"p{number}")
    clients = [Client() for _ in range(6)]
    at_once(6, lambda place: log_in(clients[place], f"p{place}"))
    provider = conf.provider(conf.provider_settings())
    for row in BitbucketToken.objects.select_related("account"):
        token = row.reveal()
        assert token is not None
        assert row.account is not None
        assert provider.fetch_profile(token).uid == row.account.uid
    assert BitbucketToken.objects.count() == 6


def test_simultaneous_returns_of_one_person_all_sign_in() -> None:
    jane = sign_in()
    renamed = replace(JANE, display_name="Jane Roe", family_name="Roe")
    assert at_once(8, lambda _: sign_in(renamed)) == [jane] * 8
    jane.refresh_from_db()
    assert jane.last_name == "Roe"
    assert BitbucketToken.objects.get().version == 9


def test_simultaneous_joins_of_one_user_by_one_person_are_one_account() -> None:
    owner = User.objects.create_user("owner", "jane@example.com", "correct horse")
    assert at_once(4, lambda _: sign_in(link_by_email=True)) == [owner] * 4
    assert BitbucketAccount.objects.get().user == owner
    owner.refresh_from_db()
    assert not owner.has_usable_password()
