"""Sealing: what opens, where, and with which keys."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.test import override_settings

from django_bitbucket_auth import crypto
from django_bitbucket_auth.crypto import Unsealable, seal, unseal
from django_bitbucket_auth.exceptions import ConfigurationError

OLD, NEW = "an-old-secret-of-thirty-two-characters", "a-new-secret-of-thirty-two-characters!"


def keys(*secrets: str) -> override_settings:
    return override_settings(BITBUCKET_AUTH_TOKEN_KEYS=list(secrets))


@pytest.mark.parametrize("text", ["", "secret", "Zoë 张伟 \0", "x" * 5000], ids=len)
def test_what_was_sealed_opens(text: str) -> None:
    sealed = seal("purpose", "context", text)
    assert unseal("purpose", "context", sealed) == text
    assert re.fullmatch(r"1\.[\w-]{8}\.[\w-]+", sealed, re.ASCII)
    assert not text or text not in sealed


def test_the_same_text_is_never_sealed_to_the_same() -> None:
    assert len({seal("purpose", "context", "secret") for _ in range(50)}) == 50


@pytest.mark.parametrize(
    ("purpose", "context"), [("other", "context"), ("purpose", "other"), ("", ""), ("purpos", "econtext")]
)
def test_it_opens_for_its_purpose_and_context_only(purpose: str, context: str) -> None:
    with pytest.raises(Unsealable):
        unseal(purpose, context, seal("purpose", "context", "secret"))


def test_every_altered_character_is_noticed() -> None:
    sealed = seal("purpose", "context", "secret")
    # The last character holds bits that base64 doesn't use.
    for place in range(len(sealed) - 1):
        altered = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
        with pytest.raises(Unsealable):
            unseal("purpose", "context", altered)


@pytest.mark.parametrize("odd", ["", "1", "1.", "1..", "2.x.y", "secret", "1.é.x", "1.x.é"])
def test_what_is_not_ours_does_not_open(odd: str) -> None:
    with pytest.raises(Unsealable):
        unseal("purpose", "context", odd)


@pytest.mark.parametrize("body", ["", "A", "AAAA", "A" * 15, "A" * 16, "A" * 17, "A" * 64, "*" * 64])
def test_a_body_that_is_too_short_or_odd_does_not_open(body: str) -> None:
    key_id = seal("purpose", "context", "secret").split(".")[1]
    with pytest.raises(Unsealable):
        unseal("purpose", "context", f"1.{key_id}.{body}")


def test_a_text_that_is_no_text_does_not_open() -> None:
    _, cipher = crypto._cipher(b"k" * 32, "purpose")
    nonce = b"n" * 12
    raw = nonce + cipher.encrypt(nonce, b"\xff", b"purpose\0context")
    with keys("k" * 32):
        key_id = seal("purpose", "context", "").split(".")[1]
        with pytest.raises(Unsealable):
            unseal("purpose", "context", f"1.{key_id}.{urlsafe_b64encode(raw).decode()}")


def test_the_newest_key_seals_and_the_older_still_open() -> None:
    with keys(OLD):
        old = seal("purpose", "context", "secret")
    with keys(NEW, OLD):
        assert unseal("purpose", "context", old) == "secret"
        new = seal("purpose", "context", "secret")
    with keys(NEW):
        assert unseal("purpose", "context", new) == "secret"
        with pytest.raises(Unsealable):
            unseal("purpose", "context", old)


def test_a_key_that_is_gone_opens_nothing() -> None:
    sealed = seal("purpose", "context", "secret")
    with keys(NEW), pytest.raises(Unsealable):
        unseal("purpose", "context", sealed)


def test_by_default_the_keys_follow_the_secret_key_and_its_fallbacks() -> None:
    with override_settings(SECRET_KEY=OLD):
        sealed = seal("purpose", "context", "secret")
    with override_settings(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD]):
        assert unseal("purpose", "context", sealed) == "secret"
    with override_settings(SECRET_KEY=NEW), pytest.raises(Unsealable):
        unseal("purpose", "context", sealed)


def test_a_secret_key_of_bytes_will_do() -> None:
    with override_settings(SECRET_KEY=OLD.encode()):
        assert unseal("p", "c", seal("p", "c", "secret")) == "secret"


@pytest.mark.parametrize("use", [lambda: seal("p", "c", "secret"), lambda: unseal("p", "c", "1.AAAAAAAA.AAAA")])
def test_wrong_keys_are_a_configuration_error(use: Callable[[], str]) -> None:
    with keys("short"), pytest.raises(ConfigurationError, match="BITBUCKET_AUTH_TOKEN_KEYS") as caught:
        use()
    assert "short" not in str(caught.value)


def test_neither_secret_nor_purpose_is_used_as_it_is() -> None:
    """Keys are derived: a purpose's key doesn't open another's text even without the bound purpose."""
    assert crypto._cipher(OLD.encode(), "a")[0] == crypto._cipher(OLD.encode(), "b")[0]
    nonce = b"n" * 12
    one, two = (crypto._cipher(OLD.encode(), purpose)[1].encrypt(nonce, b"secret", None) for purpose in "ab")
    assert one != two


def test_the_format_is_that_of_the_docstring() -> None:
    """Written out, so that rows of today open in every later version: AES-256-GCM, keys by HKDF-SHA256."""

    def derive(info: bytes, length: int) -> bytes:
        return HKDF(SHA256(), length, salt=b"django_bitbucket_auth", info=info).derive(OLD.encode())

    with keys(OLD):
        version, key_id, body = seal("purpose", "context", "secret").split(".")
    assert (version, key_id) == ("1", urlsafe_b64encode(derive(b"key id", 6)).decode())
    raw = urlsafe_b64decode(body + "=" * (-len(body) % 4))
    key = AESGCM(derive(b"encrypt purpose", 32))
    assert key.decrypt(raw[:12], raw[12:], b"purpose\0context") == b"secret"


def test_without_its_version_it_does_not_open() -> None:
    sealed = seal("purpose", "context", "secret")
    for altered in (sealed.removeprefix("1."), sealed.replace("1.", "2.", 1), f"1.{sealed}"):
        with pytest.raises(Unsealable):
            unseal("purpose", "context", altered)
