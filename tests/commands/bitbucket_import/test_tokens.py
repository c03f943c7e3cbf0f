"""Which tokens ``bitbucket_import`` takes over."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import override_settings
from former.rows import CLIENT, CLOUD, OTHER_CLIENT, allauth, an_app, lines, person, refused, run, social, token_of
from logins import NAMESAKE, sign_in

from django_bitbucket_auth.models import BitbucketToken

pytestmark = pytest.mark.django_db


def test_tokens_come_only_if_they_are_asked_for() -> None:
    row = token_of(allauth(person()), an_app())
    run("allauth", "--apply")
    assert not BitbucketToken.objects.exists()
    assert "here already; token imported" in run("allauth", "--apply", "--tokens")
    stored = BitbucketToken.objects.get()
    token = stored.reveal()
    assert token is not None
    assert (token.access_token, token.refresh_token, token.expires_at) == ("access", "refresh", row.expires_at)
    assert (stored.client_id, stored.grant, stored.version) == (CLIENT, "authorization_code", 1)
    assert "the token that is here stays" in run("allauth", "--apply", "--tokens")
    assert BitbucketToken.objects.count() == 1


def test_a_dry_run_counts_tokens_and_writes_none() -> None:
    token_of(allauth(person()), an_app())
    assert "1 x token to be imported" in run("allauth", "--tokens")
    assert not BitbucketToken.objects.exists()


@pytest.mark.parametrize(
    ("client_id", "option", "says"),
    [
        (CLIENT, "", "token imported"),
        (OTHER_CLIENT, "", "its token is not known to be this client's"),
        (OTHER_CLIENT, CLIENT, "its token is not known to be this client's"),
        (None, "", "its token is not known to be this client's"),
        (None, CLIENT, "token imported"),
        (None, OTHER_CLIENT, "its token is not known to be this client's"),
    ],
)
def test_a_token_of_another_client_or_of_nobody_knows_which_is_left(
    client_id: str | None, option: str, says: str
) -> None:
    token_of(allauth(person()), an_app(client_id) if client_id else None)
    options = [f"--client-id={option}"] if option else []
    (line,) = lines("allauth", "--apply", "--tokens", *options)
    assert line.endswith(f"imported; {says}")
    assert BitbucketToken.objects.exists() == (says == "token imported")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "token imported"),
        ({"token_secret": ""}, "token imported"),
        ({"token_secret": "", "expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "its token has ended"),
        ({"token_secret": "", "expires_at": None}, "its token has ended"),
        ({"token": "two\nlines"}, "no token was kept"),
    ],
)
def test_a_token_that_can_be_renewed_or_lasts_is_alive(columns: dict[str, Any], says: str) -> None:
    token_of(allauth(person()), an_app(), **columns)
    (line,) = lines("allauth", "--apply", "--tokens")
    assert line.endswith(f"imported; {says}")


def test_of_several_tokens_that_of_this_client_is_taken() -> None:
    row = allauth(person())
    token_of(row, an_app(OTHER_CLIENT), token="other")
    token_of(row, an_app(), token="own")
    run("allauth", "--apply", "--tokens")
    token = BitbucketToken.objects.get().reveal()
    assert token is not None and token.access_token == "own"


def test_a_token_is_taken_from_the_later_row_of_a_person_if_the_first_has_none() -> None:
    jane = person()
    social(jane, provider="bitbucket", access_token={"oauth_token": "x", "oauth_token_secret": "y"})
    social(jane, access_token="own", refresh_token="refresh")
    social(person("joe"), NAMESAKE.uid)
    said = run("social-auth", "--apply", "--tokens", f"--client-id={CLIENT}")
    assert [line.split(": ")[-1] for line in said.splitlines() if line.startswith("row ")] == [
        "imported; no token was kept",
        "as an earlier row; token imported",
        "imported; no token was kept",
    ]
    stored = BitbucketToken.objects.get()
    assert stored.expires_at is not None  # unknown: renewed when it is first used
    assert stored.expires_at <= datetime.now(UTC)


def test_in_a_dry_run_too_one_token_is_enough_for_a_person() -> None:
    jane = person()
    social(jane, provider="bitbucket", access_token="one", refresh_token="refresh")
    social(jane, access_token="two", refresh_token="refresh")
    said = run("social-auth", "--tokens", f"--client-id={CLIENT}")
    assert "1 x token to be imported" in said
    assert "1 x the token that is here stays" in said


@pytest.mark.parametrize(
    ("data", "lasts"),
    [({"expires_in": 7200}, True), ({"expires_in": "7200"}, True), ({"expires_in": None}, False), ({}, False)],
)
def test_the_end_of_a_token_is_counted_from_the_sign_in(data: dict[str, Any], lasts: bool) -> None:
    scopes = {"scopes": "account email", "token_type": "bearer"}
    social(person(), auth_time=int(time.time()), access_token="a", refresh_token="r", **scopes, **data)
    run("social-auth", "--apply", "--tokens", f"--client-id={CLIENT}")
    token = BitbucketToken.objects.get().reveal()
    assert token is not None
    assert token.scopes == ("account", "email")
    assert token.expired() is not lasts


@pytest.mark.parametrize("auth_time", ["never", 1e30, 10**18, None])
def test_a_sign_in_that_was_at_no_time_has_a_token_that_is_renewed(auth_time: Any) -> None:
    social(person(), auth_time=auth_time, access_token="a", refresh_token="r", expires_in=7200)
    run("social-auth", "--apply", "--tokens", f"--client-id={CLIENT}")
    token = BitbucketToken.objects.get().reveal()
    assert token is not None and token.expired()


def test_the_token_of_an_account_that_was_used_stays() -> None:
    jane = sign_in(store_tokens=False)
    token_of(allauth(jane), an_app())
    (line,) = lines("allauth", "--apply", "--tokens")
    assert line.endswith("here already; the token that is here stays")
    assert not BitbucketToken.objects.exists()


def test_tokens_of_oauth_1_are_not_taken_over() -> None:
    signed = {**CLOUD, "KIND": "cloud-oauth1"}
    with override_settings(BITBUCKET_AUTH={"default": signed}):
        said = refused("social-auth", "--tokens")
    assert said.startswith("Tokens of OAuth 1.0a aren't taken over")


def test_no_tokens_come_where_none_are_to_be_kept() -> None:
    with override_settings(BITBUCKET_AUTH={"default": {**CLOUD, "STORE_TOKENS": False}}):
        assert refused("allauth", "--tokens") == "The provider 'default' keeps no tokens: STORE_TOKENS is False."


def test_no_secret_is_printed() -> None:
    token_of(allauth(person()), an_app(), token="canary-access", token_secret="canary-refresh")
    social(person("joe"), NAMESAKE.uid, access_token="canary-access", refresh_token="canary-refresh")
    assert "canary" not in run("allauth", "--tokens", "--apply")
    assert "canary" not in run("social-auth", "--tokens", "--apply", f"--client-id={CLIENT}")
    assert BitbucketToken.objects.count() == 2
