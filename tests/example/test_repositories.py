"""The page of repositories: what it shows, what it survives, and what it says when it can't."""

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.testing import BitbucketSimulator, Repository, Workspace, override_provider

PAGE = "/repositories/"
AGAIN = '<a class="button" href="/bitbucket/login/?next=%2Frepositories%2F" rel="nofollow">'

Login = Callable[..., Any]


@pytest.fixture
def jane(site: BitbucketSimulator, client: Client, bitbucket_login: Login) -> Client:
    """Her browser, signed in."""
    assert bitbucket_login(client).url == "/profile/"
    return client


def look(client: Client, status: int = 200) -> str:
    """The page. It has the site's strict policy, nothing that the policy refuses, and isn't kept."""
    response = client.get(PAGE)
    assert response.status_code == status
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "no-store" in response.headers["Cache-Control"]
    page = response.content.decode()
    assert "<script" not in page and "style=" not in page
    return unescape(page)


def in_order(page: str, *words: str) -> bool:
    """Whether each stands somewhere behind the one before."""
    return re.search(".*".join(map(re.escape, words)), page, re.DOTALL) is not None


def answer(site: BitbucketSimulator, *values: object, endpoint: str = "repositories") -> None:
    site.answer(endpoint, body=json.dumps({"values": values}))


def test_it_is_for_members(site: BitbucketSimulator, client: Client) -> None:
    response = client.get(PAGE)
    assert (response.status_code, response.headers["Location"]) == (302, f"/bitbucket/login/?next={PAGE}")
    assert PAGE not in client.get("/").content.decode()


def test_the_menu_leads_there(jane: Client) -> None:
    assert f'<a href="{PAGE}">Repositories</a>' in jane.get("/").content.decode()
    assert f'<a href="{PAGE}" aria-current="page">Repositories</a>' in look(jane)


def test_it_changes_nothing(jane: Client) -> None:
    assert jane.post(PAGE).status_code == 405


def test_a_person_sees_what_bitbucket_shows_them(site: BitbucketSimulator, jane: Client) -> None:
    site.add_repository(Repository("acme", "robot", "Robot", language="c", updated_on="2026-11-20T08:30:00+00:00"))
    page = look(jane)
    assert in_order(page, "<h2>acme</h2>", "Robot", "Web shop", "Deploy tools", "Style guide")
    assert in_order(page, "Robot", ">private<", "<span>c</span>", "20 November 2026", "Web shop")
    assert in_order(page, "Web shop", "Where the widgets are sold", "python", "5 October 2026", "Deploy tools")
    assert "globex" not in page and "Secret plans" not in page


def test_of_several_workspaces_each_has_its_own(site: BitbucketSimulator, jane: Client) -> None:
    site.join("jane", "globex")
    page = look(jane)
    assert in_order(
        page, "<h2>acme</h2>", "Web shop", "<h2>globex</h2>", "Docs", ">public<", "Secret plans", ">private<"
    )
    asked = [request.path for request in site.requests_to("repositories")]
    assert asked == [f"/2.0/repositories/%7B{site.workspaces[slug].uuid[1:-1]}%7D" for slug in ("acme", "globex")]


def test_who_is_in_no_workspace_is_told_so(site: BitbucketSimulator, client: Client, bitbucket_login: Login) -> None:
    bitbucket_login(client, "outsider")
    assert "Bitbucket knows of no workspace that you can get into." in look(client)


def test_an_empty_workspace_is_said_to_be_empty(site: BitbucketSimulator, jane: Client) -> None:
    site.repositories.clear()
    assert "There are no repositories that you may see." in look(jane)


def test_of_many_repositories_those_are_shown_that_changed_last(site: BitbucketSimulator, jane: Client) -> None:
    for number in range(25):
        site.add_repository(Repository("acme", f"r{number}"))
    page = look(jane)
    assert page.count("<h3>") == 20
    assert "These changed last. Bitbucket has more." in page
    (request,) = site.requests_to("repositories")
    assert request.query == {"sort": "-updated_on", "pagelen": "21"}


def test_of_many_workspaces_ten_are_asked_about(site: BitbucketSimulator, jane: Client) -> None:
    assert "at most" not in look(jane)
    for number in range(12):
        site.add_workspace(Workspace(f"team-{number:02}"))
        site.join("jane", f"team-{number:02}")
    page = look(jane)
    assert page.count("<h2>") == 10
    assert "This page shows 10 workspaces at most." in page
    assert len(site.requests_to("repositories")) == 11
    assert site.requests_to("workspaces")[0].query == {"sort": "slug"}


def test_addresses_with_https_are_links_and_no_others(site: BitbucketSimulator, jane: Client) -> None:
    assert 'rel="noreferrer"' not in look(jane)  # the simulator's are http
    addresses = {"A": "https://bitbucket.org/acme/a", "B": "javascript:alert(1)", "C": "http://bitbucket.org/acme/c"}
    answer(site, *({"name": name, "links": {"html": {"href": url}}} for name, url in addresses.items()))
    page = look(jane)
    assert '<a href="https://bitbucket.org/acme/a" rel="noreferrer">A</a>' in page
    assert page.count('rel="noreferrer"') == 1
    assert "javascript" not in page


def test_what_bitbucket_leaves_out_or_says_oddly_is_left_out(site: BitbucketSimulator, jane: Client) -> None:
    odd = {"name": None, "language": 7, "links": [], "updated_on": "soon", "description": ["<b>"], "is_private": 1}
    naive = {"name": "<i>Naive</i>", "updated_on": "2026-01-01T00:00:00", "is_private": False}
    answer(site, None, "text", odd, naive, {"name": "Good", "updated_on": "2026-01-01T12:00:00Z"})
    response = jane.get(PAGE)
    assert response.status_code == 200
    page = response.content.decode()
    assert in_order(page, "Good", "1 January 2026", "without a name", "&lt;i&gt;Naive&lt;/i&gt;")
    assert (page.count("<h3>"), page.count("Updated"), page.count(">public<")) == (3, 1, 1)


def test_workspaces_without_an_id_are_not_asked_about(site: BitbucketSimulator, jane: Client) -> None:
    answer(site, None, {"workspace": {"slug": "odd"}}, endpoint="workspaces")
    assert "no workspace that you can get into" in look(jane)
    assert site.requests_to("repositories") == []


def test_a_workspace_without_a_name_goes_by_its_id(site: BitbucketSimulator, jane: Client) -> None:
    uuid = site.workspaces["acme"].uuid
    answer(site, {"workspace": {"uuid": uuid}}, endpoint="workspaces")
    assert in_order(look(jane), f"<h2>{uuid}</h2>", "Web shop")


def test_a_workspace_that_refuses_hides_no_others(site: BitbucketSimulator, jane: Client) -> None:
    site.join("jane", "globex")
    path = f"/2.0/repositories/{site.workspaces['acme'].uuid}"
    site.answer(path, 403, body='{"error": {"message": "To access this workspace, use two-step verification."}}')
    assert in_order(look(jane), "<h2>acme</h2>", "use two-step verification", "<h2>globex</h2>", "Docs")
    site.heal()
    site.answer(path, 404)
    assert in_order(look(jane), "<h2>acme</h2>", "It gave no reason.", "<h2>globex</h2>", "Docs")


def tokens_asked_for(site: BitbucketSimulator) -> list[int | None]:
    """The statuses of what was asked for by refresh tokens."""
    return [one.status for one in site.requests_to("token") if one.form["grant_type"] == "refresh_token"]


def test_nobody_notices_an_expired_token(site: BitbucketSimulator, jane: Client) -> None:
    def content() -> str:
        return look(jane).partition("<main")[2]

    before = content()
    assert "Web shop" in before
    site.expire_access_tokens("jane")
    assert content() == before
    assert content() == before
    assert tokens_asked_for(site) == [200]


def test_nobody_notices_that_another_process_has_renewed_the_token(site: BitbucketSimulator, jane: Client) -> None:
    from website.bitbucket import Workspace
    from website.views import with_repositories

    person = User.objects.get()
    early = get_session(person)
    acme = Workspace(site.workspaces["acme"].uuid, "acme")
    assert with_repositories(early, acme)["repositories"][0].name == "Web shop"
    site.expire_access_tokens("jane")
    assert get_session(person).json("user")["display_name"] == "Jane Doe"
    assert with_repositories(early, acme)["repositories"][0].name == "Web shop"
    assert "Web shop" in look(jane)
    assert tokens_asked_for(site) == [200]


def test_nobody_notices_that_the_refresh_token_was_used_elsewhere(site: BitbucketSimulator, jane: Client) -> None:
    site.rotate("jane")
    site.expire_access_tokens("jane")
    assert "Web shop" in look(jane)
    assert tokens_asked_for(site) == [200]


def test_who_has_withdrawn_the_access_is_told_to_sign_in_again(
    site: BitbucketSimulator, jane: Client, bitbucket_login: Login, caplog: pytest.LogCaptureFixture
) -> None:
    site.revoke("jane")
    for _ in range(2):
        page = look(jane, 403)
        assert "Bitbucket has ended this site's access" in page
        assert "withdrawn its access in Bitbucket's settings" in page
        assert f"{AGAIN}Sign in again</a>" in page
    assert "ReauthenticationRequired" in caplog.text
    assert bitbucket_login(jane, next=PAGE).url == PAGE
    assert "Web shop" in look(jane)


def test_who_came_without_bitbucket_is_told_to_sign_in_with_it(
    site: BitbucketSimulator, client: Client, bitbucket_login: Login
) -> None:
    client.force_login(User.objects.create_user("local"), "django.contrib.auth.backends.ModelBackend")
    page = look(client, 403)
    assert "This site can't ask Bitbucket for you" in page
    assert f"{AGAIN}Sign in with Bitbucket</a>" in page
    assert site.requests == []
    assert bitbucket_login(client, next=PAGE).url == PAGE
    assert "Web shop" in look(client)


def test_a_missing_scope_is_named_with_who_can_add_it(
    site: BitbucketSimulator, client: Client, bitbucket_login: Login
) -> None:
    site.client.scopes = ("account", "email")
    bitbucket_login(client)
    page = look(client, 403)
    assert in_order(page, "<dd>repository</dd>", "<dd>Repositories: Read</dd>", "An administrator of the workspace")
    assert f"{AGAIN}Sign in again</a>" in page
    site.client.scopes = ("account", "email", "repository")
    look(client, 403)  # the token is as it was
    bitbucket_login(client, next=PAGE)
    assert "Web shop" in look(client)


@pytest.mark.parametrize(
    ("required", "named", "tick"),
    [(["account"], "account", "Account: Read"), (["project:admin"], "project:admin", None), ([], "repository", "")],
)
def test_any_scope_is_named(
    required: list[str], named: str, tick: str | None, site: BitbucketSimulator, jane: Client
) -> None:
    detail = {"required": required, "granted": ["email"]}
    site.answer("workspaces", 403, body=json.dumps({"error": {"message": "No", "detail": detail}}))
    page = look(jane, 403)
    assert f"<dd>{named}</dd>" in page
    assert (tick is not None and f"To be ticked</dt><dd>{tick}" in page) or "To be ticked" not in page


@pytest.mark.parametrize(
    ("status", "seconds", "heading", "when", "header"),
    [
        (429, None, "Too many questions at once", "in a minute", None),
        (429, 21, "Too many questions at once", "in 21 seconds", "21"),
        (429, 3600, "Too many questions at once", "in 60 minutes", "3600"),
        (503, 119, "Bitbucket doesn't answer", "in 2 minutes", "119"),
        (500, None, "Bitbucket doesn't answer", "in a minute", None),
        (500, 0, "Bitbucket doesn't answer", "in a minute", "0"),
        (500, 1, "Bitbucket doesn't answer", "in 1 second.", "1"),
    ],
)
def test_a_bitbucket_in_trouble_means_to_try_again(
    status: int,
    seconds: int | None,
    heading: str,
    when: str,
    header: str | None,
    site: BitbucketSimulator,
    jane: Client,
) -> None:
    site.fail("repositories", status, retry_after=seconds)
    page = look(jane, 503)
    assert heading in page
    assert f"Please try again {when}" in page
    assert f'<a class="button" href="{PAGE}">Try again</a>' in page
    assert jane.get(PAGE).headers.get("Retry-After") == header
    site.heal()
    assert "Web shop" in look(jane)


def test_a_bitbucket_that_hangs_up_means_to_try_again(site: BitbucketSimulator, jane: Client) -> None:
    site.cut("workspaces")
    assert "Bitbucket doesn't answer" in look(jane, 503)


def test_a_slow_bitbucket_means_to_try_again(site: BitbucketSimulator, jane: Client) -> None:
    site.slow("workspaces", 0.5)
    with override_provider("default", TIMEOUT=(3, 0.1)):
        page = look(jane, 503)
    assert "Bitbucket takes too long" in page
    assert "Please try again in a minute." in page


def test_a_renewal_that_fails_for_now_means_to_try_again(site: BitbucketSimulator, jane: Client) -> None:
    site.expire_access_tokens("jane")
    site.fail("token", 503)
    assert "Bitbucket doesn't answer" in look(jane, 503)
    site.heal()
    assert "Web shop" in look(jane)


def test_a_client_that_bitbucket_refuses_is_the_sites_fault(site: BitbucketSimulator, jane: Client) -> None:
    site.expire_access_tokens("jane")
    site.client.client_secret = "another"
    assert "This site isn't set up correctly" in look(jane, 503)


def test_settings_that_are_wrong_are_the_sites_fault(site: BitbucketSimulator, jane: Client) -> None:
    with override_provider("default", TIMEOUT="soon"):
        assert "This site isn't set up correctly" in look(jane, 503)


@pytest.mark.parametrize("endpoint", ["workspaces", "repositories"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>"),
        (200, "[]"),
        (200, '{"values": 1}'),
        (200, '{"values": [], "next": "https://elsewhere.invalid/"}'),
        (204, ""),
        (302, ""),
        (400, "{}"),
        (410, '{"error": {"message": "CHANGE-2770"}}'),
    ],
)
def test_nonsense_is_said_to_be_nonsense(
    endpoint: str, status: int, body: str, site: BitbucketSimulator, jane: Client
) -> None:
    site.answer(endpoint, status, body=body)
    page = look(jane, 502)
    assert "Bitbucket's answer made no sense" in page
    assert f'<a class="button" href="{PAGE}">Try again</a>' in page
