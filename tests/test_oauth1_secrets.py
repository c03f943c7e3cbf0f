"""The canary once more: what OAuth 1.0a, private keys and proxies have to hide (security rule 39)."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import quote

import pytest
import requests
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import call_command
from django.test import Client, override_settings
from steps import attempts_of, come_back, signed_answer, start
from test_faults_elsewhere import BEGINNING, EXCHANGE
from test_secrets import ADMINS, everything, mails, stored

from django_bitbucket_auth import conf, crypto
from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.bitbucket import DataCenterOAuth1Provider
from django_bitbucket_auth.exceptions import BitbucketAuthError
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.testing import (
    SIMULATOR_RSA_KEY,
    BitbucketSimulator,
    log_in,
    override_provider,
    simulated_bitbucket,
)

pytestmark = pytest.mark.django_db

__all__ = ["everything"]

#: A line of the private key's own text.
KEY_LINE = SIMULATOR_RSA_KEY.splitlines()[3]


class Crashing(DataCenterOAuth1Provider):
    """A project's own, with a bug where all secrets are at hand."""

    def token_from(self, response: Any) -> Any:
        raise ZeroDivisionError


def secrets_of(simulator: BitbucketSimulator, client: Client) -> list[str]:
    """What a started login holds, and what it was signed with."""
    (name,) = attempts_of(client)
    attempt = json.loads(crypto.unseal("started login", name, client.cookies[name].value))
    return [attempt["request_token"], attempt["request_secret"], KEY_LINE, quote(KEY_LINE)]


@override_settings(ADMINS=ADMINS)
@pytest.mark.parametrize("method", ["RSA-SHA1", "HMAC-SHA1"])
def test_no_secret_of_a_signed_sign_in_appears_anywhere(everything: io.StringIO, method: str) -> None:
    hidden: list[str] = []
    pages = ""
    distinct = {(name.split()[0], reason): fault for name, (fault, _, reason) in EXCHANGE.items()}
    with simulated_bitbucket(kind="data-center-oauth1", SIGNATURE_METHOD=method, RETRIES=0) as simulator:
        hidden.append(simulator.client_secret)
        for fault in [*distinct.values(), None]:
            client = Client(raise_request_exception=False)
            answer = signed_answer(simulator, start(client))
            hidden += [*secrets_of(simulator, client), answer["oauth_verifier"]]
            if fault:
                fault(simulator)
            pages += come_back(client, **answer).content.decode()
            simulator.heal()
        for fault, _, _ in list(BEGINNING.values())[:4]:
            fault(simulator)
            pages += Client().get("/bitbucket/dc/login/").content.decode()
            simulator.heal()
        session = get_session(User.objects.get())
        token = BitbucketToken.objects.get().reveal()
        assert token is not None and session.get("users?filter=jane").ok
        simulator.revoke("jane")
        with pytest.raises(BitbucketAuthError) as caught:
            session.json("users?filter=jane")
        hidden += [token.access_token, token.token_secret]
        configuration, provider = conf.provider_settings(), conf.provider(conf.provider_settings())
        pages += repr(configuration) + repr(provider.network) + repr(token) + repr(caught.value) + str(vars(session))
    assert len(mail.outbox) >= 3
    haystack = everything.getvalue() + mails() + pages + stored()
    assert "Sign-in failed" in haystack
    assert [secret for secret in hidden if secret in haystack] == []


@override_settings(ADMINS=ADMINS)
def test_a_crash_where_the_secrets_are_mails_none(everything: io.StringIO) -> None:
    with simulated_bitbucket(
        kind="data-center-oauth1", KIND="test_oauth1_secrets.Crashing", SIGNATURE_METHOD="RSA-SHA1"
    ) as simulator:
        client = Client(raise_request_exception=False)
        answer = signed_answer(simulator, start(client))
        hidden = [*secrets_of(simulator, client), answer["oauth_verifier"], answer["state"]]
        assert come_back(client, **answer).status_code == 500  # a bug of the project's own is one
    assert mail.outbox and "ZeroDivisionError" in mails()
    seen = everything.getvalue() + mails()
    assert [secret for secret in hidden if secret in seen] == []


PROXY = "http://proxy-user:CANARY-proxy-password@127.0.0.1:9"


@override_settings(ADMINS=ADMINS)
@pytest.mark.parametrize("kind", ["cloud", "data-center", "data-center-oauth1"])
def test_the_password_of_a_proxy_is_never_shown(everything: io.StringIO, kind: str) -> None:
    with simulated_bitbucket(kind=kind, RETRIES=0) as simulator:
        log_in(Client(), "jane")
        client = Client(raise_request_exception=False)
        started = start(client)
        answer = signed_answer(simulator, started) if kind.endswith("oauth1") else {"code": "c", "state": started.state}
        with override_provider("default", PROXIES={"http": PROXY, "https": PROXY}):
            pages = come_back(client, **answer).content.decode()
            pages += Client().get("/bitbucket/login/").content.decode()
            session = get_session(User.objects.get())
            with pytest.raises(BitbucketAuthError) as caught:
                session.json("user")
            pages += repr(conf.provider_settings()) + str(caught.value)
            with pytest.raises(requests.RequestException) as raw:
                session.get("user")
            pages += f"{raw.value!r} {raw.value.args} {session.network}"
            out = io.StringIO()
            call_command("bitbucket_check", "--offline", stdout=out)
    seen = everything.getvalue() + mails() + pages + out.getvalue()
    assert "Sign-in failed: unavailable" in seen
    assert "CANARY-proxy" not in seen


def test_the_checks_show_neither_key_nor_password() -> None:
    bad = {
        "default": {
            "KIND": "data-center-oauth1",
            "BASE_URL": "https://git.example.com",
            "CLIENT_ID": "id",
            "RSA_KEY": SIMULATOR_RSA_KEY.replace("BEGIN", "BEGUN"),
            "PROXIES": {"https": PROXY, "": "x"},
        }
    }
    with override_settings(BITBUCKET_AUTH=bad):
        out = io.StringIO()
        try:
            call_command("check", stdout=out, stderr=out)
        except Exception as error:  # what the command fails with is what is read
            out.write(str(error))
    assert "PROXIES" in out.getvalue()
    assert KEY_LINE not in out.getvalue() and "CANARY" not in out.getvalue()
