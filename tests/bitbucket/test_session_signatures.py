"""A session by OAuth 1.0a signs each sending anew, and has nothing to renew a token by."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
import requests
from bitbucket.sessions import WAYS, Tokens, session_at, ways
from oauth.loopback import Exchange, Loopback, reply
from oauthlib.oauth1.rfc5849.signature import (
    base_string_uri,
    collect_parameters,
    normalize_parameters,
    sign_hmac_sha1_with_client,
    signature_base_string,
)

from django_bitbucket_auth.bitbucket import BitbucketSession, CloudOAuth1Provider, DataCenterOAuth1Provider
from django_bitbucket_auth.exceptions import ForeignURL, OAuthError, ReauthenticationRequired
from django_bitbucket_auth.oauth.token import Token


class Signing(Tokens):
    """A token source with one token, which knows what it was asked to renew."""

    def current(self) -> Token:
        return Token("canary-token", "canary-token-secret", token_type="oauth1")


class Client:
    """What oauthlib signs with."""

    client_secret, resource_owner_secret = "canary-secret", "canary-token-secret"


def session(url: str, tokens: Signing | None = None, kind: Any = CloudOAuth1Provider, **keys: Any) -> BitbucketSession:
    given = {"signature_method": "HMAC-SHA1", **keys}
    return session_at(url, tokens or Signing(), kind=kind, **given)


def protocol(request: Any) -> dict[str, str]:
    """The protocol parameters that arrived."""
    pairs = (item.split("=", 1) for item in request.headers["authorization"].removeprefix("OAuth ").split(", "))
    return {name: unquote(value.strip('"')) for name, value in pairs}


def is_signed(server: Loopback, request: Any) -> bool:
    """Whether the signature is good for what arrived, as oauthlib on the other side reads it."""
    path, _, query = request.target.partition("?")
    form = request.body.decode() if "urlencoded" in request.headers.get("content-type", "") else ""
    pairs: Any = collect_parameters(
        uri_query=query, body=form, headers={"Authorization": request.headers["authorization"]}, with_realm=False
    )
    uri = base_string_uri(f"http://127.0.0.1:{server.port}{path}")
    base = signature_base_string(request.method, uri, normalize_parameters(pairs))
    return bool(sign_hmac_sha1_with_client(base, Client) == protocol(request)["oauth_signature"])


@pytest.mark.parametrize("way", WAYS)
def test_what_arrives_is_signed(way: int) -> None:
    with Loopback(reply(body="{}")) as server:
        ask = ways(session(server.url))[way]
        ask("GET", "user", params={"q": 'state="OPEN" AND a~"ü+ /"', "pagelen": 5})
        ask("GET", "/2.0/x?a=1&a=&b=%20+c[]|")
        ask("POST", "things", data={"name": "a b+c", "tag": ["1", "2"]})
        ask("PUT", "things", json={"name": "é"})
        assert [is_signed(server, request) for request in server.requests] == [True] * 4
        assert {protocol(request)["oauth_token"] for request in server.requests} == {"canary-token"}
        assert len({protocol(request)["oauth_nonce"] for request in server.requests}) == 4


@pytest.mark.parametrize("kind", [CloudOAuth1Provider, DataCenterOAuth1Provider])
def test_a_redirect_is_signed_for_where_it_leads(kind: Any) -> None:
    def script(exchange: Exchange) -> bytes:
        return reply(302, headers={"Location": "/new?x=1"}) if exchange.request.target == "/old" else reply(body="{}")

    with Loopback(script) as server:
        for ask in ways(session(server.url, kind=kind)):
            assert ask("GET", "/old") == {}
        assert [request.target for request in server.requests] == ["/old", "/new?x=1"] * 3
        assert all(is_signed(server, request) for request in server.requests)


def test_a_repeat_has_a_nonce_of_its_own() -> None:
    """The first one arrived, perhaps: then the same nonce would be refused."""
    with Loopback(lambda exchange: reply(503 if len(exchange.server.requests) < 3 else 200, "{}")) as server:
        assert session(server.url, retries=2).json("user") == {}
        assert len({protocol(request)["oauth_nonce"] for request in server.requests}) == 3
        assert all(is_signed(server, request) for request in server.requests)


def test_a_request_that_was_changed_after_it_was_prepared_is_signed_as_it_is() -> None:
    with Loopback(reply(body="{}")) as server:
        own = session(server.url)
        prepared = own.prepare_request(requests.Request("GET", "user"))
        prepared.prepare_url(f"{server.url}/2.0/user", {"later": "1"})
        for _ in range(2):
            assert own.send(prepared).status_code == 200
        assert [request.target for request in server.requests] == ["/2.0/user?later=1"] * 2
        assert all(is_signed(server, request) for request in server.requests)


def test_a_refused_token_is_not_renewed_but_told() -> None:
    refusal = reply(401, "", {"WWW-Authenticate": 'OAuth realm="x", oauth_problem="token_revoked"'})
    with Loopback(refusal) as server:
        tokens = Signing()
        own = session(server.url, tokens)
        assert own.get("user").status_code == 401
        with pytest.raises(ReauthenticationRequired):
            own.json("user")
        assert (tokens.stale, len(server.requests)) == ([], 2)


def test_what_only_looks_like_a_dead_token_is_another_error() -> None:
    with Loopback(reply(401, '{"error": {"message": "no"}}')) as server, pytest.raises(OAuthError) as caught:
        session(server.url).json("user")
    assert (type(caught.value), caught.value.error) == (OAuthError, "invalid_token")


def test_nothing_is_signed_for_another_host() -> None:
    with Loopback(reply(body="{}")) as server:
        own = session(server.url)
        prepared = own.prepare_request(requests.Request("GET", "user"))
        prepared.url = "http://attacker.example/2.0/user"
        with pytest.raises(ForeignURL):
            own.send(prepared)
        assert server.requests == []


def test_an_auth_of_the_callers_is_replaced() -> None:
    with Loopback(reply(body="{}")) as server:
        own = session(server.url)
        own.auth = ("somebody", "else")
        assert own.get("user", auth=("somebody", "else"), headers={"Authorization": "Bearer x"}).status_code == 200
        [request] = server.requests
        assert protocol(request)["oauth_token"] == "canary-token" and is_signed(server, request)
