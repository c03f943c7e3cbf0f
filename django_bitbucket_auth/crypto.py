"""Encryption of what must not be read or moved: started logins in cookies, tokens in the database.

AES-256-GCM with keys derived by HKDF-SHA256 (RFC 5869), one key per secret and purpose. A purpose and a context
(the row's or cookie's identity) are authenticated along with the text, so a ciphertext is good only where it was made:
one person's token pasted into another's row doesn't open. Nonces are random, which is fine for some 2**32 texts a key.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING

from django.utils.encoding import force_bytes
from django.views.decorators.debug import sensitive_variables

from . import conf

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: Format 1: "1.", the key's id (8 characters), ".", nonce and ciphertext in URL-safe base64.
PREFIX = "1."
_NONCE = 12


class Unsealable(Exception):
    """The text wasn't sealed by us, for this purpose and context, with a key that is still configured."""


@sensitive_variables()
def seal(purpose: str, context: str, text: str) -> str:
    """Encrypt ``text`` for one purpose and context, with the newest key. ASCII, fit for a cookie.

    Raises:
        ConfigurationError: the keys are wrong.
    """
    key_id, cipher = _cipher(force_bytes(conf.token_keys()[0]), purpose)
    nonce = os.urandom(_NONCE)
    sealed = nonce + cipher.encrypt(nonce, text.encode(), _bound(purpose, context))
    return f"{PREFIX}{key_id}.{urlsafe_b64encode(sealed).decode().rstrip('=')}"


def newest() -> str:
    """What begins every text that the newest key has sealed."""
    key_id, _ = _cipher(force_bytes(conf.token_keys()[0]), "")
    return f"{PREFIX}{key_id}."


@sensitive_variables()
def unseal(purpose: str, context: str, sealed: str) -> str:
    """Decrypt what ``seal`` made for the same purpose and context.

    Raises:
        Unsealable: it doesn't open.
        ConfigurationError: the keys are wrong.
    """
    from cryptography.exceptions import InvalidTag

    if not sealed.startswith(PREFIX) or not sealed.isascii():
        raise Unsealable
    key_id, _, body = sealed.removeprefix(PREFIX).partition(".")
    for secret in conf.token_keys():
        known_id, cipher = _cipher(force_bytes(secret), purpose)
        if known_id != key_id:
            continue
        try:
            raw = urlsafe_b64decode(body + "=" * (-len(body) % 4))
            return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _bound(purpose, context)).decode()
        except (ValueError, InvalidTag):
            break
    raise Unsealable


@lru_cache(maxsize=64)
def _cipher(secret: bytes, purpose: str) -> tuple[str, AESGCM]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def derive(info: str, length: int) -> bytes:
        return HKDF(SHA256(), length, salt=b"django_bitbucket_auth", info=info.encode()).derive(secret)

    return urlsafe_b64encode(derive("key id", 6)).decode(), AESGCM(derive(f"encrypt {purpose}", 32))


def _bound(purpose: str, context: str) -> bytes:
    return f"{purpose}\0{context}".encode()
