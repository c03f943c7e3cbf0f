"""Signatures as a second implementation sees them: Authlib's, on generated requests.

Where Authlib errs it isn't asked; tests of single requests have these cases. It refuses ``'`` and ``$`` in a query
(both may stand there, RFC 3986, 3.4), keeps the default port of an IPv6 address (RFC 5849, 3.4.1.2: it must be left
out), and drops a ``;`` at the end of a path (same section: the path is part of the URI).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from authlib.oauth1 import OAuth1Request
from authlib.oauth1.rfc5849.signature import verify_hmac_sha1, verify_rsa_sha1
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from oauth.signing import consumer, nobodys_key

from django_bitbucket_auth.oauth import rsa_keys
from django_bitbucket_auth.oauth.oauth1 import Consumer, Signed
from django_bitbucket_auth.oauth.token import Token

# Before any test, when it reads the project's constants: nothing is to be written beside them.
set_hypothesis_home_dir(os.devnull)
#: The same requests in each run, however long they take.
SETTINGS: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}

#: What makes fields of a text: several of a name, none, without a value, with several ``=``.
STRUCTURE = ["&", "&", "&", "=", "=", "a", "a=1", "a=2", "a=10", "b", "A", "&a&", "=="]
#: One character in several encodings, and what a URL or a form uses for itself.
ENCODED = [
    *("+", "%20", "%2B", "%2b", "%26", "%3D", "%25", "%252B", "%7E", "~", "-", ".", "_", "*", "(", ")", "!", ","),
    *(";", ":", "@", "/", "?", "%61", "%00", "%0A", "%7F", "%C3%9F", "%c3%9f", "%CC%81", "%E2%82%AC", "%F0%9F%92%A5"),
]
#: What requests and urllib3 encode on the way.
RAW = [" ", "ß", "€", "\U0001f4a5", "[", "]", "|", '"', "<", "{", "}", "^", "`", "\\"]


def texts(parts: list[str], longest: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(parts), max_size=longest).map("".join)


queries = texts(STRUCTURE + STRUCTURE + ENCODED + RAW, 12)
forms = texts(STRUCTURE + STRUCTURE + ENCODED, 12)
paths = texts(["a", "/", "~", "%7e", "%20", "(", "+", "&", "=", ":", "@", ",", "ä", "%C3%A4", "\U0001f4a5"], 4)
secrets = texts(["a", "Z", "0", "&", "=", "+", "%", " ", "~", "/", "\n", "ß", "\u0301", "\U0001f4a5"], 3)
prefixes = st.sampled_from(
    [
        f"{scheme}://{host}{port}/"
        for scheme in ("http", "https")
        for host in ("bitbucket.example", "BitBucket.Example", "bücher.example", "127.0.0.1")
        for port in ("", ":80", ":443", ":8443")
    ]
)


@dataclass
class Known:
    """What a server of Authlib's knows of a consumer or a token."""

    secret: str = ""
    public_key: str = ""

    def get_client_secret(self) -> str:
        return self.secret

    def get_rsa_public_key(self) -> str:
        return self.public_key

    def get_oauth_token_secret(self) -> str:
        return self.secret


@pytest.fixture(scope="module", autouse=True)
def _authlib_takes_plain_http() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
        yield


def sent(signed: Signed, url: str, form: str) -> list[OAuth1Request]:
    """Two requests, without a form and with one, as Authlib sees them."""
    given = [
        requests.Request("GET", url),
        requests.Request("POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, data=form),
    ]
    ready = [signed(request.prepare()) for request in given]
    return [OAuth1Request(request.method, request.url, request.body, request.headers) for request in ready]


@settings(max_examples=1500, **SETTINGS)
@given(prefixes, paths, queries, forms, secrets, secrets)
def test_authlib_finds_hmac_sha1_right(
    prefix: str, path: str, query: str, form: str, secret: str, token_secret: str
) -> None:
    signed = Signed(Consumer("the consumer", "a" + secret), Token("the-token", token_secret), prefix)
    for request in sent(signed, f"{prefix}{path}?{query}", form):
        request.client, request.credential = Known("a" + secret), Known(token_secret)
        assert (request.client_id, request.token) == ("the consumer", "the-token")
        assert verify_hmac_sha1(request)


@settings(max_examples=150, **SETTINGS)
@given(prefixes, paths, queries, forms)
def test_authlib_finds_rsa_sha1_right(prefix: str, path: str, query: str, form: str) -> None:
    signed = Signed(consumer("RSA-SHA1"), Token("the-token", "the-secret"), prefix)
    for request in sent(signed, f"{prefix}{path}?{query}", form):
        request.client = Known(public_key=rsa_keys.public_key(nobodys_key()))
        assert verify_rsa_sha1(request)


def test_authlib_can_tell() -> None:
    signed = Signed(consumer(), Token("the-token", "the-secret"), "https://bitbucket.example/")
    (right, _), (wrong, _) = (sent(signed, "https://bitbucket.example/?a=1", "") for _ in range(2))
    for request, secret in ((right, "the-secret"), (wrong, "another")):
        request.client, request.credential = Known(consumer().secret), Known(secret)
    assert verify_hmac_sha1(right)
    assert not verify_hmac_sha1(wrong)
