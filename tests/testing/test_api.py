"""The API: profiles, addresses, memberships, and who may ask."""

from urllib.parse import quote

import pytest
from testing.conversation import Conversation, basic, told

from django_bitbucket_auth.testing import Email, Person, Workspace, default_people

REFUSED = "Token is invalid, expired, or not supported for this endpoint."


def message(data: dict[str, object]) -> object:
    error = data["error"]
    assert isinstance(error, dict)
    return error["message"]


def test_the_profile(talk: Conversation) -> None:
    answer = talk.api("user", talk.sign_in()["access_token"])
    jane = talk.simulator.people["jane"]
    data = told(answer)
    assert answer.status == 200
    assert data["type"] == "user"
    assert data["uuid"] == jane.uuid
    assert (jane.uuid[0], jane.uuid[-1], len(jane.uuid)) == ("{", "}", 38)
    assert data["account_id"] == jane.account_id
    assert (data["username"], data["nickname"], data["display_name"]) == (
        "jdoe",
        "Jane",
        "Jane Doe",
    )
    assert data["account_status"] == "active"
    assert data["links"]["avatar"]["href"].endswith("/_simulator/avatars/jane.svg")
    assert not [key for key in data if "mail" in key]


def test_the_profile_can_be_changed(talk: Conversation) -> None:
    jane = talk.simulator.people["jane"]
    jane.kind, jane.account_status = "app_user", "closed"
    jane.avatar_url = "https://avatars.example.com/jane"
    jane.profile = {"uuid": None}
    talk.simulator.rename("jane", username="new", nickname="N", display_name="Name")
    data = told(talk.api("user", talk.sign_in()["access_token"]))
    assert (data["type"], data["account_status"], data["uuid"]) == ("app_user", "closed", None)
    assert data["links"]["avatar"]["href"] == "https://avatars.example.com/jane"
    assert (data["username"], data["nickname"], data["display_name"]) == ("new", "N", "Name")


def test_a_rename_changes_what_is_named(talk: Conversation) -> None:
    talk.simulator.rename("jane", username="new")
    jane = talk.simulator.people["jane"]
    assert (jane.username, jane.nickname, jane.display_name) == ("new", "Jane", "Jane Doe")


def test_the_headers_name_the_scopes(talk: Conversation) -> None:
    headers = talk.api("user/emails", talk.sign_in()["access_token"]).headers
    assert headers["X-OAuth-Scopes"] == "account, email, repository"
    assert headers["X-Accepted-OAuth-Scopes"] == "email"
    assert headers["X-Credential-Type"] == "oauth2"


def test_the_addresses_are_confirmed_or_not(talk: Conversation) -> None:
    data = told(talk.api("user/emails", talk.sign_in()["access_token"]))
    entries = [(e["email"], e["is_primary"], e["is_confirmed"]) for e in data["values"]]
    assert entries == [
        ("jane@example.com", True, True),
        ("jane.doe@example.org", False, False),
    ]
    assert "next" not in data
    assert "previous" not in data


def test_the_addresses_come_in_pages_of_ten(talk: Conversation) -> None:
    talk.simulator.url = "http://127.0.0.1:8010"
    talk.simulator.people["jane"].emails = [Email(f"{n}@example.com") for n in range(21)]
    token = talk.sign_in()["access_token"]
    pages, path = [], "user/emails"
    while path:
        data = told(talk.api(path, token))
        pages.append([entry["email"] for entry in data["values"]])
        path = data.get("next", "").removeprefix("http://127.0.0.1:8010/2.0/")
    assert [len(page) for page in pages] == [10, 10, 1]
    assert pages[2] == ["20@example.com"]
    assert data["previous"] == "http://127.0.0.1:8010/2.0/user/emails?page=2&pagelen=10"


@pytest.mark.parametrize("query", ["page=0", "page=x", "pagelen=101", "pagelen=0"])
def test_a_page_that_can_not_be(talk: Conversation, query: str) -> None:
    assert talk.api(f"user/emails?{query}", talk.sign_in()["access_token"]).status == 400


def test_a_missing_scope_is_named(talk: Conversation) -> None:
    answer = talk.api("user/emails", talk.sign_in(scope="account")["access_token"])
    assert answer.status == 403
    assert told(answer) == {
        "type": "error",
        "error": {
            "message": "Your credentials lack one or more required privilege scopes.",
            "detail": {"required": ["email"], "granted": ["account"]},
        },
    }
    assert answer.headers["X-OAuth-Scopes"] == "account"


def test_account_may_open_the_addresses(talk: Conversation) -> None:
    talk.simulator.rules.account_opens_emails = True
    assert talk.api("user/emails", talk.sign_in(scope="account")["access_token"]).status == 200
    assert talk.api("user", talk.sign_in(scope="email")["access_token"]).status == 403


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Token", ""])
def test_only_the_exact_scheme_counts(talk: Conversation, scheme: str) -> None:
    answer = talk.api("user", talk.sign_in()["access_token"], scheme)
    assert answer.status == 401
    assert message(told(answer)) == REFUSED


def test_a_token_in_the_address_is_refused(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    assert talk.send("GET", f"/2.0/user?access_token={token}").status == 401


def test_a_token_in_the_address_was_good_once(talk: Conversation) -> None:
    talk.simulator.use_older_rules()
    talk.simulator.people["jane"].emails = [Email(f"{n}@example.com") for n in range(11)]
    token = talk.sign_in()["access_token"]
    answer = talk.send("GET", f"/2.0/user/emails?access_token={token}")
    assert answer.status == 200
    assert token not in answer.text
    assert talk.send("GET", "/2.0/user").status == 401


def test_the_clients_credentials_open_nothing(talk: Conversation) -> None:
    client = basic(talk.simulator.client_id, talk.simulator.client_secret)
    assert talk.send("GET", "/2.0/user", **client).status == 401


def test_an_access_token_expires(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    talk.simulator.move_clock(7199)
    assert talk.api("user", token).status == 200
    talk.simulator.move_clock(2)
    assert talk.api("user", token).status == 401


def test_access_tokens_can_be_expired(talk: Conversation) -> None:
    mine, other = talk.sign_in("jane"), talk.sign_in("outsider")
    talk.simulator.expire_access_tokens("jane")
    assert talk.api("user", mine["access_token"]).status == 401
    assert talk.api("user", other["access_token"]).status == 200
    talk.simulator.expire_access_tokens()
    assert talk.api("user", other["access_token"]).status == 401


def test_the_deactivated_person_is_told_so(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    talk.simulator.deactivate("jane")
    answer = talk.api("user", token)
    assert (answer.status, message(told(answer))) == (401, "User is inactive")


def test_somebody_who_is_gone_is_nobody(talk: Conversation) -> None:
    data = talk.sign_in()
    del talk.simulator.people["jane"]
    assert talk.api("user", data["access_token"]).status == 401
    assert talk.refresh(data["refresh_token"]).status == 401


def test_a_workspace_is_told_to_those_in_it(talk: Conversation) -> None:
    acme, token = talk.simulator.workspaces["acme"], talk.sign_in()["access_token"]
    for identifier in ("acme", quote(acme.uuid, safe="")):
        data = told(talk.api(f"workspaces/{identifier}", token))
        assert (data["type"], data["uuid"], data["slug"], data["name"]) == ("workspace", acme.uuid, "acme", acme.name)
    assert talk.api("workspaces/globex", token).status == 404
    assert talk.api("workspaces/initech", token).status == 404
    assert [logged.endpoint for logged in talk.simulator.requests][-1] == "workspaces"


def test_the_workspaces_have_no_names(talk: Conversation) -> None:
    talk.simulator.join("jane", "globex", "owner")
    data = told(talk.api("user/workspaces", talk.sign_in()["access_token"]))
    assert [(v["administrator"], v["workspace"]["slug"]) for v in data["values"]] == [
        (False, "acme"),
        (True, "globex"),
    ]
    assert data["values"][0]["workspace"]["type"] == "workspace_base"
    assert "name" not in data["values"][0]["workspace"]


def test_the_permission_names_role_workspace_and_person(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    acme, jane = talk.simulator.workspaces["acme"], talk.simulator.people["jane"]
    for identifier in ("acme", quote(acme.uuid), quote(acme.uuid.upper())):
        data = told(talk.api(f"user/workspaces/{identifier}/permission", token))
        assert data["permission"] == "member"
        assert data["type"] == "workspace_membership"
        assert data["workspace"]["uuid"] == acme.uuid
        assert data["workspace"]["slug"] == "acme"
        assert data["user"]["uuid"] == jane.uuid


def test_the_permission_may_come_without_a_role(talk: Conversation) -> None:
    talk.simulator.rules.permission_names_role = False
    token = talk.sign_in()["access_token"]
    assert "permission" not in told(talk.api("user/workspaces/acme/permission", token))


def test_who_is_no_member_is_refused(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    answer = talk.api("user/workspaces/globex/permission", token)
    assert answer.status == 403
    expected = "The requesting user does not have access to the workspace."
    assert message(told(answer)) == expected
    talk.simulator.leave("jane", "acme")
    talk.simulator.leave("jane", "acme")
    assert talk.api("user/workspaces/acme/permission", token).status == 403


def test_an_unknown_workspace_is_not_found(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    assert talk.api("user/workspaces/initech/permission", token).status == 404
    with pytest.raises(LookupError, match="acme, globex"):
        talk.simulator.join("jane", "initech")


def test_a_slug_can_be_taken_over(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    old = talk.simulator.workspaces["acme"].uuid
    talk.simulator.rename_workspace("acme", "acme-inc", "Acme Inc")
    new = talk.simulator.add_workspace(Workspace("acme", uuid="{another}"))
    assert new.name == "Acme"
    data = told(talk.api("user/workspaces/acme-inc/permission", token))
    assert (data["workspace"]["uuid"], data["workspace"]["name"]) == (old, "Acme Inc")
    assert talk.api("user/workspaces/acme/permission", token).status == 403
    talk.simulator.rename_workspace("acme", "acme-2")
    assert talk.simulator.workspaces["acme-2"].name == "Acme"


def test_a_membership_of_nothing_is_not_listed(talk: Conversation) -> None:
    talk.simulator.people["jane"].workspaces["initech"] = "owner"
    data = told(talk.api("user/workspaces", talk.sign_in()["access_token"]))
    assert len(data["values"]) == 1


@pytest.mark.parametrize(
    "path",
    [
        "workspaces",
        "repositories",
        "user/permissions/workspaces",
        "user/permissions/repositories?q=x",
    ],
)
def test_removed_endpoints_are_gone(talk: Conversation, path: str) -> None:
    answer = talk.api(path, talk.sign_in()["access_token"])
    assert answer.status == 410
    assert told(answer) == {
        "type": "error",
        "error": {
            "message": "CHANGE-2770 - Functionality has been deprecated",
            "detail": "Please read the changelog entry for more details.",
            "data": {"announcement_url": ("https://developer.atlassian.com/cloud/bitbucket/changelog#CHANGE-2770")},
        },
    }


def test_removed_endpoints_lived_once(talk: Conversation) -> None:
    talk.simulator.use_older_rules()
    token = talk.sign_in()["access_token"]
    for path in ("workspaces", "user/permissions/workspaces"):
        value = told(talk.api(path, token))["values"][0]
        assert (value["permission"], value["workspace"]["name"]) == ("member", "Acme Widgets")
    for path in ("repositories", "user/permissions/repositories"):
        assert told(talk.api(path, token))["values"] == []


def test_the_rest_of_the_api_is_not_there(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    assert talk.api("hook_events", token).status == 404
    assert talk.api("user", token, method="PUT").status == 405
    assert talk.send("GET", "/elsewhere").status == 404


def test_everybody_is_complete_by_a_key() -> None:
    person = Person("eve")
    assert (person.display_name, person.username, person.nickname) == ("Eve", "eve", "Eve")
    assert len(person.account_id) == 24
    assert person.uuid == Person("eve").uuid
    assert len({one.uuid for one in default_people().values()}) == 4
