"""The order of a callback, through the views: who is refused, and that a refusal writes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from steps import listening, nothing_was_written, reason_of

from django_bitbucket_auth.exceptions import LoginRefused
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.signals import account_connected, login_refused, verify
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider

pytestmark = pytest.mark.django_db


def acme(bitbucket: BitbucketSimulator) -> str:
    return bitbucket.workspaces["acme"].uuid


@pytest.mark.parametrize("by", ["uuid", "slug", "UUID"])
def test_a_member_comes_in(bitbucket: BitbucketSimulator, client: Client, by: str) -> None:
    name = {"uuid": acme(bitbucket), "slug": "acme", "UUID": acme(bitbucket).upper()}[by]
    with override_provider("default", WORKSPACES=[name]):
        assert log_in(client, "jane").status_code == 302


def test_who_is_no_member_stays_outside(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", WORKSPACES=[acme(bitbucket)]):
        response = log_in(client, "outsider")
    assert response.status_code == 403 and reason_of(response) == "not_a_member"
    assert nothing_was_written() and "sessionid" not in client.cookies


def test_everybody_comes_in_where_that_is_said(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", WORKSPACES=["*"]):
        assert log_in(client, "outsider").status_code == 302
    assert not bitbucket.requests_to("permission")


@pytest.mark.parametrize("status", [401, 429, 500, 410, 200])
def test_membership_that_cant_be_told_lets_nobody_in(
    bitbucket: BitbucketSimulator, client: Client, status: int
) -> None:
    bitbucket.answer("permission", status, body="{}")
    with override_provider("default", WORKSPACES=[acme(bitbucket)], RETRIES=0):
        response = log_in(client, "jane")
    assert response.status_code == 503 and reason_of(response) == "membership_unknown"
    assert nothing_was_written()


def test_who_certainly_left_loses_the_stored_tokens_and_nothing_else(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", WORKSPACES=[acme(bitbucket)]):
        log_in(Client(), "jane")
        bitbucket.leave("jane", "acme")
        bitbucket.fail("permission", 500)
        assert reason_of(log_in(Client(), "jane")) == "membership_unknown"
        assert BitbucketToken.objects.exists()
        bitbucket.heal()
        assert reason_of(log_in(Client(), "jane")) == "not_a_member"
    assert not BitbucketToken.objects.exists()
    assert BitbucketAccount.objects.exists() and User.objects.get().is_active


def test_a_person_deactivated_at_bitbucket_stays_outside(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = log_in(client, "deactivated")
    assert response.status_code == 403 and reason_of(response) == "inactive" and nothing_was_written()


def test_a_person_deactivated_here_stays_outside(bitbucket: BitbucketSimulator, client: Client) -> None:
    log_in(Client(), "jane")
    User.objects.update(is_active=False)
    token = BitbucketToken.objects.get()
    response = log_in(client, "jane")
    assert response.status_code == 403 and reason_of(response) == "inactive"
    assert "sessionid" not in client.cookies and BitbucketToken.objects.get().version == token.version


def test_a_veto_really_stops_the_login(bitbucket: BitbucketSimulator, client: Client) -> None:
    def veto(**kwargs: Any) -> None:
        raise LoginRefused("Not on Sundays.")

    with listening(verify, veto):
        response = log_in(client, "jane")
    assert response.status_code == 403 and reason_of(response) == "vetoed" and b"Not on Sundays." in response.content
    assert nothing_was_written() and client.get("/private/").status_code == 302


def test_verify_comes_after_policy_and_once(bitbucket: BitbucketSimulator, client: Client) -> None:
    asked: list[dict[str, Any]] = []

    def listen(**kwargs: Any) -> None:
        asked.append(kwargs)

    with listening(verify, listen), override_provider("default", WORKSPACES=[acme(bitbucket)]):
        log_in(client, "outsider")
        assert not asked
        log_in(client, "jane")
    (call,) = asked
    assert call["profile"].uid == bitbucket.person("jane").uuid and call["provider"] == "default"
    assert call["intent"] == "login" and call["user"] is None and len(call["token"].access_token) > 1900
    assert call["request"].path == "/bitbucket/callback/"


def test_a_receiver_names_the_user(bitbucket: BitbucketSimulator, client: Client) -> None:
    local = User.objects.create_user("local", password="kept")

    def name(**kwargs: Any) -> User:
        return local

    with listening(verify, name):
        log_in(client, "jane")
    assert client.get("/private/").content == b"local" and User.objects.count() == 1
    assert User.objects.get().has_usable_password()


def test_login_refused_tells_of_refusals_only(bitbucket: BitbucketSimulator, client: Client) -> None:
    told: list[str] = []

    def refused(**kwargs: Any) -> None:
        told.append(kwargs["reason"])

    with listening(login_refused, refused):
        log_in(client, None)
        log_in(client, "jane")
    assert told == ["cancelled"]


@pytest.mark.django_db(transaction=True)
def test_account_connected_tells_of_a_first_login_only(bitbucket: BitbucketSimulator) -> None:
    told: list[dict[str, Any]] = []

    def listen(**kwargs: Any) -> None:
        assert not connection.in_atomic_block
        told.append(kwargs)

    with listening(account_connected, listen):
        log_in(Client(), "jane")
        log_in(Client(), "jane")
    (call,) = told
    assert call["created"] is True and call["user"].username == "jdoe" and call["account"].pk
