"""``bitbucket_import`` for a Data Center, whose ids mean something at that one only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from former.models import SocialAccount
from former.rows import CLIENT, GIT, at_data_center, lines, person, refused, run
from logins import JANE, refusal, sign_in

from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken

pytestmark = pytest.mark.django_db


DC = ("social-auth", "--provider=dc", "--apply")


def test_numbers_of_a_data_center_are_its_instances() -> None:
    jane = person()
    at_data_center(jane, name="jdoe", email="jane@example.com", display_name="Jane", url=f"{GIT}/users/jdoe")
    run(*DC)
    account = BitbucketAccount.objects.get()
    assert (account.instance, account.uid, account.account_id) == ("git.example.com/bitbucket", "17", None)
    profile = replace(JANE, provider="dc", instance=account.instance, uid="17", account_id=None)
    # Neither name nor address: somebody else, whom a new installation has given the number.
    stranger = replace(profile, username="stranger", emails=())
    assert refusal(stranger, alias="dc", kind="data-center", base_url=GIT) == "already_connected"
    assert sign_in(replace(profile, username="jdoe"), alias="dc", kind="data-center", base_url=GIT) == jane


@pytest.mark.parametrize(
    ("uid", "data", "why"),
    [
        ("jdoe", {}, "has no stable id"),
        ("0", {}, "has no stable id"),
        ("9223372036854775808", {}, "has no stable id"),
        ("17", {"id": 18}, "has ids that contradict each other"),
        ("17", {"type": "SERVICE"}, "is no person's"),
        ("17", {"url": "https://other.example.com/users/jdoe"}, "is of another address than this Bitbucket's"),
        ("17", {"url": None}, "doesn't say at which Bitbucket it is, and numbers are counted from 1 by each"),
        ("17", {"url": 1}, "is of another address than this Bitbucket's"),
    ],
)
def test_whose_number_is_not_this_data_centers_is_left_out(uid: str, data: dict[str, Any], why: str) -> None:
    at_data_center(person(), uid, **data)
    (line,) = lines(*DC)
    assert line.endswith(f"left out: it {why}")


def test_an_address_that_it_had_before_is_named() -> None:
    at_data_center(person(), url="https://old.example.com/users/jdoe")
    assert "1 of 1" in run(*DC, "--address=https://old.example.com")
    assert "isn't an absolute URL" in refused(*DC, "--address=old.example.com")


def test_a_data_centers_token_needs_the_callback_url_that_it_was_got_with() -> None:
    at_data_center(person(), access_token="a", refresh_token="r")
    tokens = (*DC, "--tokens", f"--client-id={CLIENT}")
    assert "--redirect-uri" in refused(*tokens)
    run(*tokens, "--redirect-uri=https://shop.example.com/complete/bitbucket-datacenter-oauth2/")
    stored = BitbucketToken.objects.get()
    assert stored.redirect_uri == "https://shop.example.com/complete/bitbucket-datacenter-oauth2/"
    assert stored.provider == "dc"


def test_a_package_without_a_data_center_has_to_be_told_which_provider_is_meant() -> None:
    assert "allauth has no provider of its own for 'data-center'" in refused("allauth", "--provider=dc")
    SocialAccount.objects.create(user=person(), provider="our-git", uid="17", extra_data={"url": f"{GIT}/users/jdoe"})
    assert "1 of 1" in run("allauth", "--provider=dc", "--source=our-git")
