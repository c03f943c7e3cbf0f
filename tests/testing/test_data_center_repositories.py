"""Data Center's projects and repositories: what is whose to see."""

import pytest
from testing.conversation import DataCenterConversation, exception, told


@pytest.fixture
def jane(data_center: DataCenterConversation) -> str:
    """An access token of Jane's."""
    return str(data_center.simulator.issue("jane")["access_token"])


def projects_and_repositories(data_center: DataCenterConversation, token: str | None) -> tuple[set[str], set[str]]:
    projects = {entry["key"] for entry in told(data_center.get("projects", token))["values"]}
    repositories = {entry["slug"] for entry in told(data_center.get("repos", token))["values"]}
    return projects, repositories


def test_members_see_their_repositories(data_center: DataCenterConversation, jane: str) -> None:
    assert projects_and_repositories(data_center, jane) == (
        {"ACME", "GLOBEX"},
        {"web-shop", "deploy-tools", "style-guide", "docs"},
    )
    found = told(data_center.get("projects/acme/repos?limit=1", jane))
    assert (found["size"], found["isLastPage"], found["nextPageStart"]) == (1, False, 1)
    (shop,) = found["values"]
    assert (shop["slug"], shop["public"], shop["project"]["key"]) == ("web-shop", False, "ACME")
    assert shop["links"]["self"] == [{"href": "http://127.0.0.1/bitbucket/projects/ACME/repos/web-shop/browse"}]
    assert shop["project"]["links"]["self"] == [{"href": "http://127.0.0.1/bitbucket/projects/ACME"}]
    recent = told(data_center.get("profile/recent/repos", jane))
    assert recent["size"] == 4


@pytest.mark.parametrize("scopes", [None, ("PUBLIC_REPOS",), ("ACCOUNT_WRITE",), ("account",)])
def test_others_see_what_is_public(data_center: DataCenterConversation, scopes: tuple[str, ...] | None) -> None:
    token = None if scopes is None else str(data_center.simulator.issue("jane", scopes)["access_token"])
    assert projects_and_repositories(data_center, token) == ({"GLOBEX"}, {"docs"})
    answer = data_center.get("projects/ACME/repos", token)
    assert (answer.status, exception(answer)) == (401, "AuthorisationException")
    answer = data_center.get("projects/NONE/repos", token)
    assert (answer.status, exception(answer)) == (404, "NoSuchProjectException")


def test_recent_repositories_are_somebodys(data_center: DataCenterConversation) -> None:
    assert data_center.get("profile/recent/repos").status == 401
