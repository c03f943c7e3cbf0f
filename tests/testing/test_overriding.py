"""Pointing a provider somewhere else, for the length of a block."""

from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from django_bitbucket_auth.conf import provider_settings
from django_bitbucket_auth.testing import (
    SIMULATOR_CLIENT_ID,
    SIMULATOR_CLIENT_SECRET,
    Person,
    override_provider,
    simulated_bitbucket,
)

SETTING = "BITBUCKET_AUTH"


def configured() -> Any:
    """The setting as it is now."""
    return getattr(settings, SETTING)


@override_settings(BITBUCKET_AUTH={"default": {"CLIENT_ID": "a", "PKCE": False}, "other": {}})
def test_keys_are_merged_and_restored() -> None:
    with override_provider("default", CLIENT_ID="b", RETRIES=0):
        assert configured() == {
            "default": {"CLIENT_ID": "b", "PKCE": False, "RETRIES": 0},
            "other": {},
        }
    assert configured() == {"default": {"CLIENT_ID": "a", "PKCE": False}, "other": {}}


@override_settings()
def test_without_the_setting_there_is_the_default_provider() -> None:
    delattr(settings, SETTING)
    with override_provider("dc", CLIENT_ID="b"):
        assert configured() == {"default": {}, "dc": {"CLIENT_ID": "b"}}
    assert not hasattr(settings, SETTING)


@override_settings(BITBUCKET_AUTH=None)
def test_none_is_no_setting() -> None:
    with override_provider("default", CLIENT_ID="b"):
        assert configured() == {"default": {"CLIENT_ID": "b"}}


@override_settings(BITBUCKET_AUTH={})
def test_it_works_as_a_decorator() -> None:
    @override_provider("default", CLIENT_ID="b")
    def inside() -> Any:
        return configured()

    for _ in range(2):
        assert inside() == {"default": {"CLIENT_ID": "b"}}
    assert configured() == {}


def test_the_setting_is_restored_after_an_error() -> None:
    before = getattr(settings, SETTING, None)
    with pytest.raises(ZeroDivisionError), override_provider("default", CLIENT_ID="b"):
        1 / 0  # noqa: B018
    assert getattr(settings, SETTING, None) == before


def test_the_app_sees_the_simulator() -> None:
    with simulated_bitbucket(RETRIES=0) as bitbucket:
        seen = provider_settings("default")
        assert (seen.base_url, seen.api_url) == (bitbucket.url, bitbucket.url)
        assert (seen.client_id, seen.client_secret) == (
            SIMULATOR_CLIENT_ID,
            SIMULATOR_CLIENT_SECRET,
        )
        assert seen.retries == 0
        assert list(bitbucket.people) == ["jane", "unconfirmed", "outsider", "deactivated"]


def test_people_replace_everybody() -> None:
    eve = Person("eve")
    with simulated_bitbucket("second", people=[eve]) as bitbucket:
        assert bitbucket.people == {"eve": eve}
        assert provider_settings("second").base_url == bitbucket.url
        bitbucket.reset()
        assert list(bitbucket.people) == ["eve"]


def test_two_simulators_run_side_by_side() -> None:
    with simulated_bitbucket() as one, simulated_bitbucket("second") as two:
        assert one.url != two.url
        assert provider_settings("default").base_url == one.url
        assert provider_settings("second").base_url == two.url
