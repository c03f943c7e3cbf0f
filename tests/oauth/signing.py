"""What a server has to find out about a signature, by oauthlib's provider side; and a key that is nobody's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from oauthlib.common import Request
from oauthlib.oauth1.rfc5849 import signature, utils

from django_bitbucket_auth.oauth import rsa_keys
from django_bitbucket_auth.oauth.oauth1 import Consumer


@cache
def nobodys_key() -> str:
    """An RSA key made for this run of the tests."""
    return rsa_keys.new_key()


@cache
def consumer(method: str = "HMAC-SHA1") -> Consumer:
    if method == "RSA-SHA1":
        return Consumer("the consumer", signature_method=method, rsa_key=nobodys_key())
    return Consumer("the consumer", "the-consumer-secret")


def protocol_parameters(authorization: str) -> dict[str, str]:
    """What stands in an ``Authorization`` header, in the clear; a name twice fails."""
    assert authorization.startswith("OAuth ")
    found = [part.strip().partition("=") for part in authorization.removeprefix("OAuth ").split(",")]
    names = [name for name, _, _ in found]
    assert len(set(names)) == len(names)
    assert all(value[0] == value[-1] == '"' for _, _, value in found)
    return {utils.unescape(name): utils.unescape(value[1:-1]) for name, _, value in found}


def verified(
    method: Any, uri: str, headers: Mapping[str, str], body: bytes = b"", *, signer: Consumer, token_secret: str = ""
) -> bool:
    """Whether the signature is right for a request as a server sees it. ``uri``: with the authority of ``Host``."""
    lower = {name.lower(): value for name, value in headers.items()}
    form = lower.get("content-type", "").startswith("application/x-www-form-urlencoded")
    protocol = protocol_parameters(lower["authorization"])
    # In what `Request` itself decodes, it refuses characters that requests sends.
    request: Any = Request(uri.partition("?")[0], method)
    request.signature = protocol.pop("oauth_signature")
    request.params = [
        *parse_qsl(uri.partition("?")[2], keep_blank_values=True),
        *(parse_qsl(body.decode(), keep_blank_values=True) if form else []),
        *protocol.items(),
    ]
    assert protocol["oauth_consumer_key"] == signer.key
    assert protocol["oauth_signature_method"] == signer.signature_method
    if signer.signature_method == "RSA-SHA1":
        return bool(signature.verify_rsa_sha1(request, rsa_keys.public_key(signer.rsa_key)))
    return bool(signature.verify_hmac_sha1(request, signer.secret, token_secret))
