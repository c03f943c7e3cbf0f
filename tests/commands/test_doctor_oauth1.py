"""``manage.py bitbucket_check``: the consumer of OAuth 1.0a, and its signature."""

from __future__ import annotations

from typing import Any

import pytest
from commands.doctoring import SITE, found

from django_bitbucket_auth.oauth import rsa_keys
from django_bitbucket_auth.testing import override_provider, simulated_bitbucket

CALLBACK = f"{SITE}/bitbucket/callback/"
HMAC = {"SIGNATURE_METHOD": "HMAC-SHA1"}


# -- the client, by OAuth 1.0a -----------------------------------------------------------------------------------------


def signed(kind: str = "data-center-oauth1", **keys: Any) -> Any:
    return simulated_bitbucket(kind=kind, RETRIES=0, **keys)


def test_an_unknown_consumer_key_is_told() -> None:
    with signed(), override_provider("default", CLIENT_ID="another"):
        assert "to the letter" in found()["consumer_unknown"].next


def test_a_wrong_key_and_a_wrong_secret_are_told() -> None:
    with signed():
        with override_provider("default", RSA_KEY=rsa_keys.new_key()):
            assert "public key" in found()["signature_refused"].next
        with override_provider("default", **HMAC, RSA_KEY=None, CLIENT_SECRET="another"):
            assert "shared secret" in found()["signature_refused"].next


def test_a_callback_url_that_the_link_does_not_have_is_told() -> None:
    with signed() as bitbucket:
        bitbucket.callback_url = "https://other.example.com/callback/"
        assert found()["callback_refused"].next.endswith(CALLBACK)


def test_cloud_does_not_say_why_it_refuses_a_signature() -> None:
    with signed("cloud-oauth1"), override_provider("default", CLIENT_SECRET="another"):
        assert "doesn't say why" in found()["signature_refused"].seen


def test_cloud_of_today_has_retired_it() -> None:
    with signed("cloud-oauth1") as bitbucket:
        bitbucket.use_todays_rules()
        assert "use the KIND 'cloud'" in found()["protocol_retired"].next


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, "oauth_token=a&oauth_token_secret=b", "not_bitbucket"),
        (200, "<html>Welcome</html>", "not_bitbucket"),
        (403, "<html>No</html>", "credentials_unclear"),
        (401, "oauth_problem=timestamp_refused", "clock_off"),
    ],
)
def test_other_answers_to_a_signature_are_told_apart(status: int, body: str, code: str) -> None:
    with signed() as bitbucket:
        bitbucket.answer("request_token", status, body=body)
        assert found()[code].level == "error"
