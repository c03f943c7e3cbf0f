"""`simulated_bitbucket` and `log_in` with each kind of Bitbucket, and how a provider is pointed at one."""

from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, override_settings

from django_bitbucket_auth.testing import (
    SIMULATOR_CLIENT_ID,
    SIMULATOR_CLIENT_SECRET,
    SIMULATOR_RSA_KEY,
    BitbucketSimulator,
    RegisteredClient,
    Rules,
    log_in,
    people_with_confusing_names,
    simulated_bitbucket,
)
from django_bitbucket_auth.testing.kinds import KINDS
from django_bitbucket_auth.testing.overriding import pointed_at
from django_bitbucket_auth.testing.pointing import setting_for

DATA_CENTERS = [kind for kind in KINDS if kind.startswith("data-center")]


def configured(alias: str = "default") -> dict[str, Any]:
    """The provider as it is now."""
    provider: dict[str, Any] = settings.BITBUCKET_AUTH[alias]
    return provider


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("cloud", {"API_URL": "http://127.0.0.1"}),
        ("cloud-oauth1", {"KIND": "cloud-oauth1", "API_URL": "http://127.0.0.1"}),
        ("data-center", {"KIND": "data-center"}),
        ("data-center-oauth1", {"KIND": "data-center-oauth1", "RSA_KEY": SIMULATOR_RSA_KEY}),
    ],
)
@override_settings(BITBUCKET_AUTH={})
def test_a_provider_gets_what_its_kind_needs(kind: str, more: dict[str, str]) -> None:
    with pointed_at(BitbucketSimulator(kind)):
        assert configured() == more | {
            "BASE_URL": "http://127.0.0.1",
            "CLIENT_ID": SIMULATOR_CLIENT_ID,
            "CLIENT_SECRET": SIMULATOR_CLIENT_SECRET,
        }


@pytest.mark.parametrize(
    ("kind", "method", "has_key"),
    [
        ("data-center-oauth1", "HMAC-SHA1", False),
        ("cloud-oauth1", "RSA-SHA1", True),
        ("data-center", "RSA-SHA1", False),
    ],
)
def test_the_key_goes_with_the_method(kind: str, method: str, has_key: bool) -> None:
    with pointed_at(BitbucketSimulator(kind), SIGNATURE_METHOD=method, CLIENT_ID="mine"):
        assert ("RSA_KEY" in configured()) == has_key
        assert (configured()["SIGNATURE_METHOD"], configured()["CLIENT_ID"]) == (method, "mine")


@override_settings(
    BITBUCKET_AUTH={
        "default": {"KIND": "data-center", "API_URL": "https://x.example.com", "RSA_KEY": "x", "PKCE": True}
    }
)
def test_nothing_is_left_of_the_bitbucket_from_before() -> None:
    with pointed_at(BitbucketSimulator()):
        assert configured()["PKCE"]
        assert not {"KIND", "RSA_KEY"} & set(configured())
        with pointed_at(BitbucketSimulator("data-center", context_path="/b")):
            assert "API_URL" not in configured()
            assert configured()["BASE_URL"] == "http://127.0.0.1/b"
        assert configured()["API_URL"] == "http://127.0.0.1"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_rules(kind: str) -> None:
    simulator = BitbucketSimulator(kind)
    assert simulator.rules == Rules.for_kind(kind)
    assert (simulator.consumer_key, simulator.rsa_private_key) == (simulator.client_id, SIMULATOR_RSA_KEY)
    simulator.reset()
    assert (simulator.kind, simulator.rules) == (kind, Rules.for_kind(kind))


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_jane_signs_in(kind: str, client: Client) -> None:
    trusted: dict[str, Any] = {"TRUST_EMAILS": True} if kind in DATA_CENTERS else {}
    with simulated_bitbucket(kind=kind, **trusted) as bitbucket:
        response = log_in(client, next="/private/?a=b&c=d")
    assert (response.status_code, response.headers["Location"]) == (302, "/private/?a=b&c=d")
    user = User.objects.get()
    assert (user.first_name, user.email) == ("Jane", "jane@example.com")
    first = "request_token" if kind.endswith("oauth1") else "authorize"
    last = ["whoami", "user"] if bitbucket.is_data_center else ["user", "emails"]
    seen = [logged.endpoint for logged in bitbucket.requests]
    assert (seen[0], seen[-3], sorted(seen[-2:])) == (first, "token", sorted(last))


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_deny_is_answered_by_the_callback(kind: str, client: Client) -> None:
    with simulated_bitbucket(kind=kind):
        assert log_in(client, None).status_code == 403
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("kind", DATA_CENTERS)
def test_a_data_center_may_lie_below_a_path(kind: str, client: Client) -> None:
    with simulated_bitbucket("dc", kind=kind, context_path="/bitbucket") as bitbucket:
        assert bitbucket.url.endswith("/bitbucket")
        assert log_in(client, alias="dc").status_code == 302
    assert all(logged.path.startswith("/bitbucket/") for logged in bitbucket.requests)


@pytest.mark.django_db
def test_a_data_center_takes_hmac_too(client: Client) -> None:
    with simulated_bitbucket(kind="data-center-oauth1", SIGNATURE_METHOD="HMAC-SHA1") as bitbucket:
        assert log_in(client).status_code == 302
    (step,) = bitbucket.requests_to("request_token")
    assert "HMAC-SHA1" in step.headers["authorization"]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", DATA_CENTERS)
def test_people_with_confusing_names_are_two_people(kind: str) -> None:
    ann, lookalike = people_with_confusing_names()
    with simulated_bitbucket(kind=kind, people=[ann, lookalike]) as bitbucket:
        bitbucket.rules.users_per_page = 1
        for person in (lookalike, ann):
            assert log_in(Client(), person).status_code == 302
    accounts = User.objects.order_by("pk").values_list("bitbucket_accounts__uid", flat=True)
    assert list(accounts) == [str(lookalike.dc_id), str(ann.dc_id)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_that_are_printed_do_the_same(kind: str) -> None:
    simulator = BitbucketSimulator(kind)
    names: dict[str, Any] = {}
    exec(setting_for(simulator), names)  # noqa: S102 - they're made to be pasted
    with pointed_at(simulator, "new"):
        assert names["BITBUCKET_AUTH"] == {"default": configured("new")}


def test_a_client_may_be_registered_for_any_kind() -> None:
    for kind in KINDS:
        simulator = BitbucketSimulator(kind, client=RegisteredClient(callback_url="http://localhost/"))
        assert simulator.client.scopes == BitbucketSimulator(kind).client.scopes
