"""Redirects: within the API, by GET and HEAD; anywhere else never, and never with the token (security rule 2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from bitbucket.sessions import Tokens, sent, session_at
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.exceptions import BitbucketTimeout, OAuthError

STATUSES = [301, 302, 303, 307, 308]


def redirecting(target: str, status: int = 302, body: str = "moved") -> Callable[[Exchange], bytes]:
    """``/2.0/old`` leads to ``target``, with ``{url}`` for the server's own address."""

    def script(exchange: Exchange) -> bytes:
        if exchange.request.target != "/2.0/old":
            return reply(body='{"answer": 1}')
        return reply(status, body, {"Location": target.replace("{url}", exchange.server.url)})

    return script


def leading(target: str, status: int, other: Loopback) -> Callable[[Exchange], bytes]:
    """Everything leads to ``target``, sent as these bytes; ``{here}`` is the server's own address without a scheme."""
    head = f"HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\nLocation: {target}\r\n\r\n"

    def script(exchange: Exchange) -> bytes:
        here = f"127.0.0.1:{exchange.server.port}"
        return head.replace("{here}", here).replace("{other}", f"127.0.0.1:{other.port}").encode("latin-1")

    return script


# -- followed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("target", ["/2.0/new", "new", "{url}/2.0/new", "../2.0/new", "/2.0/new#part"])
def test_a_redirect_within_the_api_is_followed_with_the_token(status: int, target: str) -> None:
    with Loopback(redirecting(target, status)) as server:
        session = session_at(server.url)
        response = session.get("old")
        assert (response.status_code, response.json()) == (200, {"answer": 1})
        assert [(answer.status_code, answer.text) for answer in response.history] == [(status, "moved")]
        assert session.json("old") == {"answer": 1}
        assert sent(server) == [("GET /2.0/old", "1"), ("GET /2.0/new", "1")] * 2
        assert server.connections == 1


def test_head_follows_where_requests_follows() -> None:
    with Loopback(
        lambda exchange: redirecting("/2.0/new", body="")(exchange).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    ) as server:
        assert session_at(server.url).head("old").status_code == 302
        assert session_at(server.url).head("old", allow_redirects=True).status_code == 200
        assert session_at(server.url).json("old", method="head") is None
        assert [target for target, _ in sent(server)] == ["HEAD /2.0/old", *["HEAD /2.0/old", "HEAD /2.0/new"] * 2]


def test_a_redirect_is_not_followed_if_the_caller_says_so() -> None:
    with Loopback(redirecting("/2.0/new")) as server:
        session = session_at(server.url)
        response = session.get("old", allow_redirects=False)
        assert (response.status_code, response.text) == (302, "moved")
        with pytest.raises(OAuthError, match="http_302"):
            session.json("old", allow_redirects=False)
        assert len(server.requests) == 2
        following = response.next
        assert following is not None
        assert session.send(following).json() == {"answer": 1}
        assert sent(server)[-1] == ("GET /2.0/new", "1")


def test_a_request_without_the_token_has_none_behind_a_redirect() -> None:
    """One that another prepared; as in requests, it is sent as it is."""
    with Loopback(redirecting("/2.0/new")) as server:
        foreign = requests.Request("GET", f"{server.url}/2.0/old").prepare()
        assert session_at(server.url).send(foreign).json() == {"answer": 1}
        assert sent(server) == [("GET /2.0/old", ""), ("GET /2.0/new", "")]


# -- not followed ------------------------------------------------------------------------------------------------------

ELSEWHERE = [
    "http://{other}/2.0/new",
    "//{other}/2.0/new",
    "https://{here}/2.0/new",
    "ftp://{here}/2.0/new",
    "http://{here}.evil.invalid/2.0/new",
    "http://jane:canary@{here}/2.0/new",
    "http://{here}@evil.invalid/2.0/new",
    "http://{here}/elsewhere",
    "/elsewhere",
    "../../elsewhere",
    "/2.0/%2e%2e/elsewhere",
    "/2.0/%252e%252e/elsewhere",
    "/2.0/..;/elsewhere",
    "/2.0/a%2fb",
    "/2.0/a b",
    "/2.0\\..\\elsewhere",
    "http://[",
    "//[::1",
    "http://\xff/",
    "/2.0/\xff\xfe",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("target", ELSEWHERE)
@pytest.mark.parametrize("status", [302, 308])
def test_a_redirect_elsewhere_is_returned_and_nobody_gets_the_token(target: str, status: int) -> None:
    with Loopback(reply()) as other, Loopback(leading(target, status, other)) as server:
        session = session_at(f"{server.url}/2.0/")
        response = session.get("/old")
        assert response.status_code == status
        assert response.next is None
        with pytest.raises(OAuthError) as caught:
            session.json("/old")
        assert caught.value.status == status
        assert (other.connections, sent(server)) == (0, [("GET /2.0/old", "1")] * 2)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("status", STATUSES)
def test_only_get_and_head_are_redirected(method: str, status: int) -> None:
    """A 307 would send the body again, a 303 would make a GET of it."""
    with Loopback(redirecting("/2.0/new", status)) as server:
        session = session_at(server.url)
        assert session.request(method, "old", json={"a": 1}).status_code == status
        with pytest.raises(OAuthError, match=f"http_{status}"):
            session.json("old", method=method, json={"a": 1})
        assert len(server.requests) == 2


# -- without an end ----------------------------------------------------------------------------------------------------


def test_redirects_in_a_circle_end_and_are_not_asked_for_again() -> None:
    with Loopback(redirecting("/2.0/old")) as server:
        session = session_at(server.url, retries=2)
        session.max_redirects = 4
        with pytest.raises(OAuthError, match=f"too_many_redirects.*{server.url}") as caught:
            session.json("old")
        assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)
        assert len(server.requests) == 5


@pytest.mark.parametrize("stream", [False, True])
def test_the_endless_body_of_a_redirect_is_not_read_whole(stream: bool) -> None:
    """requests reads it, to use the connection again, whatever its size."""
    large = b"HTTP/1.1 302 Found\r\nLocation: /2.0/new\r\nContent-Length: 900000000\r\n\r\n" + b"x" * 2_000_000

    def script(exchange: Exchange) -> bytes:
        return large if exchange.request.target == "/2.0/old" else reply(body='{"answer": 1}')

    with Loopback(script) as server:
        session = session_at(server.url)
        response = session.get("old", stream=stream)
        assert response.json() == {"answer": 1}
        assert response.history[0].content == b""
        assert session.json("old") == {"answer": 1}
        assert server.connections == 3


def test_the_body_of_a_redirect_that_breaks_off_does_not_matter() -> None:
    broken = b"HTTP/1.1 302 Found\r\nLocation: /2.0/new\r\nContent-Length: 9\r\n\r\nxx"

    def script(exchange: Exchange) -> bytes | None:
        if exchange.request.target != "/2.0/old":
            return reply(body='{"answer": 1}')
        exchange.write(broken)
        return None

    with Loopback(script) as server:
        assert session_at(server.url).get("old").json() == {"answer": 1}
        assert session_at(server.url).json("old") == {"answer": 1}


def test_a_redirect_that_drips_does_not_outlast_the_deadline() -> None:
    def script(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 302 Found\r\nLocation: /2.0/new\r\nContent-Length: 9999\r\n\r\n")
        exchange.drip(b" ")

    with Loopback(script) as server, pytest.raises(BitbucketTimeout):
        session_at(server.url, deadline=0.5).json("old")


# -- with a token that is renewed --------------------------------------------------------------------------------------


def test_a_redirect_after_a_renewal_is_followed_with_the_new_token() -> None:
    """requests would go on with the request as it was first sent."""

    def script(exchange: Exchange) -> bytes:
        if exchange.request.headers["authorization"] == "Bearer canary-1":
            return reply(401)
        return redirecting("/2.0/new")(exchange)

    with Loopback(script) as server:
        tokens = Tokens()
        response = session_at(server.url, tokens).get("old")
        assert response.json() == {"answer": 1}
        assert sent(server) == [("GET /2.0/old", "1"), ("GET /2.0/old", "2"), ("GET /2.0/new", "2")]
        assert tokens.stale == ["canary-1"]


def test_a_token_that_is_refused_behind_a_redirect_is_renewed_there() -> None:
    def script(exchange: Exchange) -> bytes:
        if exchange.request.target == "/2.0/new" and exchange.request.headers["authorization"] == "Bearer canary-1":
            return reply(401)
        return redirecting("/2.0/new")(exchange)

    with Loopback(script) as server:
        assert session_at(server.url).get("old").json() == {"answer": 1}
        assert sent(server) == [("GET /2.0/old", "1"), ("GET /2.0/new", "1"), ("GET /2.0/new", "2")]


def test_one_call_renews_once_though_it_is_redirected() -> None:
    """Renewed at the first address, refused at the second: that answer stands."""

    def script(exchange: Exchange) -> bytes:
        if exchange.request.target == "/2.0/new" or exchange.request.headers["authorization"] == "Bearer canary-1":
            return reply(401)
        return redirecting("/2.0/new")(exchange)

    with Loopback(script) as server:
        tokens = Tokens()
        assert session_at(server.url, tokens).get("old").status_code == 401
        assert sent(server) == [("GET /2.0/old", "1"), ("GET /2.0/old", "2"), ("GET /2.0/new", "2")]
        assert tokens.stale == ["canary-1"]


def test_json_starts_over_with_the_new_token() -> None:
    def script(exchange: Exchange) -> bytes:
        if exchange.request.target == "/2.0/new" and exchange.request.headers["authorization"] == "Bearer canary-1":
            return reply(401)
        return redirecting("/2.0/new")(exchange)

    with Loopback(script) as server:
        assert session_at(server.url).json("old") == {"answer": 1}
        assert [token for _, token in sent(server)] == ["1", "1", "2", "2"]
