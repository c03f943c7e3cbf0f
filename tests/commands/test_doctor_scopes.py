"""``manage.py bitbucket_check``: scopes, and the uuid of each workspace."""

from __future__ import annotations

from dataclasses import replace

import pytest
from commands.doctoring import findings, found

from django_bitbucket_auth.management.doctor.scopes import opened
from django_bitbucket_auth.testing import BitbucketSimulator, Workspace, override_provider, simulated_bitbucket
from django_bitbucket_auth.testing.world import World

# -- scopes ------------------------------------------------------------------------------------------------------------


def test_scopes_that_the_client_lacks_are_named(bitbucket: BitbucketSimulator) -> None:
    bitbucket.client.scopes = ("repository",)
    with override_provider("default", SCOPES=["account", "email", "pullrequest"]):
        lacking = [finding for finding in findings() if finding.code == "scope_missing"]
    assert [(finding.level, finding.seen.split(":")[0]) for finding in lacking] == [
        ("error", "The client lacks the scope account"),
        ("warning", "The client lacks the scope email"),
        ("warning", "The client lacks the scope pullrequest"),
    ]
    assert "FETCH_EMAILS" in lacking[1].next and "FETCH_EMAILS" not in lacking[2].next
    with override_provider("default", FETCH_EMAILS=False):
        assert "account" in found()["scope_missing"].seen


def test_a_data_center_s_scopes_open_those_below_them() -> None:
    with simulated_bitbucket(kind="data-center") as bitbucket:
        bitbucket.client.scopes = ("REPO_WRITE",)
        with override_provider("default", SCOPES=["PUBLIC_REPOS", "REPO_READ"]):
            assert found()["scopes"].level == "ok"
        with override_provider("default", SCOPES=["REPO_ADMIN"]):
            assert found()["scope_missing"].level == "warning"


@pytest.mark.parametrize(
    ("scope", "have", "opens"),
    [
        ("account", "account:write", True),
        ("repository", "pullrequest:write", True),
        ("repository", "project", False),
        ("repository:write", "repository", False),
        ("ACCOUNT_WRITE", "SYSTEM_ADMIN", False),
        ("PUBLIC_REPOS", "SYSTEM_ADMIN", True),
    ],
)
def test_which_scope_covers_which(scope: str, have: str, opens: bool) -> None:
    assert opened(scope, frozenset({have})) is opens


def test_scopes_that_can_not_be_known_are_said_to_be_so() -> None:
    with simulated_bitbucket(kind="data-center") as bitbucket:
        bitbucket.rules = replace(bitbucket.rules, client_credentials_taken=False)
        assert "insufficient_scope" in found()["scopes_unknown"].next


def test_scopes_are_read_from_the_api_where_the_token_s_answer_has_none(bitbucket: BitbucketSimulator) -> None:
    told = bitbucket.issue(None)
    bitbucket.answer("token", 400, body='{"error": "invalid_grant"}', times=1)
    bitbucket.answer("token", 200, body=f'{{"access_token": "{told["access_token"]}", "token_type": "bearer"}}')
    assert found()["scopes"].seen == "The client may: account, email, repository."
    bitbucket.heal()
    bitbucket.answer("token", 400, body='{"error": "invalid_grant"}', times=1)
    bitbucket.answer("token", 200, body=f'{{"access_token": "{told["access_token"]}", "token_type": "bearer"}}')
    bitbucket.answer("user", 401, body='{"type": "error"}', times=1)
    bitbucket.cut("user")
    with override_provider("default", RETRIES=0):
        assert found()["scopes_unknown"].level == "note"


# -- workspaces --------------------------------------------------------------------------------------------------------


def uuid_of(bitbucket: World, slug: str = "acme") -> str:
    return bitbucket.workspaces[slug].uuid


def test_the_uuid_of_a_slug_is_told_to_be_pasted(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", WORKSPACES=["acme"]):
        slug = found()["workspace_slug"]
    assert slug.level == "warning"
    assert f"“{uuid_of(bitbucket)}” into WORKSPACES or GROUPS in place of “acme”" in slug.next


def test_those_of_groups_are_asked_for_too(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", WORKSPACES=["*"], GROUPS={"developers": ["acme:owner"]}):
        assert uuid_of(bitbucket) in found()["workspace_slug"].next


def test_a_uuid_is_told_by_its_slug(bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", WORKSPACES=[uuid_of(bitbucket).upper()]):
        assert found()["workspace"].seen.endswith("is the workspace acme.")
    with override_provider("default", WORKSPACES=["*"]):
        assert "workspace" not in found()


def test_a_workspace_that_is_not_there_is_an_error(bitbucket: BitbucketSimulator) -> None:
    bitbucket.add_workspace(Workspace("hidden"))
    for name in ("absent", "hidden"):
        with override_provider("default", WORKSPACES=[name]):
            assert "nobody is a member of it" in found()["workspace_missing"].seen


def test_without_a_token_of_the_application_it_can_not_be_asked() -> None:
    with simulated_bitbucket(kind="cloud-oauth1", WORKSPACES=["acme"]):
        assert "as one of its members" in found()["workspace_unknown"].next


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"uuid": "{other}", "slug": "acme"}', "not_bitbucket"),
        ('{"uuid": "\\u001b[2J", "slug": "acme"}', "workspace_unknown"),
        ('{"uuid": 1}', "workspace_unknown"),
        ("<html>", "workspace_unknown"),
    ],
)
def test_nonsense_about_a_workspace_is_not_believed(bitbucket: BitbucketSimulator, body: str, code: str) -> None:
    bitbucket.answer("workspaces", body=body)
    with override_provider("default", WORKSPACES=[uuid_of(bitbucket)]):
        assert code in found()


def test_a_fault_at_a_workspace_is_a_warning(bitbucket: BitbucketSimulator) -> None:
    bitbucket.cut("workspaces")
    with override_provider("default", WORKSPACES=["acme"], RETRIES=0):
        assert "could not be asked for" in found()["workspace_unknown"].seen
