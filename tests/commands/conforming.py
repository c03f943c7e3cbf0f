"""What comes of cases of ``bitbucket_check --conformance``, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commands.doctoring import SITE, as_json
from stored import stored

from django_bitbucket_auth.management.conformance.cases import Result, result_of
from django_bitbucket_auth.management.conformance.comparing import cases_for, subject_of
from django_bitbucket_auth.management.doctor.report import report
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.testing import BitbucketSimulator

CALLBACK = f"{SITE}/bitbucket/callback/"


def person_of(bitbucket: BitbucketSimulator, **columns: Any) -> BitbucketToken:
    """The stored token of somebody with a space in their name, as a sign-in leaves it."""
    bitbucket.rename("jane", dc_name="jane doe")
    row = stored(bitbucket, redirect_uri=CALLBACK, **columns)
    if bitbucket.kind.endswith("oauth1"):
        told = bitbucket.issue("jane")
        token = Token(str(told["access_token"]), str(told["token_secret"]))
        BitbucketToken.objects.update(grant="oauth1", **BitbucketToken.columns(row.key, token))
    for grant in [issued.grant for issued in bitbucket.vault.all_access()]:
        grant.redirect_uri = CALLBACK
    return row


def compared(*arguments: str, site: str = SITE) -> dict[str, Mapping[str, str]]:
    """What came of each case, by its name."""
    (provider,) = as_json("--conformance", f"--site={site}", *arguments)["providers"]
    results = {result["case"]: result for result in provider["conformance"]}
    assert len(results) == len(provider["conformance"])
    return results


def result_for(name: str, row: BitbucketToken, *, refresh: bool = False) -> Result:
    """What comes of one case, asked as this person."""
    subject = subject_of(report("default", SITE, offline=True).patient(), account=str(row.account_id), refresh=refresh)
    (case,) = [case for case in cases_for(subject) if case.name == name]
    return result_of(case, subject)


def outcomes(results: Mapping[str, Mapping[str, str]], outcome: str) -> set[str]:
    return {name for name, result in results.items() if result["outcome"] == outcome}
