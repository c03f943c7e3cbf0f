"""The grants besides codes: the application's own, passwords, tokens in the fragment."""

import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from testing.conversation import CALLBACK, Conversation, told

from django_bitbucket_auth.testing import Answer, BitbucketSimulator


def fragment(answer: Answer) -> dict[str, str]:
    """The parameters behind the ``#`` people are sent back with; the query is empty."""
    parts = urlsplit(answer.headers["Location"])
    assert parts.query == ""
    return {name: values[0] for name, values in parse_qs(parts.fragment).items()}


def profile_of(talk: Conversation, data: dict[str, Any]) -> dict[str, Any]:
    return told(talk.api("user", data["access_token"]))


# The application itself


def test_the_application_gets_a_token_of_its_own(talk: Conversation) -> None:
    answer = talk.token(grant_type="client_credentials")
    data = told(answer)
    assert answer.status == 200
    assert len(data.pop("access_token")) == 2500
    assert data == {
        "expires_in": 7200,
        "scope": "account email repository",
        "state": "client_credentials",
        "token_type": "bearer",
    }


def test_the_application_is_no_person(talk: Conversation) -> None:
    data = told(talk.token(grant_type="client_credentials"))
    profile = profile_of(talk, data)
    assert (profile["type"], profile["kind"]) == ("app_user", "oauth_client")
    assert profile["display_name"] == talk.simulator.client.name
    assert (len(profile["uuid"]), len(profile["account_id"])) == (38, 24)
    assert not {"username", "nickname", "is_staff"} & set(profile)
    assert set(profile["links"]) == {"self", "html"}
    emails = told(talk.api("user/emails", data["access_token"]))
    assert (emails["values"], emails["size"]) == ([], 0)
    assert {entry.person for entry in talk.simulator.requests} == {None}


def test_the_application_stays_who_it_is(talk: Conversation) -> None:
    profiles = [profile_of(talk, told(talk.token(grant_type="client_credentials"))) for _ in range(2)]
    talk.simulator.client.client_id = "another"
    profiles.append(profile_of(talk, talk.simulator.issue(None)))
    assert profiles[0] == profiles[1]
    assert profiles[0]["uuid"] != profiles[2]["uuid"]


@pytest.mark.parametrize("name", ["", " "])
def test_the_application_may_have_no_name(talk: Conversation, name: str) -> None:
    talk.simulator.client.name = name
    assert profile_of(talk, talk.simulator.issue(None))["display_name"] == (name or "App")


def test_the_application_belongs_to_its_workspace(talk: Conversation) -> None:
    token = told(talk.token(grant_type="client_credentials"))["access_token"]
    assert talk.api("user/workspaces/acme/permission", token).status == 200
    assert talk.api("user/workspaces/globex/permission", token).status == 403
    talk.simulator.rename_workspace("acme", "acme-inc")
    assert talk.api("user/workspaces/acme-inc/permission", token).status == 200
    talk.simulator.rename_workspace("globex", "globex-inc")
    assert talk.simulator.client.workspace == "acme-inc"


def test_the_applications_scopes_can_be_narrowed(talk: Conversation) -> None:
    assert told(talk.token(grant_type="client_credentials", scope="account team"))["scope"] == "account"
    talk.simulator.rules.scope_parameter = "refused"
    answer = talk.token(grant_type="client_credentials", scope="account team")
    assert (answer.status, told(answer)["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("name", ["person_key", "grant_record", "workspace_uuid", "refresh_token"])
@pytest.mark.parametrize("rotate", [True, False])
def test_nothing_in_the_body_makes_it_somebody(talk: Conversation, name: str, rotate: bool) -> None:
    talk.simulator.rules.rotate_refresh_tokens = rotate
    data = told(talk.token(**{"grant_type": "client_credentials", name: "jane"}))
    assert profile_of(talk, data)["display_name"] == talk.simulator.client.name
    assert "refresh_token" not in data


@pytest.mark.parametrize("rotate", [True, False])
def test_a_refresh_token_beside_a_code_is_ignored(talk: Conversation, rotate: bool) -> None:
    talk.simulator.rules.rotate_refresh_tokens = rotate
    data = told(talk.exchange(talk.code(), refresh_token="made up"))
    assert len(data["refresh_token"]) == 2500


# Passwords


@pytest.fixture
def older(talk: Conversation) -> Conversation:
    """The simulator when it still took all grants."""
    talk.simulator.rules.retired_grants_taken = True
    return talk


def password(talk: Conversation, username: str = "jdoe", password: str = "password-of-jane", **form: str) -> Answer:
    return talk.token(grant_type="password", username=username, password=password, **form)


def test_passwords_were_taken_once(talk: Conversation) -> None:
    assert told(password(talk)) == {
        "error": "invalid_grant",
        "error_description": "Unsupported grant type: password",
    }
    talk.simulator.use_older_rules()
    assert password(talk).status == 200


@pytest.mark.parametrize("name", ["jdoe", "jane@example.com"])
def test_a_password_gives_a_persons_tokens(older: Conversation, name: str) -> None:
    data = told(password(older, name))
    assert (data["state"], data["scope"]) == ("password", "account email repository")
    assert profile_of(older, data)["username"] == "jdoe"
    assert older.refresh(data["refresh_token"]).status == 200
    assert older.simulator.requests_to("user")[-1].person == "jane"


def test_a_passwords_scopes_can_be_narrowed(older: Conversation) -> None:
    assert told(password(older, scope="email"))["scope"] == "email"


@pytest.mark.parametrize(
    "pair",
    [
        ("jdoe", "wrong"),
        ("jane", "password-of-jane"),
        ("jane.doe@example.org", "password-of-jane"),
        ("olga", "password-of-jane"),
        ("jdoe", "\N{SNOWMAN}"),
    ],
    ids=["password", "not the user name", "unconfirmed", "somebody else's", "not ASCII"],
)
def test_a_wrong_name_or_password_is_refused(older: Conversation, pair: tuple[str, str]) -> None:
    answer = password(older, *pair)
    assert (answer.status, told(answer)["error"]) == (400, "invalid_grant")
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("missing", ["username", "password"])
def test_a_missing_part_of_the_password_grant_is_named(older: Conversation, missing: str) -> None:
    form = {"grant_type": "password", "username": "jdoe", "password": "password-of-jane"}
    del form[missing]
    answer = older.token(**form)
    assert answer.status == 400
    assert told(answer) == {
        "error": "invalid_request",
        "error_description": f"Missing required field: {missing}",
    }


def test_the_deactivated_persons_password_is_no_good(older: Conversation) -> None:
    answer = password(older, "dora", "password-of-deactivated")
    assert (answer.status, told(answer)["error_description"]) == (401, "User is inactive")


def test_a_password_does_not_show(simulator: BitbucketSimulator) -> None:
    shown = repr(simulator.people) + repr(simulator.client)
    assert "password-of" not in shown
    assert simulator.client.shared_secret not in shown


# Tokens in the fragment


def test_a_token_comes_in_the_fragment(older: Conversation) -> None:
    assert older.ask(response_type="token").status == 200
    back = fragment(older.choose(response_type="token"))
    token = back.pop("access_token")
    assert back == {
        "expires_in": "7200",
        "scope": "account email repository",
        "state": "the-state",
        "token_type": "bearer",
    }
    assert profile_of(older, {"access_token": token})["username"] == "jdoe"


def test_the_fragment_may_name_the_scopes_as_it_was(talk: Conversation) -> None:
    talk.simulator.use_older_rules()
    back = fragment(talk.choose(response_type="token", scope="email", state=None))
    assert set(back) == {"access_token", "expires_in", "scopes", "token_type"}
    assert back["scopes"] == "email"


def test_who_is_deactivated_gets_a_useless_token(older: Conversation) -> None:
    token = fragment(older.choose("deactivated", response_type="token"))["access_token"]
    assert older.api("user", token).status == 401


def test_a_refusal_is_in_the_fragment_too(older: Conversation) -> None:
    assert fragment(older.deny(response_type="token")) == {
        "error": "access_denied",
        "error_description": "The user denied the request.",
        "state": "the-state",
    }
    back = fragment(older.ask(response_type="token", scope="team"))
    assert (back["error"], back["state"]) == ("invalid_scope", "the-state")


def test_a_refused_question_for_a_code_stays_in_the_query(older: Conversation) -> None:
    location = older.ask(response_type="nonsense").headers["Location"]
    assert location.startswith(f"{CALLBACK}?error=")


def test_nothing_in_the_address_makes_it_somebody_else(older: Conversation) -> None:
    back = fragment(older.choose(response_type="token", grant_record="x", workspace_uuid="x", person_key="outsider"))
    assert profile_of(older, back)["username"] == "jdoe"


def test_oauthlib_logs_nothing_of_any_grant(older: Conversation, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert older.token(grant_type="client_credentials").status == 200
        assert password(older).status == 200
        assert password(older, password="wrong").status == 400
        assert older.choose(response_type="token").status == 302
    assert caplog.messages == []
