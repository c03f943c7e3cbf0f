"""Signed requests as they arrive at a server, which checks them by oauthlib's provider side."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
from oauth.loopback import Loopback, Received, reply
from oauth.signing import consumer, protocol_parameters, verified

from django_bitbucket_auth.oauth import oauth1
from django_bitbucket_auth.oauth.oauth1 import RequestToken, Signed, VerifiedRequestToken
from django_bitbucket_auth.oauth.reading import Deadline
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.oauth.transport import Network, send

NETWORK = Network("oauth1", timeout=(5, 20), retries=2)
TOKEN = Token("the-token", "the-token-secret&+/=")
METHODS = pytest.mark.parametrize("method", oauth1.SIGNATURE_METHODS)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback(reply()) as server:
        yield server


def arrived(server: Loopback, request: requests.Request) -> Received:
    send(request, NETWORK, Deadline(30))
    return server.requests[-1]


def is_right(received: Received, method: str, secret: str = TOKEN.token_secret, scheme: str = "http") -> bool:
    uri = f"{scheme}://{received.headers['host']}{received.target}"
    return verified(received.method, uri, received.headers, received.body, signer=consumer(method), token_secret=secret)


def signed(server: Loopback, verb: str, path: str, method: str = "HMAC-SHA1", **arguments: Any) -> Received:
    auth = Signed(consumer(method), TOKEN, server.url)
    return arrived(server, requests.Request(verb, server.url + path, auth=auth, **arguments))


ADDRESSES = [
    "/",
    "/plain",
    "/a;b/c;d",
    "/a b/ä/%C3%A4/%c3%a4/%7E~/(c)!*'",
    "/brackets[1]|{2}",
    "/?a=1&a=2&a=1&A=0&a=10",
    "/?a&b=&=c&&d==",
    "/?a=+%2B%20 &+=1",
    '/?a[]=1&b[x][y]=2&c=|&d={}&e=^`"<>\\',
    "/?a=%&b=%2&c=%zz",
    "/?a=%E4%F6&b=%00%0A",
    "/?ü=€&e=\U0001f4a5&%C3%BC=%e2%82%ac",
    "/?next=https://site.example/?x=y&at=@:;,!$'()*~-._",
    "/?%61=%7E&a=~",
    "/?q=1#fragment&x=2",
    "/?",
]


@METHODS
def test_odd_addresses_are_signed_as_they_arrive(server: Loopback, method: str) -> None:
    wrong = [path for path in ADDRESSES if not is_right(signed(server, "GET", path, method), method)]
    assert wrong == []
    assert len(server.requests) == len(ADDRESSES)


@METHODS
def test_parameters_that_requests_adds_are_signed(server: Loopback, method: str) -> None:
    given: list[Any] = [
        {"a": ["1", "2", ""], "ü [x]": "€ +&="},
        [("filter", "a b"), ("filter", "a+b"), ("filter", "")],
        "raw=[1]|{2}%",  # requests leaves some of it as it is, and urllib3 doesn't
        b"bytes=%20",
    ]
    wrong = [params for params in given if not is_right(signed(server, "GET", "/x?y=z", method, params=params), method)]
    assert wrong == []


@METHODS
def test_another_secret_another_key_or_another_query_is_not_what_was_signed(server: Loopback, method: str) -> None:
    """What these tests go by can tell."""
    received = signed(server, "GET", "/x?a=1", method)
    altered = Received(1, "GET", "/x?a=2", received.headers)
    assert is_right(received, method)
    assert not is_right(altered, method)
    # RSA-SHA1 uses no secret (RFC 5849, 3.4.3).
    assert is_right(received, method, secret="another") == (method == "RSA-SHA1")


@pytest.mark.parametrize(
    "host",
    [
        "bitbucket.example",
        "BitBucket.Example:8443",
        "bitbucket.example:80",
        "bitbucket.example:443",
        "[2001:DB8::1]:80",
    ],
)
def test_the_host_header_is_what_counts(server: Loopback, host: str) -> None:
    """RFC 5849, 3.4.1.2: a server behind a proxy knows itself by no other name."""
    received = signed(server, "GET", "/x", headers={"Host": host})
    assert received.headers["host"] == host
    assert is_right(received, "HMAC-SHA1")


def test_a_host_by_name_and_port_is_signed_as_it_arrives(server: Loopback) -> None:
    url = f"http://LOCALHOST:{server.port}/x"
    auth = Signed(consumer(), TOKEN, f"http://localhost:{server.port}/")
    received = arrived(server, requests.Request("GET", url, auth=auth))
    assert received.headers["host"] == f"localhost:{server.port}"
    assert is_right(received, "HMAC-SHA1")


FORM = "application/x-www-form-urlencoded"
FORMS: dict[str, tuple[Any, Mapping[str, str], bytes]] = {
    "fields": ({"a": "1 +&=ü", "b": ["", "[|]"]}, {}, b"a=1+%2B%26%3D%C3%BC&b=&b=%5B%7C%5D"),
    "text": ("c2&a3=2+q&a=%20", {"Content-Type": FORM}, b"c2&a3=2+q&a=%20"),
    "unicode": ("a=ü [|]", {"Content-Type": FORM}, "a=ü [|]".encode()),
    "octets": (b"a=1&a=\xc3\xbc", {"Content-Type": FORM}, b"a=1&a=\xc3\xbc"),
    "charset": ("a=%C3%BC", {"Content-Type": "Application/X-WWW-Form-Urlencoded ; charset=UTF-8"}, b"a=%C3%BC"),
    "nothing": ("", {"Content-Type": FORM}, b""),
}


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE"])
def test_a_form_is_signed_and_stays_as_it_was(server: Loopback, verb: str) -> None:
    for data, headers, body in FORMS.values():
        received = signed(server, verb, "/x?a=query", data=data, headers=headers)
        assert received.body == body
        assert received.headers["content-length"] == str(len(body))
        assert received.headers["content-type"] == headers.get("Content-Type", FORM)
        # The server of these tests knows one spelling of the type.
        received.headers["content-type"] = received.headers["content-type"].lower()
        assert is_right(received, "HMAC-SHA1"), body


def other_bodies() -> list[tuple[dict[str, Any], str | None, bytes]]:
    """Arguments of requests, and the type and the body that arrive."""
    json_type, octets, text = "application/json", "application/octet-stream", "text/plain"
    return [
        ({"json": {"a": "ü"}}, json_type, b'{"a": "\\u00fc"}'),
        ({"data": "a=1", "headers": {"Content-Type": json_type}}, json_type, b"a=1"),
        ({"data": "a=1&b=2"}, None, b"a=1&b=2"),
        ({"data": b"\x00\xff", "headers": {"Content-Type": octets}}, octets, b"\x00\xff"),
        ({"data": io.BytesIO(b"a=1\xff"), "headers": {"Content-Type": text}}, text, b"a=1\xff"),
        ({"data": io.BytesIO(b"a=1")}, None, b"a=1"),
        ({}, None, b""),
    ]


@METHODS
def test_other_bodies_are_neither_signed_nor_changed(server: Loopback, method: str) -> None:
    """RFC 5849, 3.4.1.3.1. Nor is there an ``oauth_body_hash``, an extension that Bitbucket doesn't know."""
    for arguments, content_type, body in other_bodies():
        received = signed(server, "POST", "/x", method, **arguments)
        assert (received.body, received.headers.get("content-type")) == (body, content_type)
        assert received.headers["content-length"] == str(len(body))
        assert is_right(received, method)
        assert "oauth_body_hash" not in received.headers["authorization"]


def test_a_form_in_several_parts_is_not_signed(server: Loopback) -> None:
    received = signed(server, "POST", "/x", files={"f": ("n", b"a=1", "text/plain")}, data={"a": "1"})
    assert received.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert received.headers["content-length"] == str(len(received.body))
    assert received.body.count(b"\r\n\r\n") == 2
    assert is_right(received, "HMAC-SHA1")


@METHODS
def test_the_request_for_a_request_token_arrives_with_its_callback(server: Loopback, method: str) -> None:
    callback = "https://site.example/bitbucket/callback/?state=a+b%2F&x=ü"
    received = arrived(
        server,
        oauth1.request_token_request(server.url + "/plugins/servlet/oauth/request-token", consumer(method), callback),
    )
    assert (received.method, received.target) == ("POST", "/plugins/servlet/oauth/request-token")
    assert (received.body, received.headers["content-length"]) == (b"", "0")
    protocol = protocol_parameters(received.headers["authorization"])
    assert protocol["oauth_callback"] == callback
    assert "oauth_token" not in protocol
    assert is_right(received, method, secret="")


@METHODS
def test_the_request_for_an_access_token_arrives_with_request_token_and_verifier(server: Loopback, method: str) -> None:
    grant = VerifiedRequestToken(RequestToken("the-request-token", "its+secret"), "the verifier/+")
    received = arrived(server, oauth1.access_token_request(server.url + "/oauth/access-token", consumer(method), grant))
    assert (received.method, received.target, received.body) == ("POST", "/oauth/access-token", b"")
    protocol = protocol_parameters(received.headers["authorization"])
    assert (protocol["oauth_token"], protocol["oauth_verifier"]) == ("the-request-token", "the verifier/+")
    assert is_right(received, method, secret="its+secret")


def test_a_repeat_is_signed_anew() -> None:
    """A server that has seen a nonce doesn't take it again (RFC 5849, 3.3)."""
    with Loopback([reply(503), reply()]) as server:
        signed(server, "GET", "/x")
        first, second = server.requests
    assert is_right(first, "HMAC-SHA1") and is_right(second, "HMAC-SHA1")
    nonces = {protocol_parameters(received.headers["authorization"])["oauth_nonce"] for received in (first, second)}
    assert len(nonces) == 2


def test_the_callers_headers_arrive_as_they_were(server: Loopback) -> None:
    headers = {"X-Own": "1", "Accept": "text/plain", "User-Agent": "own", "Cookie": "a=b", "authorization": "Basic x"}
    received = signed(server, "GET", "/x", headers=headers)
    kept = {"x-own": "1", "accept": "text/plain", "user-agent": "own", "cookie": "a=b"}
    assert kept.items() <= received.headers.items()
    assert received.headers["authorization"].startswith("OAuth oauth_")
