"""What each setting may be. The tables are the settings reference in short."""

from pathlib import Path
from typing import Any

import pytest

from django_bitbucket_auth import validators
from django_bitbucket_auth.conf import ProviderSettings

HERE = Path(__file__)
UUID = "{11111111-1111-4111-8111-111111111111}"
NOT_FLAGS: list[Any] = [None, 0, 1, "", "True", [], {}]
NOT_LISTS: list[Any] = [None, True, 1, "acme", {}, {"acme"}, b"acme"]
NOT_URLS: list[Any] = [
    None,
    True,
    "",
    "bitbucket.org",
    "/callback/",
    "//bitbucket.org",
    "http://bitbucket.org",
    "ftp://bitbucket.org",
    "https://",
    "https://user@bitbucket.org",
    "https://bitbucket.org?x=1",
    "https://bitbucket.org/#x",
    "https://bitbucket.org/../x",
    "https://bitbucket.org/%2e%2e/x",
    "https://bitbucket.org:0",
    "https://bitbucket.org:port",
    "https://[::1",
    "http://localhost:80@attacker.example",
    "http://127.0.0.1.attacker.example",
]
URLS = [
    "https://bitbucket.org",
    "https://b.example.com:8443/context",
    "http://127.0.0.1:8000",
    "http://localhost",
    "http://[::1]:1",
]

GOOD: dict[str, list[Any]] = {
    "KIND": ["cloud", "some.path"],
    "CLIENT_ID": [None, "", "id", print],
    "CLIENT_SECRET": [None, "", "secret", print],
    "BASE_URL": URLS,
    "API_URL": URLS,
    "SIGNATURE_METHOD": ["HMAC-SHA1", "RSA-SHA1"],
    "RSA_KEY": [None, "-----BEGIN PRIVATE KEY-----", "/etc/key.pem", HERE],
    "ENDPOINTS": [{}, {"authorize": URLS[0], "token": URLS[1], "user": URLS[2], "request_token": URLS[3]}],
    "INSTANCE": [None, "dc", "x" * 200],
    "SCOPES": [[], (), ["account", "email"]],
    "PKCE": [True, False],
    "FETCH_EMAILS": [True, False],
    "TRUST_EMAILS": [True, False, [], (), ["example.com"], ("Example.com", "localhost")],
    "WORKSPACES": [[], (), ["*"], ("*",), ["acme"], [UUID, UUID.upper(), "a_b-c.9", "_x"]],
    "RECHECK": [None, 60, 3600, 86_400],
    "GROUPS": [
        {},
        {"Staff": "acme"},
        {"Staff": ["acme", f"{UUID}:owner"], "Devs": ("acme:create-project", "b:member")},
    ],
    "CREATE_USERS": [True, False],
    "LINK_BY_EMAIL": [True, False, print, "builtins.print"],
    "UPDATE_USERS": [[], ("first_name",), ["first_name", "last_name", "email"]],
    "STORE_TOKENS": [True, False],
    "LOGIN_ON_GET": [True, False],
    "SUCCESS_URL": [None, "/", "home"],
    "FAILURE_URL": [None, "/", "home"],
    "CALLBACK_URL": [None, *URLS],
    "STATE_MAX_AGE": [1, 600],
    "TIMEOUT": [1, 0.5, (3.05, 10), [1, 2]],
    "RETRIES": [0, 2, 10],
    "DEADLINE": [0.001, 1, 20.5],
    "PROXIES": [{}, {"https": "http://proxy.example.com"}],
    "CA_BUNDLE": [None, str(HERE), HERE, HERE.parent],
    "CLIENT_CERT": [None, HERE, str(HERE), (HERE, str(HERE)), [HERE]],
    "ALLOW_HTTP": [True, False],
}
NOT_SECONDS: list[Any] = [None, True, 0, -1, "1", float("nan"), float("inf"), [1]]
BAD: dict[str, list[Any]] = {
    "KIND": [None, "", " ", 1],
    "CLIENT_ID": [1, True, [], b"id"],
    "CLIENT_SECRET": [1, True, [], b"secret"],
    "BASE_URL": NOT_URLS,
    "API_URL": NOT_URLS,
    "ENDPOINTS": [
        None,
        [],
        "x",
        {"users": URLS[0]},
        {"token": URLS[0], 1: URLS[0]},
        *({"user": url} for url in NOT_URLS),
    ],
    "SIGNATURE_METHOD": [None, "", "PLAINTEXT", "hmac-sha1", "HMAC-SHA256", 1, []],
    "RSA_KEY": ["", " ", 1, True, b"key", []],
    "INSTANCE": ["", " ", 1, True, "x" * 201],
    "SCOPES": [*NOT_LISTS, [""], ["account email"], [" account"], [1], ["account", None]],
    "PKCE": NOT_FLAGS,
    "FETCH_EMAILS": NOT_FLAGS,
    "TRUST_EMAILS": [
        None,
        0,
        1,
        "example.com",
        [""],
        ["@example.com"],
        ["jane@example.com"],
        [" "],
        ["a..b"],
        [None],
        {},
    ],
    "WORKSPACES": [
        *NOT_LISTS,
        [""],
        [None],
        [" "],
        ["*", "acme"],
        ("acme", ""),
        ["acme widgets"],
        ["{acme}"],
        [UUID[:-2] + "}"],
        [UUID + "x"],
        ["acme/x"],
        ["-acme"],
        ["äcme"],
        [1],
    ],
    "RECHECK": [True, 0, 59, 60.0, 86_401, "60", [60], float("nan")],
    "GROUPS": [
        None,
        [],
        "acme",
        {"": "acme"},
        {" ": "acme"},
        {1: "acme"},
        {"Staff": []},
        {"Staff": ""},
        {"Staff": None},
        {"Staff": {"acme"}},
        {"Staff": "*"},
        {"Staff": ["acme", 1]},
        {"Staff": "acme:"},
        {"Staff": ":owner"},
        {"Staff": "acme:admin"},
        {"Staff": "acme:collaborator"},
        {"Staff": "acme:owner:member"},
        {"Staff": "acme widgets"},
    ],
    "CREATE_USERS": NOT_FLAGS,
    "LINK_BY_EMAIL": [None, 0, 1, "", "True", "decide", []],
    "UPDATE_USERS": [*NOT_LISTS, ["username"], ["first_name", "is_staff"], ["password"], [None], [[]]],
    "STORE_TOKENS": NOT_FLAGS,
    "LOGIN_ON_GET": NOT_FLAGS,
    "SUCCESS_URL": ["", " ", 1, True],
    "FAILURE_URL": ["", " ", 1, True],
    "CALLBACK_URL": [url for url in NOT_URLS if url is not None],
    "STATE_MAX_AGE": [*NOT_SECONDS, 0.5, 600.0],
    "TIMEOUT": [*NOT_SECONDS, [], (1, 2, 3), (1, None), (0, 1), (1, 0), "12"],
    "RETRIES": [None, True, -1, 11, 2.0, "2"],
    "DEADLINE": NOT_SECONDS,
    "PROXIES": [None, [], "http://proxy", {"https": ""}, {"https": None}, {"": "http://proxy"}, {1: "http://proxy"}],
    "CA_BUNDLE": [False, True, "", 1, "/no/such/file"],
    "CLIENT_CERT": [
        False,
        True,
        "",
        [],
        (),
        (HERE, HERE, HERE),
        (HERE, None),
        ("/no/such/file", HERE),
        "/no/such/file",
    ],
    "ALLOW_HTTP": NOT_FLAGS,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, "http://git.example.com") for name in ("BASE_URL", "API_URL", "CALLBACK_URL")]
    + [("ENDPOINTS", {"token": "http://git.example.com"})],
)
def test_plain_http_is_for_those_who_allow_it(name: str, value: object) -> None:
    assert list(validators.check({name: value, "ALLOW_HTTP": True}, "here")) == []
    assert [problem.number for problem in validators.check({name: value, "ALLOW_HTTP": False}, "here")] != []


def test_every_key_is_tested_and_every_key_is_a_setting() -> None:
    assert set(GOOD) == set(BAD) == set(validators.KEYS)
    assert {name.lower() for name in validators.KEYS} == set(ProviderSettings.__dataclass_fields__) - {"alias"}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_what_is_fine_is_no_problem(name: str, value: Any) -> None:
    assert list(validators.check({name: value}, "here")) == []


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_what_is_wrong_is_one_problem_that_names_the_key(name: str, value: Any) -> None:
    [problem] = validators.check({name: value}, "here")
    assert problem.number == validators.KEYS[name][0]
    assert problem.message.startswith(f"here[{name!r}]")
    assert problem.message.endswith(".")
    assert name in problem.hint


def test_a_value_is_never_repeated() -> None:
    """It may be a credential in the wrong place."""
    problems = [*validators.check(dict.fromkeys(validators.KEYS, "hunter2 "), "here")]
    assert len(problems) > 10
    assert "hunter2" not in str(problems)


def test_an_endpoint_says_which() -> None:
    [problem] = validators.check({"ENDPOINTS": {"token": URLS[0], "user": "x"}}, "here")
    assert "['user']" in problem.message


@pytest.mark.parametrize("name", ["WORKSPACE", "workspaces", "", 7, None, "GROUP"])
def test_an_unknown_key_is_a_problem_that_lists_the_known(name: Any) -> None:
    [problem] = validators.check({name: 1}, "here")
    assert (problem.number, repr(name) in problem.message) == ("E002", True)
    assert all(known in problem.hint for known in validators.KEYS)


@pytest.mark.parametrize("keys", [["k" * 32], ("k" * 32, "l" * 50)])
def test_token_keys_are_long_strings(keys: object) -> None:
    assert validators.token_keys_problem(keys) is None


@pytest.mark.parametrize("keys", [None, [], (), "k" * 40, ["k" * 31], ["k" * 32, "short"], [b"k" * 32], {"k" * 32: 1}])
def test_other_token_keys_are_a_problem_that_repeats_none(keys: object) -> None:
    problem = validators.token_keys_problem(keys)
    assert problem is not None
    assert problem.number == "E007"
    assert "kkk" not in str(problem)
