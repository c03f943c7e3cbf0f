"""The order of a callback, through the views: who is refused, and that a refusal writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.dispatch import Signal
from django.test import Client, override_settings
from steps import reason_of
from test_faults import USER

from django_bitbucket_auth import views
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.exceptions import LoginRefused
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.signals import account_connected, login_refused, verify
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider

pytestmark = pytest.mark.django_db


class TwoFactorProvider(CloudProvider):
    """A project's own kind: it lets in only people with a second factor."""

    def fetch_profile(self, token: Token) -> Any:
        profile = super().fetch_profile(token)
        if not profile.raw.get("has_2fa_enabled"):
            raise LoginRefused("Switch two-step verification on at Bitbucket first.")
        return profile


class OvertakenBackend(BitbucketBackend):
    """Another browser of the same person finishes its first login just before this one looks for users."""

    def find_user(self, request: Any, login: Any) -> Any:
        with override_settings(AUTHENTICATION_BACKENDS=["django_bitbucket_auth.backends.BitbucketBackend"]):
            assert log_in(Client(), "jane").status_code == 302
        return super().find_user(request, login)


class SilentBackend(BitbucketBackend):
    """A project's backend that has its own idea of no."""

    def authenticate(self, *args: Any, **kwargs: Any) -> None:
        return None


@contextmanager
def listening(signal: Signal, receiver: Callable[..., Any]) -> Iterator[None]:
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)


def nothing_was_written() -> bool:
    return not (User.objects.exists() or BitbucketAccount.objects.exists() or BitbucketToken.objects.exists())


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


def test_the_membership_is_asked_for_in_the_same_wave(bitbucket: BitbucketSimulator, client: Client) -> None:
    for endpoint in ("user", "emails", "permission"):
        bitbucket.slow(endpoint, 0.5)
    with override_provider("default", WORKSPACES=[acme(bitbucket), "other-team"], DEADLINE=0.95):
        assert log_in(client, "jane").status_code == 302
    assert len(bitbucket.requests_to("permission")) == 2


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


@pytest.mark.django_db(transaction=True)
def test_the_views_hold_no_transaction_while_bitbucket_is_waited_for(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[bool] = []

    class Watching(CloudProvider):
        def send(self, request: Any) -> Any:
            inside.append(connection.in_atomic_block)
            return super().send(request)

    monkeypatch.setattr("django_bitbucket_auth.conf.provider_class", lambda kind: Watching)
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert log_in(Client(), "jane").status_code == 302
    assert inside and not any(inside)


@pytest.mark.parametrize("view", [views.login, views.callback])
def test_the_views_are_atomic_on_no_database(view: Any) -> None:
    assert view._non_atomic_requests == set(connections)


def test_a_project_can_bring_its_own_kind(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", KIND="test_order.TwoFactorProvider"):
        response = log_in(client, "jane")
        assert response.status_code == 403 and b"two-step" in response.content and nothing_was_written()
        bitbucket.person("jane").profile["has_2fa_enabled"] = True
        assert log_in(client, "jane").status_code == 302
    assert client.get("/").content == b"home"


def test_closed_sign_up_lets_in_only_who_is_known(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", CREATE_USERS=False):
        assert reason_of(log_in(Client(), "jane")) == "sign_up_closed"
    assert nothing_was_written()
    log_in(Client(), "jane")
    with override_provider("default", CREATE_USERS=False):
        assert log_in(Client(), "jane").status_code == 302


def test_a_renamed_and_recycled_user_name_is_no_takeover(bitbucket: BitbucketSimulator) -> None:
    # CVE-2025-65431 and allauth before 65.19.6: accounts keyed on a name that can change hands.
    log_in(Client(), "jane")
    bitbucket.rename("jane", username="jane-old")
    bitbucket.rename("outsider", username="jdoe", nickname="Jane", display_name="Jane Doe")
    other = Client()
    log_in(other, "outsider")
    assert other.get("/private/").content == b"jdoe-2" and User.objects.count() == 2


def test_a_changed_address_neither_creates_nor_switches_a_user(bitbucket: BitbucketSimulator, client: Client) -> None:
    log_in(Client(), "jane")
    jane = User.objects.get()
    User.objects.create_user("victim", "victim@example.com", "password")
    bitbucket.person("jane").emails[0].address = "victim@example.com"
    log_in(client, "jane")
    assert client.get("/private/").content == b"jdoe" and User.objects.count() == 2
    jane.refresh_from_db()
    assert jane.email == "jane@example.com"  # the new one is somebody else's here


def test_the_unconfirmed_address_counts_nowhere(bitbucket: BitbucketSimulator) -> None:
    victim = User.objects.create_user("victim", bitbucket.person("unconfirmed").emails[0].address, "password")
    client = Client()
    with override_provider("default", LINK_BY_EMAIL=True):
        assert log_in(client, "unconfirmed").status_code == 302
    assert client.get("/private/").content != b"victim"
    assert not victim.bitbucket_accounts.exists()
    assert BitbucketAccount.objects.get().email == "" and not BitbucketAccount.objects.get().email_verified


def test_two_requests_do_not_see_each_others_parameters(bitbucket: BitbucketSimulator, settings: Any) -> None:
    before = repr(settings.BITBUCKET_AUTH)
    log_in(Client(), "jane", next="/private/?one")
    log_in(Client(), "outsider", next="/private/?two")
    assert repr(settings.BITBUCKET_AUTH) == before


@override_settings(AUTHENTICATION_BACKENDS=["django_bitbucket_auth.backends.BitbucketBackend"])
def test_the_session_names_our_backend(bitbucket: BitbucketSimulator, client: Client) -> None:
    log_in(client, "jane")
    assert client.session["_auth_user_backend"] == "django_bitbucket_auth.backends.BitbucketBackend"


@override_settings(AUTHENTICATION_BACKENDS=["test_order.OvertakenBackend"])
def test_an_address_taken_by_ones_own_other_tab_is_no_refusal(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", LINK_BY_EMAIL=True):
        assert log_in(client, "jane").status_code == 302
    assert User.objects.count() == BitbucketAccount.objects.count() == 1


@override_settings(AUTHENTICATION_BACKENDS=["test_order.SilentBackend"])
def test_a_backend_that_says_none_signs_nobody_in(bitbucket: BitbucketSimulator, client: Client) -> None:
    client.force_login(User.objects.create_user("present"))
    before = client.session["_auth_user_id"]
    response = log_in(client, "jane")
    assert response.status_code == 403 and reason_of(response) == "vetoed"
    assert client.session["_auth_user_id"] == before and not BitbucketAccount.objects.exists()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_site_without_time_zones_keeps_when_tokens_expire(bitbucket: BitbucketSimulator, zone: str) -> None:
    with override_settings(USE_TZ=False, TIME_ZONE=zone):
        assert log_in(Client(), "jane").status_code == 302
        token = BitbucketToken.objects.get().reveal()
    assert token is not None and token.expires_at is not None
    assert 7100 < (token.expires_at - datetime.now(UTC)).total_seconds() <= 7200


def test_a_token_without_a_lifetime_has_none(bitbucket: BitbucketSimulator) -> None:
    bitbucket.answer("token", 200, body=b'{"access_token": "a"}')
    bitbucket.answer("user", 200, body=json.dumps(USER))
    assert log_in(Client(), "jane").status_code == 302
    token = BitbucketToken.objects.get().reveal()
    assert token is not None and token.expires_at is None and not token.expired()
