"""``manage.py bitbucket_check``: whether Bitbucket is reached, what is in the way, its clock and its version."""

from __future__ import annotations

import io
import logging
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands.doctoring import QUICK, alone, data_center, findings, found
from django.test import override_settings
from oauth.certificates import certificate, tls_of
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth import conf
from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.management.doctor import remedies
from django_bitbucket_auth.management.doctor.network import clock, reached, version
from django_bitbucket_auth.management.doctor.patient import Patient
from django_bitbucket_auth.oauth.obstacles import Obstacle
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider

CANARY = "canary-password"


class Rude(CloudProvider):
    """Speaks requests' own language."""

    def send(self, request: Any) -> Any:
        import requests

        raise requests.ConnectionError(CANARY)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


# -- in the way --------------------------------------------------------------------------------------------------------


def test_a_name_that_does_not_exist() -> None:
    with data_center("https://git.invalid/bitbucket"):
        finding = alone()
    said = "the name of git.invalid:443 is unknown to this host (Name or service not known)."
    assert (finding.code, finding.seen) == ("name_unknown", f"https://git.invalid is not reached: {said}")


def test_each_host_that_is_not_reached_is_told() -> None:
    keys = {
        "BASE_URL": "https://site.invalid",
        "API_URL": "https://api.invalid",
        "CLIENT_ID": "a",
        "CLIENT_SECRET": "b",
    }

    with override_settings(BITBUCKET_AUTH={"default": {**QUICK, **keys}}):
        assert [finding.seen.split(" ")[0] for finding in findings()] == ["https://api.invalid", "https://site.invalid"]


def test_both_hosts_are_asked(bitbucket: BitbucketSimulator) -> None:

    with override_provider("default", API_URL=bitbucket.url.replace("127.0.0.1", "localhost")):
        places = [finding.seen for finding in findings() if finding.code == "reached"]
    port = bitbucket.url.rpartition(":")[2]
    assert places == [f"http://localhost:{port} answers.", f"http://127.0.0.1:{port} answers."]


def test_a_certificate_that_is_not_accepted_and_the_file_to_name(tmp_path: Path) -> None:
    ours = certificate(tmp_path, "ours")
    with Loopback(reply(body='{"version": "8.19.9"}'), tls=tls_of(ours)) as server:
        with data_center(server.url):
            finding = alone()
        assert finding.code == "certificate"
        assert (
            "self-signed certificate. It is about the one of CN=ours, for 127.0.0.1, issued by CN=ours" in finding.seen
        )
        assert "CA_BUNDLE" in finding.next
        with data_center(server.url, CA_BUNDLE=ours[0]):
            assert found()["reached"].level == "ok"
        with data_center(f"https://localhost:{server.port}", CA_BUNDLE=ours[0]):
            assert "Use the name in BASE_URL" in alone().next


def test_a_server_that_wants_to_see_a_certificate(tmp_path: Path) -> None:
    ours = certificate(tmp_path, "ours")
    context = tls_of(ours)
    context.load_verify_locations(ours[0])
    context.verify_mode = ssl.CERT_REQUIRED
    with Loopback(reply(), tls=context) as server, data_center(server.url, CA_BUNDLE=ours[0]):
        finding = alone()
    # By TLS 1.3 the handshake is over for us when the server looks for it.
    assert finding.code in ("unreached", "tls") and "CLIENT_CERT" in finding.next


@pytest.mark.parametrize(
    ("scheme", "status", "code"),
    [
        ("https", "407 Proxy Authentication Required", "proxy_credentials"),
        ("http", "407 Proxy Authentication Required", "proxy_credentials"),
        ("https", "403 Forbidden", "proxy_refused"),
        # Its page stands in place of the answer.
        ("http", "403 Forbidden", "not_bitbucket"),
    ],
)
def test_a_proxy_that_refuses_and_its_password_is_not_told(scheme: str, status: str, code: str) -> None:
    with Loopback(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as proxy:
        at = {scheme: f"http://me:{CANARY}@127.0.0.1:{proxy.port}"}
        with data_center(f"{scheme}://git.invalid", PROXIES=at, ALLOW_HTTP=scheme == "http"):
            finding = alone()
    assert finding.code == code
    assert CANARY not in f"{finding}"


def test_a_proxy_on_the_way_is_named() -> None:
    with Loopback(reply(body='{"version": "8.19.9"}')) as proxy:
        proxies = {"http": f"http://me:{CANARY}@127.0.0.1:{proxy.port}"}
        with data_center("http://git.invalid", PROXIES=proxies, ALLOW_HTTP=True):
            seen = found()["reached"].seen
    assert seen == f"http://git.invalid answers, by the proxy http://127.0.0.1:{proxy.port}."


def test_one_that_is_slow(bitbucket: BitbucketSimulator) -> None:
    bitbucket.slow("user", 5)
    with override_provider("default", **{**QUICK, "TIMEOUT": (2, 0.1)}):
        finding = alone()
    assert finding.code == "timed_out" and "TIMEOUT and DEADLINE" in finding.next


def test_one_that_drips_does_not_outlast_the_deadline(bitbucket: BitbucketSimulator) -> None:
    bitbucket.drip("user", 0.05)
    with override_provider("default", **{**QUICK, "DEADLINE": 0.3}):
        assert alone().code == "timed_out"


def test_time_that_runs_out_while_the_reason_is_looked_for_is_told(bitbucket: BitbucketSimulator) -> None:
    patient = Patient(replace(conf.provider_settings(), deadline=0))
    assert [finding.code for finding in reached(patient)] == ["timed_out"]
    assert list(clock(patient)) == list(version(patient)) == []


def test_one_that_hangs_up(bitbucket: BitbucketSimulator) -> None:
    bitbucket.cut("user")
    with override_provider("default", **QUICK):
        finding = alone()
    assert finding.code == "unreached" and "curl" in finding.next


def test_a_kind_of_ones_own_that_raises_requests_errors(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", KIND=f"{__name__}.Rude"):
        finding = alone()
    assert finding.seen == "no answer (ConnectionError)."


@pytest.mark.parametrize("by_proxy", [False, True])
@pytest.mark.parametrize(
    "kind",
    [
        "name",
        "refused",
        "silent",
        "unreachable",
        "proxy_credentials",
        "proxy_refused",
        "ca_bundle",
        "client_cert",
        "certificate",
        "tls",
    ],
)
def test_each_obstacle_has_a_next_step(kind: Any, by_proxy: bool) -> None:
    finding = remedies.of(Obstacle(kind, "host:1", by_proxy, "detail"), "https://git.example.com")
    assert finding.level == "error" and finding.next.endswith((".", ")"))
    assert finding.seen.startswith("https://git.example.com is not reached: ")


# -- and nothing else --------------------------------------------------------------------------------------------------


def test_nothing_is_logged_as_if_a_sign_in_had_failed(bitbucket: BitbucketSimulator) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logger = logging.getLogger("django_bitbucket_auth")
    logger.addHandler(handler)
    try:
        for status in (400, 429, 503):
            bitbucket.fail("token", status)
            with override_provider("default", **QUICK, WORKSPACES=["acme"]):
                found()
            bitbucket.heal()
    finally:
        logger.removeHandler(handler)
    assert out.getvalue() == ""


def test_a_loopback_server_is_asked_nothing_but_what_takes_no_person() -> None:
    def script(exchange: Exchange) -> bytes:
        return reply(400, '{"error": "invalid_grant"}') if exchange.request.method == "POST" else reply(body='{"a": 1}')

    with Loopback(script) as server, data_center(server.url):
        found()
        assert [(request.method, request.target) for request in server.requests] == [
            ("GET", "/rest/api/latest/application-properties"),
            ("POST", "/rest/oauth2/latest/token"),
            ("POST", "/rest/oauth2/latest/token"),
        ]
