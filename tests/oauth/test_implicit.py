"""The fragment of an implicit grant: whose it is comes first, what it says second."""

from __future__ import annotations

import logging
import random
import string
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from django_bitbucket_auth.exceptions import OAuthError, StateError
from django_bitbucket_auth.oauth.implicit import authorization_url, parse_fragment
from django_bitbucket_auth.oauth.token import Token

STATE = "the state/+&="
PAGE = "https://site.example/page/"


def fragment(**members: str) -> str:
    return urlencode({"access_token": "canary-token", "token_type": "bearer", "state": STATE, **members})


def parse(text: str, state: str = STATE) -> Token:
    return parse_fragment(text, state=state)


# -- the question ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["https://bitbucket.org", "http://127.0.0.1:8001"])
def test_the_address_asks_for_a_token(root: str) -> None:
    url = authorization_url(
        f"{root}/site/oauth2/authorize", "the id", redirect_uri=PAGE, state=STATE, scopes=("account", "email")
    )
    assert url.startswith(f"{root}/site/oauth2/authorize?")
    assert parse_qs(urlsplit(url).query, strict_parsing=True) == {
        "response_type": ["token"],
        "client_id": ["the id"],
        "redirect_uri": [PAGE],
        "scope": ["account email"],
        "state": [STATE],
    }


def test_without_scopes_and_redirect_uri_neither_is_sent() -> None:
    url = authorization_url("https://bitbucket.org/a", "id", redirect_uri="", state=STATE, scopes=())
    assert set(parse_qs(urlsplit(url).query)) == {"response_type", "client_id", "state"}


# -- the answer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [f"{PAGE}#", "http://localhost:8000/?a=b#", "#", ""])
def test_an_address_or_its_fragment_gives_the_token(before: str) -> None:
    earliest = datetime.now(UTC) + timedelta(seconds=3600)
    token = parse(before + fragment(scope="account email", expires_in="3600"))
    assert (token.access_token, token.token_type, token.scopes) == ("canary-token", "bearer", ("account", "email"))
    assert token.expires_at is not None
    assert earliest <= token.expires_at <= earliest + timedelta(seconds=60)


def test_there_is_no_refresh_token_even_if_one_is_sent() -> None:
    """RFC 6749, 4.2.2 forbids it: it would lie in the browser's history."""
    assert parse(fragment(refresh_token="canary-refresh")).refresh_token == ""


def test_scopes_may_be_called_scope_or_scopes() -> None:
    assert parse(fragment(scopes="account email")).scopes == ("account", "email")
    assert parse(fragment(scope="account")).scopes == ("account",)
    assert parse(fragment()).scopes == ()


@pytest.mark.parametrize("expires_in", ["", "soon", "-1", "nan", "1e999", "\x00"])
def test_a_garbled_lifetime_is_no_lifetime(expires_in: str) -> None:
    assert parse(fragment(expires_in=expires_in)).expires_at is None


def test_members_that_nobody_knows_are_ignored() -> None:
    assert parse(fragment(id_token="x", expires_at="soon", token_secret="s", code="c")).token_secret == ""


# -- whose it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [None, ""])
def test_an_answer_without_a_state_is_nobodys(state: str | None) -> None:
    """Whoever can put an address before a person could put somebody else's token into it."""
    members = {"access_token": "canary", "token_type": "bearer", **({} if state is None else {"state": state})}
    with pytest.raises(StateError) as caught:
        parse(urlencode(members))
    assert caught.value.reason == "state_missing"


def test_without_a_state_of_ours_nothing_is_an_answer() -> None:
    """A session that has lost its state must not match a fragment without one."""
    for text in (fragment(state=""), fragment(), "access_token=canary&token_type=bearer"):
        with pytest.raises(StateError) as caught:
            parse(text, state="")
        assert caught.value.reason == "state_missing"


@pytest.mark.parametrize("state", ["another", STATE + "x", STATE[:-1], STATE.upper(), " " + STATE, "ä", "None"])
def test_the_answer_to_another_request_is_refused(state: str) -> None:
    with pytest.raises(StateError) as caught:
        parse(fragment(state=state))
    assert caught.value.reason == "state_mismatch"
    assert "canary" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize(
    "text",
    [
        f"state=other&{fragment()}",
        f"{fragment()}&state=other",
        f"access_token=other&{fragment()}",
        f"{fragment()}&{fragment()}",
    ],
)
def test_a_name_that_is_there_twice_is_refused(text: str) -> None:
    """One of the two may be somebody else's."""
    with pytest.raises(StateError) as caught:
        parse(text)
    assert caught.value.reason == "state_mismatch"


def test_an_error_needs_the_state_too() -> None:
    with pytest.raises(StateError):
        parse("error=access_denied")


@pytest.mark.parametrize("url", [f"{PAGE}?{fragment()}", f"{PAGE}?a=b&{fragment()}", PAGE, f"{PAGE}#", "", "#"])
def test_a_token_in_the_query_is_no_answer(url: str) -> None:
    """Servers along the way log it."""
    with pytest.raises(StateError) as caught:
        parse(url)
    assert caught.value.reason == "state_missing"


# -- what it says ------------------------------------------------------------------------------------------------------


def test_a_refusal_is_raised_with_its_words() -> None:
    with pytest.raises(OAuthError) as caught:
        parse(urlencode({"error": "access_denied", "error_description": "No.", "state": STATE}))
    assert (caught.value.error, caught.value.description, caught.value.status) == ("access_denied", "No.", None)


def test_a_refusal_is_raised_even_beside_a_token() -> None:
    with pytest.raises(OAuthError, match="unsupported_response_type"):
        parse(fragment(error="unsupported_response_type"))


@pytest.mark.parametrize(
    "text",
    [
        urlencode({"state": STATE}),
        fragment(access_token=""),
        fragment(access_token="canary\r\nX: y"),
        fragment(access_token="canary token"),
        fragment(access_token="canaryä"),
        fragment(access_token="canary\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
        fragment().replace("canary-token", "canary%ff%fe"),
        fragment().replace("canary-token", "canary\ud800"),
    ],
    ids=range(8),
)
def test_an_answer_without_a_usable_token_says_so_and_shows_nothing(text: str) -> None:
    with pytest.raises(OAuthError) as caught:
        parse(text)
    assert caught.value.error == "no_token"
    assert "canary" not in f"{caught.value!r} {caught.value}"
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


@pytest.mark.parametrize("state", ["a\ud800b", "\x00", "ä", "💥", "%", "a\r\nb"])
def test_odd_characters_in_a_state_are_compared_like_others(state: str) -> None:
    with pytest.raises(StateError):
        parse(f"access_token=x&token_type=bearer&state={state}")
    with pytest.raises(StateError):
        parse(fragment(), state=state)


@pytest.mark.parametrize("url", ["http://[#", "http://[::1#x", "//[", "https://\ud800#%", "#" * 9, "&" * 9, "=#=", "%"])
def test_what_is_no_address_is_no_crash(url: str) -> None:
    with pytest.raises(StateError):
        parse(url)


def test_garbage_is_no_token_and_no_crash() -> None:
    chance = random.Random(7)  # noqa: S311 - garbage, and the same each time
    letters = string.printable + "ä\u2028\ud800\x00#&=%;+"
    for _ in range(2000):
        text = "".join(chance.choices(letters, k=chance.randrange(60)))
        for whole in (text, f"{PAGE}#{text}", f"{urlencode({'state': STATE})}&{text}"):
            with pytest.raises((OAuthError, StateError)):
                parse(whole)


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        parse(fragment(state=STATE))
    assert "canary" not in caplog.text
