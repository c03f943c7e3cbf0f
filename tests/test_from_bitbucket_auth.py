"""What the options of the Node library bitbucket-auth are here: the examples of the page do what it says."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.test import override_settings
from documented import DOCS, blocks
from own_connections import own_connections

from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.exceptions import BitbucketUnavailable, ClientRefused, OAuthError
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import DatabaseTokenStore, FunctionTokenStore
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider
from django_bitbucket_auth.tokens import get_access_token

__all__ = ["own_connections"]

pytestmark = pytest.mark.django_db

PAGE = DOCS / "howto" / "from-bitbucket-auth.rst"
TEXT = PAGE.read_text(encoding="utf-8")
OPTIONS = (
    "appName",
    "consumerKey",
    "consumerSecret",
    "loadConfig",
    "saveConfig",
    "storage",
    "configPath",
    "credentialsProvider",
    "forceCredentials",
    "useRefreshToken",
    "refreshToken",
    "logger",
    "logging",
    "errorHandler",
    "sendRequest",
    "createRequestHandler",
    "isSuccess",
    "isUnauthorized",
    "handleError",
    "handleSuccess",
    "getTokens",
    "createFileStorage",
    "createBitbucketAPI",
    "createAuthenticatedAPI",
)
#: The warning that comes with the password grant.
RETIRED = "October 2024"


def examples(option: str) -> list[str]:
    """The Python that the page shows under the title that names the option."""
    return [block.text for block in blocks(PAGE) if option in block.section.split(", ")]


def run(text: str, **names: Any) -> dict[str, Any]:
    """Run an example; ``names`` are what a reader has. Returns all that is there afterwards."""
    exec(compile(text, str(PAGE), "exec"), names)  # noqa: S102 - a page of this very project
    return names


def example(option: str, **names: Any) -> dict[str, Any]:
    """Run the one example of an option."""
    (text,) = examples(option)
    return run(text, **names)


@pytest.fixture
def overridden(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AbstractContextManager[None]]:
    """Within the block, the provider is of the class that the page shows for an option."""

    def made(option: str, **names: Any) -> AbstractContextManager[None]:
        module = ModuleType("portal.bitbucket")
        vars(module).update(example(option, **names, __name__=module.__name__))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        [settings] = examples("The request and its answer")
        return override_provider("default", **run(settings)["BITBUCKET_AUTH"]["default"])

    return made


@pytest.fixture
def our_logger() -> Iterator[logging.Logger]:
    """The app's logger, which is afterwards as it was."""
    logger = logging.getLogger("django_bitbucket_auth")
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def passwords(bitbucket: BitbucketSimulator) -> BitbucketSimulator:
    """A Bitbucket that takes them."""
    bitbucket.rules.retired_grants_taken = True
    return bitbucket


def grants(bitbucket: BitbucketSimulator) -> list[str]:
    """The grants that were sent, in their order."""
    return [logged.form["grant_type"] for logged in bitbucket.requests_to("token")]


def let_tokens_end(bitbucket: BitbucketSimulator) -> None:
    """Access tokens have run out, here and there."""
    bitbucket.expire_access_tokens()
    BitbucketToken.objects.update(expires_at=datetime.now(UTC) - timedelta(hours=1))


# The page


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_has_a_row_an_example_and_a_test(option: str) -> None:
    rows = re.findall(r"^(``\w+``(?:, ``\w+``)*)  +\S", TEXT, re.MULTILINE)
    assert [row for row in rows if f"``{option}``" in row.split(", ")]
    assert examples(option)
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", option).lower()
    assert [test for test in globals() if f"_{name}_" in f"{test}_" and test.startswith("test_")]


def test_the_same_call(bitbucket: BitbucketSimulator) -> None:
    run(examples("Come from bitbucket-auth for Node")[0])
    assert grants(bitbucket) == ["client_credentials"]
    assert bitbucket.requests_to("user")[0].status == 200


# The client


def test_app_name(bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, call = examples("appName")
    monkeypatch.setenv("BITBUCKET_PORTAL_CLIENT_ID", bitbucket.client_id)
    monkeypatch.setenv("BITBUCKET_PORTAL_CLIENT_SECRET", bitbucket.client_secret)
    with (
        override_settings(BITBUCKET_AUTH=run(settings)["BITBUCKET_AUTH"]),
        override_provider("portal", BASE_URL=bitbucket.url, API_URL=bitbucket.url),
    ):
        assert run(call)["token"].scopes == bitbucket.client.scopes
        get_access_token("portal", store=DatabaseTokenStore())
    assert BitbucketToken.objects.get().key == "application:portal"


def test_consumer_key_and_consumer_secret(bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("bitbucketKey", bitbucket.client_id)
    monkeypatch.setenv("bitbucketSecret", bitbucket.client_secret)
    with (
        override_settings(BITBUCKET_AUTH=example("consumerKey")["BITBUCKET_AUTH"]),
        override_provider("default", BASE_URL=bitbucket.url, API_URL=bitbucket.url),
    ):
        assert get_access_token().access_token
    with pytest.raises(TypeError, match="takes no 'client_secret'"):
        get_access_token(client_secret="another")


# Where it is kept


def test_load_config_and_save_config(bitbucket: BitbucketSimulator) -> None:
    vault: dict[str, Any] = {}
    first = example("loadConfig", vault=vault)["token"]
    assert example("saveConfig", vault=vault)["token"] == first
    assert grants(bitbucket) == ["client_credentials"]
    assert json.loads(json.dumps(vault)) == vault


def test_storage(bitbucket: BitbucketSimulator) -> None:
    vault: dict[str, Any] = {}
    first = example("storage", vault=vault)["token"]
    assert example("storage", vault=vault)["token"] == first
    assert grants(bitbucket) == ["client_credentials"]


def test_create_file_storage_and_config_path(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    first = example("createFileStorage")["token"]
    assert example("configPath")["token"] == first
    assert grants(bitbucket) == ["client_credentials"]
    [kept] = (tmp_path / ".portal").glob("*.token")
    assert first.access_token not in kept.read_text()


# Which grant


def test_credentials_provider(passwords: BitbucketSimulator) -> None:
    asked = iter(["password-of-jane"])
    names = {"ask_for_the_password": lambda: next(asked)}
    with pytest.warns(UserWarning, match=RETIRED):
        first = example("credentialsProvider", **names)["token"]
    # Nobody is asked again: not while it is fresh, and not to renew it.
    assert example("credentialsProvider", **names)["token"] == first
    let_tokens_end(passwords)
    assert example("credentialsProvider", **names)["token"] != first
    assert grants(passwords) == ["password", "refresh_token"]


def test_credentials_provider_of_a_bitbucket_that_takes_no_passwords(bitbucket: BitbucketSimulator) -> None:
    with pytest.warns(UserWarning, match=RETIRED), pytest.raises(ClientRefused, match=RETIRED):
        example("credentialsProvider", ask_for_the_password=lambda: "password-of-jane")
    assert grants(bitbucket) == ["password"]


def test_force_credentials(passwords: BitbucketSimulator) -> None:
    for _ in range(2):
        with pytest.warns(UserWarning, match=RETIRED):
            example("forceCredentials", ask_for_the_password=lambda: "password-of-jane")
    assert grants(passwords) == ["password", "password"]


def test_use_refresh_token(passwords: BitbucketSimulator) -> None:
    def credentials() -> dict[str, str]:
        return {"username": "jdoe", "password": "password-of-jane"}

    with pytest.warns(UserWarning, match=RETIRED):
        example("useRefreshToken", credentials=credentials)
    let_tokens_end(passwords)
    example("useRefreshToken", credentials=credentials)
    let_tokens_end(passwords)
    BitbucketToken.objects.update(scope="email")
    with pytest.warns(UserWarning, match=RETIRED):
        example("useRefreshToken", credentials=credentials)
    let_tokens_end(passwords)
    with pytest.warns(UserWarning, match=RETIRED):
        get_access_token(
            grant="password", credentials=credentials, use_refresh_token=False, store=DatabaseTokenStore(), key="jdoe"
        )
    assert grants(passwords) == ["password", "refresh_token", "password", "password"]


def test_refresh_token(bitbucket: BitbucketSimulator) -> None:
    config = {"refreshToken": bitbucket.issue("jane")["refresh_token"]}
    first = example("refreshToken", config=config)["token"]
    assert example("refreshToken", config=config)["token"] == first
    let_tokens_end(bitbucket)
    example("refreshToken", config=config)
    sent = [logged.form["refresh_token"] for logged in bitbucket.requests_to("token")]
    assert sent == [config["refreshToken"], first.refresh_token]


# Messages and errors


def test_logger(bitbucket: BitbucketSimulator, our_logger: logging.Logger) -> None:
    said: list[tuple[str, str]] = []
    example("logger", my_logger=lambda level, message: said.append((level, message)))
    get_access_token(store=FunctionTokenStore(lambda key: {"access_token": "1"}, lambda key, record: None))
    assert ("WARNING", "FunctionTokenStore.load() gave no token: not the record of a token (KeyError)") in said


def test_logging(bitbucket: BitbucketSimulator, our_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    vault: dict[str, Any] = {}
    first = example("storage", vault=vault)["token"]
    ends = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    vault["application:default"] |= {"expires_at": ends, "obtained_at": None}
    bitbucket.fail("token", 503)
    logging.config.dictConfig(example("logging")["LOGGING"])
    assert example("storage", vault=vault)["token"].access_token == first.access_token
    assert "could not be renewed, and is good for a while yet" in capsys.readouterr().err


def test_error_handler(bitbucket: BitbucketSimulator) -> None:
    said: list[str] = []
    bitbucket.fail("token", 503)
    with pytest.raises(BitbucketUnavailable):
        example("errorHandler", my_error_handler=said.append)
    assert said == ["unavailable: Bitbucket answered HTTP 503"]


# The request and its answer


def test_send_request(bitbucket: BitbucketSimulator, overridden: Callable[..., AbstractContextManager[None]]) -> None:
    with overridden("sendRequest"):
        session = get_session(None)
        session.json("user")
        session.headers["X-Team"] = "reviews"
        session.json("user")
    seen = [(logged.endpoint, logged.headers.get("x-team")) for logged in bitbucket.requests]
    assert seen == [("token", "portal"), ("user", None), ("user", "reviews")]


def test_create_request_handler(
    bitbucket: BitbucketSimulator, overridden: Callable[..., AbstractContextManager[None]]
) -> None:
    timed: dict[str, float] = {}
    with overridden("createRequestHandler", my_timer=timed.__setitem__):
        get_access_token()
    assert timed.keys() == {"client_credentials"}


def test_is_success(bitbucket: BitbucketSimulator, overridden: Callable[..., AbstractContextManager[None]]) -> None:
    bitbucket.answer("token", headers={"X-Maintenance": "1"}, body='{"access_token": "none"}', times=1)
    with overridden("isSuccess"):
        with pytest.raises(OAuthError, match="http_200"):
            get_access_token()
        assert get_access_token().access_token


def test_is_unauthorized(
    bitbucket: BitbucketSimulator, overridden: Callable[..., AbstractContextManager[None]]
) -> None:
    bitbucket.answer("user", 403, headers={"X-Token": "ended"}, times=1)
    with overridden("isUnauthorized"):
        get_session(None).json("user")
    assert grants(bitbucket) == ["client_credentials", "client_credentials"]
    assert [logged.status for logged in bitbucket.requests_to("user")] == [403, 200]


@pytest.mark.parametrize("endpoint", ["token", "user"])
def test_handle_error(
    bitbucket: BitbucketSimulator, overridden: Callable[..., AbstractContextManager[None]], endpoint: str
) -> None:
    bitbucket.answer(endpoint, 400, headers={"X-Request-Id": "r-7"}, body="{}")
    with overridden("handleError"), pytest.raises(OAuthError) as caught:
        get_session(None).json("user")
    assert caught.value.__notes__ == ["Request r-7"]


def test_handle_success(bitbucket: BitbucketSimulator, overridden: Callable[..., AbstractContextManager[None]]) -> None:
    seen: list[tuple[str, ...]] = []
    with overridden("handleSuccess", my_audit=seen.append):
        get_access_token()
    assert seen == [bitbucket.client.scopes]


# Functions


def test_get_tokens(bitbucket: BitbucketSimulator) -> None:
    old = bitbucket.issue("jane")
    config = example("getTokens", refresh_token=old["refresh_token"])["config"]
    assert (config["token_type"], len(config["access_token"]), len(config["refresh_token"])) == ("bearer", 2500, 2500)
    assert config["refresh_token"] != old["refresh_token"]
    assert config["expires_at"] > datetime.now(UTC)
    assert not BitbucketToken.objects.exists()


def test_create_bitbucket_api(bitbucket: BitbucketSimulator) -> None:
    api = example("createBitbucketAPI", access_token=bitbucket.issue("jane")["access_token"])["api"]
    assert bitbucket.requests_to("user")[0].person == "jane"
    bitbucket.expire_access_tokens()
    with pytest.raises(OAuthError, match="invalid_token"):
        api.json("user")
    assert grants(bitbucket) == []
    assert len(bitbucket.requests_to("user")) == 2


def test_create_authenticated_api(bitbucket: BitbucketSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    api = example("createAuthenticatedAPI")["api"]
    assert "acme/web-shop\n" in capsys.readouterr().out
    bitbucket.expire_access_tokens()
    assert api.json("user")["type"] == "app_user"
    assert grants(bitbucket) == ["client_credentials", "client_credentials"]
