"""``manage.py bitbucket_check``: who answers, what its clock says, and which version it is."""

from __future__ import annotations

import json

import pytest
from commands.doctoring import QUICK, alone, data_center, findings, found, levels
from oauth.loopback import Loopback, reply

from django_bitbucket_auth.management.doctor.patient import shown
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider, simulated_bitbucket

CANARY = "canary-password"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


# -- somebody else answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cloud", "data-center"])
@pytest.mark.parametrize(
    ("status", "headers", "body", "code"),
    [
        (200, {}, "<html>Welcome to the WiFi</html>", "not_bitbucket"),
        (404, {}, "", "not_bitbucket"),
        (302, {"Location": f"https://sso.example.com/?token={CANARY}"}, "", "redirected"),
        (301, {"Location": "http://[" + CANARY}, "", "redirected"),
    ],
)
def test_what_is_no_bitbucket(kind: str, status: int, headers: dict[str, str], body: str, code: str) -> None:
    with simulated_bitbucket(kind=kind, **QUICK) as bitbucket:
        bitbucket.answer("whoami" if kind == "data-center" else "user", status, headers=headers, body=body)
        finding = alone()
    assert finding.code == code and "single sign-on" in finding.next
    assert CANARY not in finding.seen


def test_cloud_may_refuse_a_stranger_as_it_likes(bitbucket: BitbucketSimulator) -> None:
    bitbucket.answer("user", 401, times=1)
    assert found()["reached"].level == "ok"


def test_a_data_center_has_an_answer_for_strangers() -> None:
    with simulated_bitbucket(kind="data-center", **QUICK) as bitbucket:
        bitbucket.answer("whoami", 401)
        assert alone().code == "not_bitbucket"


def test_another_product_is_told() -> None:
    with simulated_bitbucket(kind="data-center", **QUICK) as bitbucket:
        bitbucket.answer("whoami", body='{"version": "9.1.0", "displayName": "Jira"}')
        assert "'Jira'" in found()["not_bitbucket"].seen


@pytest.mark.parametrize("path", ["/2.0", "/1.0"])
def test_an_address_without_an_api_is_told(bitbucket: BitbucketSimulator, path: str) -> None:
    with override_provider("default", API_URL=f"{bitbucket.url}{path}"):
        finding = alone()
    assert (finding.code, f"no API at {path}/2.0/user (HTTP 4" in finding.seen) == ("wrong_address", True)


@pytest.mark.parametrize(("status", "code"), [(503, "unavailable"), (429, "rate_limited")])
def test_an_outage_and_a_rate_limit_are_for_later(bitbucket: BitbucketSimulator, status: int, code: str) -> None:
    bitbucket.fail("user", status)
    with override_provider("default", **QUICK):
        seen = found()
    assert seen[code].level == "warning"
    assert seen["credentials"].level == "ok"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"https://me:{CANARY}@git.example.com:8443/x?y", "https://git.example.com:8443"),
        ("https://[::1]/", "https://[::1]"),
        ("https://[::1", "an unreadable address"),
        ("/relative", "://?"),
    ],
)
def test_an_address_is_shown_by_its_host(url: str, place: str) -> None:
    assert shown(url) == place


# -- the clock ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "off", "level"),
    [
        ("cloud", -600, "warning"),
        ("cloud", 120, "warning"),
        ("data-center-oauth1", 120, "warning"),
        ("data-center-oauth1", 900, "error"),
        ("data-center-oauth1", -5, "ok"),
    ],
)
def test_clocks_that_differ(kind: str, off: int, level: str) -> None:
    with simulated_bitbucket(kind=kind, **QUICK) as bitbucket:
        bitbucket.move_clock(off)

        finding = next(finding for finding in findings() if finding.code.startswith("clock"))
    assert finding.level == level
    if level != "ok":
        assert f"{'behind' if off > 0 else 'ahead of'} Bitbucket's" in finding.seen
        assert "NTP" in finding.next


@pytest.mark.parametrize(
    ("date", "level"), [("", "note"), ("yesterday", "note"), ("Wed, 25 Nov 2026 00:00:00", "warning")]
)
def test_a_date_that_is_none(date: str, level: str) -> None:
    headers = {"Date": date} if date else {}
    with Loopback(reply(body='{"version": "8.19.9"}', headers=headers)) as server, data_center(server.url):
        assert next(finding.level for code, finding in found().items() if code.startswith("clock")) == level


# -- the version -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "version", "code", "level"),
    [
        ("data-center", "7.20.1", "version", "ok"),
        ("data-center", "10.0.0", "version", "ok"),
        ("data-center", "7.19.3", "version_too_old", "error"),
        ("data-center-oauth1", "7.19.3", "version", "ok"),
        ("data-center", "next", "version_unknown", "note"),
    ],
)
def test_oauth2_takes_a_data_center_of_7_20(kind: str, version: str, code: str, level: str) -> None:
    with simulated_bitbucket(kind=kind, **QUICK) as bitbucket:
        bitbucket.answer("whoami", body=json.dumps({"version": version, "displayName": "Bitbucket"}))
        assert found()[code].level == level


def test_a_version_that_is_no_text() -> None:
    with simulated_bitbucket(kind="data-center", **QUICK) as bitbucket:
        bitbucket.answer("whoami", body='{"version": 8}')
        assert "version_unknown" in found()


def test_no_version_is_made_of_an_outage() -> None:
    with simulated_bitbucket(kind="data-center", **QUICK) as bitbucket:
        bitbucket.fail("whoami", 503)
        assert not [code for code in levels(found()) if code.startswith("version")]
