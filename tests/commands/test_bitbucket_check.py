"""``manage.py bitbucket_check``: what to enter at Bitbucket, field by field, and a new pair of keys."""

from __future__ import annotations

import io
import os
import re
import resource
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

import django_bitbucket_auth
from django_bitbucket_auth.bitbucket import CloudProvider, DataCenterOAuth1Provider
from django_bitbucket_auth.management.commands.bitbucket_check import Command
from django_bitbucket_auth.oauth import rsa_keys
from django_bitbucket_auth.testing.keys import SIMULATOR_RSA_KEY, SIMULATOR_RSA_PUBLIC_KEY

SITE = "--site=https://shop.example.com"
GIT = "https://git.example.com/bitbucket"
CANARY = "canary-secret"
DATA_CENTER = {"KIND": "data-center", "BASE_URL": GIT}
OAUTH1 = {"KIND": "data-center-oauth1", "BASE_URL": GIT, "RSA_KEY": SIMULATOR_RSA_KEY}
HMAC = {"KIND": "data-center-oauth1", "BASE_URL": GIT, "SIGNATURE_METHOD": "HMAC-SHA1"}


class Own(CloudProvider):
    """A project's own kind."""

    default_scopes = ("people", "teams")


class OwnSigned(DataCenterOAuth1Provider):
    """One of OAuth 1.0a."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for alias in ("", "DC_"):
        for name in ("ID", "SECRET"):
            monkeypatch.delenv(f"BITBUCKET_{alias}CLIENT_{name}", raising=False)


def attempt(providers: Any, *arguments: str) -> tuple[str, CommandError | None]:
    """What is printed when nobody is asked, and how it ended."""
    out = io.StringIO()
    with override_settings(BITBUCKET_AUTH=providers):
        try:
            call_command("bitbucket_check", "--offline", *arguments, stdout=out)
        except CommandError as error:
            return out.getvalue(), error
    return out.getvalue(), None


def run(providers: Any, *arguments: str) -> str:
    out, error = attempt(providers, *arguments)
    assert error is None, error
    return out


def refused(providers: Any, *arguments: str) -> str:
    """Why nothing at all was printed."""
    out, error = attempt(providers, *arguments)
    assert out == ""
    assert error is not None and error.returncode == 1
    return str(error)


def fields(out: str) -> dict[str, str]:
    """Name → value, in their order."""
    found = re.findall(r"^  (\S.*?) {2,}(\S.*)$", out, re.MULTILINE)
    assert len(found) == len({name for name, _ in found})
    return dict(found)


# -- what to enter -----------------------------------------------------------------------------------------------------


def test_without_any_setting_it_says_what_to_enter_at_bitbucket_cloud() -> None:
    assert run(None, SITE) == (
        "default (cloud): https://bitbucket.org\n"
        "\n"
        "Workspace settings > OAuth clients > Add client "
        "(https://bitbucket.org/{workspace}/workspace/settings/oauth-clients):\n"
        "\n"
        "  Name                a name that people recognise when Bitbucket asks them\n"
        '  Authorization code  ticked ("Refresh token" ticks itself)\n'
        "  Callback URL        https://shop.example.com/bitbucket/callback/\n"
        '  Scopes              Account: Read ("Email" ticks itself)\n'
        "\n"
        "Then, in the environment of your site (or in a file that ..._FILE names):\n"
        "\n"
        "  BITBUCKET_CLIENT_ID      the key\n"
        "  BITBUCKET_CLIENT_SECRET  the secret, which is shown this once\n"
        "\n"
        "* The callback URL is compared to the letter: enter it as it stands here.\n"
        "* Not set yet: BITBUCKET_CLIENT_ID, BITBUCKET_CLIENT_SECRET.\n"
        "\n"
    )


def test_more_scopes_of_cloud_are_more_boxes() -> None:
    scopes = ["account", "email", "repository", "pullrequest:write", "pipeline:variable", "webhook"]
    assert fields(run({"default": {"SCOPES": scopes}}))["Scopes"] == (
        'Account: Read ("Email" ticks itself), Repositories: Read, Pull requests: Write, pipeline:variable, webhook'
    )


def test_a_data_center_gets_an_external_application() -> None:
    out = run({"git-lab": DATA_CENTER}, SITE)
    assert out.startswith(f"git-lab (data-center): {GIT}\n")
    assert "> Application links > Create link > External application > Incoming:" in out
    assert list(fields(out).items()) == [
        ("Name", "a name that people recognise when Bitbucket asks them"),
        ("Redirect URL", "https://shop.example.com/bitbucket/git-lab/callback/"),
        ("Application permissions", 'none ticked ("View public projects and repositories" needs none)'),
        ("BITBUCKET_GIT_LAB_CLIENT_ID", "Client ID"),
        ("BITBUCKET_GIT_LAB_CLIENT_SECRET", "Client secret"),
    ]
    assert "7.20 or later" in out


@pytest.mark.parametrize(
    ("scopes", "boxes"),
    [
        (["PUBLIC_REPOS", "REPO_WRITE", "PROJECT_ADMIN"], "Repositories: Write, Projects: Admin"),
        (["SYSTEM_ADMIN", "NEW_ONE"], "System admin: Write, NEW_ONE"),
        ([], "those that your site calls the API with; to sign people in, none"),
    ],
)
def test_scopes_of_a_data_center_are_boxes(scopes: list[str], boxes: str) -> None:
    assert fields(run({"dc": {**DATA_CENTER, "SCOPES": scopes}}))["Application permissions"] == boxes


def test_a_data_center_by_oauth1_gets_an_application_link_with_the_public_key() -> None:
    out = run({"dc": {**OAUTH1, "CLIENT_ID": "shop-key"}}, SITE)
    assert "> Application links > Create link > Atlassian product:" in out
    assert "Incoming authentication" in out
    assert list(fields(out).items()) == [
        ("Application URL", "https://shop.example.com"),
        ("Application name", "a name that people recognise when Bitbucket asks them"),
        ("Application type", "Generic application"),
        ("Create incoming link", "ticked; all other fields stay empty"),
        ("Consumer key", "shop-key"),
        ("Consumer name", "a name that people recognise when Bitbucket asks them"),
        ("Public key", "all of this:"),
        ("Consumer callback URL", "https://shop.example.com/bitbucket/dc/callback/"),
        ("Allow 2-legged OAuth", "not ticked"),
        ("BITBUCKET_DC_CLIENT_ID", "the consumer key"),
    ]
    # At the margin, so that it can be copied; and nothing else is asked for.
    assert f"\n\n{SIMULATOR_RSA_PUBLIC_KEY}\n" in out
    assert "Not set yet" not in out


def test_who_signs_with_a_secret_enters_that_and_no_key() -> None:
    out = run({"dc": HMAC})
    found = fields(out)
    assert found["Consumer key"] == "a word of your choice, which goes into BITBUCKET_DC_CLIENT_ID as well"
    assert found["Shared secret"] == "what BITBUCKET_DC_CLIENT_SECRET holds"
    assert "Public key" not in found
    assert found["BITBUCKET_DC_CLIENT_SECRET"] == "the shared secret"
    assert "this Bitbucket takes RSA-SHA1 alone" in out
    assert "this Bitbucket takes RSA-SHA1 alone" not in run({"dc": OAUTH1})


@pytest.mark.parametrize("keys", [{}, {"SIGNATURE_METHOD": "RSA-SHA1", "RSA_KEY": SIMULATOR_RSA_KEY}])
def test_cloud_by_oauth1_is_sent_to_oauth2(keys: dict[str, str]) -> None:
    out = run({"default": {"KIND": "cloud-oauth1", **keys}}, SITE)
    assert "has not taken OAuth 1.0a since early 2026" in out
    assert "Use KIND='cloud'" in out
    as_cloud = run({"default": {"KIND": "cloud"}}, SITE)
    assert fields(out) == fields(as_cloud)


def test_cloud_by_oauth1_elsewhere_is_told_what_it_needs() -> None:
    there = {"KIND": "cloud-oauth1", "BASE_URL": "http://127.0.0.1:8010", "API_URL": "http://127.0.0.1:8010"}
    out = run({"default": there}, SITE)
    assert "early 2026" not in out
    assert fields(out)["Callback URL"] == "https://shop.example.com/bitbucket/callback/"
    assert fields(out)["Shared secret"] == "what BITBUCKET_CLIENT_SECRET holds"


def test_a_kind_of_ones_own_is_told_callback_and_scopes() -> None:
    found = fields(run({"default": {"KIND": f"{__name__}.Own"}}, SITE))
    assert found["Callback URL"] == "https://shop.example.com/bitbucket/callback/"
    assert found["Scopes"] == "people teams"
    found = fields(run({"default": {"KIND": f"{__name__}.Own", "SCOPES": []}}))
    assert found["Scopes"] == "those that it takes to tell who people are"


def test_a_kind_of_ones_own_that_signs_is_told_callback_and_public_key() -> None:
    out = run({"dc": {**OAUTH1, "KIND": f"{__name__}.OwnSigned", "CLIENT_ID": "shop-key"}}, SITE)
    assert list(fields(out)) == [
        "Consumer key",
        "Consumer name",
        "Public key",
        "Callback URL",
        "BITBUCKET_DC_CLIENT_ID",
    ]
    assert SIMULATOR_RSA_PUBLIC_KEY in out


# -- the callback URL --------------------------------------------------------------------------------------------------


def test_a_site_that_is_not_told_is_asked_for() -> None:
    out = run({"dc": OAUTH1})
    assert fields(out)["Application URL"] == "https://<your site>"
    assert fields(out)["Consumer callback URL"] == "https://<your site>/bitbucket/dc/callback/"
    assert "--site https://shop.example.com" in out


def test_a_callback_url_that_is_set_counts() -> None:
    providers = {"dc": {**OAUTH1, "CALLBACK_URL": "https://portal.example.com:8443/sign-in/callback"}}
    for arguments in ((), ("--site=https://portal.example.com:8443",)):
        out = run(providers, *arguments)
        assert fields(out)["Application URL"] == "https://portal.example.com:8443"
        assert fields(out)["Consumer callback URL"] == "https://portal.example.com:8443/sign-in/callback"
        assert "--site" not in out
    assert "CALLBACK_URL is set, and counts instead of --site." in run(providers, SITE)


@pytest.mark.parametrize(
    ("site", "address"),
    [
        ("https://Shop.Example.com:443/", "https://shop.example.com"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://faß.example", "https://xn--fa-hia.example"),
    ],
)
def test_the_site_is_written_as_browsers_write_it(site: str, address: str) -> None:
    out = run(None, f"--site={site}")
    assert fields(out)["Callback URL"] == f"{address}/bitbucket/callback/"
    assert "plain http" not in out


@pytest.mark.parametrize(
    "site",
    [
        "",
        "shop.example.com",
        "ftp://shop.example.com",
        "https://shop.example.com/app",
        "https://shop.example.com?a=b",
        "https://user:canary-secret@shop.example.com",
        "https://shop.example.com:99999",
        "https://[::1",
    ],
)
def test_what_is_no_address_of_a_site_is_refused(site: str) -> None:
    message = refused(None, f"--site={site}")
    assert message.startswith("--site isn't the address of a site")
    assert CANARY not in message


def test_plain_http_is_for_this_machine_or_for_those_who_allow_it() -> None:
    dc = {"KIND": "data-center", "BASE_URL": "http://git.example.com", "ALLOW_HTTP": True}
    out = run({"default": {}, "dc": dc}, "--site=http://shop.example.com")
    cloud, _, allowed = out.partition("dc (data-center)")
    assert "plain http" in cloud and "(localhost)" in cloud and "ALLOW_HTTP" in cloud
    assert "plain http" not in allowed
    assert "plain http" in run({"default": {**DATA_CENTER}}, "--site=http://shop.example.com")


# -- several, and what is wrong with them ------------------------------------------------------------------------------


def titles(out: str) -> list[str]:
    return re.findall(r"^(\S+) \(.+\): ", out, re.MULTILINE)


def test_all_providers_are_shown_in_their_order_or_those_that_are_named() -> None:
    providers = {"default": {}, "dc": DATA_CENTER, "old": OAUTH1}
    out = run(providers, SITE)
    assert titles(out) == ["default", "dc", "old"]
    assert re.findall(r"https://shop\.example\.com/\S+", out) == [
        f"https://shop.example.com/bitbucket/{where}callback/" for where in ("", "dc/", "old/")
    ]
    assert titles(run(providers, "old", "default", "old")) == ["old", "default"]


def test_what_is_wrong_is_said_as_the_checks_say_it_and_the_others_are_shown() -> None:
    providers = {"bad": {"KINDD": "cloud", "PKCE": "no"}, "default": {}, "worse": {"KIND": "data-center"}}
    out, error = attempt(providers)
    assert titles(out) == ["default"]
    assert "bad\n\n(bitbucket_auth.E002) BITBUCKET_AUTH['bad'] has the unknown key 'KINDD'. Remove it" in out
    assert "\n(bitbucket_auth.E003) BITBUCKET_AUTH['bad']['PKCE'] isn't True or False. See PKCE" in out
    assert "\n\nworse\n\n(bitbucket_auth.E019) BITBUCKET_AUTH['worse'] has no BASE_URL. Say where" in out
    assert error is not None and error.returncode == 1
    assert str(error) == "Settings to be corrected, as said above: bad, worse."
    assert attempt(providers, "default")[1] is None


def test_on_the_command_line_no_check_comes_before_it_and_the_exit_status_is_1() -> None:
    out, err = io.StringIO(), io.StringIO()
    with override_settings(BITBUCKET_AUTH={"default": {"PKCE": "no"}}), pytest.raises(SystemExit) as caught:
        Command(stdout=out, stderr=err, no_color=True).run_from_argv(["manage.py", "bitbucket_check", "--offline"])
    assert caught.value.code == 1
    assert out.getvalue().startswith("default\n\n(bitbucket_auth.E003) ")
    assert err.getvalue() == "CommandError: Settings to be corrected, as said above: default.\n"


@pytest.mark.parametrize(
    ("providers", "said"),
    [([], "BITBUCKET_AUTH isn't a dictionary."), ({}, "BITBUCKET_AUTH has no provider 'default'.")],
)
def test_a_setting_that_is_wrong_as_a_whole_is_said(providers: Any, said: str) -> None:
    out, error = attempt(providers)
    assert out.startswith(f"default\n\n(bitbucket_auth.E001) {said} ")
    assert error is not None
    assert refused(providers, "dc")


def test_an_unknown_alias_is_refused_and_the_known_ones_are_named() -> None:
    assert refused({"default": {}, "dc": DATA_CENTER}, "dc", "cd") == (
        "BITBUCKET_AUTH has no provider 'cd'. Use one of 'default', 'dc', or add it."
    )


def test_a_key_without_settings_is_a_problem_that_names_new_key() -> None:
    out, error = attempt({"dc": {"KIND": "data-center-oauth1", "BASE_URL": GIT}})
    assert "(bitbucket_auth.E020)" in out and "--new-key" in out
    assert error is not None


def test_what_can_not_be_read_is_said_beside_the_form(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BITBUCKET_DC_CLIENT_ID_FILE", str(tmp_path / "absent"))
    out, error = attempt({"dc": {**OAUTH1, "RSA_KEY": str(tmp_path / "absent.pem")}})
    assert fields(out)["Public key"] == "the public half of RSA_KEY, once that can be read"
    assert fields(out)["Consumer key"].startswith("a word of your choice")
    assert "\n\n(bitbucket_auth.E011) CLIENT_ID of the provider 'dc' can't be read" in out
    assert "\n(bitbucket_auth.E020) RSA_KEY of the provider 'dc' can't be used: there is no file of this name" in out
    assert "Not set yet" not in out
    assert error is not None


def test_urls_that_are_not_included_are_said() -> None:
    with override_settings(ROOT_URLCONF="django.contrib.auth.urls"):
        out, error = attempt({"default": {}, "dc": {**DATA_CENTER, "CALLBACK_URL": "https://shop.example.com/cb/"}})
    assert out.startswith("default\n\n(bitbucket_auth.E013) The URLs of django_bitbucket_auth aren't included")
    assert titles(out) == ["dc"]
    assert str(error) == "Settings to be corrected, as said above: default."


def test_credentials_that_are_not_set_yet_are_no_problem_and_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    providers = {"dc": DATA_CENTER}
    monkeypatch.setenv("BITBUCKET_DC_CLIENT_ID", "an-id")
    assert "Not set yet: BITBUCKET_DC_CLIENT_SECRET." in run(providers)
    monkeypatch.setenv("BITBUCKET_DC_CLIENT_SECRET", CANARY)
    assert "Not set yet" not in run(providers)


def test_no_secret_is_shown() -> None:
    secrets = {"CLIENT_ID": "shop-key", "CLIENT_SECRET": CANARY, "PROXIES": {"https": f"http://me:{CANARY}@proxy:3128"}}
    kinds: list[dict[str, Any]] = [{}, {"KIND": "cloud-oauth1"}, DATA_CENTER, OAUTH1, HMAC, {"KIND": f"{__name__}.Own"}]
    providers = {f"p{place}": {**kind, **secrets} for place, kind in enumerate(kinds)}
    providers["bad"] = {**OAUTH1, **secrets, "PKCE": CANARY, "BASE_URL": f"https://me:{CANARY}@git.example.com"}
    providers["torn"] = {**OAUTH1, **secrets, "RSA_KEY": SIMULATOR_RSA_KEY.replace("\n", "", 3)[:-40]}
    out, error = attempt(providers, SITE)
    assert len(titles(out)) == len(kinds) + 1
    everything = f"{out}{error}"
    assert CANARY not in everything
    assert "PRIVATE KEY" not in everything.replace("-----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----", "")
    assert [line for line in SIMULATOR_RSA_KEY.splitlines()[1:-1] if line in everything] == []


def test_colours_are_only_where_they_are_wanted() -> None:
    providers = {"default": {}, "bad": {"PKCE": "no"}}
    plain, _ = attempt(providers, "--no-color")
    coloured, _ = attempt(providers, "--force-color")
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain != coloured


# -- a new pair of keys ------------------------------------------------------------------------------------------------


def test_a_new_key_is_written_and_its_public_half_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old = os.umask(0o777)
    try:
        out = run({}, "--new-key", "site.pem")  # no provider is needed
    finally:
        os.umask(old)
    path = tmp_path / "site.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    private = path.read_text()
    assert rsa_keys.load(private).key_size == 2048
    assert f"\n\n{rsa_keys.public_key(private)}\n" in out
    assert f'"RSA_KEY": "{path}",\n' in out
    assert "PRIVATE KEY" not in out
    assert [line for line in private.splitlines() if line in out] == []
    # What it says to put into the settings works, and asks for that very key.
    assert rsa_keys.public_key(private) in run({"dc": {**OAUTH1, "RSA_KEY": str(path)}})


@pytest.mark.parametrize("there", ["a file", "a dangling link", "a folder"])
def test_nothing_that_is_there_is_overwritten(there: str, tmp_path: Path) -> None:
    path = tmp_path / "site.pem"
    match there:
        case "a file":
            path.write_text("a key in use")
        case "a dangling link":
            path.symlink_to(tmp_path / "planted.pem")
        case _:
            path.mkdir()
    before = path.lstat()
    assert refused({}, f"--new-key={path}") == (
        f"{path} exists. Choose another name: a key that is in use must not be lost."
    )
    assert (path.lstat(), list(tmp_path.iterdir())) == (before, [path])


@pytest.mark.parametrize(("name", "why"), [("absent/site.pem", "No such file"), ("x" * 300, "File name too long")])
def test_a_file_that_can_not_be_made_is_an_error_that_says_why(name: str, why: str, tmp_path: Path) -> None:
    message = refused({}, f"--new-key={tmp_path / name}")
    assert message.startswith(f"{tmp_path / name} can't be written: {why}")
    assert "Its folder has to exist" in message


@pytest.mark.parametrize("name", ["MEDIA_ROOT", "STATIC_ROOT"])
def test_what_the_site_serves_is_no_place_for_a_key(name: str, tmp_path: Path) -> None:
    served = tmp_path / "served"
    (served / "keys").mkdir(parents=True)
    (tmp_path / "link").symlink_to(served / "keys")
    with override_settings(**{name: str(served)}):
        for folder in (served, served / "keys", tmp_path / "link", tmp_path / "link" / ".."):
            assert f"under {name}" in refused({}, f"--new-key={folder / 'site.pem'}")
    assert list(served.rglob("*.pem")) == []


@pytest.mark.parametrize("prefixed", [False, True])
def test_nor_is_what_is_copied_to_where_it_is_served(prefixed: bool, tmp_path: Path) -> None:
    """`collectstatic` would publish it, readable for everybody."""
    with override_settings(STATICFILES_DIRS=[("keys", str(tmp_path)) if prefixed else str(tmp_path)]):
        assert "under STATICFILES_DIRS" in refused({}, f"--new-key={tmp_path / 'site.pem'}")
    static = Path(django_bitbucket_auth.__file__).parent / "static" / "site.pem"
    assert "static folder of bitbucket_auth" in refused({}, f"--new-key={static}")
    assert not static.exists() and list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_a_key(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        message = refused({}, f"--new-key={tmp_path / 'site.pem'}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "can't be written: File too large" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argument", ["dc", SITE])
def test_a_new_key_stands_alone(argument: str, tmp_path: Path) -> None:
    assert "stands alone" in refused({"dc": DATA_CENTER}, f"--new-key={tmp_path / 'site.pem'}", argument)
    assert list(tmp_path.iterdir()) == []
