"""How a session reaches the API: what the environment may say, what the caller may, and what neither may."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from bitbucket.sessions import Tokens, sent, session_at
from oauth.certificates import certificate, tls_of
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.exceptions import BitbucketTimeout, BitbucketUnavailable, ConfigurationError


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback(reply(body='{"answer": 1}')) as server:
        yield server


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return certificate(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture
def secure(ours: tuple[str, str]) -> Iterator[Loopback]:
    with Loopback(reply(body='{"answer": 1}'), tls=tls_of(ours)) as server:
        yield server


# -- cookies -----------------------------------------------------------------------------------------------------------

COOKIE = {"Set-Cookie": "BITBUCKETSESSIONID=one-person; Path=/"}


def test_no_cookie_is_kept() -> None:
    """It would be a second credential beside the token."""
    with Loopback(reply(headers=COOKIE)) as server:
        session = session_at(server.url)
        session.get("user")
        session.json("user")
        session.post("user")
        assert len(session.cookies) == 0
        assert all("cookie" not in request.headers for request in server.requests)


@pytest.mark.parametrize("status", [302, 401])
def test_no_cookie_goes_along_with_a_redirect_or_a_repeat(status: int) -> None:
    """requests keeps those of a redirect in a jar of the request's own."""

    def script(exchange: Exchange) -> bytes:
        if len(exchange.server.requests) % 2:
            return reply(status, headers={**COOKIE, "Location": "/2.0/new"})
        return reply(headers=COOKIE)

    with Loopback(script) as server:
        session = session_at(server.url)
        session.get("old")
        session.json("old")
        assert len(server.requests) == 4
        assert len(session.cookies) == 0
        assert all("cookie" not in request.headers for request in server.requests)


def test_a_cookie_of_the_callers_is_sent_once() -> None:
    def script(exchange: Exchange) -> bytes:
        return reply(302, headers={"Location": "/2.0/new"}) if exchange.request.target == "/2.0/old" else reply()

    with Loopback(script) as server:
        session = session_at(server.url)
        session.get("old", cookies={"a": "b"})
        session.get("new")
        assert [request.headers.get("cookie") for request in server.requests] == ["a=b", None, None]


# -- the environment ---------------------------------------------------------------------------------------------------


def test_netrc_does_not_replace_the_token(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody would be the service account whose password stands there."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login service password canary\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert requests.Session().prepare_request(requests.Request("GET", server.url)).headers["Authorization"], "a trap"
    session = session_at(server.url)
    session.get("user")
    session.json("user")
    assert sent(server) == [("GET /2.0/user", "1")] * 2


def test_netrc_is_not_read_along_a_redirect_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login service password canary\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Loopback([reply(302, headers={"Location": "/2.0/new"}), reply()]) as server:
        session_at(server.url).get("old")
        assert [token for _, token in sent(server)] == ["1", "1"]


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_the_environments_proxy_is_used(server: Loopback, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(reply(body='{"by": "proxy"}')) as proxy:
        monkeypatch.setenv(name, proxy.url)
        session = session_at(server.url)
        assert session.get("user").json() == {"by": "proxy"}
        assert session.json("user") == {"by": "proxy"}
        assert proxy.requests[0].target == f"{server.url}/2.0/user"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert session.get("user").json() == {"answer": 1}
        assert len(proxy.requests) == 2


def test_the_settings_proxies_replace_the_environments(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(reply(body='{"by": "setting"}')) as proxy, Loopback(reply()) as other:
        monkeypatch.setenv("http_proxy", other.url)
        session = session_at(server.url, proxies={"http": proxy.url})
        assert session.get("user").json() == {"by": "setting"}
        assert session.json("user") == {"by": "setting"}
        assert (server.connections, other.connections) == (0, 0)


def test_the_callers_proxies_replace_the_settings(server: Loopback) -> None:
    with Loopback(reply(body='{"by": "caller"}')) as proxy, Loopback(reply()) as other:
        session = session_at(server.url, proxies={"http": other.url})
        assert session.get("user", proxies={"http": proxy.url}).json() == {"by": "caller"}
        assert session.json("user", proxies={"http": proxy.url}) == {"by": "caller"}
        session.proxies = {"http": proxy.url}
        assert session.send(session.prepare_request(requests.Request("GET", "user"))).json() == {"by": "caller"}
        assert (len(proxy.requests), server.connections, other.connections) == (3, 0, 0)


# -- certificates ------------------------------------------------------------------------------------------------------


def test_the_settings_bundle_vouches(secure: Loopback, ours: tuple[str, str]) -> None:
    session = session_at(secure.url, ca_bundle=ours[0])
    assert session.get("user").json() == session.json("user") == {"answer": 1}


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environments_bundle_does_not_vouch(
    secure: Loopback, ours: tuple[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sets a variable would be in between."""
    monkeypatch.setenv(name, ours[0])
    assert requests.get(secure.url, timeout=5).status_code == 200, "a trap"
    session = session_at(secure.url)
    with pytest.raises(requests.exceptions.SSLError):
        session.get("user")
    with pytest.raises(BitbucketUnavailable, match="SSLError"):
        session.json("user")
    assert len(secure.requests) == 1


def test_a_callers_bundle_vouches_for_its_call(secure: Loopback, ours: tuple[str, str]) -> None:
    session = session_at(secure.url)
    assert session.get("user", verify=ours[0]).json() == session.json("user", verify=ours[0]) == {"answer": 1}
    with pytest.raises(requests.exceptions.SSLError):
        session.get("user", verify=True)
    session.verify = ours[0]
    assert session.get("user").json() == session.json("user") == {"answer": 1}


@pytest.mark.parametrize("verify", [False, 0, ""])
def test_a_session_with_a_token_does_not_go_without_certificates(secure: Loopback, verify: Any) -> None:
    """Whoever is in between would get the token. An empty path, say of a variable that isn't set, is ``False``."""
    with pytest.warns(requests.packages.urllib3.exceptions.InsecureRequestWarning):  # type: ignore[attr-defined]
        assert requests.get(secure.url, verify=verify, timeout=5).status_code == 200, "a trap"
    session = session_at(secure.url)
    prepared = session.prepare_request(requests.Request("GET", "user"))
    for ask in (
        lambda: session.get("user", verify=verify),
        lambda: session.json("user", verify=verify),
        lambda: session.send(prepared, verify=verify),
    ):
        with pytest.raises(ConfigurationError, match="CA_BUNDLE"):
            ask()
    session.verify = verify
    for ask in (lambda: session.get("user"), lambda: session.json("user"), lambda: session.send(prepared)):
        with pytest.raises(ConfigurationError, match="CA_BUNDLE"):
            ask()
    assert len(secure.requests) == 1


def test_the_clients_certificate_is_shown(ours: tuple[str, str], tmp_path: Path) -> None:
    client = certificate(tmp_path, "client")
    wanting = tls_of(ours)
    wanting.verify_mode = ssl.CERT_REQUIRED
    wanting.load_verify_locations(client[0])
    with Loopback(reply(), tls=wanting) as server:
        assert session_at(server.url, ca_bundle=ours[0], client_cert=client).json("user") == {}
        session = session_at(server.url, ca_bundle=ours[0])
        with pytest.raises(BitbucketUnavailable):
            session.json("user")
        assert session.json("user", cert=client) == {}
        session.cert = client
        assert session.get("user").json() == session.json("user") == {}
        assert session.send(session.prepare_request(requests.Request("GET", "user"))).json() == {}


# -- timeouts ----------------------------------------------------------------------------------------------------------


def silent(exchange: Exchange) -> bytes:
    exchange.pause(10)
    return reply()


def test_the_settings_timeout_holds_where_none_is_given() -> None:
    """requests would wait forever, here for ten seconds."""
    with Loopback(silent) as server:
        session = session_at(server.url, timeout=(2, 0.2))
        given: list[dict[str, Any]] = [{}, {"timeout": None}]
        for arguments in given:
            with pytest.raises(requests.ReadTimeout):
                session.get("user", **arguments)
            with pytest.raises(BitbucketTimeout, match=r"within 0\.2 s"):
                session.json("user", **arguments)


@pytest.mark.parametrize("timeout", [0.2, (2, 0.2), (None, 0.2)])
def test_a_callers_timeout_holds_for_its_call(timeout: Any) -> None:
    with Loopback(silent) as server:
        session = session_at(server.url, timeout=(30, 30))
        with pytest.raises(requests.ReadTimeout):
            session.get("user", timeout=timeout)
        with pytest.raises(BitbucketTimeout, match=r"within 0\.2 s"):
            session.json("user", timeout=timeout)


def test_half_a_timeout_is_completed_from_the_settings() -> None:
    with Loopback(silent) as server, pytest.raises(BitbucketTimeout, match=r"within 0\.2 s"):
        session_at(server.url, timeout=(2, 0.2)).json("user", timeout=(1, None))


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_streamed_body_is_not_read_ahead() -> None:
    """It is there before its end has been sent."""

    def script(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n[1]")
        exchange.pause(10)

    with Loopback(script) as server:
        response = session_at(server.url).get("large", stream=True)
        assert response.raw.read(3) == b"[1]"
        response.close()


def test_a_stream_may_be_larger_than_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_bitbucket_auth.bitbucket.session.MAX_PAGE", 1000)
    with Loopback(reply(body=b"x" * 3_000_000)) as server:
        response = session_at(server.url).get("large", stream=True)
        assert sum(map(len, response.iter_content(100_000))) == 3_000_000


def test_a_stream_after_a_renewal_is_a_stream() -> None:
    with Loopback([reply(401), reply(body=b"x" * 3_000_000)]) as server:
        response = session_at(server.url, Tokens()).get("large", stream=True)
        assert response.raw.read(5) == b"xxxxx"
        response.close()
        assert [token for _, token in sent(server)] == ["1", "2"]
