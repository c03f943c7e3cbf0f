"""The canary of stored tokens: every way of getting, keeping, renewing and using one, and no secret anywhere."""

from __future__ import annotations

import io
import pickle
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core import mail
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path
from django.views.debug import ExceptionReporter
from stored import soon, stored
from test_secrets import ADMINS, everything, mails
from test_secrets import stored as kept

from django_bitbucket_auth import api, tokens
from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.bitbucket.connect import BitbucketJWT
from django_bitbucket_auth.exceptions import BitbucketAuthError
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.oauth.grants import AuthorizationCode, ClientCredentials, Password, RefreshToken
from django_bitbucket_auth.stores import (
    CacheTokenStore,
    DatabaseTokenStore,
    FileTokenStore,
    FunctionTokenStore,
    Record,
    TokenStore,
)
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider
from django_bitbucket_auth.tokens import get_access_token

pytestmark = pytest.mark.django_db
__all__ = ["everything"]

PASSWORD, SECRET, ASSERTION = "CANARY-password", "CANARY-client-secret-of-some-length", "CANARY.jwt.assertion"
RETIRED = "ignore:Bitbucket Cloud has not taken the password grant:UserWarning"
JSON = {"Content-Type": "application/json"}


def a_failing_page(request: HttpRequest) -> HttpResponse:
    """A project's own bug, amid its use of tokens."""
    session = get_session(BitbucketToken.objects.select_related("account__user").get().account)
    session.json("user")
    token = get_access_token(store=DatabaseTokenStore(), key="page")
    way = tokens.flight_for(grant="password", username="x", password=PASSWORD)
    record = DatabaseTokenStore().load("page")
    raise ZeroDivisionError(f"{session!r} {token!r} {way!r} {record!r}")


urlpatterns = [path("fails/", a_failing_page)]


@pytest.fixture
def secrets(bitbucket: BitbucketSimulator) -> Iterator[Callable[[], set[str]]]:
    """All secrets that there are by now."""
    bitbucket.client.client_secret = SECRET

    def all_of_them() -> set[str]:
        return {PASSWORD, SECRET, ASSERTION, *bitbucket.vault.access, *bitbucket.vault.refresh}

    with override_provider("default", CLIENT_SECRET=SECRET, RETRIES=0, TIMEOUT=0.3):
        yield all_of_them


def faults(bitbucket: BitbucketSimulator) -> Iterator[None]:
    """Each way in which the token endpoint fails, in turn."""
    for status, body in (
        (400, '{"error": "invalid_grant", "error_description": "x"}'),
        (401, '{"error": "unauthorized_client"}'),
        (400, "<h1>Blocked</h1>"),
        (200, "not JSON"),
        (200, '{"access_token": 5}'),
        (500, ""),
        (429, "{}"),
        (302, ""),
    ):
        bitbucket.heal()
        bitbucket.answer("token", status, headers={**JSON, "Location": "https://elsewhere.example/"}, body=body)
        yield
    bitbucket.heal()
    bitbucket.cut("token")
    yield
    bitbucket.heal()
    bitbucket.slow("token", 2)
    yield
    bitbucket.heal()


@pytest.mark.filterwarnings(RETIRED)
def test_no_secret_is_logged_or_told_by_an_exception(
    bitbucket: BitbucketSimulator, secrets: Callable[[], set[str]], everything: io.StringIO
) -> None:
    told: list[str] = []
    row = stored(bitbucket)
    seed = str(bitbucket.issue("jane")["refresh_token"])
    calls: list[Callable[[], object]] = [
        get_access_token,
        lambda: get_access_token(grant="password", username="jdoe", password=PASSWORD),
        lambda: get_access_token(grant="refresh_token", refresh_token=seed),
        lambda: get_access_token(grant="bitbucket_jwt", assertion=ASSERTION),
        lambda: get_access_token(grant="authorization_code", code=PASSWORD, code_verifier=PASSWORD),
        lambda: get_access_token(password=PASSWORD),
        lambda: get_session(row.account).json("user"),
        lambda: get_session(row.account).get("https://elsewhere.example/"),
    ]
    for _ in faults(bitbucket):
        BitbucketToken.objects.update(expires_at=soon(-1), lease="", refused_at=None, lost_at=None)
        for call in calls:
            try:
                call()
            except (BitbucketAuthError, TypeError) as error:
                told += [str(error), repr(error), *traceback.format_exception(error)]
    assert len(told) > 50
    haystack = everything.getvalue() + "".join(told)
    assert "elsewhere.example" in haystack and "POST /site/oauth2/access_token" in haystack  # urllib3's log is seen
    assert not [secret for secret in secrets() if secret in haystack]


def test_no_secret_is_shown_by_what_holds_it(bitbucket: BitbucketSimulator, secrets: Callable[[], set[str]]) -> None:
    token = get_access_token()
    record = Record(token=token, provider="default", grant="x", instance="x", client_id="x")
    way = tokens.flight_for(
        grant="password", username="x", password=PASSWORD, credentials=lambda: {"password": PASSWORD}
    )
    things = [
        record,
        way,
        api.Tokens(way, record),
        get_session(None),
        BitbucketJWT(ASSERTION),
        AuthorizationCode(PASSWORD, "https://testserver/", PASSWORD),
        ClientCredentials(),
        Password("jdoe", PASSWORD),
        RefreshToken(PASSWORD),
        FunctionTokenStore(lambda key: record, lambda key, record: None),
    ]
    shown = "".join(repr(thing) + str(thing) for thing in things)
    assert "jdoe" in shown
    assert not [secret for secret in secrets() if secret in shown]


@pytest.fixture(params=["database", "cache", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path, settings: Any) -> TokenStore:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": tmp_path / "cache"}
    }
    stores: dict[str, Callable[[], TokenStore]] = {
        "database": DatabaseTokenStore,
        "cache": lambda: CacheTokenStore(eviction_is_fine=True),
        "file": lambda: FileTokenStore(tmp_path / "tokens"),
    }
    return stores[request.param]()


def test_no_store_keeps_a_secret_in_the_clear(
    bitbucket: BitbucketSimulator, secrets: Callable[[], set[str]], store: TokenStore, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"refresh_token": str(bitbucket.issue("jane")["refresh_token"])}
    first = get_access_token(grant="refresh_token", store=store, key="jane", **arguments)
    assert get_access_token(grant="refresh_token", store=store, key="jane", **arguments) == first
    seen = kept().encode() + pickle.dumps(store)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            # Django packs what it puts into files: an expiry, then zlib.
            seen += data + b"".join(zlib.decompress(data[at:]) for at in [data.find(b"\x78\x9c")] if at >= 0)
    assert b"1." in seen
    assert not [secret for secret in secrets() if secret.encode() in seen]


@override_settings(ROOT_URLCONF="test_token_secrets", ADMINS=ADMINS)
def test_the_mail_of_a_projects_own_bug_holds_no_secret(
    bitbucket: BitbucketSimulator, secrets: Callable[[], set[str]], everything: io.StringIO
) -> None:
    stored(bitbucket, ended=True)
    assert Client(raise_request_exception=False).get("/fails/").status_code == 500
    assert mail.outbox and "ZeroDivisionError" in mails() and "BitbucketSession" in mails()
    haystack = mails() + everything.getvalue()
    assert not [secret for secret in secrets() - {PASSWORD} if secret in haystack]
    # The page's own line is its own business; what it called shows nothing.
    assert haystack.count(PASSWORD) == 0


def report(call: Callable[[], object]) -> str:
    """The report that Django would mail, or show with ``DEBUG``, of what ``call`` raises."""
    with pytest.raises((BitbucketAuthError, requests.RequestException, TypeError)) as caught:
        call()
    reporter = ExceptionReporter(None, caught.type, caught.value, caught.tb)
    return reporter.get_traceback_html() + reporter.get_traceback_text()


def test_no_report_of_an_error_in_a_call_holds_the_token(
    bitbucket: BitbucketSimulator, secrets: Callable[[], set[str]]
) -> None:
    row = stored(bitbucket)
    reports = []
    for ask in ("get", "json"):
        for trouble in (bitbucket.cut, lambda endpoint: bitbucket.slow(endpoint, 1)):
            trouble("user")
            session = get_session(row.account)
            reports.append(report(lambda: getattr(session, ask)("user", timeout=0.2)))  # noqa: B023
            bitbucket.heal()
    reports.append(report(lambda: get_session(row.account).get("https://elsewhere.example/")))
    bitbucket.revoke("jane")
    calls = [lambda: get_session(row.account).get("user"), lambda: get_session(row.account).json("user")]
    reports += map(report, calls)
    bad: Any = 5
    reports.append(report(lambda: get_access_token(grant="bitbucket_jwt", client_key="x", shared_secret=bad)))
    assert all("get_session" in text or "get_access_token" in text for text in reports)
    assert (
        "ConnectionError" in reports[0]
        and "ReauthenticationRequired" in reports[-2]
        and "ReauthenticationRequired" in reports[-3]
    )
    assert not [secret for secret in secrets() for text in reports if secret in text]


@pytest.mark.filterwarnings(RETIRED)
@pytest.mark.parametrize("grant", ["password", "refresh_token", "bitbucket_jwt", "authorization_code"])
def test_commands_show_no_secret_when_they_fail(
    bitbucket: BitbucketSimulator,
    secrets: Callable[[], set[str]],
    everything: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    grant: str,
) -> None:
    for name in ("PASSWORD", "REFRESH_TOKEN", "ASSERTION", "CODE", "CODE_VERIFIER"):
        monkeypatch.setenv(f"BITBUCKET_{name}", PASSWORD)
    options = ["--username=jdoe"] if grant == "password" else []
    told = ""
    for _ in faults(bitbucket):
        with pytest.raises(CommandError) as caught:
            call_command("bitbucket_token", f"--grant={grant}", *options, "--traceback")
        told += "".join(traceback.format_exception(caught.value))
    shown = capfd.readouterr()
    haystack = told + shown.out + shown.err + everything.getvalue() + repr(sys.argv)
    assert "CommandError" in haystack
    assert not [secret for secret in secrets() if secret in haystack]


def test_renewing_shows_no_secret(
    bitbucket: BitbucketSimulator, secrets: Callable[[], set[str]], everything: io.StringIO
) -> None:
    out, told = io.StringIO(), ""
    for _ in faults(bitbucket):
        stored(bitbucket, ended=True)
        try:
            call_command("bitbucket_refresh", "--within=1m", stdout=out, stderr=out)
        except CommandError as error:
            told += "".join(traceback.format_exception(error))
    haystack = out.getvalue() + told + everything.getvalue()
    assert "1 refused" in haystack and "1 failed" in haystack
    assert not [secret for secret in secrets() if secret in haystack]
