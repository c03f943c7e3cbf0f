"""Client id and secret: where they come from, and that they are never shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from django_bitbucket_auth.conf import credential, provider_settings
from django_bitbucket_auth.exceptions import ConfigurationError

CLIENT = {"CLIENT_ID": "id", "CLIENT_SECRET": "secret"}


def asked() -> str:
    """A callable that a dotted path names."""
    return " from a vault\n"


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


@pytest.mark.parametrize(
    ("alias", "name"),
    [("default", "BITBUCKET_CLIENT_ID"), ("dc", "BITBUCKET_DC_CLIENT_ID"), ("my-dc", "BITBUCKET_MY_DC_CLIENT_ID")],
)
def test_credentials_come_from_the_environment(alias: str, name: str, environment: Callable[..., None]) -> None:
    with override_settings(BITBUCKET_AUTH={alias: {}}):
        assert credential(alias, "CLIENT_ID") == ""
        environment(**{name: " $from=environment \n"})
        assert credential(alias, "CLIENT_ID") == "$from=environment"


def test_a_leading_dollar_is_no_variable(environment: Callable[..., None]) -> None:
    environment(BITBUCKET_CLIENT_SECRET="$HOME", HOME="/root")
    with override_settings(BITBUCKET_AUTH={"default": {}}):
        assert credential("default", "CLIENT_SECRET") == "$HOME"


def test_a_rotated_file_is_seen(environment: Callable[..., None], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    environment(BITBUCKET_CLIENT_SECRET_FILE=str(file), BITBUCKET_CLIENT_SECRET="not this one")
    with override_settings(BITBUCKET_AUTH={"default": {}}):
        for secret in ("$first", "second"):
            file.write_text(f"{secret}\n", encoding="utf-8")
            assert credential("default", "CLIENT_SECRET") == secret
        file.unlink()
        with pytest.raises(ConfigurationError, match="BITBUCKET_CLIENT_SECRET_FILE") as caught:
            credential("default", "CLIENT_SECRET")
        file.write_bytes(b"\xff\xfe")
        with pytest.raises(ConfigurationError, match="UnicodeDecodeError") as caught:
            credential("default", "CLIENT_SECRET")
    assert caught.value.__cause__ is None


def test_the_setting_is_stronger_than_the_environment(environment: Callable[..., None]) -> None:
    environment(BITBUCKET_CLIENT_ID="environment")
    for value, expected in [("setting", "setting"), ("", "environment"), (None, "environment")]:
        with configured(CLIENT_ID=value):
            assert provider_settings().client_id == expected


def test_a_callable_is_asked_at_each_use() -> None:
    secrets = iter(["one", "two "])
    with configured(CLIENT_SECRET=lambda: next(secrets)):
        assert [provider_settings().client_secret for _ in range(2)] == ["one", "two"]


def test_a_dotted_path_names_a_callable_or_is_the_value_itself() -> None:
    for value, expected in [
        (f"{__name__}.asked", "from a vault"),
        ("abc.def", "abc.def"),
        ("test_credentials.CLIENT", "test_credentials.CLIENT"),
        ("client.id with space", "client.id with space"),
    ]:
        with configured(CLIENT_ID=value):
            assert provider_settings().client_id == expected


def test_a_callable_that_fails_is_an_error_without_its_words() -> None:
    def fail() -> str:
        raise RuntimeError("hunter2")

    with configured(CLIENT_SECRET=fail), pytest.raises(ConfigurationError, match="RuntimeError") as caught:
        provider_settings()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_module_that_fails_at_import_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_vault.py").write_text("raise RuntimeError('hunter2')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    message = problem_with(CLIENT_SECRET="broken_vault.ask")
    assert "RuntimeError" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("value", [None, "", "  ", b"secret", 7, object()])
def test_a_callable_that_gives_no_text_is_a_missing_credential(value: object) -> None:
    with configured(CLIENT_SECRET=lambda: value), pytest.raises(ConfigurationError, match="set nowhere"):
        provider_settings()


@pytest.mark.parametrize("name", ["CLIENT_ID", "CLIENT_SECRET"])
def test_a_missing_credential_is_an_error_that_says_what_to_set(name: str) -> None:
    message = problem_with(**{name: ""})
    assert f"BITBUCKET_{name}" in message
    assert f"BITBUCKET_{name}_FILE" in message
