"""After a 401: the token is renewed once, and the request sent once more if its body can be."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from bitbucket.sessions import WAYS, Tokens, refusing, sent, session_at, ways
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.exceptions import BitbucketUnavailable, OAuthError, ReauthenticationRequired
from django_bitbucket_auth.oauth.token import Token

# -- once --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_after_a_401_the_token_is_renewed_and_the_request_sent_again(way: int, method: str) -> None:
    with Loopback(refusing("1")) as server:
        tokens = Tokens()
        assert ways(session_at(server.url, tokens))[way](method, "user?a=b") == {}
        assert sent(server) == [(f"{method} /2.0/user?a=b", "1"), (f"{method} /2.0/user?a=b", "2")]
        assert tokens.stale == ["canary-1"]


@pytest.mark.parametrize("way", WAYS)
def test_the_next_request_goes_out_with_the_new_token(way: int) -> None:
    with Loopback(refusing("1")) as server:
        session = session_at(server.url)
        for _ in range(3):
            ways(session)[way]("GET", "user")
        assert [token for _, token in sent(server)] == ["1", "2", "2", "2"]


def test_a_second_401_is_returned() -> None:
    with Loopback(refusing("1", "2", "3")) as server:
        tokens = Tokens()
        response = session_at(server.url, tokens).get("user")
        assert (response.status_code, response.json()) == (401, {"error": {"message": "expired"}})
        assert [token for _, token in sent(server)] == ["1", "2"]
        assert tokens.stale == ["canary-1"]


def test_a_second_401_is_an_error_of_json() -> None:
    with Loopback(refusing("1", "2", "3")) as server:
        tokens = Tokens()
        with pytest.raises(OAuthError) as caught:
            session_at(server.url, tokens, retries=2).json("user")
        assert (caught.value.error, caught.value.description, caught.value.status) == ("invalid_token", "expired", 401)
        assert [token for _, token in sent(server)] == ["1", "2"]
        assert tokens.stale == ["canary-1"]


def test_a_token_that_can_not_be_changed_is_not_sent_again() -> None:
    with Loopback(refusing("1")) as server:
        tokens = Tokens(last=1)
        assert session_at(server.url, tokens).get("user").status_code == 401
        with pytest.raises(OAuthError, match="expired"):
            session_at(server.url, tokens).json("user")
        assert [token for _, token in sent(server)] == ["1", "1"]
        assert tokens.stale == ["canary-1"] * 2


@pytest.mark.parametrize("way", ["get", "json"])
def test_an_address_that_refuses_each_token_uses_up_one_and_no_more(way: str) -> None:
    """Each renewal takes a refresh token, and everybody else's access token with it."""

    def script(exchange: Exchange) -> bytes:
        return reply(401) if exchange.request.target == "/2.0/closed" else reply()

    with Loopback(script) as server:
        tokens = Tokens()
        session = session_at(server.url, tokens)
        for _ in range(3):
            if way == "get":
                assert session.get("closed").status_code == 401
            else:
                with pytest.raises(OAuthError, match="invalid_token"):
                    session.json("closed")
            assert session.json("open") == {}
        assert [token for _, token in sent(server)] == ["1", "2", "2", "2", "2", "2", "2"]
        assert tokens.stale == ["canary-1"]


def test_after_a_while_a_refused_token_is_renewed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_bitbucket_auth.bitbucket.session._FUTILE", 0)
    with Loopback(refusing("1", "2")) as server:
        session = session_at(server.url)
        assert [session.get("user").status_code for _ in range(2)] == [401, 200]
        assert [token for _, token in sent(server)] == ["1", "2", "2", "3"]


@pytest.mark.parametrize("status", [200, 204, 400, 403, 404, 407, 410])
def test_another_answer_renews_nothing(status: int) -> None:
    with Loopback(refusing("1", status=status, body="")) as server:
        tokens = Tokens()
        assert session_at(server.url, tokens).get("user").status_code == status
        assert (len(server.requests), tokens.stale) == (1, [])


def test_what_says_that_a_token_is_stale_may_be_overridden() -> None:
    class Odd(CloudProvider):
        def is_unauthorized(self, response: requests.Response) -> bool:
            return response.status_code == 419

    with Loopback(refusing("1", status=419)) as server:
        assert session_at(server.url, kind=Odd).get("user").status_code == 200
        assert session_at(server.url, kind=Odd).json("user") == {}


# -- the answer --------------------------------------------------------------------------------------------------------


def test_the_first_answer_is_in_the_history_and_the_second_took_its_time() -> None:
    with Loopback(refusing("1")) as server:
        response = session_at(server.url).get("user")
        (first,) = response.history
        assert (first.status_code, first.json()) == (401, {"error": {"message": "expired"}})
        assert response.elapsed.total_seconds() > 0
        assert response.request.headers["Authorization"] == "Bearer canary-2"
        assert first.request.headers["Authorization"] == "Bearer canary-1"


def test_a_request_that_was_prepared_may_be_sent_more_than_once() -> None:
    """And long after: it is renewed each time it has to be."""
    with Loopback(refusing("1")) as server:
        session = session_at(server.url)
        prepared = session.prepare_request(requests.Request("GET", "user"))
        for _ in range(2):
            assert session.send(prepared).status_code == 200
        assert [token for _, token in sent(server)] == ["1", "2", "1", "2"]


def test_hooks_of_the_callers_see_the_last_answer_only() -> None:
    """``raise_for_status`` as a hook of the session would raise for the 401."""
    seen: list[tuple[str, int]] = []

    def own(response: requests.Response, **kwargs: Any) -> None:
        seen.append(("own", response.status_code))
        response.raise_for_status()

    with Loopback(refusing("1")) as server:
        session = session_at(server.url)
        session.hooks["response"].append(own)
        assert session.get("user").status_code == 200
        assert session_at(server.url).get("user", hooks={"response": own}).status_code == 200
        session = session_at(server.url)
        session.hooks["response"].append(own)
        assert session.json("user", timeout=5) == {}
        assert seen == [("own", 200)] * 3


def test_a_hook_of_the_callers_may_replace_the_answer_or_refuse_it() -> None:
    def own(response: requests.Response, **kwargs: Any) -> requests.Response:
        response.raise_for_status()
        response._content = b"[7]"
        return response

    with Loopback([reply(), reply(404)]) as server:
        session = session_at(server.url)
        assert session.json("user", hooks={"response": [own]}) == [7]
        with pytest.raises(requests.HTTPError, match="404"):
            session.json("user", hooks={"response": [own]})


# -- the connection ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_the_connection_is_used_again(way: int) -> None:
    with Loopback(refusing("1", body="x" * 100_000)) as server:
        session = session_at(server.url)
        ways(session)[way]("GET", "user")
        ways(session)[way]("GET", "user")
        assert (len(server.requests), server.connections) == (3, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 401 No\r\nContent-Length: 900000000\r\n\r\n" + b"x" * 2_000_000,
        b"HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\nxx",
        b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\nnonsense",
        b"HTTP/1.1 401 No\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["large", "cut", "chunks", "packed"],
)
def test_a_401_that_is_too_large_or_breaks_off_is_a_401_all_the_same(answer: bytes) -> None:
    def script(exchange: Exchange) -> bytes | None:
        if exchange.request.headers["authorization"] == "Bearer canary-2":
            return reply()
        exchange.write(answer)
        return None

    with Loopback(script) as server:
        response = session_at(server.url).get("user")
        assert (response.status_code, response.history[0].content) == (200, b"")
        assert [token for _, token in sent(server)] == ["1", "2"]


# -- what renewing can end in ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", [ReauthenticationRequired("lost"), BitbucketUnavailable("later"), OSError("disk")])
def test_why_a_token_is_not_renewed_is_told_and_not_tried_again(way: int, fault: Exception) -> None:
    """A refresh token is sent once; and an error of the token's store is none of Bitbucket's."""
    with Loopback(refusing("1")) as server:
        tokens = Tokens(fault)
        with pytest.raises(type(fault)) as caught:
            ways(session_at(server.url, tokens, retries=2))[way]("GET", "user")
        assert caught.value is fault
        assert (len(server.requests), tokens.stale) == (1, ["canary-1"])


def test_the_connection_is_left_if_the_token_is_not_renewed() -> None:
    with Loopback(refusing("1")) as server:
        with pytest.raises(ReauthenticationRequired) as caught:
            session_at(server.url, Tokens(ReauthenticationRequired("lost"))).get("user", stream=True)
        assert caught.tb is not None  # which holds the answer
        assert server.is_left()


@pytest.mark.parametrize("way", WAYS)
def test_without_a_token_nothing_is_sent(way: int) -> None:
    class Empty(Tokens):
        def current(self) -> Token:
            raise ReauthenticationRequired("lost")

    with Loopback(reply()) as server:
        with pytest.raises(ReauthenticationRequired):
            ways(session_at(server.url, Empty(), retries=2))[way]("GET", "user")
        assert server.connections == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("token", ["canary\r\nX-Evil: 1", "canary x", "canaryä", "canary\ud800", ""])
def test_a_token_that_can_not_stand_in_a_header_is_neither_sent_nor_shown(way: int, token: str) -> None:
    class Odd(Tokens):
        def current(self) -> Token:
            return Token(token)

    with Loopback(reply()) as server:
        with pytest.raises(OAuthError, match="characters that can't be sent") as caught:
            ways(session_at(server.url, Odd()))[way]("GET", "user")
        assert "canary" not in f"{caught.value!r} {caught.value}"
        assert server.connections == 0


def test_waiting_for_a_token_is_no_part_of_the_deadline() -> None:
    """Others renew it, maybe one that has died: that takes longer than any answer."""

    class Slow(Tokens):
        def __init__(self, server: Loopback) -> None:
            super().__init__()
            self.server = server

        def current(self) -> Token:
            self.server.stopping.wait(1.1)
            return super().current()

        def renew(self, stale: Token) -> Token:
            self.server.stopping.wait(1.1)
            return super().renew(stale)

    with Loopback(refusing("1")) as server:
        assert session_at(server.url, Slow(server), deadline=1).json("user") == {}
        assert [token for _, token in sent(server)] == ["1", "2"]
