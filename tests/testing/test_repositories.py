"""The API's repositories: who sees which, and who may make a new one."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from testing.conversation import Conversation, told

from django_bitbucket_auth.testing import Answer, Repository, SimulatorRequest

ADMIN = ("account", "repository", "repository:admin")


def token_of(talk: Conversation, person: str | None = "jane", *scopes: str) -> str:
    return str(talk.simulator.issue(person, scopes or None)["access_token"])


def create(talk: Conversation, path: str, body: Any = None, token: str | None = None) -> Answer:
    """POST ``body`` (bytes, or what becomes JSON) as somebody who may."""
    headers = {
        "authorization": f"Bearer {token or token_of(talk, 'jane', *ADMIN)}",
        "content-type": "application/json",
    }
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return talk.simulator.handle(SimulatorRequest("POST", f"/2.0/repositories/{path}", "", headers, data))


def slugs(answer: Answer) -> list[str]:
    assert answer.status == 200
    return [entry["slug"] for entry in told(answer)["values"]]


def test_a_member_sees_all_of_a_workspace(talk: Conversation) -> None:
    answer = talk.api("repositories/acme", token_of(talk))
    assert slugs(answer) == ["web-shop", "deploy-tools", "style-guide"]
    assert answer.headers["X-Accepted-OAuth-Scopes"] == "repository"


def test_others_see_what_is_public(talk: Conversation) -> None:
    token = token_of(talk, "outsider")
    assert slugs(talk.api("repositories/acme", token)) == []
    assert slugs(talk.api("repositories/globex", token)) == ["docs"]
    talk.simulator.join("outsider", "globex")
    assert slugs(talk.api("repositories/globex", token)) == ["docs", "secret-plans"]


def test_the_application_sees_its_workspace(talk: Conversation) -> None:
    token = token_of(talk, None)
    assert len(slugs(talk.api("repositories/acme", token))) == 3
    assert slugs(talk.api("repositories/globex", token)) == ["docs"]


def test_a_workspace_may_be_named_by_its_uuid(talk: Conversation) -> None:
    uuid = quote(talk.simulator.workspaces["acme"].uuid)
    token = token_of(talk)
    assert len(slugs(talk.api(f"repositories/{uuid}", token))) == 3
    assert talk.api(f"repositories/{uuid}/web-shop", token).status == 200


def test_an_unknown_workspace_is_not_found(talk: Conversation) -> None:
    token = token_of(talk)
    answer = talk.api("repositories/initech", token)
    assert answer.status == 404
    assert told(answer)["error"]["message"] == "No workspace with identifier 'initech'."
    assert talk.api("repositories/initech/web-shop", token).status == 404
    assert create(talk, "initech/new").status == 404


def test_repositories_come_in_pages(talk: Conversation) -> None:
    talk.simulator.url = "http://127.0.0.1:8010"
    for number in range(22):
        talk.simulator.add_repository(Repository("acme", f"more-{number}"))
    token, path, sizes = token_of(talk), "repositories/acme", []
    while path:
        data = told(talk.api(path, token))
        sizes.append(len(data["values"]))
        path = data.get("next", "").removeprefix("http://127.0.0.1:8010/2.0/")
    assert sizes == [10, 10, 5]
    assert len(slugs(talk.api("repositories/acme?pagelen=100", token))) == 25
    assert talk.api("repositories/acme?pagelen=101", token).status == 400


def test_a_repository_says_what_it_is(talk: Conversation) -> None:
    talk.simulator.url = "http://127.0.0.1:8010"
    data = told(talk.api("repositories/acme/web-shop", token_of(talk)))
    acme, shop = talk.simulator.workspaces["acme"], talk.simulator.repositories[0]
    assert data == {
        "type": "repository",
        "uuid": shop.uuid,
        "full_name": "acme/web-shop",
        "name": "Web shop",
        "slug": "web-shop",
        "is_private": True,
        "description": "Where the widgets are sold",
        "language": "python",
        "updated_on": "2026-10-05T08:30:00.123456+00:00",
        "workspace": {
            "type": "workspace",
            "uuid": acme.uuid,
            "name": "Acme Widgets",
            "slug": "acme",
            "links": {"self": {"href": "http://127.0.0.1:8010/2.0/workspaces/acme"}},
        },
        "links": {
            "self": {"href": "http://127.0.0.1:8010/2.0/repositories/acme/web-shop"},
            "html": {"href": "http://127.0.0.1:8010/acme/web-shop"},
        },
    }
    assert told(talk.api(f"repositories/acme/{quote(shop.uuid.upper())}", token_of(talk))) == data


@pytest.mark.parametrize("path", ["globex/secret-plans", "globex/nothing", "acme/docs"])
def test_what_may_not_be_seen_is_not_found(talk: Conversation, path: str) -> None:
    answer = talk.api(f"repositories/{path}", token_of(talk))
    assert answer.status == 404
    assert "You may not have access to this repository" in told(answer)["error"]["message"]


def test_the_scopes_are_needed(talk: Conversation) -> None:
    token = token_of(talk, "jane", "account")
    for path in ("repositories/acme", "repositories/acme/web-shop"):
        answer = talk.api(path, token)
        assert answer.status == 403
        assert told(answer)["error"]["detail"] == {"required": ["repository"], "granted": ["account"]}
    answer = create(talk, "acme/new", {}, token_of(talk))
    assert answer.status == 403
    assert told(answer)["error"]["detail"]["required"] == ["repository:admin"]
    assert answer.headers["X-Accepted-OAuth-Scopes"] == "repository:admin"


def test_other_methods_are_not_taken(talk: Conversation) -> None:
    token = token_of(talk)
    assert talk.api("repositories/acme", token, method="POST").status == 405
    assert talk.api("repositories/acme/web-shop", token, method="DELETE").status == 405
    assert talk.api("repositories/acme/web-shop", token, method="HEAD").status == 200
    assert talk.api("repositories/acme/web-shop/src", token).status == 404


def test_a_member_makes_a_repository(talk: Conversation) -> None:
    answer = create(talk, "acme/new", {"description": "Brand new", "is_private": False, "scm": "git"})
    data = told(answer)
    assert answer.status == 200
    assert (data["full_name"], data["name"]) == ("acme/new", "new")
    assert (data["description"], data["is_private"]) == ("Brand new", False)
    assert told(talk.api("repositories/acme/new", token_of(talk, "outsider"))) == data
    assert talk.simulator.requests[-2].endpoint == "repositories"


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_new_repository_is_private_unless_told(talk: Conversation, body: bytes) -> None:
    talk.simulator.move_clock(86400)
    data = told(create(talk, "acme/new", body))
    assert (data["description"], data["is_private"], data["language"]) == ("", True, "")
    assert data["updated_on"] > "2026-10-05"
    assert talk.api("repositories/acme/new", token_of(talk, "outsider")).status == 404


def test_the_application_makes_repositories_in_its_workspace(talk: Conversation) -> None:
    token = token_of(talk, None, *ADMIN)
    assert create(talk, "acme/new", {}, token).status == 200
    assert create(talk, "globex/new", {}, token).status == 403


def test_only_members_make_repositories(talk: Conversation) -> None:
    answer = create(talk, "acme/new", {}, token_of(talk, "outsider", *ADMIN))
    assert answer.status == 403
    assert len(talk.simulator.repositories) == 5


def test_a_repository_is_made_once(talk: Conversation) -> None:
    assert create(talk, "acme/new", {}).status == 200
    answer = create(talk, "acme/new", {})
    assert answer.status == 400
    assert "already exists" in told(answer)["error"]["message"]


@pytest.mark.parametrize("body", [b"{", b"is_private=false", b"[]", b"null", b"\xff", b"[" * 500_000])
def test_a_body_that_is_no_json_object_is_refused(talk: Conversation, body: bytes) -> None:
    answer = create(talk, "acme/new", body)
    assert (answer.status, told(answer)["type"]) == (400, "error")
    assert len(talk.simulator.repositories) == 5


def test_a_wrong_value_is_named(talk: Conversation) -> None:
    answer = create(talk, "acme/new", {"description": None, "is_private": 1})
    assert answer.status == 400
    assert set(told(answer)["error"]["fields"]) == {"description", "is_private"}


def test_an_odd_slug_is_quoted_in_links(talk: Conversation) -> None:
    data = told(create(talk, "acme/a%2Fb%20c", {}))
    assert (data["slug"], data["links"]["html"]["href"]) == ("a/b c", "http://127.0.0.1/acme/a%2Fb%20c")


def test_repositories_move_with_their_workspace(talk: Conversation) -> None:
    token = token_of(talk)
    talk.simulator.rename_workspace("acme", "acme-inc")
    assert len(slugs(talk.api("repositories/acme-inc", token))) == 3
    assert talk.api("repositories/acme", token).status == 404


def test_a_repository_of_the_same_name_is_replaced(talk: Conversation) -> None:
    new = talk.simulator.add_repository(Repository("acme", "web-shop", is_private=False))
    assert len(talk.simulator.repositories) == 5
    assert told(talk.api("repositories/acme/web-shop", token_of(talk, "outsider")))["name"] == "web-shop"
    assert new.uuid == told(talk.api("repositories/acme/web-shop", token_of(talk)))["uuid"]


def test_a_repository_needs_a_workspace(talk: Conversation) -> None:
    with pytest.raises(LookupError, match="'initech' here, but: acme, globex"):
        talk.simulator.add_repository(Repository("initech", "new"))


def test_a_reset_restores_the_repositories(talk: Conversation) -> None:
    create(talk, "acme/new", {})
    talk.simulator.repositories[0].is_private = False
    talk.simulator.reset()
    assert len(talk.simulator.repositories) == 5
    assert talk.simulator.repositories[0].is_private


def test_repositories_fail_by_their_name(talk: Conversation) -> None:
    token = token_of(talk)
    talk.simulator.fail("repositories", 503, times=2)
    statuses = [talk.api(path, token).status for path in ("repositories/acme", "repositories/acme/web-shop")]
    assert statuses == [503, 503]
    assert talk.api("repositories/acme", token).status == 200


def test_the_dials_list_the_repositories(talk: Conversation) -> None:
    page = talk.send("GET", "/_simulator/").text
    assert "acme/web-shop (private)" in page
    assert "globex/docs," in page
    talk.simulator.repositories.clear()
    assert "<h2>Repositories</h2><p>none</p>" in talk.send("GET", "/_simulator/").text


def test_the_plain_address_stays_removed(talk: Conversation) -> None:
    assert talk.api("repositories", token_of(talk)).status == 410
