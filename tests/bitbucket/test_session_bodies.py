"""What is sent again after a renewal: a body that can be brought back to its start, and no other."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bitbucket.sessions import WAYS, Tokens, refusing, sent, session_at, ways
from oauth.loopback import Loopback, reply

from django_bitbucket_auth.exceptions import OAuthError

BODIES: dict[str, dict[str, Any]] = {
    "json": {"json": {"a": 1}},
    "text": {"data": '{"a": 1}'},
    "bytes": {"data": b'{"a": 1}'},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_sent_again(way: int, name: str) -> None:
    with Loopback(refusing("1")) as server:
        assert ways(session_at(server.url))[way]("POST", "things", **BODIES[name]) == {"a": 1}
        assert len({request.body for request in server.requests}) == 1
        assert len(server.requests) == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_form_is_sent_again(way: int) -> None:
    with Loopback([reply(401), reply()]) as server:
        assert ways(session_at(server.url))[way]("POST", "things", data={"a": "b"}) == {}
        assert [request.body for request in server.requests] == [b"a=b"] * 2


@pytest.mark.parametrize("way", WAYS)
def test_a_file_is_sent_again_from_where_it_began(way: int) -> None:
    with Loopback(refusing("1")) as server:
        file = io.BytesIO(b'read before{"a": 1}')
        file.seek(11)
        assert ways(session_at(server.url))[way]("PUT", "things", data=file) == {"a": 1}
        assert [request.body for request in server.requests] == [b'{"a": 1}'] * 2


@pytest.mark.parametrize("way", WAYS)
def test_an_upload_is_sent_again(way: int) -> None:
    with Loopback([reply(401), reply()]) as server:
        assert ways(session_at(server.url))[way]("POST", "things", files={"a": ("a.txt", io.BytesIO(b"text"))}) == {}
        assert all(b"text" in request.body for request in server.requests)
        assert len(server.requests) == 2


class Pipe:
    """A body of a known length that can't be read twice."""

    def __init__(self) -> None:
        self.left = b'{"a": 1}'

    def __len__(self) -> int:
        return 8

    def __iter__(self) -> Iterator[bytes]:
        yield self.left


class Unseekable(io.BytesIO):
    def __len__(self) -> int:
        return 8

    def seek(self, *args: Any) -> int:
        raise OSError("a pipe")


@pytest.mark.parametrize("body", [Pipe, lambda: Unseekable(b'{"a": 1}')], ids=["iterator", "unseekable"])
def test_what_can_not_be_sent_again_is_not_but_the_token_is_renewed(body: Callable[[], Any]) -> None:
    """The caller's own repeat then has a fresh token."""
    with Loopback(refusing("1")) as server:
        tokens = Tokens()
        session = session_at(server.url, tokens)
        response = session.post("things", data=body())
        assert (response.status_code, response.json()) == (401, {"error": {"message": "expired"}})
        assert tokens.stale == ["canary-1"]
        assert session.post("things", data=body()).json() == {"a": 1}
        assert [token for _, token in sent(server)] == ["1", "2"]


def test_json_says_401_of_what_can_not_be_sent_again() -> None:
    with Loopback(refusing("1")) as server:
        session = session_at(server.url)
        with pytest.raises(OAuthError, match=r"invalid_token.*expired"):
            session.json("things", method="POST", data=Pipe())
        assert session.json("things", method="POST", data=Pipe()) == {"a": 1}
        assert [token for _, token in sent(server)] == ["1", "2"]
