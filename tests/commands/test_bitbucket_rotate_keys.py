"""``manage.py bitbucket_rotate_keys``, and the progress bar."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db import connection
from stored import Overtaken, stored

from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.management.progress import Progress
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import DatabaseTokenStore
from django_bitbucket_auth.testing import BitbucketSimulator, Person, override_provider
from django_bitbucket_auth.tokens import get_access_token

pytestmark = pytest.mark.django_db

NEW, OTHER = "a new key of at least thirty-two characters", "some other key of at least thirty-two characters"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("bitbucket_rotate_keys", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue().strip()


@pytest.fixture
def crowd(bitbucket: BitbucketSimulator) -> list[BitbucketToken]:
    for place in range(5):
        bitbucket.add_person(Person(f"p{place}"))
    return [stored(bitbucket, f"p{place}") for place in range(5)]


def test_all_that_is_stored_opens_with_the_newest_key_alone(crowd: list[BitbucketToken], settings: Any) -> None:
    application = get_access_token(store=DatabaseTokenStore(), scopes="account")
    before = {row.pk: row.reveal() for row in BitbucketToken.objects.all()}
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [NEW, settings.SECRET_KEY]
    assert run("--dry-run") == "6 tokens are encrypted with an older key."
    assert run("--batch=2") == "6 tokens are encrypted with the newest key now."
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [NEW]
    rows = list(BitbucketToken.objects.order_by("pk"))
    assert {row.pk: row.reveal() for row in rows} == before
    assert get_access_token(store=DatabaseTokenStore(), scopes="account") == application  # asked for, still known
    # No newer pair: neither a renewal that is under way nor the count of disuse is touched.
    assert [(row.version, row.updated_at) for row in rows[:5]] == [(row.version, row.updated_at) for row in crowd]
    assert run() == "0 tokens are encrypted with the newest key now."


@contextmanager
def before_update(number: int, act: Callable[[], object]) -> Iterator[None]:
    """Something happens before the ``number``-th row is written."""
    left = number

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        left -= sql.startswith("UPDATE")
        if left == 0:
            left = -1
            act()
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


def test_it_goes_on_where_it_was_stopped(crowd: list[BitbucketToken], settings: Any) -> None:
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [NEW, settings.SECRET_KEY]

    def interrupt() -> None:
        raise KeyboardInterrupt

    with before_update(4, interrupt), pytest.raises(CommandError, match="Stopped after 2") as caught:
        run("--batch=2")
    assert caught.value.returncode == 130
    assert run("--dry-run") == "3 tokens are encrypted with an older key."
    assert run() == "3 tokens are encrypted with the newest key now."
    assert run("--dry-run") == "0 tokens are encrypted with an older key."


def test_what_no_key_opens_is_left_as_it_is_and_said(crowd: list[BitbucketToken], settings: Any) -> None:
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [OTHER]
    sealed = set(BitbucketToken.objects.values_list("sealed", flat=True))
    with pytest.raises(CommandError, match="5 can't be decrypted"):
        run("--batch=1")
    assert set(BitbucketToken.objects.values_list("sealed", flat=True)) == sealed


def test_a_renewal_under_way_is_not_disturbed(bitbucket: BitbucketSimulator, settings: Any) -> None:
    row = stored(bitbucket, ended=True)
    Overtaken.acts = [lambda: run("--batch=1")]
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [NEW, settings.SECRET_KEY]
    with override_provider("default", KIND="stored.Overtaken"):
        assert get_session(row.account).json("user")["username"] == "jdoe"
    row.refresh_from_db()
    token = row.reveal()
    assert token is not None and row.version == 2
    assert list(bitbucket.vault.refresh)[-1] == token.refresh_token


def test_a_pair_that_is_renewed_meanwhile_is_the_newer_one(bitbucket: BitbucketSimulator, settings: Any) -> None:
    row = stored(bitbucket)
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [NEW, settings.SECRET_KEY]
    with before_update(1, lambda: stored(bitbucket)):
        assert run() == "0 tokens are encrypted with the newest key now."
    row.refresh_from_db()
    assert row.version == 2


@pytest.mark.parametrize(
    ("keys", "arguments", "problem"), [(["short"], (), "32 characters"), ([NEW], ("--batch=0",), "--batch")]
)
def test_a_mistake_is_said_in_a_sentence(
    settings: Any, keys: list[str], arguments: tuple[str, ...], problem: str
) -> None:
    settings.BITBUCKET_AUTH_TOKEN_KEYS = keys
    with pytest.raises(CommandError, match=problem):
        run(*arguments)


def test_one_is_not_many(bitbucket: BitbucketSimulator, settings: Any) -> None:
    stored(bitbucket)
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [NEW, settings.SECRET_KEY]
    assert run("--dry-run") == "1 token is encrypted with an older key."


# -- the progress bar --------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_how_far_it_is_on_a_terminal() -> None:
    terminal = Terminal()
    progress = Progress(4, OutputWrapper(terminal))
    for _ in range(4):
        progress.step()
    progress.close()
    lines = terminal.getvalue().split("\r")
    assert lines[1].startswith("1/4   25%  [########                      ]  ")
    assert lines[-1].startswith("4/4  100%  [##############################]  0 s left")
    assert terminal.getvalue().endswith("\n")
    assert len(lines) < 5  # not drawn at each step


def test_the_bar_is_nowhere_else() -> None:
    out = io.StringIO()
    progress = Progress(2, OutputWrapper(out))
    progress.step(2)
    progress.close()
    assert out.getvalue() == ""


def test_more_may_be_done_than_were_counted() -> None:
    terminal = Terminal()
    progress = Progress(0, OutputWrapper(terminal))
    progress.close()
    assert terminal.getvalue() == ""
    progress.step(3)
    assert "3/3  100%" in terminal.getvalue()
