"""The implicit grant, as a kind of Bitbucket has it: asked for with a warning, and a refusal that says since when."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from bitbucket.answers import settings

from django_bitbucket_auth.bitbucket import CloudProvider, Provider
from django_bitbucket_auth.exceptions import ClientRefused, OAuthError, StateError

PAGE = "https://site.example/page/"
SINCE = "has not taken the implicit grant since August 2026"


class Elsewhere(Provider):
    """A kind that still takes it."""

    paths = CloudProvider.paths


def test_cloud_is_asked_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=SINCE):
        url = CloudProvider(settings()).implicit_url(PAGE, "the-state", ("account",))
    assert url.startswith("https://bitbucket.org/site/oauth2/authorize?")
    assert parse_qs(urlsplit(url).query) == {
        "response_type": ["token"],
        "client_id": ["the-id"],
        "redirect_uri": [PAGE],
        "scope": ["account"],
        "state": ["the-state"],
    }


def test_a_kind_that_takes_it_is_asked_without() -> None:
    assert "response_type=token" in Elsewhere(settings()).implicit_url(PAGE, "the-state")


def test_the_fragment_holds_the_token() -> None:
    url = f"{PAGE}#access_token=canary&token_type=bearer&state=the-state"
    assert CloudProvider(settings()).implicit_token(url, state="the-state").access_token == "canary"
    for state in ("another", ""):
        with pytest.raises(StateError) as caught:
            CloudProvider(settings()).implicit_token(url, state=state)
        assert "canary" not in f"{caught.value!r} {caught.value}"


def test_a_token_in_the_query_is_none() -> None:
    with pytest.raises(StateError):
        CloudProvider(settings()).implicit_token(
            f"{PAGE}?access_token=canary&token_type=bearer&state=the-state", state="the-state"
        )


@pytest.mark.parametrize("mark", ["#", "?"])
def test_a_refusal_says_since_when(mark: str) -> None:
    """In the fragment; or in the query, from a Bitbucket that doesn't know the grant any more."""
    url = f"{PAGE}{mark}error=unsupported_response_type&error_description=No&state=the-state"
    with pytest.raises(OAuthError, match=f"unsupported_response_type.*{SINCE}"):
        CloudProvider(settings()).implicit_token(url, state="the-state")
    with pytest.raises(OAuthError) as caught:
        Elsewhere(settings()).implicit_token(url, state="the-state")
    assert caught.value.hint == ""


def test_a_refusal_in_the_query_is_our_clients_fault() -> None:
    url = f"{PAGE}?error=unsupported_response_type&state=the-state"
    with pytest.raises(ClientRefused):
        CloudProvider(settings()).implicit_token(url, state="the-state")


@pytest.mark.parametrize("query", ["error=x", "error=x&state=", "error=x&state=another"])
def test_a_refusal_of_another_request_is_none_of_this_one(query: str) -> None:
    for state in ("the-state", ""):
        with pytest.raises(StateError):
            CloudProvider(settings()).implicit_token(f"{PAGE}?{query}", state=state)
