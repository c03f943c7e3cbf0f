"""The system checks: whole lists of ids, for each thing that can be wrong."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.checks import CheckMessage
from django.test import override_settings

import django_bitbucket_auth
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.checks import project

# Django asks the database, too: which types MariaDB has depends on its version.
pytestmark = pytest.mark.django_db

PACKAGE = Path(django_bitbucket_auth.__file__).parent
DOCS = Path(__file__).parents[1] / "docs" / "checks.rst"
UUID = "{11111111-1111-4111-8111-111111111111}"
#: A provider with which nothing is wrong.
GOOD: dict[str, Any] = {"CLIENT_ID": "id", "CLIENT_SECRET": "secret", "WORKSPACES": [UUID]}
SHARED = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/nowhere"}}


class Creating(BitbucketBackend):
    """Knows what the user model wants."""

    def create_user(self, *args: Any, **kwargs: Any) -> Any:
        """As a project would."""


def found(*, deploy: bool = False, providers: Any = None, **settings: Any) -> list[str]:
    """The ids of all messages of this app, each of which says what is wrong and what to do."""
    defaults = {"BITBUCKET_AUTH": {"default": GOOD} if providers is None else providers, "CACHES": SHARED}
    with override_settings(**{**defaults, **settings}):
        messages = messages_of_the_app(deploy)
    for message in messages:
        assert message.msg.endswith(".")
        assert message.hint
        assert message.hint.endswith((".", "]", "documentation")), message.hint
        assert message.is_serious() == (".E" in str(message.id))
    return sorted(str(message.id).removeprefix("bitbucket_auth.") for message in messages)


def messages_of_the_app(deploy: bool) -> list[CheckMessage]:
    everything = django_checks.run_checks(include_deployment_checks=deploy)
    return [message for message in everything if str(message.id).startswith("bitbucket_auth.")]


def with_keys(**keys: Any) -> list[str]:
    return found(providers={"default": {**GOOD, **keys}})


def test_nothing_is_wrong_with_a_good_project() -> None:
    assert found() == []
    assert found(deploy=True) == []


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        ({"WORKSPACE": ["acme"]}, ["E002"]),
        ({"PKCE": 1}, ["E003"]),
        ({"PKCE": 1, "RETRIES": -1, "NONSENSE": 1}, ["E002", "E003", "E003"]),
        ({"LINK_BY_EMAIL": "no.such"}, ["E003"]),
        ({"KIND": ""}, ["E004"]),
        ({"KIND": "no.such"}, ["E004"]),
        ({"BASE_URL": "http://bitbucket.example.com"}, ["E005"]),
        ({"ENDPOINTS": {"user": "https://elsewhere.example.com/2.0/user"}}, ["E005"]),
        ({"API_URL": "https://api.example.com", "INSTANCE": "bitbucket.org"}, ["E006"]),
        ({"WORKSPACES": "acme"}, ["E008"]),
        ({"WORKSPACES": [""]}, ["E008"]),
        ({"RECHECK": 59}, ["E025"]),
        ({"GROUPS": {"Staff": UUID, "Owners": [f"{UUID}:owner"]}}, []),
        ({"GROUPS": {"Staff": "acme:admin"}}, ["E023"]),
        ({"GROUPS": {"Staff": "acme:owner", "Others": [UUID, "acme"]}}, ["W003"]),
        ({"WORKSPACES": ["acme"], "GROUPS": {"Staff": "globex"}}, ["W003", "W003"]),
        ({"CALLBACK_URL": "/callback/"}, ["E009"]),
        ({"CA_BUNDLE": False}, ["E010"]),
        ({"CLIENT_CERT": "/no/such/file"}, ["E010"]),
        ({"CLIENT_SECRET": lambda: 1 / 0}, ["E011"]),
        ({"CLIENT_ID": lambda: 1 / 0, "CLIENT_SECRET": ""}, ["E011", "W001"]),
        ({"CLIENT_ID": ""}, ["W001"]),
        ({"CLIENT_ID": "", "CLIENT_SECRET": None}, ["W001", "W001"]),
        ({"WORKSPACES": []}, ["W002"]),
        ({"WORKSPACES": ["*"]}, []),
        ({"WORKSPACES": ["acme"]}, ["W003"]),
        ({"WORKSPACES": ["acme", UUID, "globex"]}, ["W003"]),
        ({"BASE_URL": "http://localhost:1"}, ["W004"]),
        ({"API_URL": "http://127.0.0.1:1", "BASE_URL": "http://127.0.0.1:1"}, ["W004"]),
        ({"ENDPOINTS": {"token": "http://[::1]:1/token"}}, ["W004"]),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value)),
)
def test_each_key_has_its_check(keys: dict[str, Any], ids: list[str]) -> None:
    assert with_keys(**keys) == ids


@pytest.mark.parametrize("providers", [[], "cloud", {}, {"default": []}, {"a/b": GOOD}, {7: GOOD}], ids=str)
def test_what_is_no_provider_is_said_once(providers: Any) -> None:
    assert found(providers=providers) == ["E001"]
    assert found(providers=providers, deploy=True) == ["E001"]


def test_without_the_setting_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ID", "SECRET"):
        monkeypatch.delenv(f"BITBUCKET_CLIENT_{name}", raising=False)
    assert found(BITBUCKET_AUTH=None) == ["W001", "W001", "W002"]
    assert found(BITBUCKET_AUTH=None, deploy=True) == ["E017", "E017", "W001", "W001", "W002"]


def test_every_provider_is_checked() -> None:
    assert found(providers={"default": {**GOOD, "PKCE": 1}, "second": {**GOOD, "WORKSPACES": []}}) == ["E003", "W002"]


def test_a_group_has_one_provider_that_manages_it() -> None:
    both = {"default": {**GOOD, "GROUPS": {"Staff": UUID, "A": UUID}}, "second": {**GOOD, "GROUPS": {"Staff": UUID}}}
    assert found(providers=both) == ["E024", "E024"]
    assert found(providers={**both, "second": {**GOOD, "GROUPS": {"staff": UUID}}}) == []
    assert found(providers={**both, "second": []}) == ["E001"]
    assert found(providers={**both, "second": {**GOOD, "GROUPS": ["Staff"]}}) == ["E023"]


def test_the_token_keys_are_checked() -> None:
    assert found(BITBUCKET_AUTH_TOKEN_KEYS=["short"]) == ["E007"]
    assert found(BITBUCKET_AUTH_TOKEN_KEYS=[]) == ["E007"]
    assert found(BITBUCKET_AUTH_TOKEN_KEYS=["k" * 32]) == []


# -- the project -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backends", "ids"),
    [
        (["django.contrib.auth.backends.ModelBackend"], ["E012"]),
        ([], ["E012"]),
        (["no.such.Backend"], ["E012"]),
        (["test_checks.Creating"], []),
    ],
)
def test_the_backend_is_installed(backends: list[str], ids: list[str]) -> None:
    assert found(AUTHENTICATION_BACKENDS=backends) == ids


def test_the_urls_are_included() -> None:
    assert found(ROOT_URLCONF="test_checks") == ["E013"]


urlpatterns: list[Any] = []

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def test_the_middleware_is_installed() -> None:
    assert found(MIDDLEWARE=[]) == ["E014", "E014"]
    assert found(MIDDLEWARE=[SESSIONS]) == ["E014"]
    assert found(MIDDLEWARE=["test_checks.Derived", "test_checks.function", "no.such.thing", AUTHENTICATION]) == []
    assert found(MIDDLEWARE=["test_checks.function", SESSIONS]) == ["E014"]


def function(get_response: Any) -> Any:
    """A middleware that is no class."""


def __getattr__(name: str) -> Any:
    # Django's middleware can't be imported before the settings are there.
    if name != "Derived":
        raise AttributeError(name)
    from django.contrib.sessions.middleware import SessionMiddleware

    return type("Derived", (SessionMiddleware,), {})


def test_two_providers_have_two_callbacks() -> None:
    one, two = ({**GOOD, "CALLBACK_URL": f"https://example.com/{name}/callback/"} for name in ("a", "b"))
    assert found(providers={"default": one, "second": two, "third": GOOD}) == []
    assert found(providers={"default": one, "second": one}) == ["E015"]
    plain = {**one, "KIND": "data-center", "BASE_URL": "https://git.example.com", "ALLOW_HTTP": True, "WORKSPACES": []}
    plain["CALLBACK_URL"] = plain["CALLBACK_URL"].replace("https:", "http:")
    assert found(providers={"default": plain, "second": plain}) == ["E015", "W008", "W008"]
    assert found(providers={"default": one, "second": one, "third": one}) == ["E015"] * 3
    assert found(providers={"default": {**GOOD, "CALLBACK_URL": 7}, "second": {**GOOD, "CALLBACK_URL": 7}}) == [
        "E009",
        "E009",
    ]


@pytest.mark.parametrize(
    ("backend", "ids"),
    [
        ("django.core.cache.backends.locmem.LocMemCache", ["W005"]),
        ("django.core.cache.backends.dummy.DummyCache", ["W005"]),
        ("django.core.cache.backends.db.DatabaseCache", []),
    ],
)
def test_the_cache_is_shared(backend: str, ids: list[str]) -> None:
    assert found(CACHES={"default": {"BACKEND": backend, "LOCATION": "x"}}) == ids


@pytest.mark.parametrize(
    ("model", "ids"),
    [
        ("auth.User", []),
        ("people.Member", []),
        ("people.Pseudonym", []),
        ("people.Heir", []),
        ("people.Employee", ["W006"]),
    ],
)
def test_what_a_user_model_requires_can_be_given(model: str, ids: list[str]) -> None:
    with override_settings(AUTH_USER_MODEL=model):
        assert [problem.number for problem in project._user_model()] == ids


def test_a_user_model_that_the_backend_knows_is_fine() -> None:
    with override_settings(AUTH_USER_MODEL="people.Employee"):
        [problem] = project._user_model()
        assert "number" in problem.message
        assert "username" not in problem.message
        for backend in ("test_checks.Creating", "no.such.Backend", "django.contrib.auth.backends.ModelBackend"):
            with override_settings(AUTHENTICATION_BACKENDS=[backend]):
                assert list(project._user_model()) == []


# -- off-boarding ------------------------------------------------------------------------------------------------------

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
OURS = "django_bitbucket_auth.middleware.MembershipMiddleware"


@pytest.mark.parametrize(
    ("middleware", "ids"),
    [
        (MIDDLEWARE, ["W010"]),
        ([*MIDDLEWARE, OURS], []),
        ([OURS, *MIDDLEWARE], ["W010"]),
        ([MIDDLEWARE[0], OURS, MIDDLEWARE[2]], ["E014"]),
    ],
)
def test_who_is_to_be_asked_about_is_so_by_the_middleware(middleware: list[str], ids: list[str]) -> None:
    providers = {"default": {**GOOD, "RECHECK": 600}, "second": {**GOOD, "RECHECK": None}, "third": {"NONSENSE": 1}}
    assert found(providers=providers, MIDDLEWARE=middleware) == sorted(["E002", *ids])


def test_who_is_to_be_asked_about_needs_a_token() -> None:
    keys = {**GOOD, "RECHECK": 600, "STORE_TOKENS": False}
    assert found(providers={"default": keys}, MIDDLEWARE=[*MIDDLEWARE, OURS]) == ["W011"]


# -- deployment --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("debug", "ids"), [(False, ["E016", "W004"]), (True, ["W004"])])
def test_a_provider_on_this_very_machine_is_for_development(debug: bool, ids: list[str]) -> None:
    providers = {"default": {**GOOD, "BASE_URL": "http://localhost:1"}}
    assert found(providers=providers, DEBUG=debug, deploy=True) == ids
    assert found(providers=providers, DEBUG=debug) == ["W004"]


def test_missing_credentials_stop_a_deployment() -> None:
    providers = {"default": {**GOOD, "CLIENT_SECRET": ""}, "broken": {**GOOD, "PKCE": 1}}
    assert found(providers=providers, deploy=True) == ["E003", "E017", "W001"]


DC = {"KIND": "data-center", "CLIENT_ID": "id", "CLIENT_SECRET": "secret", "BASE_URL": "https://a.example.com/git"}


@pytest.mark.parametrize(
    ("one", "other", "ids"),
    [
        ({}, {"BASE_URL": "https://b.example.com"}, []),
        ({"INSTANCE": "dc"}, {"BASE_URL": "https://b.example.com", "INSTANCE": "dc"}, ["E022"]),
        ({"INSTANCE": "dc"}, {"INSTANCE": "dc"}, []),
        ({}, {"BASE_URL": "https://A.example.com:443/git/"}, []),
        ({}, {"BASE_URL": "https://a.example.com/other"}, []),
        ({}, {"BASE_URL": "https://b.example.com", "API_URL": "https://a.example.com/git"}, []),
        ({"BASE_URL": "http://127.0.0.1:1"}, {"BASE_URL": "http://127.0.0.1:2", "INSTANCE": "127.0.0.1:1"}, ["E022"]),
        ({}, {"PKCE": 1, "INSTANCE": "a.example.com/git"}, ["E003"]),
    ],
)
def test_two_bitbuckets_by_one_name_are_an_error(one: dict[str, Any], other: dict[str, Any], ids: list[str]) -> None:
    seen = found(providers={"default": {**DC, **one}, "other": {**DC, **other}})
    assert [number for number in seen if number != "W004"] == ids


def test_one_address_by_http_and_by_https_is_two_bitbuckets() -> None:
    """Whoever is in between can alter what the first one says of people."""
    plain = {**DC, "BASE_URL": "http://a.example.com:443/git", "ALLOW_HTTP": True, "INSTANCE": "a.example.com/git"}
    assert found(providers={"default": DC, "plain": plain}) == ["E022", "W008"]


def test_a_callback_by_plain_http_is_warned_of() -> None:
    keys = {**DC, "ALLOW_HTTP": True, "CALLBACK_URL": "http://tool.example.com/bitbucket/callback/"}
    assert found(providers={"default": keys}) == ["W008"]


# -- documentation -----------------------------------------------------------------------------------------------------


def test_ids_are_documented_exactly_once_and_nothing_else_is() -> None:
    sources = (PACKAGE / f"{name}.py" for name in ("checks/project", "checks/providers", "conf", "kinds", "validators"))
    used = {number for path in sources for number in re.findall(r'"([EWI]\d{3})"', path.read_text(encoding="utf-8"))}
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    headings = [line for line, below in pairwise(lines) if below and set(below) <= set("=-~^")]
    documented = Counter(re.findall(r"bitbucket_auth\.([EWI]\d{3})", "\n".join(headings)))
    assert documented == Counter(used)
    assert len(used) > 20


def test_each_id_means_one_thing() -> None:
    """Numbers aren't left out, and those of warnings aren't those of errors."""
    lines = DOCS.read_text(encoding="utf-8")
    for kind in "EW":
        numbers = [int(number) for number in re.findall(rf"^bitbucket_auth\.{kind}(\d+)$", lines, re.MULTILINE)]
        assert numbers == list(range(1, len(numbers) + 1))
