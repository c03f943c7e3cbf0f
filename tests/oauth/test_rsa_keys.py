"""RSA keys as people configure them."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from oauth.certificates import certificate
from oauth.signing import nobodys_key

from django_bitbucket_auth.oauth import rsa_keys


def nobodys() -> rsa.RSAPrivateKey:
    key = load_pem_private_key(nobodys_key().encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def as_pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    kind: PrivateFormat = PrivateFormat.PKCS8,
    lock: KeySerializationEncryption | None = None,
) -> str:
    return key.private_bytes(Encoding.PEM, kind, lock or NoEncryption()).decode()


def pkcs1() -> str:
    return as_pem(nobodys(), PrivateFormat.TraditionalOpenSSL)


# -- good ones ---------------------------------------------------------------------------------------------------------


def test_a_new_key_has_2048_bits_and_is_another_each_time() -> None:
    key = rsa_keys.new_key()
    assert key.startswith("-----BEGIN PRIVATE KEY-----\n") and key.endswith("-----END PRIVATE KEY-----\n")
    assert rsa_keys.load(key).key_size == 2048
    assert key != nobodys_key()


def test_the_public_half_is_what_an_administrator_pastes() -> None:
    public = rsa_keys.public_key(nobodys_key())
    assert public.startswith("-----BEGIN PUBLIC KEY-----\n") and public.endswith("-----END PUBLIC KEY-----\n")
    assert load_pem_public_key(public.encode()) == nobodys().public_key()


#: How one key may be written.
WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": lambda key: key,
    "PKCS#1": lambda key: pkcs1(),
    "literal line ends": lambda key: key.replace("\n", "\\n"),
    "literal line ends, PKCS#1": lambda key: pkcs1().replace("\n", "\\n"),
    "literal line ends of Windows": lambda key: key.replace("\n", "\\r\\n"),
    "line ends of Windows": lambda key: key.replace("\n", "\r\n"),
    "line ends of old": lambda key: key.replace("\n", "\r"),
    "white space around": lambda key: f" \n\t{key}\n\n ",
    "no last line end": str.strip,
    "indented": lambda key: key.replace("\n", "\n        "),
    "spaces for line ends": lambda key: key.replace("\n", " "),
    "on one line": lambda key: key.replace("\n", ""),
    "in quotes": lambda key: f'"{key}"',
    "words before it": lambda key: "Bag Attributes\n    friendlyName: x\nKey Attributes: <No Attributes>\n" + key,
    "the public half before it": lambda key: rsa_keys.public_key(key) + key,
    "the public half after it": lambda key: key + rsa_keys.public_key(key),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_key_is_read_however_it_is_written(name: str) -> None:
    assert rsa_keys.private_key(WRITTEN[name](nobodys_key())) == nobodys_key()


@pytest.mark.parametrize("name", ["as it is", "PKCS#1", "literal line ends", "words before it"])
def test_a_key_is_read_from_a_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a key.pem"
    path.write_text(WRITTEN[name](nobodys_key()))
    assert rsa_keys.private_key(str(path)) == nobodys_key()
    assert rsa_keys.private_key(f" {path}\n") == nobodys_key()


def test_a_relative_path_is_one_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.pem").write_text(nobodys_key())
    monkeypatch.chdir(tmp_path)
    assert rsa_keys.private_key("key.pem") == nobodys_key()


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(pkcs1())
    first = rsa_keys.private_key(str(path))
    path.write_text(another := rsa_keys.new_key())
    assert (first, rsa_keys.private_key(str(path))) == (nobodys_key(), another)


def test_a_key_of_1024_bits_is_taken() -> None:
    """Application links of Atlassian's older guides have them."""
    short = as_pem(rsa.generate_private_key(65537, 1024))  # noqa: S505
    assert rsa_keys.private_key(short) == short


def test_a_key_is_loaded_once() -> None:
    assert rsa_keys.load(nobodys_key()) is rsa_keys.load(nobodys_key())


# -- bad ones ----------------------------------------------------------------------------------------------------------

#: Of a key of 512 bits, which is nobody's: `cryptography` reads such keys, and makes none.
P = 105848282293410166060553180490244033285762554674274417989040247702531652219377
Q = 92584398266427300039604783674022388780715181752106523381446094629492336757327


def short_key() -> rsa.RSAPrivateKey:
    d = pow(65537, -1, (P - 1) * (Q - 1))
    public = rsa.RSAPublicNumbers(65537, P * Q)
    parts = rsa.rsa_crt_dmp1(d, P), rsa.rsa_crt_dmq1(d, Q), rsa.rsa_crt_iqmp(P, Q)
    return rsa.RSAPrivateNumbers(P, Q, d, *parts, public).private_key()


def lines(first: int, last: int) -> str:
    """Some lines of a key, and the very last."""
    all_of_them = nobodys_key().splitlines()
    return "\n".join(all_of_them[first:last] + all_of_them[-1:])


LOCK = BestAvailableEncryption(b"canary")
#: What isn't a key that can sign, by a part of what is said of it.
BAD: dict[str, tuple[str, Callable[[], str]]] = {
    "nothing": ("there is no key", lambda: ""),
    "white space": ("there is no key", lambda: " \n"),
    "words": ("no file of this name", lambda: "canary"),
    "a key without its first and last line": ("no file of this name", lambda: nobodys_key()[28:-27]),
    "a NUL": ("no file of this name", lambda: "canary\0"),
    "an octet": ("no file of this name", lambda: "canary\udce4"),
    "a public key": ("public half", lambda: rsa_keys.public_key(nobodys_key())),
    "a public key, PKCS#1": (
        "public half",
        lambda: nobodys().public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode(),
    ),
    "a locked key": ("passphrase", lambda: as_pem(nobodys(), lock=LOCK)),
    "a locked key, PKCS#1": ("passphrase", lambda: as_pem(nobodys(), PrivateFormat.TraditionalOpenSSL, LOCK)),
    "a key of OpenSSH": ("ssh-keygen", lambda: as_pem(nobodys(), PrivateFormat.OpenSSH)),
    "a key of elliptic curves": ("no RSA key", lambda: as_pem(ec.generate_private_key(ec.SECP256R1()))),
    "one of older form": (
        "no RSA key",
        lambda: as_pem(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.TraditionalOpenSSL),
    ),
    "an Ed25519 key": ("no RSA key", lambda: as_pem(ed25519.Ed25519PrivateKey.generate())),
    "a key of 512 bits": ("only 512 bits", lambda: as_pem(short_key())),
    "half a key": ("isn't whole", lambda: nobodys_key()[:600]),
    "a key without some of its lines": ("damaged", lambda: lines(0, 5)),
    "a key with another character": ("damaged", lambda: nobodys_key().replace("\nMII", "\n!II")),
    "an empty key": ("damaged", lambda: lines(0, 1)),
    "another's end": ("isn't whole", lambda: nobodys_key().replace("END PRIVATE", "END RSA PRIVATE")),
    "parameters": ("no private key", lambda: "-----BEGIN DH PARAMETERS-----\ncanary\n-----END DH PARAMETERS-----"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_can_not_sign_is_refused_with_what_to_do(name: str) -> None:
    said, value = BAD[name][0], BAD[name][1]()
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        rsa_keys.private_key(value)
    assert "canary" not in repr(caught.value)
    assert not any(line in str(caught.value) for line in value.split() if len(line) > 20)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("name", ["nothing", "words", "an octet", "a public key", "a locked key", "half a key"])
def test_the_same_is_said_of_a_file(name: str, tmp_path: Path) -> None:
    said, value = BAD[name][0], BAD[name][1]()
    path = tmp_path / "canary.pem"
    path.write_bytes(value.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=re.escape(said) if "BEGIN" in value else "no private key") as caught:
        rsa_keys.private_key(str(path))
    assert "canary" not in repr(caught.value)


def test_a_certificate_is_no_key(tmp_path: Path) -> None:
    path, _ = certificate(tmp_path, "canary")
    with pytest.raises(ValueError, match="certificate"):
        rsa_keys.private_key(path)
    with pytest.raises(ValueError, match="certificate"):
        rsa_keys.private_key(Path(path).read_text())


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="folder") as caught:
        rsa_keys.private_key(str(tmp_path))
    assert str(tmp_path) not in str(caught.value)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no file"):
        rsa_keys.private_key(str(tmp_path / "pipe"))


def test_a_file_of_somebody_elses_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a system that refuses: who runs the tests may be root, whom none does."""

    def refuse(self: Path, *args: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    path = tmp_path / "canary.pem"
    path.write_text(nobodys_key())
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ValueError, match="can't be read") as caught:
        rsa_keys.private_key(str(path))
    assert "canary" not in repr(caught.value)


def test_a_file_much_too_large_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_text(nobodys_key() + "x" * 70_000)
    with pytest.raises(ValueError, match="too large"):
        rsa_keys.private_key(str(path))
