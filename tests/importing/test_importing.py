"""People who signed in with django-allauth or Python Social Auth sign in with this app, and find themselves.

The rows are written by the packages' own login code.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import reverse
from importing.internet import answering, come_back, consent
from importing.settings import GIT, OWN_APPS, OWN_BACKENDS, OWN_MIDDLEWARE
from social_django.models import UserSocialAuth

from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import (
    SIMULATOR_CLIENT_ID,
    SIMULATOR_CLIENT_SECRET,
    BitbucketSimulator,
    RegisteredClient,
    Rules,
)

pytestmark = pytest.mark.django_db

ALLAUTH_CALLBACK = "https://testserver/accounts/bitbucket_oauth2/login/callback/"
SOCIAL_CALLBACK = "https://testserver/complete/bitbucket-oauth2/"
DC_CALLBACK = "https://testserver/complete/bitbucket-datacenter-oauth2/"
TYPED = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
OWN_CLIENT = f"--client-id={SIMULATOR_CLIENT_ID}"


@contextmanager
def a_bitbucket(callback_url: str, kind: str = "cloud") -> Iterator[BitbucketSimulator]:
    """One where just this callback URL is registered, and that takes what the packages still send."""
    rules = Rules.for_kind(kind)
    rules.query_token_refused, rules.body_credentials = False, True
    rules.token_length = 100
    context_path = "" if kind == "cloud" else "/bitbucket"
    client = RegisteredClient(callback_url=callback_url)
    simulator = BitbucketSimulator(kind, client=client, rules=rules, context_path=context_path)
    with answering(simulator):
        yield simulator


@contextmanager
def afterwards(callback_url: str | None = None) -> Iterator[None]:
    """The packages are gone from the project. The provider ``default`` goes on with a callback URL of theirs."""
    providers = dict(settings.BITBUCKET_AUTH)
    providers["default"] = {**providers["default"], "CALLBACK_URL": callback_url}
    with override_settings(
        INSTALLED_APPS=OWN_APPS,
        MIDDLEWARE=OWN_MIDDLEWARE,
        AUTHENTICATION_BACKENDS=OWN_BACKENDS,
        ROOT_URLCONF="importing.urls_afterwards",
        BITBUCKET_AUTH=providers,
    ):
        yield


def with_allauth(simulator: BitbucketSimulator, person: str = "jane") -> User:
    client = Client()
    started = client.post(reverse("bitbucket_oauth2_login"), secure=True)
    assert come_back(client, consent(simulator, started.headers["Location"], person)).status_code == 302
    return signed_in(client)


def with_social_auth(simulator: BitbucketSimulator, person: str = "jane", backend: str = "bitbucket-oauth2") -> User:
    client = Client()
    started = client.post(reverse("social:begin", args=[backend]), secure=True)
    assert come_back(client, consent(simulator, started.headers["Location"], person)).status_code == 302
    return signed_in(client)


def with_this_app(simulator: BitbucketSimulator, person: str = "jane", path: str = "/bitbucket/login/") -> User:
    client = Client()
    started = client.get(path, secure=True, headers=TYPED)
    response = come_back(client, consent(simulator, started.headers["Location"], person))
    assert response.status_code == 302, response.content
    return signed_in(client)


def signed_in(client: Client) -> User:
    return User.objects.get(pk=client.session["_auth_user_id"])


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("bitbucket_import", *arguments, stdout=out)
    return out.getvalue()


def an_app() -> SocialApp:
    """allauth's client, as its documentation has it entered in the admin."""
    return SocialApp.objects.create(
        provider="bitbucket_oauth2", name="Bitbucket", client_id=SIMULATOR_CLIENT_ID, secret=SIMULATOR_CLIENT_SECRET
    )


def whoami(user: User) -> Any:
    """Whom Bitbucket takes the stored token for."""
    return get_session(user).json("user")


def counts() -> tuple[int, int]:
    return User.objects.count(), BitbucketAccount.objects.count()


# -- django-allauth ----------------------------------------------------------------------------------------------------


def test_somebody_of_allauth_finds_herself() -> None:
    an_app()
    with a_bitbucket(ALLAUTH_CALLBACK) as bitbucket:
        jane, outsider = with_allauth(bitbucket), with_allauth(bitbucket, "outsider")
        assert "2 of 2 people land on the same user." in run("allauth", "--apply", "--tokens")
        bitbucket.expire_access_tokens()
        # Before anybody has signed in here: it is renewed.
        assert whoami(jane)["uuid"] == bitbucket.person("jane").uuid
        with afterwards(ALLAUTH_CALLBACK):
            assert (with_this_app(bitbucket), with_this_app(bitbucket, "outsider")) == (jane, outsider)
        assert counts() == (2, 2)


def test_the_client_of_allauths_settings_has_to_be_named() -> None:
    app = {"client_id": SIMULATOR_CLIENT_ID, "secret": SIMULATOR_CLIENT_SECRET, "key": ""}
    with (
        override_settings(SOCIALACCOUNT_PROVIDERS={"bitbucket_oauth2": {"APPS": [app]}}),
        a_bitbucket(ALLAUTH_CALLBACK) as bitbucket,
    ):
        jane = with_allauth(bitbucket)
        assert SocialToken.objects.get().app is None
        assert "not known to be this client's" in run("allauth", "--tokens")
        run("allauth", "--tokens", "--apply", OWN_CLIENT)
        assert whoami(jane)["uuid"] == bitbucket.person("jane").uuid


def test_who_was_keyed_by_user_name_until_65_19_6_needs_proof() -> None:
    an_app()
    with a_bitbucket(ALLAUTH_CALLBACK) as bitbucket:
        jane = with_allauth(bitbucket)
        SocialAccount.objects.update(uid=bitbucket.person("jane").username)
        assert "0 of 1 people land on the same user.\n1 is keyed by a user name" in run("allauth", "--apply")
        assert "1 of 1" in run("allauth", "--apply", "--usernames")
        with afterwards(ALLAUTH_CALLBACK):
            assert with_this_app(bitbucket) == jane


def test_whom_allauth_has_signed_up_twice_is_left_out() -> None:
    an_app()
    with a_bitbucket(ALLAUTH_CALLBACK) as bitbucket:
        with_allauth(bitbucket)
        SocialAccount.objects.update(uid=bitbucket.person("jane").username)
        bitbucket.person("jane").emails[0].address = "jane@new.example.com"
        with_allauth(bitbucket)  # by the account id, as a new user
        assert "2 are several users'" in run("allauth", "--apply", "--usernames")
        assert counts() == (2, 0)


def test_a_placeholder_is_adopted_after_allauth() -> None:
    an_app()
    with a_bitbucket(ALLAUTH_CALLBACK) as bitbucket:
        bitbucket.person("jane").profile["uuid"] = None
        jane = with_allauth(bitbucket)
        run("allauth", "--apply", "--tokens")
        assert BitbucketAccount.objects.get().is_placeholder
        assert whoami(jane)["account_id"] == bitbucket.person("jane").account_id
        del bitbucket.person("jane").profile["uuid"]
        with afterwards(ALLAUTH_CALLBACK):
            assert with_this_app(bitbucket) == jane
        assert BitbucketAccount.objects.get().uid == bitbucket.person("jane").uuid
        assert whoami(jane)["uuid"] == bitbucket.person("jane").uuid


# -- Python Social Auth ------------------------------------------------------------------------------------------------


def test_somebody_of_social_auth_finds_herself() -> None:
    with a_bitbucket(SOCIAL_CALLBACK) as bitbucket:
        jane, outsider = with_social_auth(bitbucket), with_social_auth(bitbucket, "outsider")
        assert "2 of 2 people" in run("social-auth", "--apply", "--tokens", OWN_CLIENT)
        bitbucket.expire_access_tokens()
        assert whoami(jane)["uuid"] == bitbucket.person("jane").uuid
        with afterwards(SOCIAL_CALLBACK):
            assert (with_this_app(bitbucket), with_this_app(bitbucket, "outsider")) == (jane, outsider)
        assert counts() == (2, 2)


def test_a_user_name_as_social_auths_id_is_no_proof() -> None:
    with (
        override_settings(SOCIAL_AUTH_BITBUCKET_OAUTH2_USERNAME_AS_ID=True),
        a_bitbucket(SOCIAL_CALLBACK) as bitbucket,
    ):
        with_social_auth(bitbucket)
        assert "1 has no stable id" in run("social-auth", "--apply", "--usernames")
    more = ["uuid", "account_id", "username"]
    with (
        override_settings(
            SOCIAL_AUTH_BITBUCKET_OAUTH2_USERNAME_AS_ID=True, SOCIAL_AUTH_BITBUCKET_OAUTH2_EXTRA_DATA=more
        ),
        a_bitbucket(SOCIAL_CALLBACK) as bitbucket,
    ):
        jane = with_social_auth(bitbucket)
        assert "1 of 1" in run("social-auth", "--apply", "--usernames")
        with afterwards(SOCIAL_CALLBACK):
            assert with_this_app(bitbucket) == jane


def test_somebody_of_a_data_center_finds_herself() -> None:
    with a_bitbucket(DC_CALLBACK, "data-center") as bitbucket:
        # It puts the name where the slug belongs, so it only ever signed in people of whom these are the same.
        slug = bitbucket.person("jane").dc_name = bitbucket.person("jane").dc_slug
        bitbucket.person("jane").dc_profile["links"] = {"self": [{"href": f"{GIT}/users/{slug}"}]}
        jane = with_social_auth(bitbucket, backend="bitbucket-datacenter-oauth2")
        run("social-auth", "--provider=dc", "--apply", "--tokens", OWN_CLIENT)
        assert BitbucketToken.objects.get().redirect_uri == DC_CALLBACK
        bitbucket.expire_access_tokens()
        assert get_session(jane, "dc").get("users").headers["X-AUSERNAME"] == slug
        with afterwards():
            assert with_this_app(bitbucket, path="/bitbucket/dc/login/") == jane
        assert counts() == (1, 1)


# -- both --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "begin", "callback_url"),
    [("allauth", with_allauth, ALLAUTH_CALLBACK), ("social-auth", with_social_auth, SOCIAL_CALLBACK)],
)
def test_the_tables_do_when_the_packages_have_left_the_project(package: str, begin: Any, callback_url: str) -> None:
    an_app()
    with a_bitbucket(callback_url) as bitbucket:
        jane = begin(bitbucket)
        with afterwards(callback_url):
            run(package, "--apply", "--tokens", OWN_CLIENT)
            assert with_this_app(bitbucket) == jane
            assert counts() == (1, 1)


def test_the_lines_that_are_printed_are_those_that_the_project_has_afterwards() -> None:
    said = run("allauth") + run("social-auth") + run("social-auth", "--provider=dc")
    text = Path(__file__).with_name("urls_afterwards.py").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if "callback" in line]
    assert len(lines) == 4
    assert [line for line in lines if line not in said] == []


def test_both_packages_can_be_taken_back() -> None:
    an_app()
    with a_bitbucket(ALLAUTH_CALLBACK) as bitbucket:
        with_allauth(bitbucket)
    with a_bitbucket(SOCIAL_CALLBACK) as bitbucket:
        with_social_auth(bitbucket, "outsider")
    theirs = SocialAccount.objects.values(), UserSocialAuth.objects.values()
    before = [list(rows) for rows in theirs]
    run("allauth", "--apply", "--tokens")
    run("social-auth", "--apply", "--tokens", OWN_CLIENT)
    assert (counts(), BitbucketToken.objects.count()) == ((2, 2), 2)
    run("social-auth", "--undo", "--apply")
    run("allauth", "--undo", "--apply")
    assert (counts(), BitbucketToken.objects.count()) == ((2, 0), 0)
    assert [list(rows.all()) for rows in theirs] == before
