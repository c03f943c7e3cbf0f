"""``manage.py bitbucket_token``: every grant, where secrets come from, and what is printed."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command
from stored import jwt_arguments, owner

from django_bitbucket_auth import conf
from django_bitbucket_auth.bitbucket.connect import sign
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider
from django_bitbucket_auth.testing.browsing import _press

pytestmark = pytest.mark.django_db

TESTS = Path(__file__).parents[1]
RETIRED = "ignore:Bitbucket Cloud has not taken the password grant:UserWarning"


def run(*arguments: str, error: io.StringIO | None = None) -> str:
    """What the command prints to standard output."""
    out = io.StringIO()
    call_command("bitbucket_token", *arguments, stdout=out, stderr=error or io.StringIO())
    return out.getvalue()


def whose(bitbucket: BitbucketSimulator, printed: str) -> Any:
    assert printed.endswith("\n") and printed.count("\n") == 1
    return owner(bitbucket, Token(printed.strip()))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


# -- each grant --------------------------------------------------------------------------------------------------------


def test_the_applications_own_token_is_the_default(bitbucket: BitbucketSimulator) -> None:
    assert whose(bitbucket, run()) == "app_user"
    assert whose(bitbucket, run("--scopes", "account")) == "app_user"
    assert bitbucket.requests_to("token")[1].form["scope"] == "account"


@pytest.mark.filterwarnings(RETIRED)
def test_a_password_comes_from_the_environment(bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    bitbucket.rules.retired_grants_taken = True
    monkeypatch.setenv("BITBUCKET_PASSWORD", "password-of-jane")
    assert whose(bitbucket, run("--grant=password", "--username=jdoe")) == "jdoe"


@pytest.mark.filterwarnings(RETIRED)
def test_a_password_comes_from_a_file_or_standard_input(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, typed: Callable[[str], None]
) -> None:
    bitbucket.rules.retired_grants_taken = True
    typed("password-of-jane\n")
    assert whose(bitbucket, run("--grant=password", "--username=jdoe", "--stdin")) == "jdoe"
    (tmp_path / "password").write_text("password-of-jane\n")
    monkeypatch.setenv("BITBUCKET_PASSWORD_FILE", str(tmp_path / "password"))
    assert whose(bitbucket, run("--grant=password", "--username=jdoe")) == "jdoe"


@pytest.mark.filterwarnings(RETIRED)
def test_a_grant_that_is_not_taken_any_more_says_since_when(
    bitbucket: BitbucketSimulator, typed: Callable[[str], None]
) -> None:
    typed("password-of-jane\n")
    with pytest.raises(CommandError, match=r"Unsupported grant type.*since October 2024"):
        run("--grant=password", "--username=jdoe", "--stdin")


def test_a_refresh_token_is_exchanged(bitbucket: BitbucketSimulator, typed: Callable[[str], None]) -> None:
    typed(f"{bitbucket.issue('jane')['refresh_token']}\r\n")
    assert whose(bitbucket, run("--grant=refresh_token", "--stdin")) == "jdoe"
    typed("unknown")
    with pytest.raises(CommandError, match="Invalid refresh_token"):
        run("--grant=refresh_token", "--stdin")


def test_a_connect_app_signs_or_hands_in_its_jwt(bitbucket: BitbucketSimulator, typed: Callable[[str], None]) -> None:
    given = jwt_arguments(bitbucket)
    typed(given["shared_secret"])
    keys = (f"--app-key={given['app_key']}", f"--client-key={given['client_key']}")
    assert whose(bitbucket, run("--grant=bitbucket_jwt", *keys, "--stdin")) == "app_user"
    typed(sign(**given, endpoint=conf.provider(conf.provider_settings()).endpoint("token")).assertion)
    assert whose(bitbucket, run("--grant=bitbucket_jwt", "--stdin")) == "app_user"
    typed("x.y.z")
    with pytest.raises(CommandError, match="unauthorized_client"):
        run("--grant=bitbucket_jwt", "--stdin")


class Consenting:
    """A person at standard input: opens the address that the command prints, answers, and pastes where that led."""

    def __init__(self, bitbucket: BitbucketSimulator, error: io.StringIO, person: str | None = "jane") -> None:
        self.bitbucket, self.error, self.person = bitbucket, error, person

    def readline(self) -> str:
        url = self.error.getvalue().partition("\n\n")[2].strip()
        return _press(self.bitbucket, url, self.person).headers["Location"] + "\n"


@pytest.fixture
def consenting(bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., io.StringIO]:
    def sit(person: str | None = "jane") -> io.StringIO:
        error = io.StringIO()
        monkeypatch.setattr(sys, "stdin", Consenting(bitbucket, error, person))
        return error

    return sit


def test_a_code_is_got_by_opening_an_address_and_pasting_another(
    bitbucket: BitbucketSimulator, consenting: Callable[..., io.StringIO]
) -> None:
    arguments = ("--grant=authorization_code", "--redirect-uri=https://testserver/done/", "--stdin")
    error = consenting()
    assert whose(bitbucket, run(*arguments, error=error)) == "jdoe"
    [asked] = [dict(request.query) for request in bitbucket.requests_to("authorize") if request.method == "GET"]
    assert asked["code_challenge_method"] == "S256" and asked["state"]
    assert bitbucket.requests_to("token")[0].form["code_verifier"]
    error = consenting(None)
    with pytest.raises(CommandError, match="access_denied"):
        run(*arguments, error=error)


def test_a_code_at_hand_is_redeemed_with_its_verifier(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = conf.provider(conf.provider_settings())
    verifier = "v" * 50
    url = provider.authorization_url("https://testserver/done/", "s", verifier)
    code = parse_qs(urlsplit(_press(bitbucket, url, "jane").headers["Location"]).query)["code"][0]
    monkeypatch.setenv("BITBUCKET_CODE", code)
    monkeypatch.setenv("BITBUCKET_CODE_VERIFIER", verifier)
    assert whose(bitbucket, run("--grant=authorization_code", "--redirect-uri=https://testserver/done/")) == "jdoe"
    with pytest.raises(CommandError, match="invalid_grant"):
        run("--grant=authorization_code", "--redirect-uri=https://testserver/done/")


def test_an_address_of_another_request_is_refused(bitbucket: BitbucketSimulator, typed: Callable[[str], None]) -> None:
    for grant, pasted in (
        ("authorization_code", "https://testserver/done/?code=x&state=other"),
        ("authorization_code", "https://testserver/done/?code=x"),
        ("authorization_code", "https://testserver/done/?code=x&state=\udcff"),
        ("implicit", "https://testserver/done/#access_token=x&state=other"),
    ):
        typed(pasted)
        with pytest.raises(CommandError, match="another request"):
            run(f"--grant={grant}", "--stdin")
    assert bitbucket.requests_to("token") == []


def test_an_implicit_grant_is_read_where_there_is_one_and_refused_elsewhere(
    bitbucket: BitbucketSimulator, consenting: Callable[..., io.StringIO]
) -> None:
    bitbucket.rules.retired_grants_taken = True
    arguments = ("--grant=implicit", "--redirect-uri=https://testserver/done/", "--scopes=account", "--stdin")
    error = consenting()
    assert whose(bitbucket, run(*arguments, error=error)) == "jdoe"
    error = consenting(None)
    with pytest.raises(CommandError, match="access_denied"):
        run(*arguments, error=error)
    bitbucket.rules.retired_grants_taken = False
    error = consenting()
    with pytest.raises(CommandError, match=r"unsupported_response_type.*since August 2026"):
        run(*arguments, error=error)


def test_a_warning_is_for_bitbuckets_that_no_longer_take_the_grant(
    bitbucket: BitbucketSimulator, consenting: Callable[..., io.StringIO]
) -> None:
    bitbucket.rules.retired_grants_taken = True
    arguments = ("--grant=implicit", "--redirect-uri=https://testserver/done/", "--stdin")
    error = consenting()
    run(*arguments, error=error)
    assert "August 2026" in error.getvalue()
    error = consenting()
    with override_provider("default", KIND="stored.NothingRetired"):
        run(*arguments, error=error)
    assert "August 2026" not in error.getvalue()


# -- what is printed ---------------------------------------------------------------------------------------------------


def test_json_has_all_that_the_answer_had(bitbucket: BitbucketSimulator, typed: Callable[[str], None]) -> None:
    told = json.loads(run("--format=json"))
    assert (told["token_type"], told["scope"], told["refresh_token"]) == ("Bearer", "account email repository", None)
    assert told["expires_at"].endswith("+00:00")
    typed(str(bitbucket.issue("jane")["refresh_token"]))
    assert json.loads(run("--grant=refresh_token", "--stdin", "--format=json"))["refresh_token"]


def test_a_token_without_an_end_has_none(bitbucket: BitbucketSimulator) -> None:
    bitbucket.answer("token", 200, headers={"Content-Type": "application/json"}, body='{"access_token": "x"}')
    assert json.loads(run("--format=json"))["expires_at"] is None


# -- stores ------------------------------------------------------------------------------------------------------------


def test_a_stored_token_is_printed_again_and_no_secret_is_asked_for(
    bitbucket: BitbucketSimulator, typed: Callable[[str], None]
) -> None:
    typed(str(bitbucket.issue("jane")["refresh_token"]))
    arguments = ("--grant=refresh_token", "--store=database", "--key=jane", "--stdin")
    first = run(*arguments)
    assert run(*arguments) == first  # nothing is left to be read
    assert BitbucketToken.objects.get().key == "jane"
    assert len(bitbucket.requests_to("token")) == 1


def test_a_file_is_a_store(bitbucket: BitbucketSimulator, tmp_path: Path) -> None:
    arguments = (f"--store=file:{tmp_path / 'tokens'}",)
    first = run(*arguments)
    assert run(*arguments) == first
    assert run(*arguments, "--force") != first
    assert run(*arguments, "--no-refresh") != first


@pytest.mark.parametrize("store", ["cache", "cache:default"])
def test_a_cache_that_is_not_shared_is_no_store(bitbucket: BitbucketSimulator, store: str) -> None:
    with pytest.raises(CommandError, match="isn't shared"):
        run(f"--store={store}")
    assert bitbucket.requests == []


@pytest.mark.parametrize("store", ["x", "file:", "file"])
def test_an_unknown_store_is_named(store: str) -> None:
    with pytest.raises(CommandError, match="is none of"):
        run(f"--store={store}")


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--provider=nowhere",), "no provider 'nowhere'"),
        (("--grant=password", "--stdin"), "username and password"),
        (("--grant=refresh_token", "--store=database", "--stdin"), "needs a key"),
        (("--username=x",), "takes no 'username'"),
        (("--grant=implicit", "--store=database"), "implicit takes no --store"),
        (("--grant=implicit", "--no-refresh"), "implicit takes no --no-refresh"),
        (("--grant=refresh_token",), "Nobody is there.*set BITBUCKET_REFRESH_TOKEN"),
        (("--grant=authorization_code",), "Nobody is there to be asked for “Address”: pass --stdin"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(
    bitbucket: BitbucketSimulator, arguments: tuple[str, ...], problem: str, typed: Callable[[str], None]
) -> None:
    typed("secret\n")
    with pytest.raises(CommandError, match=problem):
        run(*arguments)
    assert bitbucket.requests == []


def test_empty_input_is_said(bitbucket: BitbucketSimulator, typed: Callable[[str], None]) -> None:
    typed("\n")
    with pytest.raises(CommandError, match="“Refresh token” is empty"):
        run("--grant=refresh_token", "--stdin")


def test_a_file_that_is_not_there_is_said(bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITBUCKET_REFRESH_TOKEN_FILE", "/nowhere/token")
    with pytest.raises(CommandError, match="BITBUCKET_REFRESH_TOKEN_FILE names can't be read: No such file"):
        run("--grant=refresh_token")


def test_no_option_takes_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """Everybody on the machine reads a command line."""
    with pytest.raises(SystemExit):
        call_command("bitbucket_token", "--help")
    options = {word.strip(",[]") for word in capsys.readouterr().out.split() if word.strip("[").startswith("--")}
    assert "--username" in options
    for secret in ("--password", "--code", "--refresh-token", "--assertion", "--shared-secret", "--client-secret"):
        assert secret not in options
        with pytest.raises(CommandError, match=r"unrecognized|ambiguous"):
            run(f"{secret}=x")


def test_other_providers_have_variables_of_their_own(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"BASE_URL": bitbucket.url, "API_URL": bitbucket.url}
    keys |= {"CLIENT_ID": bitbucket.client_id, "CLIENT_SECRET": bitbucket.client_secret}
    monkeypatch.setenv("BITBUCKET_REFRESH_TOKEN", "wrong")
    monkeypatch.setenv("BITBUCKET_DC_REFRESH_TOKEN", str(bitbucket.issue("jane")["refresh_token"]))
    with override_provider("dc", **keys):
        assert whose(bitbucket, run("--provider=dc", "--grant=refresh_token")) == "jdoe"


# -- at a terminal -----------------------------------------------------------------------------------------------------


def test_at_a_terminal_a_person_is_asked_and_what_is_typed_is_not_shown(bitbucket: BitbucketSimulator) -> None:
    """In a process of its own, whose terminal this is."""
    secret = str(bitbucket.issue("jane")["refresh_token"])[:200]
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "django", "bitbucket_token", "--grant=refresh_token", "--traceback"],
        cwd=TESTS,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings",
            "BITBUCKET_CLIENT_ID": bitbucket.client_id,
            "BITBUCKET_CLIENT_SECRET": bitbucket.client_secret,
            "TESTS_BITBUCKET": bitbucket.url,
        },
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    ) as process:
        os.close(its)
        shown = b""
        while b"Refresh token: " not in shown:
            shown += os.read(ours, 1024)
        os.write(ours, secret.encode() + b"\n")
        with suppress(OSError):  # in the end, its side is closed
            while True:
                shown += os.read(ours, 4096)
        assert process.wait(60) == 1
    os.close(ours)
    # Cut short, it is refused: what is shown is the traceback, without it.
    assert b"CommandError" in shown and b"Invalid refresh_token" in shown
    assert secret.encode() not in shown
