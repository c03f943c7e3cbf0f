"""Whose account it is, and what a project of its own brings."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client, override_settings
from steps import nothing_was_written, reason_of
from test_faults import USER

from django_bitbucket_auth import views
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.exceptions import LoginRefused
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.oauth.token import Token
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


@pytest.mark.django_db(transaction=True)
def test_the_views_hold_no_transaction_while_bitbucket_is_waited_for(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[bool] = []

    class Watching(CloudProvider):
        def send(self, request: Any) -> Any:
            inside.append(connection.in_atomic_block)
            return super().send(request)

    monkeypatch.setattr("django_bitbucket_auth.kinds.provider_class", lambda kind: Watching)
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert log_in(Client(), "jane").status_code == 302
    assert inside and not any(inside)


@pytest.mark.parametrize("view", [views.login, views.callback])
def test_the_views_are_atomic_on_no_database(view: Any) -> None:
    assert view._non_atomic_requests == set(connections)


def test_a_project_can_bring_its_own_kind(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", KIND="test_people_and_projects.TwoFactorProvider"):
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


@override_settings(AUTHENTICATION_BACKENDS=["test_people_and_projects.OvertakenBackend"])
def test_an_address_taken_by_ones_own_other_tab_is_no_refusal(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", LINK_BY_EMAIL=True):
        assert log_in(client, "jane").status_code == 302
    assert User.objects.count() == BitbucketAccount.objects.count() == 1


@override_settings(AUTHENTICATION_BACKENDS=["test_people_and_projects.SilentBackend"])
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
