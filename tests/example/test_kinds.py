"""The example with each kind of Bitbucket: the whole walk, and what its pages and its job make of a Data Center."""

import json
import re
from collections.abc import Iterator
from functools import partial
from html import unescape
from io import StringIO
from subprocess import CompletedProcess
from urllib.parse import quote

import pytest
import run
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from example.sites import STEERING, served, settings_with, site_of
from kinds import KINDS, Kind
from servers import ServerProblem
from test_guards import later
from walkthrough import Walk

from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, Repository, log_in, override_provider

PAGE = "/repositories/"


def report(*place: str) -> str:
    from website.management.commands.workspace_report import Command

    said = StringIO()
    call_command(Command(), *place, stdout=said)
    return said.getvalue()


# -- all of it ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_with_each_kind_a_person_signs_in_uses_the_api_is_refused_and_comes_back(
    kind: Kind, transactional_db: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def job() -> CompletedProcess[str]:
        return CompletedProcess([], 0, report(kind.project))

    with site_of(kind.name, kind.context_path) as simulator, served() as site:
        person = Walk(kind, site, simulator.url, job, 300, partial(later, monkeypatch)).go()
    said = capsys.readouterr().out
    assert (person["Name"], person["E-mail"]) == ("Jane Doe", f"jane@example.com {kind.address}")
    # What a kind hasn't got is no step that was done.
    steps, left_out = (17, 2) if kind.is_oauth1 else (20, 0)
    more = (0, 1) if kind.is_data_center else (8, 0)
    # How somebody leaves: at the last one all that is seen is that no token is good any more.
    steps += 1 if kind.name == "data-center-oauth1" else 2
    assert (said.count("✓"), said.count("  - ")) == (steps + more[0], left_out + more[1])


@pytest.mark.django_db
def test_there_are_pages_for_members_and_owners_where_the_site_belongs_to_a_workspace(client: Client) -> None:
    with site_of("cloud") as bitbucket:
        for path in ("/members/", "/owners/"):
            assert client.get(path).headers["Location"] == f"/bitbucket/login/?next={quote(path, safe='')}"
        log_in(client, "jane")
        assert '"/members/"' in client.get("/private/").content.decode()
        assert all(f'"{path}"' in client.get("/").content.decode() for path in ("/members/", "/owners/"))
        assert "Only members of the workspace see this." in client.get("/members/").content.decode()
        assert client.get("/owners/").status_code == 403
        bitbucket.join("jane", "acme", "owner")
        assert "Only owners of the workspace see this." in client.get("/owners/").content.decode()
        with override_provider("default", WORKSPACES=["*"]):
            assert client.get("/members/").status_code == client.get("/owners/").status_code == 404
            assert '"/members/"' not in client.get("/private/").content.decode()
            assert '"/owners/"' not in client.get("/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/members/", "/owners/"])
def test_who_has_a_password_and_no_account_at_bitbucket_is_no_member(path: str, client: Client) -> None:
    with site_of("cloud"):
        local = User.objects.create_user("local")
        client.force_login(local, "django.contrib.auth.backends.ModelBackend")
        assert client.get(path).headers["Location"].startswith("/bitbucket/login/?next=")


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_who_leaves_is_out_within_the_time_that_the_settings_say(
    kind: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site_of(kind, "/bitbucket" if "data-center" in kind else "") as bitbucket:
        log_in(client, "jane")
        assert client.get("/private/").status_code == 200
        bitbucket.leave("jane", "acme")
        bitbucket.deactivate("jane")
        later(monkeypatch, 300)
        assert client.get("/private/").status_code != 200


# -- how it is set up --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(databases=["default", "other"])  # Django asks each whether it knows JSON
@pytest.mark.parametrize("kind", KINDS)
def test_the_system_checks_have_nothing_to_say_about_any_kind(kind: str) -> None:
    settings = settings_with(BITBUCKET_KIND=kind, BITBUCKET_SIMULATOR="1")
    names = ("BITBUCKET_AUTH", "SILENCED_SYSTEM_CHECKS", "ROOT_URLCONF", "TEMPLATES", "MIDDLEWARE")
    with override_settings(**{name: settings[name] for name in names}):
        assert [message for message in run_checks(app_configs=None) if not message.is_silenced()] == []


def test_a_data_center_is_named_by_the_environment_and_vouches_for_no_address_by_itself() -> None:
    named = {"BITBUCKET_BASE_URL": "https://git.example.com/bitbucket", "BITBUCKET_RSA_KEY": "/run/secrets/key.pem"}
    assert settings_with(BITBUCKET_KIND="data-center", **named)["BITBUCKET_AUTH"]["default"] == {
        "KIND": "data-center",
        "BASE_URL": "https://git.example.com/bitbucket",
        "TRUST_EMAILS": [],
        "SCOPES": ["REPO_READ"],
        "RECHECK": 300,
    }
    trusting = settings_with(
        BITBUCKET_KIND="data-center-oauth1", BITBUCKET_TRUST_EMAILS="example.com,example.org", **named
    )
    assert trusting["BITBUCKET_AUTH"]["default"] == {
        "KIND": "data-center-oauth1",
        "BASE_URL": "https://git.example.com/bitbucket",
        "TRUST_EMAILS": ["example.com", "example.org"],
        "RSA_KEY": "/run/secrets/key.pem",
        "RECHECK": 300,
    }


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("cloud", {}, "BITBUCKET_CLIENT_ID is not set: put BITBUCKET_CLIENT_ID and BITBUCKET_CLIENT_SECRET into"),
        ("cloud-oauth1", {"ID": "id", "SECRET": "secret"}, "Bitbucket Cloud has taken no OAuth 1.0a since early 2026"),
        ("data-center", {"ID": "id", "SECRET": "secret"}, "BITBUCKET_BASE_URL is not set: put BITBUCKET_BASE_URL, "),
        ("data-center", {"BASE_URL": "https://git.example.com", "ID_FILE": "id"}, "BITBUCKET_CLIENT_SECRET is not set"),
        ("data-center-oauth1", {"BASE_URL": "https://git.example.com", "ID": "id"}, "BITBUCKET_RSA_KEY is not set"),
    ],
)
def test_what_a_real_bitbucket_needs_is_said_in_a_sentence(
    kind: str, given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in STEERING:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(f"BITBUCKET_{'' if name == 'BASE_URL' else 'CLIENT_'}{name}", value)
    options = run.parse(["--real", "--provider", kind])
    with pytest.raises(ServerProblem) as raised:
        run.require_registration(KINDS[options.provider])
    assert str(raised.value).startswith(said)


def test_by_a_signature_no_secret_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in STEERING:
        monkeypatch.delenv(name, raising=False)
    for name in ("BASE_URL", "CLIENT_ID"):
        monkeypatch.setenv(f"BITBUCKET_{name}", "given")
    kind = KINDS["data-center-oauth1"]
    with pytest.raises(ServerProblem, match="BITBUCKET_RSA_KEY"):
        run.require_registration(kind)
    monkeypatch.setenv("BITBUCKET_RSA_KEY", "given")
    run.require_registration(kind)


def test_who_asks_for_another_kind_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.parse(["--provider", "server"])
    assert "'data-center-oauth1'" in capsys.readouterr().err


def test_a_check_leaves_a_database_alone_that_has_something_in_it(db: None) -> None:
    from website.management.commands.migrate_empty import Command

    call_command(Command())
    User.objects.create_user("somebody")
    with pytest.raises(CommandError, match=r"isn't empty: auth_user has rows, which the check would throw away"):
        call_command(Command())
    assert User.objects.count() == 1


# -- the pages with a Data Center --------------------------------------------------------------------------------------


@pytest.fixture
def data_center(db: None) -> Iterator[BitbucketSimulator]:
    with site_of("data-center", "/bitbucket") as simulator:
        yield simulator


@pytest.fixture
def jane(data_center: BitbucketSimulator, client: Client) -> Client:
    """Her browser, signed in."""
    assert log_in(client).url == "/profile/"
    return client


def look(client: Client, path: str = PAGE, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status
    return unescape(response.content.decode())


def in_order(page: str, *words: str) -> bool:
    """Whether each stands somewhere behind the one before."""
    return re.search(".*".join(map(re.escape, words)), page, re.DOTALL) is not None


def test_an_address_of_the_directory_is_said_to_be_trusted(jane: Client) -> None:
    page = look(jane, "/profile/")
    assert 'jane@example.com <span class="tag">trusted</span>' in page
    assert "This site trusts those of certain domains" in page
    assert User.objects.get().email == "jane@example.com"


def test_an_address_that_nobody_vouches_for_is_said_not_to_be_confirmed(
    data_center: BitbucketSimulator, client: Client
) -> None:
    with override_provider("default", TRUST_EMAILS=["example.org"]):
        log_in(client)
    page = look(client, "/profile/")
    assert 'jane@example.com <span class="tag quiet">not confirmed</span>' in page
    assert "This site doesn't take yours for proved." in page
    assert User.objects.get().email == ""


def test_who_has_no_address_is_said_to_have_none(data_center: BitbucketSimulator, client: Client) -> None:
    data_center.person("jane").emails.clear()
    log_in(client)
    page = look(client, "/profile/")
    assert "<dd>no address</dd>" in page
    assert "TRUST_EMAILS" not in page


def test_a_person_sees_repositories_by_their_projects_in_the_order_of_last_use(
    data_center: BitbucketSimulator, jane: Client
) -> None:
    data_center.repositories.sort(key=lambda one: one.name)  # as if that were the order of use
    page = look(jane)
    assert "What you used last stands first." in page
    assert in_order(page, "Acme Widgets", "Deploy tools", ">private<", "Style guide", "Web shop", "Globex", "Docs")
    assert in_order(page, "Where the widgets are sold", "Globex", "Docs", ">public<", "For everybody")
    assert page.count("<h2>") == 2
    assert "Secret plans" not in page
    (asked,) = data_center.requests_to("repositories")
    assert asked.query == {"limit": "51"}


def test_of_many_repositories_fifty_are_shown(data_center: BitbucketSimulator, jane: Client) -> None:
    assert "Bitbucket has more" not in look(jane)
    for number in range(60):
        data_center.add_repository(Repository("acme", f"r{number}"))
    page = look(jane)
    assert page.count("<h3>") == 50
    assert "These 50 you used last. Bitbucket has more." in page


def test_who_has_used_none_is_told_so(data_center: BitbucketSimulator, jane: Client) -> None:
    data_center.repositories.clear()
    assert in_order(look(jane), "<h2>No repositories</h2>", "You haven't looked at any in Bitbucket lately.")


def test_what_a_data_center_leaves_out_or_says_oddly_is_left_out(data_center: BitbucketSimulator, jane: Client) -> None:
    pages = {"A": "https://git.example.com/a", "B": "javascript:alert(1)", "C": "http://git.example.com/c"}
    good = [
        {"name": name, "project": {"key": "P"}, "links": {"self": [{"href": url}]}, "public": True}
        for name, url in pages.items()
    ]
    odd: list[object] = [None, "text", {"name": 7, "project": [], "links": {"self": []}, "public": 1}]
    data_center.answer("repositories", body=json.dumps({"values": [*good, *odd]}))
    page = look(jane)
    assert in_order(page, "<h2>P</h2>", ">A</a>", "B", "C", "<h2>Without a project</h2>", "without a name", ">private<")
    assert '<a href="https://git.example.com/a" rel="noreferrer">A</a>' in page
    assert (page.count('rel="noreferrer"'), page.count(">public<"), page.count("Updated")) == (1, 3, 0)
    assert "javascript" not in page


def test_who_has_withdrawn_the_access_is_not_taken_for_a_stranger_who_sees_what_is_public(
    data_center: BitbucketSimulator, jane: Client
) -> None:
    for anonymous in (True, False):
        data_center.rules.refused_token_is_anonymous = anonymous
        data_center.revoke("jane")
        page = look(jane, status=403)
        assert "Bitbucket has ended this site's access" in page
        assert "Docs" not in page


# -- the job with a Data Center ----------------------------------------------------------------------------------------


def test_the_job_reports_on_a_project_and_keeps_its_token(data_center: BitbucketSimulator) -> None:
    expected = "ACME: 3 repositories\n  Web shop (private)\n  Deploy tools (private)\n  Style guide (private)\n"
    assert [report("ACME"), report("acme")] == [expected, expected.replace("ACME", "acme")]
    assert len(data_center.requests_to("token")) == 1
    assert (BitbucketToken.objects.get().grant, BitbucketAccount.objects.count()) == ("client_credentials", 0)


def test_without_a_key_the_job_reports_on_all_projects(data_center: BitbucketSimulator) -> None:
    assert in_order(report(), "Acme Widgets: 3 repositories", "Globex: 1 repository", "Docs (public)")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("NOBODYS", "doesn't show this project to the OAuth client of this site: Project NOBODYS does not exist"),
        ("GLOBEX", "doesn't show this project to the OAuth client of this site: You are not permitted"),
        ("../x", "can't be the name of a project: use its key"),
    ],
)
def test_what_is_wrong_with_a_project_is_said_in_a_sentence(
    key: str, said: str, data_center: BitbucketSimulator
) -> None:
    data_center.repositories = [one for one in data_center.repositories if one.is_private]
    with pytest.raises(CommandError, match=re.escape(said)):
        report(key)


def test_an_application_that_gets_into_no_project_is_told_so(data_center: BitbucketSimulator) -> None:
    data_center.repositories.clear()
    data_center.client.workspace = "gone"
    with pytest.raises(CommandError, match="can't get into any project"):
        report()


@pytest.mark.parametrize("kind", ["cloud-oauth1", "data-center-oauth1"])
def test_by_oauth_1_the_job_says_that_an_application_has_no_token(kind: str, db: None) -> None:
    with (
        site_of(kind),
        pytest.raises(CommandError, match=r"speaks OAuth 1\.0a, which has no grant 'client_credentials'"),
    ):
        report("acme")
