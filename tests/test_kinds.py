"""What each kind of Bitbucket makes of the settings, and which of them contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core import checks as django_checks
from django.test import override_settings

from django_bitbucket_auth import conf, kinds
from django_bitbucket_auth.bitbucket import (
    CloudOAuth1Provider,
    CloudProvider,
    DataCenterOAuth1Provider,
    DataCenterProvider,
)
from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.oauth.rsa_keys import public_key
from django_bitbucket_auth.testing import SIMULATOR_RSA_KEY

# Django's checks ask the database, too.
pytestmark = pytest.mark.django_db

CLIENT = {"CLIENT_ID": "id", "CLIENT_SECRET": "secret"}
BASE = "https://git.example.com/bitbucket"
DC = {"KIND": "data-center", "BASE_URL": BASE}
DC1 = {"KIND": "data-center-oauth1", "BASE_URL": BASE, "RSA_KEY": SIMULATOR_RSA_KEY}
CLOUD1 = {"KIND": "cloud-oauth1"}
V1 = {"user": "https://api.bitbucket.org/1.0/user/"}


class Behind(DataCenterProvider):
    """A project's own Data Center."""

    default_scopes: ClassVar[tuple[str, ...]] = ("REPO_READ",)


class Unsigned(CloudOAuth1Provider):
    """Forgot where request tokens come from."""

    paths: ClassVar[dict[str, str]] = dict.fromkeys(("authorize", "token", "user"), "/")


def configured(keys: dict[str, Any], **more: Any) -> override_settings:
    return override_settings(BITBUCKET_AUTH={"default": {**CLIENT, **keys, **more}})


def settings(keys: dict[str, Any], **more: Any) -> conf.ProviderSettings:
    with configured(keys, **more):
        return conf.provider_settings()


def ids(keys: dict[str, Any], **more: Any) -> list[str]:
    """What the checks say of the provider, by number."""
    with configured(keys, **more):
        found = [str(message.id) for message in django_checks.run_checks()]
    ours = [name.removeprefix("bitbucket_auth.") for name in found if name.startswith("bitbucket_auth.")]
    # Of the project, and not of the provider.
    return sorted(set(ours) - {"W005", "W002"})


# -- kinds -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("cloud", CloudProvider),
        ("cloud-oauth1", CloudOAuth1Provider),
        ("data-center", DataCenterProvider),
        ("data-center-oauth1", DataCenterOAuth1Provider),
    ],
)
def test_a_kind_is_a_class(kind: str, found: type) -> None:
    assert kinds.provider_class(kind) is found
    assert kinds.is_self_hosted(kind) is kind.startswith("data-center")


def test_a_kind_that_signs_needs_an_address_for_request_tokens() -> None:
    with pytest.raises(ConfigurationError, match="has no paths for request_token"):
        kinds.provider_class("test_kinds.Unsigned")


def test_a_data_center_is_one_address_and_asks_for_the_least() -> None:
    found = settings(DC)
    assert (found.base_url, found.api_url, found.scopes) == (BASE, BASE, ("PUBLIC_REPOS",))
    assert (found.signature_method, found.rsa_key) == ("", "")
    assert settings(DC, SCOPES=["REPO_READ"], API_URL="https://api.example.com").api_url == "https://api.example.com"
    assert settings({**DC, "KIND": "test_kinds.Behind"}).scopes == ("REPO_READ",)


def test_oauth_1_0a_has_no_scopes_and_a_method_of_its_own() -> None:
    assert settings(CLOUD1).signature_method == "HMAC-SHA1"
    assert (settings(CLOUD1).base_url, settings(CLOUD1).api_url) == (kinds.CLOUD_URL, kinds.CLOUD_API_URL)
    found = settings(DC1)
    assert (found.signature_method, found.scopes, found.api_url) == ("RSA-SHA1", (), BASE)


# -- the private key ---------------------------------------------------------------------------------------------------


def test_a_private_key_is_pem_with_real_or_written_line_ends_or_a_path(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(SIMULATOR_RSA_KEY, "utf-8")
    wanted = public_key(SIMULATOR_RSA_KEY)
    for value in (SIMULATOR_RSA_KEY, SIMULATOR_RSA_KEY.replace("\n", "\\n"), str(path), path):
        assert public_key(settings(DC1, RSA_KEY=value).rsa_key) == wanted
        assert ids(DC1, RSA_KEY=value) == []


def test_who_signs_with_a_private_key_shares_no_secret() -> None:
    with override_settings(BITBUCKET_AUTH={"default": {**DC1, "CLIENT_ID": "id"}}):
        assert conf.provider_settings().client_secret == ""
        assert conf.needed_credentials("default") == ("CLIENT_ID",)


def test_who_signs_with_a_secret_needs_no_key() -> None:
    keys = {**DC1, "SIGNATURE_METHOD": "HMAC-SHA1"}
    assert settings(keys, RSA_KEY="/nowhere/key.pem").rsa_key == ""
    assert ids(keys, RSA_KEY=None) == []
    assert ids(keys, CLIENT_SECRET=None) == ["W001"]


@pytest.mark.parametrize(
    "key", [None, "/nowhere/key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_private_key_is_an_error_that_says_so(key: str | None) -> None:
    assert ids(DC1, RSA_KEY=key) == ["E020"]
    with pytest.raises(ConfigurationError, match="RSA_KEY") as caught:
        settings(DC1, RSA_KEY=key)
    assert "AAAA" not in str(caught.value) and "nowhere" not in str(caught.value)


def test_a_public_key_is_no_private_key() -> None:
    assert ids(DC1, RSA_KEY=public_key(SIMULATOR_RSA_KEY)) == ["E020"]


def test_a_key_that_cant_sign_is_found_by_signing(tmp_path: Path) -> None:
    """It is well-formed, and too small for a signature."""
    assert ids(DC1, RSA_KEY=SIMULATOR_RSA_KEY.replace("PRIVATE", "ENCRYPTED PRIVATE")) == ["E020"]


def test_no_setting_with_a_secret_is_in_the_repr() -> None:
    found = settings(DC1, PROXIES={"https": "http://user:canary-password@proxy.example.com"})
    assert "PRIVATE" not in repr(found) and "canary" not in repr(found) and "secret'" not in repr(found)


# -- contradictions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "more", "found"),
    [
        ({"KIND": "data-center"}, {}, ["E019"]),
        ({"KIND": "data-center-oauth1", "RSA_KEY": SIMULATOR_RSA_KEY}, {}, ["E019"]),
        (DC, {"WORKSPACES": ["acme"]}, ["E008"]),
        (DC, {"WORKSPACES": ("*",)}, []),
        (DC, {"TRUST_EMAILS": True}, []),
        (DC, {"TRUST_EMAILS": ["example.com"]}, []),
        ({}, {"TRUST_EMAILS": True}, ["E021"]),
        ({}, {"TRUST_EMAILS": ["example.com"]}, ["E021"]),
        ({}, {"TRUST_EMAILS": ()}, []),
        (CLOUD1, {"TRUST_EMAILS": True}, ["E021"]),
        ({}, {"ALLOW_HTTP": True}, ["E021"]),
        ({}, {"ALLOW_HTTP": False}, []),
        (DC, {"ALLOW_HTTP": True}, []),
        (DC, {"BASE_URL": "http://git.example.com"}, ["E005"]),
        (DC, {"BASE_URL": "http://git.example.com", "ALLOW_HTTP": True}, ["W008"]),
        (DC, {"BASE_URL": "http://127.0.0.1:7990", "ALLOW_HTTP": True}, ["W004"]),
        (DC, {"CALLBACK_URL": "http://shop.intranet/dc/callback/"}, ["E009"]),
        (DC, {"CALLBACK_URL": "http://shop.intranet/dc/callback/", "ALLOW_HTTP": True}, ["W008"]),
        (DC, {"BASE_URL": "https://bitbucket.org/"}, ["E019"]),
        (DC, {"TRUST_EMAILS": ["*"]}, ["E003"]),
        (DC, {"ENDPOINTS": {"token": "http://git.example.com/token"}, "ALLOW_HTTP": True}, ["W008"]),
        ({}, {"SIGNATURE_METHOD": "HMAC-SHA1"}, ["E003"]),
        (DC, {"RSA_KEY": SIMULATOR_RSA_KEY}, ["E003"]),
        (DC, {"RSA_KEY": None}, []),
        (DC, {"INSTANCE": "bitbucket.org"}, ["E006"]),
        (DC, {"ENDPOINTS": {"user": "https://elsewhere.example.com/users"}}, ["E005"]),
        (CLOUD1, {}, ["W009"]),
        (CLOUD1, {"BASE_URL": "https://old.example.com", "API_URL": "https://old.example.com"}, []),
        ({}, {"ENDPOINTS": V1}, []),
        ({}, {"ENDPOINTS": V1, "WORKSPACES": ["{11111111-1111-4111-8111-111111111111}"]}, ["E008"]),
        ({}, {"ENDPOINTS": V1, "WORKSPACES": ["*"]}, []),
        (DC, {"GROUPS": {"Staff": "acme"}}, ["E023"]),
        (DC, {"GROUPS": {}}, []),
        ({}, {"ENDPOINTS": V1, "GROUPS": {}, "RECHECK": None}, []),
        ({}, {"ENDPOINTS": V1, "GROUPS": {"Staff": "{11111111-1111-4111-8111-111111111111}"}}, ["E023"]),
        ({}, {"ENDPOINTS": V1, "RECHECK": 600}, ["E025"]),
        (DC, {"CA_BUNDLE": "/nowhere/ca.pem"}, ["E010"]),
    ],
)
def test_keys_that_contradict_each_other_are_found(
    keys: dict[str, Any], more: dict[str, Any], found: list[str]
) -> None:
    assert ids(keys, **more) == found


def test_who_may_sign_in_is_a_question_to_cloud_alone() -> None:
    """Whoever has an account at a Data Center was given one."""

    def warned(keys: dict[str, Any]) -> bool:
        with configured(keys):
            return "bitbucket_auth.W002" in [message.id for message in django_checks.run_checks()]

    assert (warned({}), warned(CLOUD1), warned(DC), warned(DC1)) == (True, True, False, False)


def test_a_data_center_that_is_limited_to_workspaces_lets_nobody_in() -> None:
    with pytest.raises(ConfigurationError, match="Data Center has no workspaces"):
        settings(DC, WORKSPACES=["acme"])
