"""What is in the way to a URL that gives no answer: its name, the connection, a proxy, a certificate.

For people who look for the reason. Nothing is sent but what opens a connection: a proxy's ``CONNECT``, and the TLS
handshake. A connection that isn't verified is opened only to read the certificates that were refused, and closed.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

from cryptography import x509
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_auth_from_url, select_proxy
from urllib3.util.ssl_ import create_urllib3_context

from . import urls
from .reading import Deadline
from .transport import Network, PooledSession

Kind = Literal[
    "name",  # it isn't known
    "refused",  # nobody listens there
    "silent",  # nothing came back in time
    "unreachable",  # there is no way there
    "proxy_credentials",  # the proxy wants a name and a password
    "proxy_refused",  # the proxy doesn't open the way
    "ca_bundle",  # CA_BUNDLE can't be read
    "client_cert",  # CLIENT_CERT can't be read
    "certificate",  # nobody vouches for it, it is for another name, or not for now
    "tls",  # the handshake failed otherwise
]
#: OpenSSL's numbers (openssl-verification-options(1)).
NOT_YET_VALID, EXPIRED, SELF_SIGNED, SELF_SIGNED_IN_CHAIN, NO_ISSUER, NOT_VERIFIED = 9, 10, 18, 19, 20, 21
OTHER_NAME, OTHER_ADDRESS = 62, 64
_HEAD = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What people can tell a certificate by; ``names`` are the hosts that it is for. Times are aware, and UTC."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Where the way ends, and why.

    ``where``: host and port of whoever is asked there, perhaps a proxy. ``detail``: the words of the system, of OpenSSL
    or of the proxy's status. With a ``certificate``: OpenSSL's ``number`` for what is wrong, and ``guilty``, the one of
    the server's certificates that it is wrong with, as far as that can be told.
    """

    kind: Kind
    where: str
    by_proxy: bool = False
    detail: str = ""
    number: int = 0
    guilty: Certificate | None = None


class _Blocked(Exception):
    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.kind)
        self.obstacle = obstacle


@dataclass(frozen=True, slots=True)
class _Way:
    """From here to a host, perhaps through a proxy (scheme, host, port)."""

    network: Network
    deadline: Deadline
    target: tuple[str, str, int]
    proxy_url: str = ""

    def seconds(self, place: int) -> float:
        """How long a connection (0) or a read (1) may take."""
        return min(self.network.timeout[place], self.deadline.remaining())

    def blocked(self, kind: Kind, detail: object = "", *, at_proxy: bool = False) -> _Blocked:
        _, host, port = urls.origin(self.proxy_url) if at_proxy else self.target
        return _Blocked(Obstacle(kind, _place(host, port), at_proxy, _words(detail)))


def proxy_for(url: str, network: Network) -> str:
    """The proxy by which a URL is asked for, as a URL that may hold a password; empty if there is none."""
    with PooledSession(network) as session:
        found = select_proxy(url, session.proxies_for(url))
    if not found:
        return ""
    return found if "://" in found else f"http://{found}"


def find(url: str, network: Network, deadline: Deadline) -> Obstacle | None:
    """The first thing in the way to ``url``; ``None`` if a connection can be opened, or by a proxy that isn't HTTP's.

    Raises:
        BitbucketTimeout: the deadline is over.
    """
    proxy = proxy_for(url, network)
    try:
        if proxy and urls.origin(proxy)[0] != "http":
            return None
    except ValueError:  # of another kind, or no address at all
        return None
    way = _Way(network, deadline, urls.origin(url), proxy)
    try:
        with _connected(way) as connection:
            if way.target[0] == "https":
                _shake_hands(way, connection)
    except _Blocked as blocked:
        return blocked.obstacle
    return None


@contextmanager
def _connected(way: _Way) -> Iterator[socket.socket]:
    """A connection to the host, or by the proxy to it."""
    at_proxy = bool(way.proxy_url)
    _, host, port = urls.origin(way.proxy_url) if at_proxy else way.target
    try:
        connection = socket.create_connection((host, port), way.seconds(0))
    except socket.gaierror as error:
        raise way.blocked("name", error.strerror, at_proxy=at_proxy) from None
    except TimeoutError:
        raise way.blocked("silent", at_proxy=at_proxy) from None
    except ConnectionRefusedError:
        raise way.blocked("refused", at_proxy=at_proxy) from None
    except OSError as error:
        raise way.blocked("unreachable", error.strerror, at_proxy=at_proxy) from None
    with connection:
        if at_proxy and way.target[0] == "https":
            _open_tunnel(way, connection)
        yield connection


def _open_tunnel(way: _Way, connection: socket.socket) -> None:
    """Let the proxy open the way (RFC 9110, 9.3.6)."""
    _, host, port = way.target
    at = _place(host, port)
    lines = [f"CONNECT {at} HTTP/1.1", f"Host: {at}"]
    username, password = get_auth_from_url(way.proxy_url)
    if username:
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {pair}")
    head = b""
    try:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
        while b"\r\n\r\n" not in head and len(head) < _HEAD:
            connection.settimeout(way.seconds(1))
            chunk = connection.recv(4096)
            if not chunk:
                break
            head += chunk
    except OSError as error:
        raise way.blocked("proxy_refused", type(error).__name__, at_proxy=True) from None
    found = _STATUS.match(head)
    status = found[1].decode() if found else "no HTTP"
    if status == "407":
        raise way.blocked("proxy_credentials", "HTTP 407", at_proxy=True)
    if not status.startswith("2"):
        raise way.blocked("proxy_refused", f"HTTP {status}" if found else status, at_proxy=True)


def _shake_hands(way: _Way, connection: socket.socket) -> None:
    context = _context(way)
    connection.settimeout(way.seconds(1))
    try:
        context.wrap_socket(connection, server_hostname=way.target[1]).close()
    except ssl.SSLCertVerificationError as error:
        obstacle = way.blocked("certificate", error.verify_message).obstacle
        culprit = guilty(_chain(way), error.verify_code, datetime.now(UTC))
        raise _Blocked(replace(obstacle, number=error.verify_code, guilty=culprit)) from None
    except ssl.SSLError as error:
        raise way.blocked("tls", error.reason or type(error).__name__) from None
    except OSError as error:
        raise way.blocked("tls", type(error).__name__) from None


def _context(way: _Way) -> ssl.SSLContext:
    """As requests makes it."""
    context = create_urllib3_context()
    context.verify_mode, context.check_hostname = ssl.CERT_REQUIRED, True
    bundle = way.network.ca_bundle or DEFAULT_CA_BUNDLE_PATH
    folder = Path(bundle).is_dir()
    try:
        context.load_verify_locations(None if folder else bundle, bundle if folder else None)
    except OSError as error:  # SSLError is one
        raise way.blocked("ca_bundle", error.strerror) from None
    certificate = way.network.client_cert
    if certificate:
        files = (certificate,) if isinstance(certificate, str) else certificate
        try:
            context.load_cert_chain(*files)
        except OSError as error:
            raise way.blocked("client_cert", error.strerror) from None
    return context


def _chain(way: _Way) -> tuple[Certificate, ...]:
    """The certificates that the server shows, its own first; Python before 3.13 tells that one alone."""
    # Nothing is sent over it, and nothing that is read is believed: it is for people to see what was refused.
    context = create_urllib3_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with _connected(way) as connection:
            connection.settimeout(way.seconds(1))
            with context.wrap_socket(connection, server_hostname=way.target[1]) as secured:
                whole = getattr(secured, "get_unverified_chain", None)
                shown = whole() if whole else [secured.getpeercert(True)]
        return tuple(map(_read, cast("list[bytes]", shown)))
    except (_Blocked, OSError, ValueError):
        return ()


def _read(der: bytes) -> Certificate:
    found = x509.load_der_x509_certificate(der)
    names: list[str] = []
    with suppress(x509.ExtensionNotFound):
        others = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [*others.get_values_for_type(x509.DNSName), *map(str, others.get_values_for_type(x509.IPAddress))]
    return Certificate(
        _words(found.subject.rfc4514_string()),
        _words(found.issuer.rfc4514_string()),
        _moment(found, "not_valid_before"),
        _moment(found, "not_valid_after"),
        tuple(map(_words, names[:20])),
    )


def _moment(found: x509.Certificate, name: str) -> datetime:
    # By its newer name, since cryptography 42, it is aware; by its older one, which that warns of, it isn't.
    moment: datetime = getattr(found, f"{name}_utc", None) or getattr(found, name).replace(tzinfo=UTC)
    return moment


def guilty(chain: tuple[Certificate, ...], number: int, now: datetime) -> Certificate | None:
    """The certificate of the chain that OpenSSL's complaint is about."""
    if not chain:
        return None
    if number in (EXPIRED, NOT_YET_VALID):
        # If it is none of these, it is one that wasn't seen.
        return next((one for one in chain if not one.not_before <= now <= one.not_after), None)
    # The last one shown is the one whose issuer isn't among those that are trusted.
    return chain[-1] if number in (SELF_SIGNED_IN_CHAIN, NO_ISSUER, NOT_VERIFIED) else chain[0]


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _words(text: object) -> str:
    return "".join(filter(str.isprintable, str(text or "")))[:200]
