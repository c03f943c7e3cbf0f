"""Tokens, and how one is read from an answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from oauth.values import NAMED, NAMES

from django_bitbucket_auth.oauth import oauth2
from django_bitbucket_auth.oauth.grants import AuthorizationCode
from django_bitbucket_auth.oauth.token import Token

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MEMBERS = ("access_token", "refresh_token", "token_type", "scope", "scopes", "expires_in", "state", "error_uri")


def read(**members: Any) -> Token:
    return Token.from_answer({"access_token": "canary-access", **members}, NOW)


def test_neither_repr_nor_str_of_a_token_shows_a_secret() -> None:
    token = Token("canary-access", token_secret="canary-secret", refresh_token="canary-refresh", scopes=("account",))
    for shown in (repr(token), str(token), f"{token}", f"{[token]}"):
        assert "canary" not in shown
        assert "account" in shown


def test_neither_repr_nor_str_of_a_grant_shows_a_secret() -> None:
    grant = AuthorizationCode("canary-code", "https://site.example/callback/", "canary-verifier")
    assert "canary" not in f"{grant!r} {grant}"
    assert "https://site.example/callback/" in repr(grant)
    assert grant.name == "authorization_code"


def test_a_token_can_not_be_changed() -> None:
    token = Token("a")
    with pytest.raises(AttributeError):
        token.access_token = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("seconds", "leeway", "expired"),
    [(60, 0, False), (-1, 0, True), (0, 0, True), (60, 59, False), (60, 61, True), (-10, -60, False)],
)
def test_a_token_is_expired_from_its_time_on_less_the_leeway(seconds: float, leeway: float, expired: bool) -> None:
    # Half a second of grace for the machine that runs this.
    token = Token("a", expires_at=datetime.now(UTC) + timedelta(seconds=seconds + 0.5 * (not expired)))
    assert token.expired(leeway) is expired


def test_a_token_of_unknown_lifetime_counts_as_good() -> None:
    assert Token("a").expired(10**9) is False


def test_scope_or_scopes_tells_what_was_granted() -> None:
    assert read(scope="account email").scopes == ("account", "email")
    assert read(scopes="account email").scopes == ("account", "email")
    assert read(scopes=["account", "email"]).scopes == ("account", "email")
    assert read(scope="account, email").scopes == ("account", "email")
    assert read(scope="account", scopes="email").scopes == ("account",)
    assert read(scope="", scopes="email").scopes == ("email",)
    assert read().scopes == ()


def test_a_scope_that_no_database_stores_is_left_out() -> None:
    assert read(scope="account a\x00b \ud800 email\x07").scopes == ("account",)
    assert read(scopes=["account", "a\x00b", "two words", 7, None, ""]).scopes == ("account",)


@pytest.mark.parametrize("odd", ["\x00", "\ud800", "a\nb", "x" * 41])
def test_an_odd_token_type_is_no_reason_to_fail_and_is_not_kept(odd: str) -> None:
    kept = read(token_type=odd).token_type
    assert len(kept) <= 40
    assert kept.isascii()
    assert kept.isprintable()


def test_token_type_is_kept_as_it_came() -> None:
    assert read(token_type="bearer").token_type == "bearer"
    assert read(token_type="Bearer").token_type == "Bearer"
    assert read().token_type == "bearer"


@pytest.mark.parametrize("seconds", [3600, 3600.0, "3600", " 3600 "])
def test_a_lifetime_is_a_number_or_says_one(seconds: Any) -> None:
    assert read(expires_in=seconds).expires_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    "garbage",
    [
        None, True, False, 0, -1, -3600, "", "soon", "3600s", "nan", "inf", "-inf", float("nan"), float("inf"),
        float("-inf"), 10**400, "1" + "0" * 400, [], [3600], {}, {"seconds": 3600},
    ],
)  # fmt: skip
def test_garbage_in_expires_in_is_no_lifetime(garbage: Any) -> None:
    assert read(expires_in=garbage).expires_at is None


@pytest.mark.parametrize("seconds", [10**15, 1e300, "9" * 50])
def test_a_lifetime_beyond_a_year_is_cut_to_one(seconds: Any) -> None:
    assert read(expires_in=seconds).expires_at == NOW + timedelta(days=366)


def test_the_time_is_now_where_none_is_given() -> None:
    before = datetime.now(UTC)
    token = Token.from_answer({"access_token": "a", "expires_in": 10})
    assert token.expires_at is not None
    assert before <= token.expires_at - timedelta(seconds=10) <= datetime.now(UTC)


@pytest.mark.parametrize(
    "value",
    [
        None, "", " ", "\t", 1, True, [], ["a"], {}, "ä", "a\ud800", "a\x00", "a\r\nX-Evil: 1", "a b", "a\x7f", " a",
        "a\n", "\u2028",
    ],
)  # fmt: skip
def test_what_can_not_stand_in_a_header_is_no_access_token(value: Any) -> None:
    """http.client would refuse it with a ``ValueError`` that shows it; or it would start another header."""
    with pytest.raises(ValueError, match="the answer has no access_token"):
        Token.from_answer({"access_token": value})


def test_a_token_of_five_kilobytes_is_kept_whole() -> None:
    access, refresh = "a" * 5000 + "-._~+/=", "r" * 5000
    token = oauth2.parse_token(json.dumps({"access_token": access, "refresh_token": refresh, "token_type": "bearer"}))
    assert (token.access_token, token.refresh_token) == (access, refresh)


def test_the_answer_of_2021_is_read() -> None:
    """A real capture (bitbucket.md 1.5): ``scopes``, and a ``state`` of its own that isn't ours."""
    token = oauth2.parse_token(
        '{"scopes":"repository","access_token":"XXXXXX","expires_in":7200,"token_type":"bearer",'
        '"state":"authorization_code","refresh_token":"YYYYY"}'
    )
    assert (token.access_token, token.refresh_token, token.scopes) == ("XXXXXX", "YYYYY", ("repository",))
    assert token.expires_at is not None
    assert timedelta(seconds=7190) < token.expires_at - datetime.now(UTC) <= timedelta(seconds=7200)


def test_the_answer_of_2026_is_read() -> None:
    token = oauth2.parse_token(
        '{"scope":"account email","access_token":"a","expires_in":3600,"token_type":"bearer","refresh_token":"r"}'
    )
    assert token.scopes == ("account", "email")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("member", MEMBERS)
def test_any_value_in_any_member_gives_a_storable_token_or_a_value_error(member: str, name: str) -> None:
    answer = {"access_token": "fine", "refresh_token": "fine", "token_type": "bearer", "scope": "account"}
    if member == "access_token" and name not in ("none", "long"):
        with pytest.raises(ValueError, match="no access_token"):
            Token.from_answer({**answer, member: NAMED[name]}, NOW)
    else:
        token = Token.from_answer({**answer, member: NAMED[name]}, NOW)
        stored = " ".join((token.access_token, token.refresh_token, token.token_type, *token.scopes))
        assert stored.isascii()
        assert stored.isprintable()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "deep"])
@pytest.mark.parametrize("member", MEMBERS)
def test_any_json_in_any_member_is_read_or_a_value_error(member: str, name: str) -> None:
    answer = {"access_token": "fine", "token_type": "bearer", member: NAMED[name]}
    if member == "access_token" and name not in ("none", "long"):
        with pytest.raises(ValueError, match=r"no token in the answer \("):
            oauth2.parse_token(json.dumps(answer))
    else:
        assert oauth2.parse_token(json.dumps(answer)).access_token == answer["access_token"]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "deep"])
def test_any_json_document_without_a_token_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="no token in the answer"):
        oauth2.parse_token(json.dumps(NAMED[name]))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "<html><h1>502</h1></html>",
        "access_token=canary-access&token_type=bearer",
        '{"access_token": "canary-access"',
        '\ufeff{"access_token": "canary-access"}',
        '{"access_token": "canary-access\\ud800"}',
        '{"access_token": "canary-access\\r\\nX-Evil: 1"}',
        '{"access_token": "canary-access", "error": "invalid_grant"}',
        '{"access_token": ["canary-access"]}',
        '["canary-access"]',
        '"canary-access"',
        '{"access_token": ' + "1" * 10_000 + "}",
        "[" * 100_000,
        '{"access_token": "canary-access", "scope": ' + "[" * 100_000,
        '{"a":' * 100_000,
    ],
    ids=range(16),
)
def test_the_error_of_a_body_without_a_token_does_not_repeat_the_body(body: str) -> None:
    """A JSON error holds the document it failed on, and a traceback may be mailed."""
    with pytest.raises(ValueError, match="no token in the answer") as caught:
        oauth2.parse_token(body)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_error_beside_a_token_wins() -> None:
    with pytest.raises(ValueError, match="no token"):
        oauth2.parse_token('{"access_token": "a", "token_type": "bearer", "error": "invalid_grant"}')


def test_a_changed_scope_is_neither_a_warning_nor_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """requests-oauthlib raises a bare ``Warning`` for it."""
    monkeypatch.delenv("OAUTHLIB_RELAX_TOKEN_SCOPE", raising=False)
    assert oauth2.parse_token('{"access_token": "a", "token_type": "bearer", "scope": "email"}').scopes == ("email",)
