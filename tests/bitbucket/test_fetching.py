"""Each grant, sent by a provider to a Bitbucket that takes it, and to one that doesn't any more."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

import pytest
import responses
from bitbucket.answers import TOKEN_URL, settings
from testing.conversation import Conversation

from django_bitbucket_auth.bitbucket import CloudProvider, Provider
from django_bitbucket_auth.bitbucket.connect import sign
from django_bitbucket_auth.exceptions import ClientRefused, ConfigurationError, OAuthError, ReauthenticationRequired
from django_bitbucket_auth.oauth.grants import AuthorizationCode, ClientCredentials, Grant, Password, RefreshToken
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.testing import BitbucketSimulator

CALLBACK = "http://testserver/bitbucket/callback/"
PASSWORD = Password("jane", "canary-password")
SINCE = "has not taken the password grant since October 2024"


@pytest.fixture
def simulator() -> Iterator[BitbucketSimulator]:
    with BitbucketSimulator().serving() as simulator:
        yield simulator


def provider(simulator: BitbucketSimulator) -> CloudProvider:
    return CloudProvider(
        settings(
            client_id=simulator.client_id,
            client_secret=simulator.client_secret,
            base_url=simulator.url,
            api_url=simulator.url,
        )
    )


# -- taken -------------------------------------------------------------------------------------------------------------


def test_a_code_is_taken_once(simulator: BitbucketSimulator) -> None:
    grant = AuthorizationCode(Conversation(simulator).code("jane"), CALLBACK)
    token = provider(simulator).fetch_token(grant)
    assert provider(simulator).fetch_profile(token).username == "jdoe"
    assert token.refresh_token
    with pytest.raises(OAuthError) as caught:
        provider(simulator).fetch_token(grant)
    assert caught.value.reason == "state_expired"


def test_the_application_gets_a_token_and_none_to_renew_it(simulator: BitbucketSimulator) -> None:
    token = provider(simulator).fetch_token(ClientCredentials(("account",)))
    assert (token.scopes, token.refresh_token) == (("account",), "")


def test_a_refresh_gives_a_new_pair(simulator: BitbucketSimulator) -> None:
    old = provider(simulator).fetch_token(AuthorizationCode(Conversation(simulator).code("jane"), CALLBACK))
    new = provider(simulator).fetch_token(provider(simulator).refresh_grant(old, CALLBACK))
    assert provider(simulator).fetch_profile(new).username == "jdoe"
    assert len({old.access_token, new.access_token, old.refresh_token, new.refresh_token}) == 4
    assert new.scopes == old.scopes


def test_clouds_refresh_sends_no_redirect_uri() -> None:
    assert CloudProvider(settings()).refresh_grant(Token("a", refresh_token="r"), CALLBACK) == RefreshToken("r")


def test_a_signed_assertion_is_taken(simulator: BitbucketSimulator) -> None:
    client = simulator.client
    grant = sign(
        app_key=client.app_key,
        client_key=client.client_key,
        shared_secret=client.shared_secret,
        endpoint=provider(simulator).endpoint("token"),
    )
    assert provider(simulator).fetch_token(grant).access_token
    with pytest.raises(ClientRefused, match="Invalid JWT"):
        provider(simulator).fetch_token(replace(grant, assertion=grant.assertion[:-2]))


def test_where_a_password_is_still_taken_it_gives_a_token_and_a_warning(simulator: BitbucketSimulator) -> None:
    simulator.rules.retired_grants_taken = True
    with pytest.warns(UserWarning, match=SINCE) as caught:
        token = provider(simulator).fetch_token(Password("jdoe", "password-of-jane"))
    assert provider(simulator).fetch_profile(token).username == "jdoe"
    assert len(caught) == 1


# -- refused -----------------------------------------------------------------------------------------------------------


def test_a_password_is_refused_and_the_error_says_since_when(simulator: BitbucketSimulator) -> None:
    with pytest.warns(UserWarning, match=SINCE), pytest.raises(ClientRefused) as caught:
        provider(simulator).fetch_token(PASSWORD)
    assert SINCE in caught.value.hint
    assert str(caught.value).endswith(f"(HTTP {caught.value.status}). {caught.value.hint}")
    assert "client_credentials" in caught.value.hint
    assert "canary" not in f"{caught.value!r} {caught.value} {vars(caught.value)}"


def test_the_warning_shows_no_secret() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(Exception, match="no answer"):
            CloudProvider(settings(base_url="http://127.0.0.1:1")).fetch_token(PASSWORD)
    assert [warning.category for warning in caught] == [UserWarning]
    assert "canary" not in str(caught[0].message)


@responses.activate
def test_where_warnings_are_errors_the_password_is_not_even_sent() -> None:
    sent = responses.post(TOKEN_URL, json={})
    with pytest.raises(UserWarning, match=SINCE):
        CloudProvider(settings()).fetch_token(PASSWORD)
    assert sent.call_count == 0


@pytest.mark.parametrize(
    ("grant", "kind"),
    [
        (ClientCredentials(), ClientRefused),
        (RefreshToken("canary"), ClientRefused),
        (AuthorizationCode("canary", CALLBACK), ClientRefused),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
@responses.activate
def test_the_other_grants_have_neither_warning_nor_hint(grant: Grant, kind: type[OAuthError]) -> None:
    responses.post(TOKEN_URL, json={"error": "unauthorized_client"}, status=400)
    with pytest.raises(kind) as caught:
        CloudProvider(settings()).fetch_token(grant)
    assert caught.value.hint == ""


@responses.activate
def test_a_refusal_that_is_not_the_grants_has_no_hint() -> None:
    """Of a password that is wrong, "not taken since" would be the wrong cause."""
    responses.post(TOKEN_URL, json={"error": "invalid_grant", "error_description": "Wrong password"}, status=400)
    with pytest.warns(UserWarning, match=SINCE), pytest.raises(OAuthError) as caught:
        CloudProvider(settings()).fetch_token(PASSWORD)
    assert (type(caught.value), caught.value.hint) == (OAuthError, "")


def test_a_refresh_token_that_was_revoked_is_dead(simulator: BitbucketSimulator) -> None:
    token = provider(simulator).fetch_token(AuthorizationCode(Conversation(simulator).code("jane"), CALLBACK))
    simulator.revoke("jane")
    with pytest.raises(ReauthenticationRequired):
        provider(simulator).fetch_token(RefreshToken(token.refresh_token))


def test_a_refresh_for_an_inactive_person_is_refused(simulator: BitbucketSimulator) -> None:
    token = provider(simulator).fetch_token(AuthorizationCode(Conversation(simulator).code("jane"), CALLBACK))
    simulator.deactivate("jane")
    with pytest.raises(ReauthenticationRequired) as caught:
        provider(simulator).fetch_token(RefreshToken(token.refresh_token))
    assert (caught.value.reason, caught.value.status) == ("inactive", 401)


def test_a_refresh_with_the_wrong_secret_is_our_clients_fault(simulator: BitbucketSimulator) -> None:
    token = provider(simulator).fetch_token(AuthorizationCode(Conversation(simulator).code("jane"), CALLBACK))
    simulator.client.client_secret = "another"
    wrong = CloudProvider(settings(base_url=simulator.url, client_id=simulator.client_id, client_secret="wrong"))
    with pytest.raises(ClientRefused):
        wrong.fetch_token(RefreshToken(token.refresh_token))


@pytest.mark.parametrize("status", [400, 401])
@responses.activate
def test_a_proxys_page_costs_nobody_a_refresh_token(status: int) -> None:
    sent = responses.post(TOKEN_URL, "<html>invalid_grant</html>", status=status)
    with pytest.raises(OAuthError) as caught:
        CloudProvider(settings(retries=5)).fetch_token(RefreshToken("canary"))
    assert type(caught.value) is OAuthError
    assert sent.call_count == 1


@responses.activate
def test_an_error_with_status_200_costs_nobody_a_refresh_token() -> None:
    responses.post(TOKEN_URL, json.dumps({"error": "invalid_grant"}))
    with pytest.raises(OAuthError) as caught:
        CloudProvider(settings()).fetch_token(RefreshToken("canary"))
    assert type(caught.value) is OAuthError


# -- other kinds -------------------------------------------------------------------------------------------------------


class Elsewhere(Provider):
    """A kind of its own, which takes passwords, and wants the redirect URI again."""

    paths: ClassVar[Mapping[str, str]] = {"token": "/token"}

    def refresh_grant(self, token: Token, redirect_uri: str) -> Grant:
        return RefreshToken(token.refresh_token, redirect_uri)


@responses.activate
def test_a_kind_that_takes_passwords_gives_no_warning() -> None:
    responses.post("https://bitbucket.example/token", json={"access_token": "the-token"})
    elsewhere = Elsewhere(settings(base_url="https://bitbucket.example"))
    assert elsewhere.fetch_token(PASSWORD).access_token == "the-token"
    assert elsewhere.refresh_grant(Token("a", refresh_token="r"), CALLBACK) == RefreshToken("r", CALLBACK)


def test_a_kind_without_pages_says_so() -> None:
    """Taken for the last, the first page would look like the whole list."""
    with pytest.raises(ConfigurationError, match=r"^Elsewhere has no next_page\(\)"):
        Elsewhere(settings()).next_page({}, "https://bitbucket.example/")


@pytest.mark.parametrize("last", [{}, {"next": None}, {"next": ""}])
def test_clouds_last_page_has_no_next(last: dict[str, str | None]) -> None:
    assert CloudProvider(settings()).next_page(last, "https://api.bitbucket.org/2.0/x") is None


def test_clouds_next_page_is_where_it_says() -> None:
    following = "https://api.bitbucket.org/2.0/x?page=2&ctx=a"
    assert CloudProvider(settings()).next_page({"next": following}, "https://api.bitbucket.org/2.0/x") == following
