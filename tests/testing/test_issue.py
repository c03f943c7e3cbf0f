"""Tokens without a login, the application's tokens, and refreshes that give no refresh token."""

import pytest
from testing.conversation import Conversation, told

from django_bitbucket_auth.testing import Person


def test_a_pair_is_given_out_without_a_login(talk: Conversation) -> None:
    data = talk.simulator.issue()
    tokens = [str(data.pop(name)) for name in ("access_token", "refresh_token")]
    assert [len(token) for token in tokens] == [2500, 2500]
    assert data == {"expires_in": 7200, "token_type": "bearer", "scope": "account email repository"}
    assert talk.simulator.requests == []
    assert told(talk.api("user", tokens[0]))["username"] == "jdoe"
    assert told(talk.refresh(tokens[1]))["scope"] == "account email repository"


def test_the_pair_goes_by_the_rules(talk: Conversation) -> None:
    talk.simulator.use_older_rules()
    talk.simulator.rules.access_token_seconds = 60
    data = talk.simulator.issue()
    assert (data["expires_in"], data["scopes"]) == (60, "account email repository")
    assert len(str(data["access_token"])) == 88
    talk.simulator.move_clock(61)
    assert talk.api("user", str(data["access_token"])).status == 401


def test_anybody_can_be_given_any_scopes(talk: Conversation) -> None:
    eve = talk.simulator.add_person(Person("eve"))
    data = talk.simulator.issue(eve, ["account", "repository:admin"])
    answer = talk.api("user", str(data["access_token"]))
    assert (told(answer)["username"], data["scope"]) == ("eve", "account repository:admin")
    assert answer.headers["X-OAuth-Scopes"] == "account, repository:admin"
    assert talk.simulator.issue("eve", [])["scope"] == ""
    with pytest.raises(LookupError, match="No person 'adam'"):
        talk.simulator.issue("adam")


def test_the_application_gets_no_refresh_token(talk: Conversation) -> None:
    data = talk.simulator.issue(None)
    assert set(data) == {"access_token", "expires_in", "token_type", "scope"}
    assert told(talk.api("user", str(data["access_token"])))["type"] == "app_user"


def test_the_applications_tokens_can_be_revoked(talk: Conversation) -> None:
    mine, application = (str(talk.simulator.issue(who)["access_token"]) for who in ("jane", None))
    talk.simulator.revoke(None)
    assert talk.api("user", application).status == 401
    assert talk.api("user", mine).status == 200


def test_a_persons_dials_leave_the_application_alone(talk: Conversation) -> None:
    mine, application = (str(talk.simulator.issue(who)["access_token"]) for who in ("jane", None))
    talk.simulator.revoke("jane")
    talk.simulator.rotate("jane")
    talk.simulator.expire_access_tokens("jane")
    assert talk.api("user", mine).status == 401
    assert talk.api("user", application).status == 200
    talk.simulator.expire_access_tokens()
    assert talk.api("user", application).status == 401


def test_the_application_expires_like_anybody(talk: Conversation) -> None:
    token = str(talk.simulator.issue(None)["access_token"])
    talk.simulator.move_clock(7201)
    assert talk.api("user", token).status == 401


def test_a_refresh_may_give_no_refresh_token(talk: Conversation) -> None:
    talk.simulator.rules.refresh_answer_has_refresh_token = False
    old = talk.sign_in()["refresh_token"]
    for _ in range(3):
        talk.simulator.move_clock(60 * 86400)
        data = told(talk.refresh(old))
        assert set(data) == {"access_token", "expires_in", "token_type", "scope", "state"}
        assert talk.api("user", data["access_token"]).status == 200


@pytest.mark.parametrize("rule", ["refresh_answer_has_refresh_token", "rotate_refresh_tokens"])
def test_what_the_dial_used_up_stays_so(talk: Conversation, rule: str) -> None:
    setattr(talk.simulator.rules, rule, False)
    old = talk.sign_in()["refresh_token"]
    talk.simulator.rotate("jane", grace=60)
    assert talk.refresh(old).status == 200
    talk.simulator.move_clock(61)
    assert talk.refresh(old).status == 400
