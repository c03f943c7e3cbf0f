"""Whom the certificate has to convince, and of what."""

from __future__ import annotations

import ssl

import pytest
import requests
from oauth.certificates import certificate, tls_of
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.exceptions import BitbucketTimeout, BitbucketUnavailable
from django_bitbucket_auth.oauth.reading import Deadline
from django_bitbucket_auth.oauth.transport import Network, send


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return certificate(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return certificate(tmp_path_factory.mktemp("other"), "other")


def ask(server: Loopback, name: str = "default", **keys: object) -> requests.Response:
    network = Network(name, timeout=(5, 20), retries=0, **keys)  # type: ignore[arg-type]
    return send(requests.Request("GET", server.url), network, Deadline(30))


def test_a_certificate_that_the_bundle_vouches_for_is_accepted(ours: tuple[str, str]) -> None:
    with Loopback(reply(), tls=tls_of(ours)) as server:
        assert ask(server, ca_bundle=ours[0]).status_code == 200
        assert ask(server, ca_bundle=ours[0]).status_code == 200
        assert server.connections == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(ours: tuple[str, str], other: tuple[str, str]) -> None:
    with Loopback(reply(), tls=tls_of(ours)) as server:
        with pytest.raises(BitbucketUnavailable, match=r"\(SSLError: "):
            ask(server)
        with pytest.raises(BitbucketUnavailable, match=r"\(SSLError: "):
            ask(server, ca_bundle=other[0])
        assert server.requests == []


@pytest.mark.parametrize("bundle", [False, "", None, 0])
def test_nothing_switches_the_check_off(ours: tuple[str, str], bundle: object) -> None:
    with Loopback(reply(), tls=tls_of(ours)) as server:
        with pytest.raises(BitbucketUnavailable, match="SSLError"):
            ask(server, ca_bundle=bundle)
        assert server.requests == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environments_bundle_is_not_used(
    ours: tuple[str, str], other: tuple[str, str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # this machine's own
        monkeypatch.delenv(name, raising=False)
    with Loopback(reply(), tls=tls_of(ours)) as server:
        monkeypatch.setenv(variable, ours[0])
        with requests.Session() as session:
            assert session.get(server.url, timeout=2).status_code == 200, "a trap"
        with pytest.raises(BitbucketUnavailable, match="SSLError"):
            ask(server)
        monkeypatch.setenv(variable, other[0])
        assert ask(server, ca_bundle=ours[0]).status_code == 200


def test_a_connection_that_one_bundle_trusts_is_not_used_for_another(
    ours: tuple[str, str], other: tuple[str, str]
) -> None:
    with Loopback(reply(), tls=tls_of(ours)) as server:
        ask(server, ca_bundle=ours[0])
        with pytest.raises(BitbucketUnavailable, match="SSLError"):
            ask(server, ca_bundle=other[0])
        assert len(server.requests) == 1


@pytest.mark.parametrize("bundle", ["/nowhere/ca.pem", __file__])
def test_a_bundle_that_can_not_be_read_is_unavailable_and_no_crash(ours: tuple[str, str], bundle: str) -> None:
    with Loopback(reply(), tls=tls_of(ours)) as server:
        with pytest.raises(BitbucketUnavailable):
            ask(server, ca_bundle=bundle)
        assert server.requests == []


def test_a_client_certificate_is_shown(ours: tuple[str, str], other: tuple[str, str]) -> None:
    context = tls_of(ours)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(other[0])
    with Loopback(reply(), tls=context) as server:
        with pytest.raises(BitbucketUnavailable):
            ask(server, ca_bundle=ours[0])
        assert ask(server, ca_bundle=ours[0], client_cert=other).status_code == 200
        with pytest.raises(BitbucketUnavailable):
            ask(server, ca_bundle=ours[0], client_cert="/nowhere/client.pem")
        assert len(server.requests) == 1


def test_the_name_in_the_certificate_has_to_be_the_hosts(ours: tuple[str, str]) -> None:
    with Loopback(reply(), tls=tls_of(ours)) as server:
        server.url = f"https://localhost:{server.port}"
        with pytest.raises(BitbucketUnavailable, match="SSLError"):
            ask(server, ca_bundle=ours[0])
        assert server.requests == []


def test_what_drips_through_tls_does_not_outlast_the_deadline(ours: tuple[str, str]) -> None:
    def script(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nX: ")
        exchange.drip(b"y")

    network = Network("default", timeout=(2, 5), retries=0, ca_bundle=ours[0])
    with Loopback(script, tls=tls_of(ours)) as server, pytest.raises(BitbucketTimeout):
        send(requests.Request("GET", server.url), network, Deadline(0.5))


def test_a_proxy_that_passes_tls_on_is_told_the_host_only(ours: tuple[str, str]) -> None:
    def refuse(_: object) -> bytes:
        return b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"

    with Loopback(refuse) as proxy, Loopback(reply(), tls=tls_of(ours)) as server:
        with pytest.raises(BitbucketUnavailable, match="ProxyError"):
            ask(server, ca_bundle=ours[0], proxies={"https": f"http://name:canary@127.0.0.1:{proxy.port}"})
        assert (proxy.requests[0].method, proxy.requests[0].target) == ("CONNECT", f"127.0.0.1:{server.port}")
        assert server.connections == 0
