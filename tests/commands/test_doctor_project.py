"""``manage.py bitbucket_check`` as a whole: the project's findings, what is printed, JSON, exit status, no secret."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from commands.doctoring import SITE, as_json, printed
from django.db import DatabaseError, connections
from django.test import override_settings
from documented import DOCS
from oauth.loopback import Exchange, Loopback, reply
from stored import stored

from django_bitbucket_auth.management import doctor
from django_bitbucket_auth.management.doctor.findings import LEVELS
from django_bitbucket_auth.management.doctor.project import checked, keys
from django_bitbucket_auth.management.doctor.remedies import of
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.oauth.obstacles import Kind, Obstacle
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider, simulated_bitbucket
from django_bitbucket_auth.testing.keys import SIMULATOR_RSA_KEY
from django_bitbucket_auth.testing.kinds import KINDS

pytestmark = pytest.mark.django_db

CANARY = "canary-secret"
#: One that is written in other ways where it travels.
ODD = "canary+secret's/of 50%\\"
OLD, NEW = "an old key of thirty-two characters or more", "a new key of thirty-two characters or more"


@pytest.fixture(autouse=True)
def on_this_machine(settings: Any) -> None:
    """A simulator is fine here."""
    settings.SILENCED_SYSTEM_CHECKS = ["bitbucket_auth.E016", "bitbucket_auth.W004", "bitbucket_auth.W005"]


# -- the project -------------------------------------------------------------------------------------------------------


def test_the_system_checks_are_findings_and_silence_is_respected(bitbucket: BitbucketSimulator, settings: Any) -> None:
    assert [(finding.level, finding.code) for finding in checked()] == [("warning", "bitbucket_auth.W002")]
    settings.SILENCED_SYSTEM_CHECKS = []
    # An error on a server, and not a warning besides.
    assert [finding.code for finding in checked()] == [
        f"bitbucket_auth.{number}" for number in ("E016", "W002", "W005")
    ]
    settings.DEBUG = True
    assert [finding.code for finding in checked()] == [
        f"bitbucket_auth.{number}" for number in ("W002", "W004", "W005")
    ]


def test_stored_tokens_are_tried_with_the_present_keys(bitbucket: BitbucketSimulator, settings: Any) -> None:
    (finding,) = keys()
    assert (finding.level, finding.code) == ("ok", "tokens")
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [OLD]
    stored(bitbucket)
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [NEW, OLD]
    (finding,) = keys()
    assert (finding.level, finding.code) == ("note", "tokens_of_older_keys")
    assert "bitbucket_rotate_keys" in finding.next
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [NEW]
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logging.getLogger("django_bitbucket_auth").addHandler(handler)
    (finding,) = keys()
    logging.getLogger("django_bitbucket_auth").removeHandler(handler)
    assert (finding.level, finding.code) == ("error", "tokens_unreadable")
    assert finding.seen.startswith("1 of 1 stored tokens")
    assert out.getvalue() == ""


def test_keys_that_are_wrong_are_a_finding(settings: Any) -> None:
    settings.BITBUCKET_AUTH_TOKEN_KEYS = "short"
    (finding,) = keys()
    assert (finding.level, finding.code) == ("error", "keys")


def test_a_table_that_can_not_be_read_is_a_finding() -> None:
    def fail(*given: Any) -> Any:
        raise DatabaseError(CANARY)

    with connections["default"].execute_wrapper(fail):
        (finding,) = keys()
    assert (finding.level, finding.code) == ("error", "tokens_unread")
    assert "migrate" in finding.next and CANARY not in f"{finding}"


def test_a_sample_is_taken_from_both_ends(bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_bitbucket_auth.management.doctor.project.SAMPLE", 1)
    for person in ("jane", "outsider", "unconfirmed"):
        stored(bitbucket, person)
    BitbucketToken.objects.filter(account__user__username="outsider").update(sealed="1.gibberish")
    (finding,) = keys()
    assert finding.seen.startswith("1 of 3") or finding.seen.startswith("2 of 3")
    monkeypatch.setattr("django_bitbucket_auth.management.doctor.project.SAMPLE", 2)
    (finding,) = keys()
    assert finding.seen == "1 of 3 stored tokens that were tried can't be decrypted (there are 3)."


# -- what is printed ---------------------------------------------------------------------------------------------------


def test_a_person_reads_what_to_enter_what_is_configured_and_what_was_found(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", PROXIES={"https": f"http://me:{CANARY}@proxy:3128"}, WORKSPACES=["acme"]):
        out, error = printed(f"--site={SITE}")
    assert error is None
    form, _, rest = out.partition("\nConfigured:\n")
    assert f"Callback URL        {SITE}/bitbucket/callback/" in form
    configured, _, rest = rest.partition("\nFound:\n")
    assert "  PROXIES        https: http://proxy:3128\n" in configured
    assert "  CLIENT_SECRET  set\n" in configured and bitbucket.client_secret not in out
    looked_at, _, project = rest.partition("\nThe project:\n")
    assert "\nok       Bitbucket accepts the client's id and secret. [credentials]\n" in looked_at
    assert "\n         -> Put “{" in looked_at
    assert "stored tokens were tried" in project


def test_an_error_ends_with_1_and_is_named(bitbucket: BitbucketSimulator, settings: Any) -> None:
    with override_provider("default", CLIENT_SECRET=CANARY):
        _, error = printed()
    assert str(error) == "Something is wrong, as said above: default."
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    _, error = printed("--json")
    assert str(error) == "Something is wrong, as said above: default, the project."
    assert error is not None and error.returncode == 1


def test_a_warning_ends_with_0(bitbucket: BitbucketSimulator) -> None:
    assert as_json()["status"] == "warning"
    assert printed()[1] is None


def test_colours_are_only_where_they_are_wanted(bitbucket: BitbucketSimulator) -> None:
    assert "\x1b" in printed("--force-color")[0]
    assert "\x1b" not in printed("--no-color")[0]


def test_offline_asks_nobody(bitbucket: BitbucketSimulator) -> None:
    out, error = printed("--offline")
    assert error is None and "Callback URL" in out
    assert "Configured" not in out and "Found" not in out and "project" not in out
    assert bitbucket.requests == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--offline", "--conformance"], "--offline asks nobody"),
        (["--account=1"], "are for --conformance"),
        (["--refresh"], "are for --conformance"),
        (["--conformance", "--account=1", "--user=jane"], "not both"),
        (["--conformance", "--refresh"], "whose token?"),
        (["--new-key=x", "--json"], "stands alone"),
        (["--new-key=x", "--conformance"], "stands alone"),
    ],
)
def test_options_that_contradict_each_other(arguments: list[str], said: str) -> None:
    out, error = printed(*arguments)
    assert out == "" and said in str(error)


# -- for programs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_json_has_a_schema_that_stays(kind: str) -> None:
    with simulated_bitbucket(kind=kind) as bitbucket:
        told = as_json(f"--site={SITE}")
        assert set(told) == {"version", "status", "providers", "project"}
        assert told["version"] == 1 and told["status"] in LEVELS
        (provider,) = told["providers"]
        assert {name: type(value).__name__ for name, value in provider.items()} == {
            "alias": "str",
            "kind": "str",
            "base_url": "str",
            "callback_url": "str",
            "status": "str",
            "settings": "dict",
            "register": "list",
            "notes": "list",
            "findings": "list",
            "conformance": "list",
        }
        assert (provider["alias"], provider["kind"]) == ("default", kind)
        assert (provider["base_url"], provider["callback_url"]) == (bitbucket.url, f"{SITE}/bitbucket/callback/")
        assert set(provider["register"][0]) == {"where", "fields"}
        assert set(provider["register"][0]["fields"][0]) == {"name", "value"}
    for finding in [*provider["findings"], *told["project"]["findings"]]:
        assert set(finding) == {"level", "code", "seen", "next"}
        assert finding["level"] in LEVELS and finding["code"] and finding["seen"]
        assert bool(finding["next"]) or finding["level"] in ("ok", "note")


def test_json_of_settings_that_are_wrong_has_what_the_checks_say_once() -> None:
    with override_settings(BITBUCKET_AUTH={"bad": {"PKCE": "no"}}):
        told = as_json()
    (provider,) = told["providers"]
    assert (provider["kind"], provider["callback_url"], provider["register"]) == (None, None, [])
    assert [finding["code"] for finding in provider["findings"]] == ["bitbucket_auth.E003"]
    assert "bitbucket_auth.E003" not in [finding["code"] for finding in told["project"]["findings"]]
    assert told["status"] == "error"


def test_json_offline_is_what_to_enter(bitbucket: BitbucketSimulator) -> None:
    told = as_json("--offline")
    (provider,) = told["providers"]
    assert provider["register"] and provider["findings"] == told["project"]["findings"] == []
    assert provider["callback_url"] is None


# -- no secret ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_shown_whatever_fails(kind: str, settings: Any) -> None:
    everything = io.StringIO()
    handler = logging.StreamHandler(everything)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with simulated_bitbucket(kind=kind, RETRIES=0) as bitbucket:
            client = bitbucket.client
            client.client_secret = CANARY
            row = stored(bitbucket)
            token = row.reveal()
            assert token is not None
            secrets = {CANARY, token.access_token, token.refresh_token} - {""}
            secret = {"CLIENT_SECRET": CANARY}
            with override_provider("default", **secret, WORKSPACES=["acme"] if "cloud" in kind else []):
                everything.write("".join(map(str, printed("--conformance", f"--account={row.account_id}"))))
                for status in (200, 302, 400, 401, 403, 429, 503):
                    for step in ("token", "request_token", "user", "whoami", "workspaces"):
                        bitbucket.answer(step, status, body='{"error": "odd", "error_description": "odder"}')
                        everything.write("".join(map(str, printed(f"--site={SITE}"))))
                        bitbucket.heal()
            issued = {*bitbucket.vault.access, *bitbucket.vault.refresh, *bitbucket.vault.requested}
            issued |= {record.secret for record in bitbucket.vault.requested.values()}
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    seen = everything.getvalue()
    assert "Sign-in failed" not in seen
    assert [secret for secret in secrets | issued if secret in seen] == []
    assert [line for line in SIMULATOR_RSA_KEY.splitlines()[1:-1] if line in seen] == []


def test_a_server_that_repeats_what_it_was_sent_is_not_repeated() -> None:
    def echo(exchange: Exchange) -> bytes:
        if exchange.request.method == "GET":
            return reply(body='{"version": "8.19.9"}')
        sent = exchange.request.headers.get("authorization", "") + exchange.request.body.decode()
        return reply(400, json.dumps({"error": f"{sent} {ODD}", "error_description": f"{sent} {ODD}"}))

    with Loopback(echo) as server:
        for kind in ("cloud", "data-center"):
            keys = {"KIND": kind, "BASE_URL": server.url, "API_URL": server.url, "CLIENT_ID": "id"}
            with override_settings(BITBUCKET_AUTH={"default": {**keys, "CLIENT_SECRET": ODD}}):
                out = printed("--no-color")[0] + printed("--conformance")[0] + json.dumps(as_json())
            assert "grant_type=authorization_code" in out
            assert "canary" not in out and base64.b64encode(f"id:{ODD}".encode()).decode() not in out


# -- documented --------------------------------------------------------------------------------------------------------


def test_every_code_is_in_the_documentation() -> None:
    page = (DOCS / "howto" / "troubleshoot.rst").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in Path(doctor.__path__[0]).glob("*.py")]
    codes = {code for text in sources for code in re.findall(r'"(?:ok|note|warning|error)",\s*"([a-z_]+)"', text)}
    codes |= {of(Obstacle(kind, "host:1"), "").code for kind in get_args(Kind)}
    assert len(codes) > 40
    assert sorted(code for code in codes if f"``{code}``" not in page) == []
