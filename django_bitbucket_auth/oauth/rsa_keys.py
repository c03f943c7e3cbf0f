"""RSA keys for RSA-SHA1 (RFC 5849, 3.4.3): as people configure them, as they are used, and new ones.

No message here shows a key, or the value that was taken for one: messages stand in logs and on terminals.
"""

from __future__ import annotations

import base64
import re
import stat
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

#: As long as Atlassian's older guides had people make them: such keys stand in application links to this day, of none
#: is it known that it was found out, and to replace one takes an administrator of that Bitbucket. The longest that was
#: found out in public has 829 bits (RSA-250, in 2020).
_FEWEST_BITS = 1024
#: Bytes of a file with a key. One of 16,384 bits takes some 13,000.
_LARGEST = 64 * 1024
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_LOOKS = "it begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----"
_MAKE = "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048"


def private_key(value: str) -> str:
    """The key that ``value`` holds, or names the file of, as PEM text (PKCS#8).

    ``value`` is PEM text, PKCS#1 or PKCS#8, whose lines may end in a literal ``\\n`` (as in an environment variable) or
    in spaces; or the path of a file with such text, maybe among other things.

    Raises:
        ValueError: it is none that can sign; the message says why, and what to do.
    """
    text = value.strip()
    return _pem(load(text if "-----BEGIN" in text else _content(text)))


def public_key(private: str) -> str:
    """The public half of a private key in PEM text: what an administrator pastes into the application link.

    Raises:
        ValueError: as for ``private_key``.
    """
    return load(private).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def new_key(bits: int = 2048) -> str:
    """A new private key as PEM text (PKCS#8), of the length that Atlassian documents."""
    return _pem(generate_private_key(public_exponent=65537, key_size=bits))


def _pem(key: RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@lru_cache(maxsize=8)  # to read a key, and check its numbers, takes some ninety times as long as to sign by it
def load(text: str) -> RSAPrivateKey:
    """The first private key in PEM text.

    Raises:
        ValueError: as for ``private_key``.
    """
    label, body = _block(text)
    if label == "OPENSSH PRIVATE KEY":
        raise ValueError("the key is in OpenSSH's own format. Convert a copy of it: ssh-keygen -p -m PKCS8 -f COPY")
    if "ENCRYPTED" in label or "ENCRYPTED" in body:
        raise ValueError(
            "the key is locked with a passphrase, which nobody would be there to type. Unlock it, and let only the "
            "site's user read the file: openssl pkey -in KEY -out UNLOCKED"
        )
    try:
        # By its octets: whatever happened to the line ends on the way, it is all white space.
        key = load_der_private_key(base64.b64decode("".join(body.split()), validate=True), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the key is damaged, or of a kind unknown here: look whether it was copied whole") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"the key is no RSA key, and RSA-SHA1 needs one. Make it: {_MAKE}")
    if key.key_size < _FEWEST_BITS:
        raise ValueError(
            f"the key has only {key.key_size} bits: it can be found out from its public half. Make another: {_MAKE}"
        )
    return key


def _block(text: str) -> tuple[str, str]:
    """Label and body of the PEM block with the private key."""
    blocks = _BLOCK.findall(text.replace("\\r", "").replace("\\n", "\n"))
    for label, body in blocks:
        if label.endswith("PRIVATE KEY"):
            return label, body
    if any(label.endswith("PUBLIC KEY") or label.startswith("CERTIFICATE") for label, _ in blocks):
        raise ValueError(
            "this is the public half of a key, or a certificate, which is for the application link. "
            f"What signs is the private half: {_LOOKS}"
        )
    raise ValueError(f"this is no private key in PEM format: {_LOOKS}, and isn't whole without its last line")


def _content(name: str) -> str:
    """What is in the file."""
    if not name:
        raise ValueError(f"there is no key. Give the PEM text of one ({_LOOKS}), or the path of a file with it")
    path = Path(name)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # also too long, or with a NUL in it
        raise ValueError(
            "there is no file of this name, or not for the user whom the site runs as. "
            f"Nor is it the PEM text of a private key: {_LOOKS}"
        ) from None
    if stat.S_ISDIR(mode):
        raise ValueError("this is the path of a folder. Give the path of the file with the key in it")
    if not stat.S_ISREG(mode):  # a pipe would be waited for
        raise ValueError("this is the path of something that is no file. Give the path of a file with the key in it")
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError:
        raise ValueError("the file with the key can't be read. Let the user whom the site runs as read it") from None
    if len(content) > _LARGEST:
        raise ValueError("the file is too large for a key. Give the path of the file with the key in it")
    return content.decode("ascii", "replace")
