"""The settings: read at each use, typed, and never changed."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_bitbucket_auth import conf, kinds
from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.conf import provider_settings
from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.testing import BitbucketSimulator, log_in

TESTS = Path(__file__).parent
CLIENT = {"CLIENT_ID": "id", "CLIENT_SECRET": "secret"}


class Other(CloudProvider):
    """A project's own kind."""


def configured(**keys: Any) -> override_settings:
    return override_settings(BITBUCKET_AUTH={"default": {**CLIENT, **keys}})


def problem_with(**keys: Any) -> str:
    with configured(**keys), pytest.raises(ConfigurationError) as caught:
        provider_settings()
    return str(caught.value)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_them(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_them


# -- providers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("absent", [True, False])
def test_without_the_setting_there_is_cloud(absent: bool, environment: Callable[..., None], settings: Any) -> None:
    environment(BITBUCKET_CLIENT_ID="id", BITBUCKET_CLIENT_SECRET="secret")
    settings.BITBUCKET_AUTH = None
    if absent:
        del settings.BITBUCKET_AUTH
    assert conf.aliases() == ("default",)
    assert provider_settings() == conf.ProviderSettings(alias="default", client_id="id", client_secret="secret")


def test_the_defaults_are_those_of_the_contract() -> None:
    with configured():
        found = provider_settings()
    assert (found.kind, found.base_url, found.api_url) == (
        "cloud",
        "https://bitbucket.org",
        "https://api.bitbucket.org",
    )
    assert (found.endpoints, found.instance, found.scopes, found.pkce, found.fetch_emails) == ({}, None, (), True, True)
    assert (found.workspaces, found.create_users, found.link_by_email) == ((), True, False)
    assert (found.update_users, found.store_tokens) == (("first_name", "last_name", "email"), True)
    assert (found.login_on_get, found.success_url, found.failure_url, found.callback_url) == (True, None, None, None)
    assert (found.state_max_age, found.timeout, found.retries, found.deadline) == (600, (3.05, 10), 2, 20)
    assert (found.proxies, found.ca_bundle, found.client_cert) == ({}, None, None)


def test_values_come_in_the_form_that_the_code_uses(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    with configured(TIMEOUT=5, SCOPES=["account"], CA_BUNDLE=file, CLIENT_CERT=[file, str(file)], UPDATE_USERS=[]):
        found = provider_settings()
    assert (found.timeout, found.scopes, found.update_users) == ((5, 5), ("account",), ())
    assert (found.ca_bundle, found.client_cert) == (str(file), (str(file), str(file)))
    with configured(TIMEOUT=[1, 2], CLIENT_CERT=file):
        assert (provider_settings().timeout, provider_settings().client_cert) == ((1, 2), str(file))


def test_everybody_is_no_required_workspace() -> None:
    with configured(WORKSPACES=["*"]):
        assert provider_settings().required_workspaces == ()
    with configured(WORKSPACES=("acme", "globex")):
        assert provider_settings().required_workspaces == ("acme", "globex")


def test_settings_are_read_at_each_use() -> None:
    for number in (1, 2):
        with configured(STATE_MAX_AGE=number):
            assert provider_settings().state_max_age == number


def test_no_secret_is_shown() -> None:
    with configured(PROXIES={"https": "http://user:password@proxy.example.com"}):
        shown = repr(provider_settings())
    assert "'secret'" not in shown
    assert "password" not in shown


@pytest.mark.parametrize("alias", ["nobody", "", None, 7])
def test_an_unknown_alias_is_an_error_that_names_it(alias: Any) -> None:
    with configured(), pytest.raises(ImproperlyConfigured, match=f"no provider {alias!r}.*'default'"):
        provider_settings(alias)


@pytest.mark.parametrize("alias", ["a/b", "a b", "é", "-a", "", "x" * 41, 7])
def test_an_alias_that_cannot_stand_in_a_url_is_an_error(alias: Any) -> None:
    with override_settings(BITBUCKET_AUTH={alias: CLIENT}), pytest.raises(ConfigurationError, match="alias"):
        provider_settings(alias)


@pytest.mark.parametrize("value", [[], "cloud", 1, True])
def test_a_setting_that_is_no_dictionary_is_an_error(value: Any) -> None:
    with override_settings(BITBUCKET_AUTH=value):
        assert conf.aliases() == ()
        with pytest.raises(ConfigurationError, match="isn't a dictionary"):
            provider_settings()
    with override_settings(BITBUCKET_AUTH={"default": value}), pytest.raises(ConfigurationError, match="dictionary"):
        provider_settings()


def test_no_provider_at_all_is_an_error() -> None:
    with override_settings(BITBUCKET_AUTH={}), pytest.raises(ConfigurationError, match="none yet"):
        provider_settings()


def test_one_wrong_key_lets_nobody_in_by_the_right_ones() -> None:
    assert "WORKSPACE'" in problem_with(WORKSPACE=["acme"])
    assert "WORKSPACES" in problem_with(WORKSPACES="acme")


# -- kinds and contradictions ------------------------------------------------------------------------------------------


def test_a_kind_may_be_a_class_of_the_projects() -> None:
    assert kinds.provider_class("cloud") is CloudProvider
    with configured(KIND=f"{__name__}.Other"):
        made = conf.provider(provider_settings())
    assert (type(made).__name__, made.configuration.client_id) == ("Other", "id")


@pytest.mark.parametrize(
    "kind",
    ["clout", "no.such.module", "test_conf.problem_with", "test_conf.TESTS", "test_conf.NoName", "builtins.dict"],
)
def test_a_kind_that_is_no_provider_is_an_error(kind: str) -> None:
    assert kind in problem_with(KIND=kind)


def test_the_user_endpoint_is_under_the_api() -> None:
    user = "https://api.example.com/2.0/user"
    assert "API_URL" in problem_with(ENDPOINTS={"user": user})
    with configured(ENDPOINTS={"user": user}, API_URL="https://api.example.com", INSTANCE="example"):
        assert provider_settings().endpoints == {"user": user}
    with configured(ENDPOINTS={"token": "https://elsewhere.example.com/token"}):
        assert provider_settings().endpoints


@pytest.mark.parametrize("name", ["bitbucket.org", " BitBucket.org "])
def test_no_other_api_speaks_for_bitbucket_org(name: str) -> None:
    assert "INSTANCE" in problem_with(API_URL="https://api.example.com", INSTANCE=name)
    with configured(INSTANCE=name):
        assert provider_settings().instance == name
    with configured(INSTANCE=None, API_URL="https://api.example.com"):
        assert provider_settings().instance is None


@pytest.mark.parametrize("path", ["no.such.module", "test_conf.nothing", "test_conf.TESTS", "django.VERSION"])
def test_a_decision_that_names_no_callable_lets_nobody_in(path: str) -> None:
    """It would be true, and join whoever has the address, without being asked."""
    assert "LINK_BY_EMAIL" in problem_with(LINK_BY_EMAIL=path)
    with configured(LINK_BY_EMAIL="builtins.print"):
        assert provider_settings().link_by_email == "builtins.print"


# -- keys, and what is never touched -----------------------------------------------------------------------------------


def test_token_keys_are_copied(settings: Any) -> None:
    settings.BITBUCKET_AUTH_TOKEN_KEYS = ("k" * 32, "l" * 32)
    assert conf.token_keys() == ["k" * 32, "l" * 32]
    settings.BITBUCKET_AUTH_TOKEN_KEYS = None
    settings.SECRET_KEY_FALLBACKS = ["old"]
    keys = conf.token_keys()
    assert keys == [settings.SECRET_KEY, "old"]
    keys.append("mine")
    assert settings.SECRET_KEY_FALLBACKS == ["old"]


@pytest.mark.django_db
def test_a_sign_in_changes_no_setting(bitbucket: BitbucketSimulator, client: Any, settings: Any) -> None:
    settings.BITBUCKET_AUTH["default"] |= {"ENDPOINTS": {"user": f"{bitbucket.url}/2.0/user"}, "SCOPES": ["account"]}
    before = copy.deepcopy(settings.BITBUCKET_AUTH)
    assert log_in(client, "jane").status_code == 302
    assert before == settings.BITBUCKET_AUTH


def test_what_is_given_is_a_copy() -> None:
    with configured():
        conf.given("default")["CLIENT_ID"] = "changed"
        assert conf.given("default") == CLIENT


def test_setting_up_django_imports_nothing_slow() -> None:
    code = (
        "import sys; from django.conf import settings; "
        "settings.configure(INSTALLED_APPS=['django.contrib.admin', 'django.contrib.auth', "
        "'django.contrib.contenttypes', 'django.contrib.messages', 'django.contrib.sessions', "
        "'django_bitbucket_auth'], SECRET_KEY='x', ROOT_URLCONF='none'); "
        "import django; django.setup(); "
        "slow = {'requests', 'cryptography', 'environ', 'oauthlib', 'requests_oauthlib', 'urllib3'}; "
        "print('imported:', sorted(slow & {name.partition('.')[0] for name in sys.modules}))"
    )
    environment = {"PYTHONPATH": str(Path(conf.__file__).parents[1])}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=TESTS
    )
    assert ran.stdout == "imported: []\n", ran.stderr
