"""Settings that are wrong in ways that nobody thinks of: a check or a clear error, never a traceback."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core.checks import run_checks
from django.test import Client, RequestFactory, override_settings
from django.urls import include, path
from steps import CALLBACK, LOGIN, TYPED

from django_bitbucket_auth import conf, navigation
from django_bitbucket_auth.bitbucket import Provider
from django_bitbucket_auth.exceptions import ConfigurationError

# Django asks the database, too: which types MariaDB has depends on its version.
pytestmark = pytest.mark.django_db

CREDENTIALS = {"CLIENT_ID": "i" * 32, "CLIENT_SECRET": "s" * 76, "WORKSPACES": ["*"]}

#: A project whose pages, ours among them, have an address in each language.
urlpatterns = i18n_patterns(path("bitbucket/", include("django_bitbucket_auth.urls")))


def ids(**keys: Any) -> list[str]:
    """The errors that the checks find, by number."""
    with override_settings(BITBUCKET_AUTH={"default": {**CREDENTIALS, **keys}}):
        found = run_checks()
    return [str(message.id).removeprefix("bitbucket_auth.") for message in found if message.level >= 40]


class Pathless(Provider):
    """A kind that says where nothing is."""


@pytest.mark.parametrize(
    "kind", [".", "..", ".x", "x.", "a b.c", "test_mistakes.Pathless", "test_mistakes.CREDENTIALS"]
)
def test_a_kind_that_cant_be_imported_or_used_is_a_check(kind: str) -> None:
    assert ids(KIND=kind) == ["E004"]


@pytest.mark.parametrize("decide", [".", "..", ".x", "os.nothing"])
def test_a_decision_that_cant_be_imported_is_a_check(decide: str) -> None:
    assert ids(LINK_BY_EMAIL=decide) == ["E003"]


@pytest.mark.parametrize("name", ["TIMEOUT", "DEADLINE", "RETRIES", "STATE_MAX_AGE"])
@pytest.mark.parametrize("value", [10**400, 1e300, float("inf"), float("nan"), -1, 10**12, True, "7"])
def test_a_number_beyond_all_measure_is_a_check(name: str, value: object) -> None:
    assert ids(**{name: value}) == ["E003"]


@pytest.mark.parametrize("name", ["CA_BUNDLE", "CLIENT_CERT"])
@pytest.mark.parametrize("value", ["x" * 5000, "a\0b", False, 7, ""])
def test_a_path_that_cant_be_one_is_a_check(name: str, value: object) -> None:
    assert ids(**{name: value}) == ["E010"]


@pytest.mark.parametrize("value", ["a\0b", "a\nb", " ", "x" * 201, 7])
def test_an_instance_that_cant_be_stored_is_a_check(value: object) -> None:
    assert ids(INSTANCE=value) == ["E003"]


@pytest.mark.parametrize("name", ["BASE_URL", "API_URL"])
def test_a_url_that_cant_be_sent_is_a_check(name: str) -> None:
    assert ids(**{name: "https://x.example/\ud800"}) == ["E005"]


@pytest.mark.parametrize("name", ["SUCCESS_URL", "FAILURE_URL"])
@pytest.mark.parametrize("value", ["no-such-name", "https://[x"])
def test_a_place_that_leads_nowhere_is_a_check(name: str, value: str) -> None:
    assert ids(**{name: value}) == ["E018"]


@pytest.mark.parametrize("name", ["SUCCESS_URL", "FAILURE_URL"])
@pytest.mark.parametrize("value", ["private", "/anywhere/", "https://example.com/"])
def test_a_place_that_leads_somewhere_is_none(name: str, value: str) -> None:
    assert ids(**{name: value}) == []


def test_a_client_id_that_is_not_ascii_is_a_check() -> None:
    assert ids(CLIENT_ID="clé") == ["E011"]
    with (
        override_settings(BITBUCKET_AUTH={"default": {**CREDENTIALS, "CLIENT_ID": "a\udcffb"}}),
        pytest.raises(ConfigurationError, match="CLIENT_ID"),
    ):
        conf.provider_settings()


@pytest.mark.parametrize("alias", ["login", "callback", "connect", "disconnect", "connections", "session", "api"])
def test_a_word_of_our_urls_is_no_alias(alias: str) -> None:
    with override_settings(BITBUCKET_AUTH={alias: CREDENTIALS}):
        assert [problem.number for problem in conf.problems(alias)] == ["E001"]


@pytest.mark.parametrize(("one", "other"), [("dc", "DC"), ("a-b", "a_b")])
def test_two_aliases_that_share_a_variable_are_a_check(one: str, other: str) -> None:
    with override_settings(BITBUCKET_AUTH={one: CREDENTIALS, other: CREDENTIALS}):
        assert [problem.number for alias in (one, other) for problem in conf.problems(alias)] == ["E001", "E001"]


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("https://x.example/cb/", "https://x.example/cb/", ["E015"]),
        ("https://x.example/cb/", "https://X.example:443/cb/", ["E015"]),
        ("https://x.example/cb/", "https://x.example/cb/b/", ["E015"]),
        ("https://x.example/cb/b/", "https://x.example/cb/", ["E015"]),
        ("https://x.example/cb/", "https://y.example/cb/", []),
        ("https://x.example/cb/", "https://x.example/b/cb/", []),
    ],
)
def test_callback_urls_that_begin_alike_are_a_check(one: str, other: str, found: list[str]) -> None:
    keys = {"a": {**CREDENTIALS, "CALLBACK_URL": one}, "b": {**CREDENTIALS, "CALLBACK_URL": other}}
    with override_settings(BITBUCKET_AUTH=keys):
        errors = [str(message.id)[-4:] for message in run_checks() if message.level >= 40]
    assert errors == found


def test_an_address_in_another_alphabet_is_the_host_that_browsers_name() -> None:
    keys = {**CREDENTIALS, "CALLBACK_URL": "https://bücher.example/bitbucket/callback/"}
    with override_settings(BITBUCKET_AUTH={"default": keys}, ALLOWED_HOSTS=["*"]):
        request = RequestFactory().get(LOGIN, headers={"Host": "xn--bcher-kva.example"}, secure=True)
        assert navigation.other_host(request, conf.provider_settings(), "") is None


@override_settings(ROOT_URLCONF="test_mistakes", USE_I18N=True)
def test_a_callback_url_for_each_language_is_a_check_and_no_place_to_end() -> None:
    with override_settings(BITBUCKET_AUTH={"default": CREDENTIALS}):
        assert "bitbucket_auth.W007" in [message.id for message in run_checks()]
        request = RequestFactory().get("/")
        assert navigation.safe_next(request, "/de/bitbucket/login/") == ""
        assert navigation.safe_next(request, "/de/elsewhere/") == "/de/elsewhere/"
    keys = {**CREDENTIALS, "CALLBACK_URL": "https://x.example/en/bitbucket/callback/"}
    with override_settings(BITBUCKET_AUTH={"default": keys}):
        assert "bitbucket_auth.W007" not in [message.id for message in run_checks()]


@pytest.mark.parametrize(
    "value",
    ["/bitbucket/login", "/x/../bitbucket/login/", "/bitbucket/./login/", "/%2e%2e/bitbucket/login/", "/admin/logout"],
)
def test_a_place_that_resolves_to_ours_in_a_roundabout_way_is_none(value: str) -> None:
    assert navigation.safe_next(RequestFactory().get("/"), value) == ""


def test_a_page_of_the_projects_own_layout_brings_its_own_policy(client: Client, tmp_path: Any, settings: Any) -> None:
    folder = tmp_path / "bitbucket_auth"
    folder.mkdir()
    (folder / "login.html").write_text("<title>Our layout</title>")
    settings.BITBUCKET_AUTH = {"default": CREDENTIALS}
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    response = client.get(LOGIN)
    assert b"Our layout" in response.content and "Content-Security-Policy" not in response.headers
    assert "Content-Security-Policy" in client.get(CALLBACK, headers=TYPED).headers
