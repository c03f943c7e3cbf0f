"""``bitbucket_check --conformance``: whose token it asks with, what it needs, and what it shows."""

from __future__ import annotations

import json

import pytest
from commands.conforming import compared, person_of
from commands.doctoring import SITE, as_json, printed
from django.contrib.auth.models import User

from django_bitbucket_auth.conf import ProviderSettings
from django_bitbucket_auth.exceptions import (
    BitbucketAuthError,
    BitbucketTimeout,
    BitbucketUnavailable,
    ForeignURL,
    OAuthError,
)
from django_bitbucket_auth.management.conformance.cases import words
from django_bitbucket_auth.management.conformance.showing import lines
from django_bitbucket_auth.management.conformance.subject import masked
from django_bitbucket_auth.management.doctor.patient import Patient
from django_bitbucket_auth.management.doctor.report import report
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider, simulated_bitbucket

pytestmark = pytest.mark.django_db


# -- whose token -------------------------------------------------------------------------------------------------------


def test_a_user_is_as_good_as_an_account(bitbucket: BitbucketSimulator) -> None:
    person_of(bitbucket)
    assert compared("--user=jane")["profile"]["outcome"] == "as expected"


@pytest.mark.parametrize("whose", ["--account=999", "--account=x", "--user=nobody"])
def test_somebody_who_is_not_there(bitbucket: BitbucketSimulator, whose: str) -> None:
    _, error = printed("--conformance", whose)
    assert str(error).startswith("There is no ")


def test_a_person_without_a_token_or_inactive_or_of_another_bitbucket(bitbucket: BitbucketSimulator) -> None:
    User.objects.create_user("without")
    assert "let them sign in" in compared("--user=without")["profile"]["seen"]
    row = person_of(bitbucket)
    assert row.account is not None
    for columns in ({"instance": "elsewhere"}, {"instance": row.account.instance, "grant": "oauth1"}):
        BitbucketToken.objects.update(**columns)
        seen = compared(f"--account={row.account_id}")["profile"]["seen"]
        assert seen.startswith("the stored token isn't for this Bitbucket or protocol")
    User.objects.update(is_active=False)
    assert compared(f"--account={row.account_id}")["profile"]["seen"] == "the person is inactive here"


def test_a_token_that_has_ended_is_not_renewed_unless_that_is_asked_for(bitbucket: BitbucketSimulator) -> None:
    row = person_of(bitbucket, ended=True)
    account = f"--account={row.account_id}"
    assert compared(account)["profile"]["seen"] == "the stored token has ended: pass --refresh"
    assert BitbucketToken.objects.get().version == row.version
    results = compared(account, "--refresh")
    assert results["profile"]["outcome"] == "as expected"
    assert results["rotation"]["seen"] == "another"
    # It was kept, so that the person goes on with it.
    kept = BitbucketToken.objects.get()
    token = kept.reveal()
    assert kept.version == row.version + 1
    assert token is not None and bitbucket.vault.find_access(token.access_token, bitbucket.now()) is not None


def test_a_refresh_token_that_is_refused_is_sent_once(bitbucket: BitbucketSimulator) -> None:
    row = person_of(bitbucket)
    bitbucket.answer("token", 400, body='{"error": "invalid_grant"}')
    results = compared(f"--account={row.account_id}", "--refresh")
    sent = [logged for logged in bitbucket.requests_to("token") if logged.form["grant_type"] == "refresh_token"]
    assert len(sent) == 1
    assert {results[name]["outcome"] for name in ("rotation", "replaced-token")} == {"open"}


def test_an_ended_token_that_can_not_be_renewed_leaves_the_person_open(bitbucket: BitbucketSimulator) -> None:
    row = person_of(bitbucket, ended=True)
    bitbucket.answer("token", 400, body='{"error": "invalid_grant"}')
    seen = compared(f"--account={row.account_id}", "--refresh")["profile"]["seen"]
    assert seen.startswith("the stored token has ended: invalid_grant")


# -- what is needed, and what is shown ---------------------------------------------------------------------------------


def test_it_takes_credentials_and_a_bitbucket(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", CLIENT_ID=None, CLIENT_SECRET=None):
        out, error = printed("--conformance")
        assert "nothing to ask with. [not_asked]" in out and str(error).endswith("said above: default.")
    bitbucket.cut("user")
    with override_provider("default", RETRIES=0):
        (provider,) = as_json("--conformance")["providers"]
    (finding,) = provider["findings"]
    assert (finding["level"], finding["code"], provider["conformance"]) == ("error", "not_asked", [])


def test_a_table_and_a_block_to_paste_are_printed(bitbucket: BitbucketSimulator) -> None:
    row = person_of(bitbucket)
    out, error = printed("--conformance", f"--site={SITE}", f"--account={row.account_id}")
    assert error is None
    assert "Callback URL" not in out
    assert "\nas expected  made-up-code" in out
    assert "open question: Is PKCE verified, or ignored?" in out
    block = out.split("```")[1].strip().splitlines()
    assert block[1] == "cloud, somewhere else"
    assert "profile: as expected: user with uuid, account_id, nickname, account_status" in block
    jane = bitbucket.people["jane"]
    told = (jane.uuid, jane.account_id, jane.username, jane.display_name, "jane@example.com", bitbucket.client_id)
    assert [text for text in (*told, bitbucket.url) if text in "\n".join(block)] == []


@pytest.mark.parametrize(
    ("version", "place"), [("8.19.9", "version 8.19.9"), ("evil", "an unknown version"), (1, "an unknown version")]
)
def test_a_data_center_is_told_by_its_version_and_not_by_its_host(version: object, place: str) -> None:
    with simulated_bitbucket(kind="data-center") as bitbucket:
        bitbucket.answer("whoami", body=json.dumps({"version": version}))
        out, _ = printed("--conformance")
    assert f"\ndata-center, {place}\n" in out
    assert "127.0.0.1" not in out.split("```")[1]


def test_bitbucket_org_is_named_and_one_that_is_gone_is_not_asked_again() -> None:
    public = Patient(ProviderSettings(alias="default"))
    assert "cloud, api.bitbucket.org" in lines(public, [])
    with simulated_bitbucket(kind="data-center", RETRIES=0) as bitbucket:
        bitbucket.cut("whoami")
        patient = report("default", SITE, offline=True).patient()
        assert "data-center, an unknown version" in lines(patient, [])


def test_settings_that_are_wrong_are_told_instead(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", PKCE="no"):
        out, error = printed("--conformance")
    assert "bitbucket_auth.E003" in out and error is not None
    assert bitbucket.requests == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("seen by jane@example.com", "seen by …"),
        ("{883cf952-e801-56c7-adfb-114422878aab}", "…"),
        ("is 557058c0b72ad05c65ffffffffffffffff", "is …"),
        ("HTTP 401, JSON", "HTTP 401, JSON"),
        (
            "user with uuid, account_id, nickname, account_status",
            "user with uuid, account_id, nickname, account_status",
        ),
    ],
)
def test_what_is_somebodys_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OAuthError("odd", "Jane Doe may not", 400), "odd (HTTP 400)"),
        (OAuthError("odd"), "odd"),
        (BitbucketUnavailable("x", status=503), "no answer (HTTP 503)"),
        (BitbucketTimeout("x"), "no answer (BitbucketTimeout)"),
        (ForeignURL("x"), "no answer (ForeignURL)"),
    ],
)
def test_descriptions_are_left_out(error: BitbucketAuthError, said: str) -> None:
    assert words(error) == said


def test_what_is_to_be_pasted_steers_no_terminal_and_ends_no_block() -> None:
    assert masked("x\n```\n\x1b[2Jhi\x9b") == "x```[2Jhi"
