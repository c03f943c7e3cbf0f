"""``manage.py bitbucket_check``: the credentials of OAuth 2.0, against the simulator."""

from __future__ import annotations

import pytest
from commands.doctoring import SITE, findings, found, levels

from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.management.doctor.findings import Finding, worst
from django_bitbucket_auth.oauth.grants import Grant
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider, simulated_bitbucket
from django_bitbucket_auth.testing.kinds import KINDS

CALLBACK = f"{SITE}/bitbucket/callback/"
FINE = {
    "cloud": {"reached": "ok", "clock": "ok", "credentials": "ok", "scopes": "ok"},
    "cloud-oauth1": {"reached": "ok", "clock": "ok", "credentials": "ok", "scopes": "note"},
    "data-center": {"reached": "ok", "clock": "ok", "version": "ok", "credentials": "ok", "scopes": "ok"},
    "data-center-oauth1": {"reached": "ok", "clock": "ok", "version": "ok", "credentials": "ok", "scopes": "note"},
}


class Careless(CloudProvider):
    """Whoever asks gets a token."""

    def fetch_token(self, grant: Grant) -> Token:
        return Token("canary")


class Broken(CloudProvider):
    """Somebody's own kind that fails in its own way."""

    def fetch_token(self, grant: Grant) -> Token:
        raise RuntimeError("canary")


class Unfinished(CloudProvider):
    """Somebody's own kind that lacks a setting."""

    def fetch_token(self, grant: Grant) -> Token:
        raise ConfigurationError("MY_SETTING is missing")


# -- fine --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_provider_that_is_fine_is_found_to_be_so_and_nobody_is_asked_to_consent(kind: str) -> None:
    with simulated_bitbucket(kind=kind) as bitbucket:
        bitbucket.callback_url = CALLBACK
        assert levels(found()) == FINE[kind]
        sent = [(logged.endpoint, logged.method, logged.form.get("grant_type")) for logged in bitbucket.requests]
    assert not any(endpoint == "authorize" for endpoint, _, _ in sent)
    posts = [(endpoint, grant) for endpoint, method, grant in sent if method == "POST"]
    by_code = [("token", "authorization_code"), ("token", "client_credentials")]
    assert posts == ([("request_token", None)] if kind.endswith("oauth1") else by_code)


def test_the_worst_level_counts() -> None:
    fine, bad = Finding("ok", "a", ""), Finding("warning", "b", "")
    assert worst([]) == "ok"
    assert worst([fine, bad, Finding("note", "c", "")]) == "warning"


# -- the client, by OAuth 2.0 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cloud", "data-center"])
@pytest.mark.parametrize("name", ["CLIENT_ID", "CLIENT_SECRET"])
def test_another_id_or_secret_is_refused(kind: str, name: str) -> None:
    with simulated_bitbucket(kind=kind) as bitbucket, override_provider("default", **{name: "another"}):
        seen = found()
        assert seen["credentials_refused"].level == "error"
        assert "make a new one" in seen["credentials_refused"].next
        grants = [logged.form["grant_type"] for logged in bitbucket.requests_to("token")]
        assert grants == ["authorization_code", "client_credentials"]
    assert not {"credentials", "scopes", "scopes_unknown"} & set(seen)


def test_a_client_that_is_refused_with_a_code_only_has_the_right_secret(bitbucket: BitbucketSimulator) -> None:
    bitbucket.answer("token", 400, body='{"error": "unauthorized_client"}', times=1)
    seen = found()
    assert seen["credentials_contradict"].level == "warning"
    assert "credentials_refused" not in seen


def test_credentials_that_are_not_set_are_a_warning_and_the_network_is_looked_at(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", CLIENT_ID=None, CLIENT_SECRET=None):
        seen = levels(found())
    assert seen == {"reached": "ok", "clock": "ok", "credentials_missing": "warning"}
    assert [logged.method for logged in bitbucket.requests] == ["GET"] * len(bitbucket.requests)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, '{"error": "invalid_request", "error_description": "No callback uri defined."}', "callback_refused"),
        (400, '{"error": "invalid_grant", "error_description": "Unsupported grant type: x"}', "grant_refused"),
        (400, '{"error": "unsupported_grant_type"}', "grant_refused"),
        (400, "<html>No</html>", "credentials_unclear"),
        (401, "<html>Who are you?</html>", "credentials_unclear"),
        (200, "<html>Please sign in to the WiFi</html>", "credentials_unclear"),
        (302, "", "credentials_unclear"),
        (400, '{"error": "invalid_scope"}', "credentials_unclear"),
    ],
)
def test_other_answers_are_told_apart(bitbucket: BitbucketSimulator, status: int, body: str, code: str) -> None:
    bitbucket.answer("token", status, body=body)
    assert found()[code].level == "error"


def test_the_callback_url_is_named_or_asked_for(bitbucket: BitbucketSimulator) -> None:
    bitbucket.answer("token", 400, body='{"error": "invalid_request", "error_description": "Wrong redirect_uri"}')
    assert found()["callback_refused"].next.endswith(CALLBACK)
    assert "--site" in found(site="")["callback_refused"].next


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_limit_and_an_outage_prove_nothing(kind: str) -> None:
    with simulated_bitbucket(kind=kind) as bitbucket:
        step = "request_token" if kind.endswith("oauth1") else "token"
        for status, code in ((429, "rate_limited"), (503, "unavailable")):
            bitbucket.fail(step, status)
            with override_provider("default", RETRIES=0):
                codes = {finding.code: finding for finding in findings()}
            assert codes[code].level == "warning"
            assert "credentials" not in codes
            bitbucket.heal()


def test_a_rate_limit_that_begins_amid_it_is_told(bitbucket: BitbucketSimulator) -> None:
    bitbucket.answer("token", 400, body='{"error": "invalid_grant"}', times=1)
    bitbucket.fail("token", 429)
    assert levels(found()) == {
        "reached": "ok",
        "clock": "ok",
        "credentials": "ok",
        "rate_limited": "warning",
        "scopes_unknown": "note",
    }


def test_who_gives_tokens_for_anything_is_no_bitbucket(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", KIND=f"{__name__}.Careless"):
        assert "made up" in found()["not_bitbucket"].seen


@pytest.mark.parametrize(("kind", "said"), [("Broken", "RuntimeError in credentials.proved"), ("Unfinished", "MY_SET")])
def test_a_kind_of_ones_own_that_fails_is_a_finding(bitbucket: BitbucketSimulator, kind: str, said: str) -> None:
    with override_provider("default", KIND=f"{__name__}.{kind}"):
        failed = found()["failed"]
    assert failed.level == "error" and said in failed.seen
    assert "canary" not in f"{failed}"
