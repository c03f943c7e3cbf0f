"""``bitbucket_check --conformance``: the simulator satisfies each case, and by other rules the other answer is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from commands.conforming import CALLBACK, compared, outcomes, person_of, result_for
from commands.doctoring import SITE, as_json

from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.management.conformance.comparing import CASES
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.oauth.grants import Grant
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider, simulated_bitbucket
from django_bitbucket_auth.testing.kinds import KINDS

pytestmark = pytest.mark.django_db

#: What stays open with everything that a command can have.
ALWAYS_OPEN: dict[str, set[str]] = {
    "cloud": {"pkce-verified", "denial"},
    "cloud-oauth1": set(),
    "data-center": {"pkce-verified", "denial"},
    "data-center-oauth1": set(),
}


class Broken(CloudProvider):
    """Somebody's own kind that fails in its own way."""

    def fetch_token(self, grant: Grant) -> Token:
        raise RuntimeError("canary")


class Silent(CloudProvider):
    """Somebody's own kind that speaks requests' language."""

    def send(self, request: Any) -> Any:
        import requests

        if request.method == "POST":
            raise requests.ConnectionError("canary")
        return super().send(request)


# -- the simulator conforms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_simulator_is_as_expected_in_each_case(kind: str) -> None:
    with simulated_bitbucket(kind=kind, SCOPES=[]) as bitbucket:
        bitbucket.callback_url = CALLBACK
        row = person_of(bitbucket)
        refresh = [] if kind.endswith("oauth1") else ["--refresh"]
        results = compared(f"--account={row.account_id}", *refresh)
    assert outcomes(results, "differs") == set()
    assert outcomes(results, "open") == ALWAYS_OPEN[kind]
    assert len(results) > 8


def test_every_case_concerns_some_kind() -> None:
    asked = set()
    for kind in KINDS:
        with simulated_bitbucket(kind=kind):
            asked |= set(compared())
    assert asked == {case.name for case in CASES}


def test_without_a_person_what_takes_one_is_open(bitbucket: BitbucketSimulator) -> None:
    results = compared()
    assert {"profile", "emails", "rotation"} <= outcomes(results, "open")
    assert results["profile"]["seen"] == "takes a person: pass --account or --user"
    # The application's own token does for the others.
    assert results["permission-role"]["outcome"] == "as expected"


def test_nothing_is_asked_that_changes_anything(bitbucket: BitbucketSimulator) -> None:
    row = person_of(bitbucket)
    compared(f"--account={row.account_id}")
    for logged in bitbucket.requests:
        assert logged.method == "GET" or logged.endpoint == "token"
        assert logged.form.get("grant_type") in (None, "authorization_code", "client_credentials")
    assert BitbucketToken.objects.get().version == row.version


# -- other rules, other answers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "rules", "case", "seen"),
    [
        ("cloud", {"scope_member": "scopes"}, "scope-member", "scopes"),
        ("cloud", {"access_token_seconds": 3600}, "lifetime", "3600 s"),
        ("cloud", {"scope_parameter": "refused"}, "scope-parameter", "refused"),
        ("cloud", {"callback_prefix": True}, "longer-callback", "taken"),
        ("cloud", {"account_opens_emails": True}, "account-opens-emails", "opened"),
        ("cloud", {"permission_names_role": False}, "permission-role", "not named"),
        ("cloud", {"oauth1_taken": True}, "oauth1", "HTTP 400"),
        ("cloud", {"removed_endpoints_gone": False}, "removed-workspaces", "HTTP 200"),
        ("cloud", {"first_api_gone": False}, "first-api", "HTTP 401"),
        ("cloud", {"rotate_refresh_tokens": False}, "rotation", "the same"),
        ("cloud", {"refresh_answer_has_refresh_token": False}, "rotation", "the same"),
        ("data-center", {"access_token_seconds": 7200}, "lifetime", "7200 s"),
        ("data-center", {"scope_parameter": "narrows"}, "scope-parameter", "left out"),
        ("data-center", {"callback_prefix": True}, "longer-callback", "taken"),
        ("data-center", {"pkce_required": False}, "no-challenge", "taken"),
        ("data-center", {"client_credentials_taken": False}, "client-credentials", "refused"),
        ("data-center", {"refused_token_is_anonymous": False}, "made-up-token", "HTTP 401"),
        ("data-center", {"session_cookies": False}, "session-cookie", "not begun"),
        ("data-center", {"name_header_has_plus": True}, "space-in-name", "'+'"),
        ("data-center", {"rotate_refresh_tokens": False}, "rotation", "the same"),
        ("data-center", {"refresh_ends_access_tokens": False}, "replaced-token", "it goes on"),
        ("data-center-oauth1", {"malformed_status": 400}, "unsigned", "HTTP 400"),
    ],
)
def test_the_other_answer_to_an_open_question_is_told(kind: str, rules: dict[str, Any], case: str, seen: str) -> None:
    with simulated_bitbucket(kind=kind, SCOPES=[]) as bitbucket:
        bitbucket.callback_url = CALLBACK
        bitbucket.rules = replace(bitbucket.rules, **rules)
        row = person_of(bitbucket)
        result = result_for(case, row, refresh=case in ("rotation", "replaced-token"))
    assert (result.outcome, result.seen) == ("differs", seen)


@pytest.mark.parametrize(
    ("kind", "endpoint", "status", "body", "case", "seen"),
    [
        ("cloud", "token", 200, '{"access_token": "made-up", "token_type": "bearer"}', "made-up-code", "a token"),
        ("cloud", "token", 403, "<html>", "made-up-secret", "http_403 (HTTP 403)"),
        ("cloud", "token", 200, '{"access_token": "made-up"}', "scope-member", "neither"),
        ("cloud", "token", 200, '{"access_token": "made-up"}', "lifetime", "none"),
        (
            "cloud",
            "token",
            200,
            '{"access_token": "a", "scope": "account made-up-by-bitbucket-check"}',
            "scope-parameter",
            "granted",
        ),
        ("cloud", "user", 401, "<html>", "made-up-token", "HTTP 401, no JSON"),
        ("cloud", "user", 200, '{"type": "user"}', "profile", "user with no id"),
        ("cloud", "user", 200, '{"type": "robot", "uuid": "{a}"}', "profile", "something else with uuid"),
        ("cloud", "user", 200, "{}", "scopes-header", "not named"),
        ("cloud", "emails", 200, '{"values": [{"email": "a@example.com"}]}', "emails", "email"),
        ("cloud", "emails", 200, '{"values": [{}]}', "emails", "nothing that is known"),
        ("cloud", "emails", 500, "", "emails", "no answer (HTTP 500)"),
        ("cloud", "emails", 404, "", "account-opens-emails", "HTTP 404"),
        ("cloud", "workspaces", 200, '{"values": [{"workspace": {}}]}', "workspace-list", "neither uuid nor slug"),
        ("cloud", "permission", 200, '{"workspace": {"uuid": "{a}"}}', "permission-workspace", "another"),
        ("data-center", "whoami", 404, "", "open-version", "HTTP 404, no name"),
        ("data-center", "whoami", 200, "{}", "name-header", "not named"),
        ("data-center", "user", 200, '{"values": []}', "person", "0 people"),
        ("data-center", "user", 200, "[]", "person", "0 people"),
        (
            "data-center",
            "user",
            200,
            '{"values": [{"name": "jane doe", "id": true}]}',
            "person",
            "one person, no number, of another type",
        ),
        ("data-center-oauth1", "request_token", 200, "oauth_token=a", "request-token", "no_request_token"),
    ],
)
def test_nonsense_is_told_as_it_was_seen(
    kind: str, endpoint: str, status: int, body: str, case: str, seen: str
) -> None:
    with simulated_bitbucket(kind=kind, SCOPES=[], RETRIES=0) as bitbucket:
        row = person_of(bitbucket)
        bitbucket.answer(endpoint, status, body=body)
        result = result_for(case, row)
    assert result.seen == seen
    assert result.outcome == ("open" if status == 500 else "differs")


def test_headers_of_a_rate_limit_are_named(bitbucket: BitbucketSimulator) -> None:
    bitbucket.answer("user", 200, headers={"X-RateLimit-Limit": "1000"}, body="{}")
    assert compared()["rate-limit-headers"]["seen"] == "X-RateLimit-Limit"


@pytest.mark.parametrize(
    ("endpoint", "status", "body", "case", "seen"),
    [
        ("authorize", 302, "", "longer-callback", "the page wants somebody who is signed in, or doesn't take"),
        ("token", 400, '{"error": "invalid_grant"}', "scope-parameter", "no token of the application (invalid_grant,"),
        ("token", 400, "<html>", "lifetime", "no token of the application (no words, HTTP 400)"),
        ("token", 200, '{"access_token": "a"}', "scope-parameter", "the application's token names no scopes"),
        (
            "token",
            200,
            '{"access_token": "a", "scope": "x"}',
            "account-opens-emails",
            "no token with the scope account",
        ),
        ("workspaces", 200, '{"values": []}', "permission-role", "whoever was asked as is in no workspace"),
        ("workspaces", 200, '{"values": [1]}', "permission-role", "whoever was asked as is in no workspace"),
        ("permission", 404, "", "permission-role", "HTTP 404"),
        ("emails", 200, '{"values": []}', "emails", "the person has none"),
        ("token", 429, "", "lifetime", "no answer (HTTP 429)"),
        ("token", 429, "", "made-up-code", "no answer (HTTP 429)"),
        ("user", 503, "", "made-up-token", "no answer (HTTP 503)"),
    ],
)
def test_what_can_not_be_found_out_is_open(endpoint: str, status: int, body: str, case: str, seen: str) -> None:
    with simulated_bitbucket(RETRIES=0) as bitbucket:
        row = person_of(bitbucket)
        bitbucket.answer(endpoint, status, headers={"Location": f"{SITE}/elsewhere/"}, body=body)
        result = result_for(case, row)
    assert result.outcome == "open" and result.seen.startswith(seen)


def test_a_data_center_that_names_nobody_leaves_the_person_open() -> None:
    with simulated_bitbucket(kind="data-center") as bitbucket:
        row = person_of(bitbucket)
        bitbucket.answer("whoami", 200, body="{}")
        assert compared(f"--account={row.account_id}")["person"]["seen"] == "the answer names nobody"
        bitbucket.heal()
        bitbucket.answer("authorize", 302, headers={"Location": "/login"})
        assert compared()["no-challenge"]["outcome"] == "open"


def test_names_without_a_space_and_sites_that_nobody_has_told_are_open() -> None:
    with simulated_bitbucket(kind="data-center") as bitbucket:
        row = person_of(bitbucket)
        bitbucket.rename("jane", dc_name="jane")
        (provider,) = as_json("--conformance", f"--account={row.account_id}")["providers"]
        seen = {result["case"]: result["seen"] for result in provider["conformance"]}
    assert seen["space-in-name"] == "the person's name has no space"
    assert seen["longer-callback"].endswith("pass --site, or set CALLBACK_URL")


def test_a_rate_limit_is_asked_about_once(bitbucket: BitbucketSimulator) -> None:
    bitbucket.fail("token", 429)
    results = compared()
    asked = [logged for logged in bitbucket.requests_to("token") if "scope" not in logged.form]
    assert len([logged for logged in asked if logged.form["grant_type"] == "client_credentials"]) == 1
    assert results["client-credentials"]["outcome"] == "open"


@pytest.mark.parametrize(
    ("kind", "case", "seen"),
    [("Broken", "made-up-code", "it failed: RuntimeError"), ("Silent", "lifetime", "no answer (BitbucketUnavailable)")],
)
def test_a_kind_of_ones_own_that_fails_leaves_it_open(
    bitbucket: BitbucketSimulator, kind: str, case: str, seen: str
) -> None:
    with override_provider("default", KIND=f"{__name__}.{kind}"):
        result = compared()[case]
    assert (result["outcome"], result["seen"]) == ("open", seen)
