"""``manage.py bitbucket_simulator``: when it may run, what it prints, how it ends."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from django_bitbucket_auth.testing import (
    SIMULATOR_CLIENT_ID,
    SIMULATOR_CLIENT_SECRET,
    BitbucketSimulator,
)

RUN = """
import sys
import django
from django.conf import settings
from django.core.management import call_command
settings.configure(DEBUG=True, INSTALLED_APPS=["django_bitbucket_auth"], USE_TZ=True)
settings.INSTALLED_APPS[:0] = ["django.contrib.contenttypes", "django.contrib.auth"]
django.setup()
call_command("bitbucket_simulator", *sys.argv[1:], port=0, callback_url="http://localhost:8000/callback/")
"""


@pytest.fixture
def switched_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BITBUCKET_SIMULATOR", "1")
    with override_settings(DEBUG=True):
        yield


@pytest.mark.parametrize("value", [None, "", "0", "true"])
def test_it_has_to_be_switched_on(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("BITBUCKET_SIMULATOR", raising=False)
    if value is not None:
        monkeypatch.setenv("BITBUCKET_SIMULATOR", value)
    with override_settings(DEBUG=True), pytest.raises(CommandError, match="BITBUCKET_SIMULATOR=1"):
        call_command("bitbucket_simulator", port=0)


@pytest.mark.usefixtures("switched_on")
def test_it_needs_debug() -> None:
    with override_settings(DEBUG=False), pytest.raises(CommandError, match="DEBUG = True"):
        call_command("bitbucket_simulator", port=0)


@pytest.mark.usefixtures("switched_on")
def test_a_taken_port_is_said_in_a_sentence() -> None:
    with BitbucketSimulator().serving() as other:
        port = urlsplit(other.url).port
        sentence = f"^Port {port} can't be used: Address already in use"
        with pytest.raises(CommandError, match=sentence):
            call_command("bitbucket_simulator", port=port)


@pytest.mark.usefixtures("switched_on")
def test_a_port_that_can_not_be_is_said_in_a_sentence() -> None:
    with pytest.raises(CommandError, match=r"^Port 99999 can't be used: it isn't between 0 and"):
        call_command("bitbucket_simulator", port=99999)


@pytest.mark.usefixtures("switched_on")
@pytest.mark.parametrize(
    ("kind", "context_path", "words"),
    [("cloud", "/bitbucket", "Cloud has none"), ("data-center", "/a?b", "is no context path")],
)
def test_a_context_path_that_can_not_be_is_said_in_a_sentence(kind: str, context_path: str, words: str) -> None:
    with pytest.raises(CommandError, match=rf"{words}.*\.$"):
        call_command("bitbucket_simulator", port=0, kind=kind, context_path=context_path)


@pytest.mark.usefixtures("switched_on")
@pytest.mark.parametrize(
    ("options", "below", "challenge"),
    [
        ([], "/site/oauth2/authorize", ""),
        (
            ["--kind=data-center", "--context-path=/bitbucket"],
            "/rest/oauth2/latest/authorize",
            f"&scope=PUBLIC_REPOS&code_challenge={'c' * 43}",
        ),
    ],
)
def test_it_runs_until_it_is_interrupted(options: list[str], below: str, challenge: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", RUN, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        told = ""
        while "Ctrl-C" not in told:
            line = process.stdout.readline()
            assert line, process.communicate()
            told += line
        found = re.search(r"is at (\S+)\n", told)
        assert found
        assert f"{found[1]}/_simulator/" in told
        assert f'"CLIENT_ID": "{SIMULATOR_CLIENT_ID}"' in told
        assert f'"CLIENT_SECRET": "{SIMULATOR_CLIENT_SECRET}"' in told
        connection = HTTPConnection(urlsplit(found[1]).netloc, timeout=5)
        query = f"client_id={SIMULATOR_CLIENT_ID}&response_type=code&redirect_uri=http://localhost"
        statuses = []
        for uri in (":8000/callback/", ":8000/other/"):
            connection.request("GET", f"{urlsplit(found[1]).path}{below}?{query}{uri}{challenge}")
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        assert statuses == [200, 400]
        connection.close()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (out, err, process.returncode) == ("Stopped.\n", "", 0)
