"""What is in the way to a URL: found step by step, and told apart."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from oauth.certificates import certificate, tls_of
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.exceptions import BitbucketTimeout
from django_bitbucket_auth.oauth import obstacles
from django_bitbucket_auth.oauth.obstacles import Certificate, Obstacle, find
from django_bitbucket_auth.oauth.reading import Deadline
from django_bitbucket_auth.oauth.transport import Network

PASSWORD = "canary-of-a-proxy"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return certificate(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine on which nobody listens."""
    with closing(socket.socket()) as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


def obstacle(url: str, seconds: float = 10, **keys: Any) -> Obstacle | None:
    return find(url, Network("obstacles", timeout=(2, 5), **keys), Deadline(seconds))


def kind(url: str, **keys: Any) -> str:
    found = obstacle(url, **keys)
    assert found is not None
    return found.kind


def by(proxy: str) -> dict[str, Any]:
    return {"proxies": {"http": proxy, "https": proxy}}


# -- without a proxy ---------------------------------------------------------------------------------------------------


def test_where_there_is_nothing_in_the_way_there_is_none(ours: tuple[str, str]) -> None:
    with Loopback(reply()) as plain, Loopback(reply(), tls=tls_of(ours)) as secured:
        assert obstacle(plain.url) is None
        assert obstacle(secured.url, ca_bundle=ours[0]) is None
        # To look is not to ask.
        assert plain.requests == secured.requests == []


def test_a_name_that_is_not_known() -> None:
    found = obstacle("https://git.invalid/bitbucket")
    assert found == Obstacle("name", "git.invalid:443", detail="Name or service not known")


def test_a_port_on_which_nobody_listens(closed_port: int) -> None:
    assert obstacle(f"http://127.0.0.1:{closed_port}") == Obstacle("refused", f"127.0.0.1:{closed_port}")


@pytest.mark.parametrize(
    ("error", "kind"), [(TimeoutError(), "silent"), (OSError(113, "No route to host"), "unreachable")]
)
def test_a_firewall(error: OSError, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*given: object) -> None:
        raise error

    monkeypatch.setattr(socket.socket, "connect", connect)
    found = obstacle("http://127.0.0.1:8")
    assert found is not None and (found.kind, found.detail) == (kind, error.strerror or "")


def test_no_time_is_left() -> None:
    with pytest.raises(BitbucketTimeout):
        obstacle("http://127.0.0.1:8", seconds=0)


# -- TLS ---------------------------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for_is_shown(ours: tuple[str, str]) -> None:
    with Loopback(reply(), tls=tls_of(ours)) as server:
        found = obstacle(server.url)
        assert found is not None and found.guilty is not None
        assert (found.kind, found.where, found.number) == ("certificate", f"127.0.0.1:{server.port}", 18)
        assert found.detail == "self-signed certificate"
        assert (found.guilty.subject, found.guilty.issuer) == ("CN=ours", "CN=ours")
        assert found.guilty.names == ("127.0.0.1",)
        assert found.guilty.not_before < datetime.now(UTC) < found.guilty.not_after
        assert server.requests == []


def test_a_certificate_for_another_name_is_shown_with_its_names(ours: tuple[str, str]) -> None:
    with Loopback(reply(), tls=tls_of(ours)) as server:
        found = obstacle(f"https://localhost:{server.port}", ca_bundle=ours[0])
        assert found is not None and found.guilty is not None
        assert (found.number, found.guilty.names) == (obstacles.OTHER_NAME, ("127.0.0.1",))


def test_a_server_that_shows_no_certificate_again_leaves_it_open(ours: tuple[str, str]) -> None:
    left = [tls_of(ours)]
    with Loopback(reply(), tls=tls_of(ours)) as server:
        way = socket.create_connection

        def once(address: tuple[str, int], *given: Any) -> socket.socket:
            if not left:
                raise ConnectionRefusedError
            left.pop()
            return way(address, *given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "create_connection", once)
            found = obstacle(server.url)
    assert found is not None and (found.kind, found.guilty) == ("certificate", None)


def test_who_takes_connections_and_says_nothing() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        # It is in the queue and never answered.
        address = f"https://127.0.0.1:{listening.getsockname()[1]}"
        network = Network("obstacles", timeout=(2, 0.1))
        found = find(address, network, Deadline(5))
    assert found is not None and (found.kind, found.detail) == ("tls", "TimeoutError")


def test_files_that_can_not_be_read(ours: tuple[str, str], tmp_path: pytest.TempPathFactory) -> None:
    with Loopback(reply(), tls=tls_of(ours)) as server:
        assert kind(server.url, ca_bundle="/nowhere/ca.pem") == "ca_bundle"
        assert kind(server.url, ca_bundle=__file__) == "ca_bundle"
        # A folder of certificates is fine, and this one has none.
        assert kind(server.url, ca_bundle=str(tmp_path)) == "certificate"
        assert kind(server.url, ca_bundle=ours[0], client_cert="/nowhere/client.pem") == "client_cert"
        assert obstacle(server.url, ca_bundle=ours[0], client_cert=ours) is None


def test_a_client_certificate_that_is_missing_shows_in_the_handshake(ours: tuple[str, str]) -> None:
    context = tls_of(ours)
    context.load_verify_locations(ours[0])
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # by 1.3 it would show when something is read
    with Loopback(reply(), tls=context) as server:
        assert kind(server.url, ca_bundle=ours[0]) == "tls"


NOW = datetime(2026, 11, 26, tzinfo=UTC)
DAY = timedelta(days=1)
LEAF = Certificate("CN=leaf", "CN=middle", NOW - DAY, NOW + DAY)
MIDDLE = Certificate("CN=middle", "CN=root", NOW - DAY, NOW + DAY)


@pytest.mark.parametrize(
    ("chain", "number", "guilty"),
    [
        ((), obstacles.EXPIRED, None),
        ((LEAF, replace(MIDDLE, not_after=NOW - timedelta(hours=1))), obstacles.EXPIRED, "CN=middle"),
        ((LEAF, replace(MIDDLE, not_before=NOW + DAY)), obstacles.NOT_YET_VALID, "CN=middle"),
        # It is one that Python doesn't show.
        ((LEAF,), obstacles.EXPIRED, None),
        ((LEAF, MIDDLE), obstacles.NO_ISSUER, "CN=middle"),
        ((LEAF,), obstacles.NOT_VERIFIED, "CN=leaf"),
        ((LEAF, MIDDLE), obstacles.OTHER_NAME, "CN=leaf"),
    ],
)
def test_which_certificate_of_a_chain_it_is(chain: tuple[Certificate, ...], number: int, guilty: str | None) -> None:
    found = obstacles.guilty(chain, number, NOW)
    assert (found.subject if found else None) == guilty


# -- by a proxy --------------------------------------------------------------------------------------------------------


def lets_through(exchange: Exchange) -> None:
    """A proxy that opens the way, at whose other end somebody hangs up."""
    exchange.write(b"HTTP/1.1 200 OK\r\n\r\n")


def test_a_proxy_that_is_not_there(closed_port: int) -> None:
    found = obstacle("https://git.invalid", **by(f"http://name:{PASSWORD}@127.0.0.1:{closed_port}"))
    assert found == Obstacle("refused", f"127.0.0.1:{closed_port}", by_proxy=True)
    assert kind("https://git.invalid", **by("proxy.invalid:3128")) == "name"


@pytest.mark.parametrize(
    ("answer", "kind", "detail"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "proxy_credentials", "HTTP 407"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxy_refused", "HTTP 403"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "proxy_refused", "no HTTP"),
        (b"x" * 70_000, "proxy_refused", "no HTTP"),
    ],
)
def test_a_proxy_that_refuses(answer: bytes, kind: str, detail: str) -> None:
    with Loopback(answer) as proxy:
        found = obstacle("https://[2001:db8::7]:8443/git", **by(f"http://name:{PASSWORD}@127.0.0.1:{proxy.port}"))
        assert found == Obstacle(kind, f"127.0.0.1:{proxy.port}", by_proxy=True, detail=detail)  # type: ignore[arg-type]
        (request,) = proxy.requests
        assert (request.method, request.target) == ("CONNECT", "[2001:db8::7]:8443")
        assert request.headers["proxy-authorization"].startswith("Basic ")
    assert PASSWORD not in repr(found)


def test_a_proxy_that_hangs_up_or_says_nothing() -> None:
    with Loopback(lambda exchange: None) as proxy:
        found = obstacle("https://git.invalid", **by(proxy.url))
        assert found is not None and (found.kind, found.detail) == ("proxy_refused", "no HTTP")
        assert "proxy-authorization" not in proxy.requests[0].headers
    with Loopback(lambda exchange: exchange.pause(10)) as proxy:
        network = Network("obstacles", timeout=(2, 0.1), proxies={"https": proxy.url})
        found = find("https://git.invalid", network, Deadline(5))
        assert found is not None and (found.kind, found.detail) == ("proxy_refused", "TimeoutError")


def test_the_way_beyond_a_proxy_is_looked_at_too() -> None:
    with Loopback(lets_through) as proxy:
        found = obstacle("https://127.0.0.1:1", **by(proxy.url))
        assert found is not None and (found.kind, found.by_proxy) == ("tls", False)


def test_plain_http_by_a_proxy_takes_the_proxy_only() -> None:
    with Loopback(reply()) as proxy:
        assert obstacle("http://git.invalid", **by(proxy.url)) is None
        assert proxy.requests == []


def test_other_proxies_are_not_looked_at() -> None:
    for proxy in ("socks5://127.0.0.1:1", "https://127.0.0.1:1", "http://proxy:port"):
        assert obstacle("https://git.invalid", **by(proxy)) is None
