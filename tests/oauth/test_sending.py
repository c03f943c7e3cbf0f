"""What leaves this process, and what doesn't."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from oauth.loopback import Loopback, reply
from requests.auth import HTTPBasicAuth

from django_bitbucket_auth.exceptions import BitbucketUnavailable, ForeignURL, OAuthError
from django_bitbucket_auth.oauth.reading import Deadline
from django_bitbucket_auth.oauth.transport import Bearer, Network, PooledSession, send

NETWORK = Network("default", timeout=(5, 20), retries=0)


def get(url: str, network: Network = NETWORK, token: str = "the-token", api: str | None = None) -> requests.Response:
    return send(requests.Request("GET", url, auth=Bearer(token, api or url)), network, Deadline(30))


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback(reply(body='{"answer": 1}')) as server:
        yield server


def test_a_request_is_answered(server: Loopback) -> None:
    response = get(server.url + "/2.0/user", api=server.url)
    assert (response.status_code, response.json(), response.content) == (200, {"answer": 1}, b'{"answer": 1}')
    (request,) = server.requests
    assert (request.method, request.target) == ("GET", "/2.0/user")
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("django-bitbucket-auth/")
    assert request.headers["accept-encoding"] == "identity"


def test_the_scheme_of_the_header_is_bearer_with_a_capital(server: Loopback) -> None:
    get(server.url + "/", api=server.url)
    assert server.requests[0].headers["authorization"] == "Bearer the-token"


def test_the_token_is_not_in_the_url(server: Loopback) -> None:
    get(server.url + "/2.0/user", api=server.url)
    assert "the-token" not in server.requests[0].target


# -- foreign URLs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/other/user", "/api/../other", "/api/%2e%2e/other", "/api/..;/other", "/api/a%2fb", "/apix/user"]
)
def test_a_token_for_a_foreign_url_is_an_error_before_anything_is_sent(server: Loopback, path: str) -> None:
    with pytest.raises(ForeignURL) as caught:
        get(server.url + path + "?secret=canary", api=server.url + "/api")
    assert (server.requests, server.connections) == ([], 0)
    assert "canary" not in str(caught.value)
    assert "the-token" not in repr(caught.value)


def test_a_token_for_another_port_is_an_error_before_anything_is_sent(server: Loopback) -> None:
    with Loopback(reply()) as other, pytest.raises(ForeignURL, match=f"a token for {other.url} is not for"):
        get(server.url + "/2.0/user", api=other.url)
    assert (server.connections, other.connections) == (0, 0)


def test_a_token_for_another_name_of_the_same_machine_is_an_error(server: Loopback) -> None:
    with pytest.raises(ForeignURL):
        get(f"http://localhost:{server.port}/2.0/user", api=server.url)
    assert server.connections == 0


def test_userinfo_in_a_url_is_an_error_before_anything_is_sent(server: Loopback) -> None:
    with pytest.raises(ForeignURL) as caught:
        get(f"http://name:canary@127.0.0.1:{server.port}/2.0/user", api=server.url)
    assert server.connections == 0
    assert "canary" not in str(caught.value)


def test_the_credential_has_no_telling_repr() -> None:
    assert "canary" not in repr(Bearer("canary", "https://api.bitbucket.org"))


# -- redirects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_not_followed(status: int, method: str) -> None:
    """A 307 would post code and client secret again, to whoever the answer names."""
    with Loopback(reply()) as elsewhere, Loopback(reply(status, headers={"Location": elsewhere.url})) as server:
        request = requests.Request(method, server.url + "/token", data="code=c", auth=HTTPBasicAuth("id", "secret"))
        assert send(request, NETWORK, Deadline(30)).status_code == status
        assert (elsewhere.connections, len(server.requests)) == (0, 1)


def test_a_redirect_to_the_same_place_is_not_followed() -> None:
    with Loopback(reply(307, headers={"Location": "/token"})) as server:
        assert send(requests.Request("POST", server.url, data="code=c"), NETWORK, Deadline(30)).status_code == 307
        assert len(server.requests) == 1


def test_the_endless_body_of_a_redirect_is_not_read_by_requests() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 9000000\r\n\r\n"
    with Loopback(head + b"x" * 9_000_000) as server:
        with pytest.raises(Exception, match="body_too_large"):
            send(requests.Request("GET", server.url), NETWORK, Deadline(30), limit=1000)
        assert len(server.requests) == 1


# -- what the environment may say, and what not ------------------------------------------------------------------------


def test_netrc_does_not_replace_the_credential(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody would be the service account whose password stands there."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login service password canary\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert requests.Session().prepare_request(requests.Request("GET", server.url)).headers["Authorization"], "a trap"
    get(server.url + "/", api=server.url)
    send(requests.Request("GET", server.url), NETWORK, Deadline(30))
    assert server.requests[0].headers["authorization"] == "Bearer the-token"
    assert "authorization" not in server.requests[1].headers


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_environments_proxy_is_used(server: Loopback, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(reply(body='{"by": "proxy"}')) as proxy:
        monkeypatch.setenv(name, proxy.url)
        assert get(server.url + "/2.0/user", api=server.url).json() == {"by": "proxy"}
        assert proxy.requests[0].target == server.url + "/2.0/user"
    assert server.connections == 0


def test_no_proxy_is_heeded(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(reply()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert get(server.url + "/", api=server.url).json() == {"answer": 1}
        assert proxy.connections == 0


def test_the_settings_proxies_replace_the_environments(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(reply(body='{"by": "setting"}')) as proxy, Loopback(reply()) as other:
        monkeypatch.setenv("http_proxy", other.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        network = Network("default", retries=0, proxies={"http": proxy.url})
        assert get(server.url + "/", network, api=server.url).json() == {"by": "setting"}
        assert (server.connections, other.connections) == (0, 0)


def test_a_proxys_password_goes_to_the_proxy(server: Loopback) -> None:
    with Loopback(reply()) as proxy:
        url = f"http://name:canary@127.0.0.1:{proxy.port}"
        get(server.url + "/", Network("default", retries=0, proxies={"http": url}), api=server.url)
        expected = "Basic " + base64.b64encode(b"name:canary").decode()
        assert proxy.requests[0].headers["proxy-authorization"] == expected


def test_a_proxys_password_is_in_no_message(server: Loopback, caplog: pytest.LogCaptureFixture) -> None:
    with Loopback(reply()) as proxy:
        port = proxy.port
    network = Network("default", retries=0, proxies={"http": f"http://name:canary@127.0.0.1:{port}"})
    with caplog.at_level(logging.DEBUG), pytest.raises(BitbucketUnavailable) as caught:
        get(server.url + "/", network, api=server.url)
    assert "canary" not in f"{caught.value!r} {caught.value} {network!r} {caplog.text}"
    assert "ProxyError" in str(caught.value)


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:1", "http://[", "nonsense://x", "http://", "http://127.0.0.1:99999"]
)
def test_a_broken_proxy_is_unavailable_and_no_crash(server: Loopback, proxy: str) -> None:
    with pytest.raises(BitbucketUnavailable):
        get(server.url + "/", Network("default", retries=0, proxies={"http": proxy}), api=server.url)


# -- cookies -----------------------------------------------------------------------------------------------------------


def test_a_cookie_is_never_kept() -> None:
    """One person's Data Center session would travel with another's call."""
    cookie = {"Set-Cookie": "BITBUCKETSESSIONID=one-person; Path=/"}
    with Loopback(reply(headers=cookie)) as server:
        for path in ("/a", "/b"):
            get(server.url + path, api=server.url)
        assert [request.connection for request in server.requests] == [1, 1]
        assert all("cookie" not in request.headers for request in server.requests)


def test_a_cookie_of_a_redirect_or_a_repeat_is_never_sent_back() -> None:
    cookie = {"Set-Cookie": "a=b; Path=/", "Retry-After": "0"}
    with Loopback([reply(503, headers=cookie), reply(302, headers={**cookie, "Location": "/"}), reply()]) as server:
        network = Network("default", retries=2)
        assert get(server.url + "/", network, api=server.url).status_code == 302
        get(server.url + "/", network, api=server.url)
        assert len(server.requests) == 3
        assert all("cookie" not in request.headers for request in server.requests)


def test_the_jar_of_a_session_accepts_nothing() -> None:
    """Even within one session, should one ever be used twice."""
    with Loopback(reply(headers={"Set-Cookie": "a=b; Path=/"})) as server:
        with PooledSession(Network("default")) as session:
            for _ in range(2):
                session.send(session.prepare_request(requests.Request("GET", server.url)))
            assert len(session.cookies) == 0
        assert "cookie" not in server.requests[1].headers


# -- what can't be sent ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["canary\r\nX-Evil: 1", "canary\nx", "canary\r", "canaryä\u20ac", "canary\ud800"])
def test_a_token_that_can_not_stand_in_a_header_is_never_sent_nor_shown(server: Loopback, token: str) -> None:
    """http.client refuses it with a ``ValueError`` that shows it, of which requests knows nothing."""
    with pytest.raises(OAuthError, match="has characters that can't be sent") as caught:
        get(server.url + "/", token=token, api=server.url)
    assert "canary" not in f"{caught.value!r}{caught.value}"
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "http://",
        "http://[",
        "http://*.bitbucket.invalid/",
        "http://bitbucket..invalid:80/",
        f"http://{'a' * 70}.invalid/",
        "http://ä\ud800.invalid/",
        "http://127.0.0.1:99999/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_can_not_be_asked_is_unavailable_and_no_crash(url: str) -> None:
    with pytest.raises(BitbucketUnavailable):
        send(requests.Request("GET", url), NETWORK, Deadline(30))


def test_neither_code_nor_secret_nor_token_is_logged(server: Loopback, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        request = requests.Request(
            "POST", server.url, data={"code": "canary-code"}, auth=HTTPBasicAuth("id", "canary-secret")
        )
        send(request, NETWORK, Deadline(30))
        get(server.url + "/", token="canary-token", api=server.url)
    assert len(server.requests) == 2
    assert caplog.records, "urllib3 logs at DEBUG"
    assert "canary" not in caplog.text
