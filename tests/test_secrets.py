"""The canary: recognisable secrets are planted, every failure is provoked, and they appear nowhere."""

from __future__ import annotations

import io
import json
import logging
import pickle
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import django
import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.management import call_command
from django.http import HttpRequest
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse
from django.utils.log import AdminEmailHandler
from steps import CALLBACK, attempts_of, code_for, come_back, start
from stored import stored as stored_token
from test_faults import JSON, LOST, TOKEN, USER, WORKS
from test_guards import later

from django_bitbucket_auth import conf, tokens, views
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.bitbucket import CloudProvider, Profile
from django_bitbucket_auth.hooks import BitbucketLogin
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.oauth.grants import AuthorizationCode
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.signals import verify
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider

pytestmark = pytest.mark.django_db

ACCESS, REFRESH, SECRET = "CANARY-access-" + "a" * 100, "CANARY-refresh-" + "r" * 100, "CANARY-client-secret"

#: Django 6.0 takes plain addresses, and says that pairs are a thing of the past.
ADMINS = ["admin@example.com"] if django.VERSION >= (6, 0) else [("Admin", "admin@example.com")]


class CrashingBackend(BitbucketBackend):
    """A project's own, with a bug."""

    def create_user(self, request: HttpRequest, login: BitbucketLogin, fields: dict[str, Any]) -> User:
        super().create_user(request, login, fields)
        raise ZeroDivisionError


class CrashingProvider(CloudProvider):
    """The same."""

    def fetch_profile(self, token: Token) -> Profile:
        raise ZeroDivisionError


@pytest.fixture
def everything() -> Iterator[io.StringIO]:
    """All that any logger says at DEBUG, tracebacks included, with error mails switched on."""
    stream = io.StringIO()
    handlers: list[logging.Handler] = [logging.StreamHandler(stream), AdminEmailHandler(include_html=True)]
    handlers[1].setLevel(logging.ERROR)
    names = ["", "django", "django.request", "django_bitbucket_auth", "urllib3", "oauthlib", "requests_oauthlib"]
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.level, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    for handler in handlers:
        loggers[0].addHandler(handler)
    yield stream
    for handler in handlers:
        loggers[0].removeHandler(handler)
    for logger, (level, disabled) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.disabled = disabled


def mails() -> str:
    found = ""
    for message in mail.outbox:
        found += f"{message.subject}\n{message.body}\n"
        found += "".join(str(alternative[0]) for alternative in getattr(message, "alternatives", []))
    return found


def stored() -> str:
    """Database, sessions, pickles and dumps, as far as they are read without the key."""
    dump = io.StringIO()
    call_command("dumpdata", stdout=dump)
    rows = [*BitbucketToken.objects.all(), *BitbucketAccount.objects.all(), *User.objects.all()]
    sessions = [session.get_decoded() for session in Session.objects.all()]
    return dump.getvalue() + repr(pickle.dumps(rows)) + repr([vars(row) for row in rows]) + repr(sessions) + str(rows)


def refuse(**kwargs: Any) -> None:
    raise RuntimeError(f"a receiver that fails, holding {kwargs['token']!r} and {kwargs['profile']!r}")


@override_settings(ADMINS=ADMINS)
def test_no_secret_appears_in_logs_mails_pages_database_or_sessions(
    bitbucket: BitbucketSimulator, everything: io.StringIO
) -> None:
    body = json.dumps({**TOKEN, "access_token": ACCESS, "refresh_token": REFRESH})
    pages, codes, states, verifiers = "", [], [], []
    # One fault for each endpoint and reason: an error mail in HTML takes its time.
    distinct = {(name.split()[0], reason): fault for name, fault in LOST.items() for _, _, reason in [fault]}
    faults = [*distinct.values(), (WORKS["emails 500"], 302, "")]
    keys = {"CLIENT_SECRET": SECRET, "TIMEOUT": 0.2, "DEADLINE": 0.3, "RETRIES": 0, "PKCE": True}
    with override_provider("default", **keys):
        for number, (break_it, _, _) in enumerate([*faults, (None, 302, ""), (None, 403, "")]):
            client = Client(raise_request_exception=False)
            started = start(client)
            code = f"CANARY-code-{number}"
            bitbucket.heal()
            broken = break_it(bitbucket).endpoint if break_it else ""
            for endpoint, answer in (("token", body), ("user", json.dumps(USER))):
                if endpoint != broken:
                    bitbucket.answer(endpoint, 200, headers=JSON, body=answer)
            if number == len(faults) + 1:
                verify.connect(refuse)
            try:
                response = come_back(client, code=code, state=started.state)
            finally:
                verify.disconnect(refuse)
            pages += response.content.decode() + repr(response.headers.items())
            codes.append(code)
            states.append(started.state)
            verifiers += [dict(logged.form).get("code_verifier", "") for logged in bitbucket.requests_to("token")[-1:]]
    assert BitbucketToken.objects.exists()
    assert len(mail.outbox) > 10  # 502, 503 and 504 are mailed, as every server error is
    haystack = everything.getvalue() + mails() + pages + stored()
    assert "Sign-in failed" in haystack and "RuntimeError" in haystack
    for secret in (ACCESS, REFRESH, SECRET, quote(SECRET), *filter(None, verifiers)):
        assert secret not in haystack
    # The state stands in the address of the error page, but nowhere in what is kept or sent.
    kept = everything.getvalue() + mails() + stored()
    for secret in (*codes, *states):
        assert secret not in kept


@override_settings(ADMINS=ADMINS)
def test_no_secret_appears_in_the_admin(
    bitbucket: BitbucketSimulator, everything: io.StringIO, admin_client: Client
) -> None:
    account = stored_token(bitbucket).account
    assert account is not None
    token = Token(ACCESS, "CANARY-token-secret", REFRESH)
    tokens.write(account, token, conf.provider_settings(), grant="authorization_code", using="default")
    name, seen = "admin:bitbucket_auth_bitbucketaccount", ""
    refresh = {"action": "refresh", "_selected_action": account.pk}
    with override_provider("default", CLIENT_SECRET=SECRET, RETRIES=0):
        for answer in ((400, '{"error": "invalid_grant"}'), (503, "down"), (200, "nonsense"), (200, json.dumps(TOKEN))):
            bitbucket.heal()
            bitbucket.answer("token", answer[0], headers=JSON, body=answer[1])
            seen += admin_client.post(reverse(f"{name}_changelist"), refresh, follow=True).content.decode()
    assert "invalid_grant" in seen and "503" in seen and "renewed" in seen
    for view in ("change", "delete", "history"):
        seen += admin_client.get(reverse(f"{name}_{view}", args=[account.pk])).content.decode()
    forget = {**refresh, "action": "forget"}
    seen += admin_client.post(reverse(f"{name}_changelist"), forget).content.decode()
    seen += everything.getvalue() + mails() + stored()
    secrets = (ACCESS, REFRESH, SECRET, "CANARY-token-secret", TOKEN["access_token"])
    assert [secret for secret in secrets if str(secret) in seen] == []


@override_settings(ADMINS=ADMINS)
def test_a_crash_in_the_callback_mails_no_secret(bitbucket: BitbucketSimulator, everything: io.StringIO) -> None:
    client = Client(raise_request_exception=False)
    started = start(client)
    code = code_for(bitbucket, started)
    with override_settings(AUTHENTICATION_BACKENDS=["test_secrets.CrashingBackend"]):
        response = come_back(client, code=code, state=started.state)
    assert response.status_code == 500  # a bug of the project's own is one
    assert mail.outbox and "ZeroDivisionError" in mails()
    seen = everything.getvalue() + mails()
    token = dict(bitbucket.requests_to("token")[0].form)
    for secret in (code, started.state, token["code_verifier"], bitbucket.client.client_secret):
        assert secret not in seen
    assert not BitbucketAccount.objects.exists() and not User.objects.exists()


@override_settings(ADMINS=ADMINS, ROOT_URLCONF="guarding")
def test_no_question_about_a_person_tells_a_secret(
    bitbucket: BitbucketSimulator, everything: io.StringIO, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django_bitbucket_auth.middleware.MembershipMiddleware"]
    client = Client(raise_request_exception=False)
    tokens = json.dumps({**TOKEN, "access_token": ACCESS, "refresh_token": REFRESH})
    keys: dict[str, Any] = {"CLIENT_SECRET": SECRET, "RETRIES": 0, "RECHECK": 60}
    with override_provider("default", **keys):
        started = start(client)
        bitbucket.answer("token", 200, headers=JSON, body=tokens)
        bitbucket.answer("user", 200, headers=JSON, body=json.dumps(USER))
        come_back(client, code="c", state=started.state)
        pages = ""
        for endpoint, status in (("permission", 500), ("user", 500), ("user", 401), ("token", 400)):
            bitbucket.heal(endpoint)
            bitbucket.fail(endpoint, status)
            later(monkeypatch, 61)
            for path in ("/private/", "/members/"):
                pages += client.get(path).content.decode()
    # What fails in a question is an outage; what fails in a guard, a crash.
    for recheck, status in ((60, 503), (None, 500)):
        later(monkeypatch, 61)
        crashing = {**keys, "RECHECK": recheck, "KIND": "test_secrets.CrashingProvider"}
        with override_provider("default", **crashing):
            assert client.get("/members/").status_code == status
    assert "ZeroDivisionError" in mails() and "Request refused" in everything.getvalue()
    haystack = everything.getvalue() + mails() + pages + stored()
    for secret in (ACCESS, REFRESH, SECRET):
        assert secret not in haystack


def test_the_answer_is_taken_out_of_the_request() -> None:
    request = RequestFactory().get(f"{CALLBACK}?code=CANARY-code&state=CANARY-state&x=1")
    request.META["RAW_URI"] = request.META["REQUEST_URI"] = request.get_full_path()
    answer = views._Answer.take(request)
    assert (answer.code, answer.state) == ("CANARY-code", "CANARY-state")
    assert "CANARY" not in repr(answer)
    assert "CANARY" not in request.get_full_path() + repr(request) + repr(request.GET) + repr(request.META)
    assert request.GET["x"] == "1" and "x=1" in request.META["RAW_URI"]


def test_no_repr_shows_a_secret(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", CLIENT_SECRET=SECRET, PROXIES={"https": "http://u:CANARY-proxy@proxy:1"}):
        configuration = conf.provider_settings()
        provider = conf.provider(configuration)
    token = Token(ACCESS, "CANARY-token-secret", REFRESH)
    things = [
        configuration,
        provider,
        provider.network,
        token,
        AuthorizationCode("CANARY-code", "https://testserver/", "CANARY-verifier"),
        BitbucketLogin(configuration, Profile("default", "x", "y"), token, "https://testserver/"),
    ]
    for thing in things:
        assert "CANARY" not in repr(thing) + str(thing), type(thing)


def test_an_attempt_shows_neither_state_nor_verifier(bitbucket: BitbucketSimulator, client: Client) -> None:
    from django_bitbucket_auth import state

    started = start(client)
    request = RequestFactory().get(
        "/", headers={"Cookie": "; ".join(f"{n}={client.cookies[n].value}" for n in attempts_of(client))}
    )
    attempt = state.find(request, started.state, started.state)
    assert attempt.verifier and attempt.verifier not in repr(attempt) and attempt.state not in repr(attempt)


def test_a_query_of_odd_bytes_is_taken_out_too() -> None:
    request = RequestFactory().get(f"{CALLBACK}?code=%ff%fe&state=%00")
    answer = views._Answer.take(request)
    assert answer.state == "\x00" and "%00" not in request.META["QUERY_STRING"]
