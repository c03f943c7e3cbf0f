"""Records: what they hold, what they show, and what is none."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from stores.keeping import RECORD, SECRETS

from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.stores import Record

NOW = datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
FULL = replace(
    RECORD, obtained_at=NOW - timedelta(days=1), refused_at=NOW, lost_at=NOW + timedelta(minutes=2), version=7
)


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        FULL,
        Record(token=Token("a"), provider="dc", grant="g", instance="i", client_id="c"),
        replace(RECORD, token=replace(RECORD.token, scopes=(), expires_at=None), scopes=()),
    ],
)
def test_a_record_survives_json(record: Record) -> None:
    again = Record.from_dict(json.loads(json.dumps(record.as_dict())))
    assert again == record
    assert (again.obtained_at, again.version) == (record.obtained_at, None)  # the version is the store's own


def test_two_records_differ_by_what_they_were_got_by_and_not_by_their_version() -> None:
    assert replace(RECORD, version=1) == replace(RECORD, version=2)
    differences: list[dict[str, Any]] = [
        {"scopes": ()},
        {"client_id": "other"},
        {"grant": "password"},
        {"instance": "x"},
    ]
    for changes in differences:
        assert replace(RECORD, **changes) != RECORD


def test_times_come_back_in_utc() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    moment = Record.from_dict({**FULL.as_dict(), "lost_at": NOW.astimezone(zone).isoformat()}).lost_at
    assert moment == NOW
    assert moment.tzinfo is UTC


def test_a_record_shows_no_secret() -> None:
    for shown in (repr(FULL), str(FULL), f"{FULL}"):
        assert not any(secret in shown for secret in SECRETS)
    assert all(secret in str(FULL.as_dict()) for secret in SECRETS)


GARBAGE: list[Any] = [None, [], "text", 5, {}, {"token": RECORD.token}]
#: What no member of a record can be.
NEVER: tuple[Any, ...] = (5, True, {}, b"bytes", object())
WORDS = ("provider", "grant", "instance", "client_id", "redirect_uri", "token_type")
ODD: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(WORDS, (*NEVER, None, [], ["a"])),
    **dict.fromkeys(("access_token",), (*NEVER, None, "", "a\r\nX-Evil: 1", "a\0", "ä")),
    **dict.fromkeys(("token_secret", "refresh_token"), (*NEVER, None, "a\nb", "\ud800")),
    **dict.fromkeys(("granted", "scopes"), (*NEVER, None, "account", [5], [["account"]], {"account": 1})),
    **dict.fromkeys(
        ("expires_at", "obtained_at", "refused_at", "lost_at"),
        (*NEVER, [], "", "soon", "2030-01-01T00:00:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"),
    ),
}


@pytest.mark.parametrize("values", GARBAGE)
def test_what_is_no_record_is_a_value_error(values: Any) -> None:
    with pytest.raises(ValueError, match=r"^not the record of a token "):
        Record.from_dict(values)


@pytest.mark.parametrize("member", RECORD.as_dict())
def test_a_record_without_one_of_its_members_is_none(member: str) -> None:
    values = FULL.as_dict()
    del values[member]
    with pytest.raises(ValueError, match=r"^not the record of a token "):
        Record.from_dict(values)


@pytest.mark.parametrize(("member", "value"), [(member, value) for member in ODD for value in ODD[member]])
def test_a_record_with_an_odd_member_is_none_and_the_error_quotes_nothing(member: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^not the record of a token ") as caught:
        Record.from_dict({**FULL.as_dict(), member: value})
    assert caught.value.__suppress_context__
    assert not any(secret in str(caught.value) for secret in (*SECRETS, "Evil", "soon"))


def test_every_member_has_odd_values_above() -> None:
    assert set(ODD) == set(RECORD.as_dict())
