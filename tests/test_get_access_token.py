"""``get_access_token``: every grant, and what it takes."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from steps import code_for, start
from stored import PASSWORD, jwt_arguments, owner

from django_bitbucket_auth import conf
from django_bitbucket_auth.bitbucket.connect import sign
from django_bitbucket_auth.exceptions import (
    ClientRefused,
    ConfigurationError,
    OAuthError,
    ReauthenticationRequired,
    StateError,
)
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider
from django_bitbucket_auth.testing.browsing import _press
from django_bitbucket_auth.tokens import get_access_token

pytestmark = pytest.mark.django_db


# -- each grant --------------------------------------------------------------------------------------------------------


def test_client_credentials_are_the_default_and_stand_for_the_application(bitbucket: BitbucketSimulator) -> None:
    token = get_access_token()
    assert owner(bitbucket, token) == "app_user"
    assert token.refresh_token == ""
    assert bitbucket.requests_to("token")[0].form == {"grant_type": "client_credentials"}


@pytest.mark.parametrize("scopes", ["account repository", ["repository", "account"], ("account", "repository")])
def test_scopes_can_be_asked_for(bitbucket: BitbucketSimulator, scopes: Any) -> None:
    assert get_access_token(scopes=scopes).scopes == ("account", "repository")


def test_an_authorization_code_is_redeemed(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", PKCE=False):
        started = start(client)
    code = code_for(bitbucket, started)
    arguments: dict[str, Any] = {"code": code, "redirect_uri": started.parameters["redirect_uri"]}
    token = get_access_token(grant="authorization_code", **arguments)
    assert owner(bitbucket, token) == "jdoe"
    assert token.refresh_token
    with pytest.raises(OAuthError, match="invalid_grant"):
        get_access_token(grant="authorization_code", **arguments)


def test_a_refresh_token_is_exchanged(bitbucket: BitbucketSimulator) -> None:
    refresh_token = str(bitbucket.issue("jane")["refresh_token"])
    token = get_access_token(grant="refresh_token", refresh_token=refresh_token)
    assert owner(bitbucket, token) == "jdoe" and token.refresh_token not in ("", refresh_token)
    bitbucket.rules.refresh_answer_has_refresh_token = False
    again = get_access_token(grant="refresh_token", refresh_token=token.refresh_token)
    assert again.refresh_token == token.refresh_token  # nothing is lost
    with pytest.raises(ReauthenticationRequired):
        get_access_token(grant="refresh_token", refresh_token="unknown")


def test_a_password_is_taken_where_it_still_is(bitbucket: BitbucketSimulator) -> None:
    bitbucket.rules.retired_grants_taken = True
    with pytest.warns(UserWarning, match="October 2024"):
        token = get_access_token(grant="password", **PASSWORD, scopes="account")
    assert (owner(bitbucket, token), token.scopes) == ("jdoe", ("account",))
    with pytest.warns(UserWarning, match="password grant"), pytest.raises(OAuthError, match="invalid_grant"):
        get_access_token(grant="password", username="jdoe", password="wrong")


def test_a_password_is_refused_where_it_is_not_taken_any_more(bitbucket: BitbucketSimulator) -> None:
    with pytest.warns(UserWarning, match="client_credentials"), pytest.raises(ClientRefused) as caught:
        get_access_token(grant="password", **PASSWORD)
    assert "Unsupported grant type" in str(caught.value) and "since October 2024" in caught.value.hint


def test_a_connect_app_signs_or_hands_in_its_jwt(bitbucket: BitbucketSimulator) -> None:
    token = get_access_token(grant="bitbucket_jwt", **jwt_arguments(bitbucket))
    assert owner(bitbucket, token) == "app_user"
    endpoint = conf.provider(conf.provider_settings()).endpoint("token")
    assertion = sign(**jwt_arguments(bitbucket), endpoint=endpoint).assertion
    assert owner(bitbucket, get_access_token(grant="bitbucket_jwt", assertion=assertion)) == "app_user"
    with pytest.raises(ClientRefused, match="JWT"):
        get_access_token(grant="bitbucket_jwt", assertion="x.y.z")


def test_the_key_of_a_connect_app_is_the_clients_id_if_none_is_given(bitbucket: BitbucketSimulator) -> None:
    bitbucket.client.app_key = bitbucket.client.client_id
    arguments = jwt_arguments(bitbucket)
    del arguments["app_key"]
    assert owner(bitbucket, get_access_token(grant="bitbucket_jwt", **arguments)) == "app_user"


def consent(bitbucket: BitbucketSimulator, state: str) -> str:
    """Where somebody ends who is asked by an implicit grant, and allows it."""
    provider = conf.provider(conf.provider_settings())
    with pytest.warns(UserWarning, match="implicit grant since August 2026"):
        url = provider.implicit_url("https://testserver/done/", state, ("account",))
    return _press(bitbucket, url, "jane").headers.get("Location", "")


def test_the_fragment_of_an_implicit_grant_is_read_where_there_is_one(bitbucket: BitbucketSimulator) -> None:
    bitbucket.rules.retired_grants_taken = True
    token = conf.provider(conf.provider_settings()).implicit_token(consent(bitbucket, "s"), state="s")
    assert (owner(bitbucket, token), token.scopes, token.refresh_token) == ("jdoe", ("account",), "")


def test_an_implicit_grant_is_refused_where_it_is_not_taken_any_more(bitbucket: BitbucketSimulator) -> None:
    led_to = consent(bitbucket, "s")
    provider = conf.provider(conf.provider_settings())
    with pytest.raises(ClientRefused, match=r"unsupported_response_type.*since August 2026"):
        provider.implicit_token(led_to, state="s")
    with pytest.raises(StateError):
        provider.implicit_token(led_to, state="another")


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "client_id",
        "client_secret",
        "token_url",
        "endpoint",
        "base_url",
        "api_url",
        "consumer_key",
        "url",
        "refresh_token",
    ],
)
def test_an_argument_that_names_an_endpoint_or_a_client_is_a_type_error(
    bitbucket: BitbucketSimulator, name: str
) -> None:
    arguments: dict[str, Any] = {name: "x"}
    with pytest.raises(TypeError, match=name):
        get_access_token(**arguments)
    with pytest.raises(TypeError, match=name):
        get_access_token(credentials=lambda: arguments)
    assert bitbucket.requests == []


@pytest.mark.parametrize(
    ("grant", "arguments", "missing"),
    [
        ("password", {"username": "x"}, "username and password"),
        ("password", {}, "username and password"),
        ("authorization_code", {"redirect_uri": "x"}, "needs code"),
        ("refresh_token", {"refresh_token": ""}, "needs refresh_token"),
        ("bitbucket_jwt", {"client_key": "x"}, "assertion, or client_key and shared_secret"),
    ],
)
def test_a_missing_argument_is_named(
    bitbucket: BitbucketSimulator, grant: str, arguments: dict[str, Any], missing: str
) -> None:
    with pytest.raises(TypeError, match=missing):
        get_access_token(grant=grant, **arguments)
    assert bitbucket.requests == []


def test_an_unknown_grant_is_named() -> None:
    with pytest.raises(ValueError, match="'implicit'"):
        get_access_token(grant="implicit")


def test_an_unknown_provider_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        get_access_token("nowhere")


def test_credentials_are_a_callable_that_returns_a_mapping(bitbucket: BitbucketSimulator) -> None:
    wrong: list[Any] = [PASSWORD, lambda: "jdoe"]
    for credentials in wrong:
        with pytest.raises(TypeError, match="mapping"):
            get_access_token(grant="password", credentials=credentials)
    assert bitbucket.requests == []


def test_without_a_store_nothing_is_kept(bitbucket: BitbucketSimulator) -> None:
    assert get_access_token() != get_access_token()
    assert not BitbucketToken.objects.exists()
