"""The token endpoint: what it gives, and in which words it refuses."""

import base64
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from testing.conversation import CALLBACK, Conversation, basic, told

from django_bitbucket_auth.testing import RegisteredClient

UNAUTHENTICATED = {
    "error": "unauthorized_client",
    "error_description": "Requests must be authenticated using OAuth client credentials",
}
BAD_CREDENTIALS = {
    "error": "unauthorized_client",
    "error_description": "Invalid OAuth client credentials",
}
BAD_REFRESH = {"error": "invalid_request", "error_description": "Invalid refresh_token"}
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def test_the_credentials_have_todays_lengths() -> None:
    client = RegisteredClient()
    assert (len(client.client_id), len(client.client_secret)) == (32, 76)


def test_the_answer_is_todays(talk: Conversation) -> None:
    answer = talk.exchange(talk.code())
    data = told(answer)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(data.pop("access_token")) == 2500
    assert len(data.pop("refresh_token")) == 2500
    assert data == {
        "expires_in": 7200,
        "scope": "account email repository",
        "state": "authorization_code",
        "token_type": "bearer",
    }


def test_the_answer_can_be_the_older_one(talk: Conversation) -> None:
    talk.simulator.use_older_rules()
    data = talk.sign_in()
    assert data["scopes"] == "account email repository"
    assert "scope" not in data
    assert len(data["access_token"]) == 88
    assert told(talk.refresh(data["refresh_token"]))["refresh_token"] == data["refresh_token"]


def test_the_life_of_access_tokens_can_be_an_hour(talk: Conversation) -> None:
    talk.simulator.rules.access_token_seconds = 3600
    assert talk.sign_in()["expires_in"] == 3600


def test_no_two_tokens_are_equal(talk: Conversation) -> None:
    first, second = talk.sign_in(), talk.sign_in()
    given = [data[key] for data in (first, second) for key in ("access_token", "refresh_token")]
    assert len(set(given)) == 4


def test_a_code_is_good_once(talk: Conversation) -> None:
    code = talk.code()
    assert talk.exchange(code).status == 200
    again = talk.exchange(code)
    assert again.status == 400
    assert told(again)["error"] == "invalid_grant"


def test_a_code_is_good_once_even_if_many_ask_at_the_same_time(talk: Conversation) -> None:
    codes = [talk.code() for _ in range(5)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(talk.exchange, codes * 8))
    assert sorted(answer.status for answer in answers) == [200] * 5 + [400] * 35
    assert len(talk.simulator.requests_to("token")) == 40


def test_a_code_is_spent_by_a_failed_attempt(talk: Conversation) -> None:
    code = talk.code()
    assert talk.exchange(code, redirect_uri="http://testserver/other/").status == 400
    assert talk.exchange(code).status == 400


@pytest.mark.parametrize("redirect_uri", [f"{CALLBACK}?", "http://testserver/", None])
def test_the_redirect_uri_has_to_be_repeated_letter_by_letter(talk: Conversation, redirect_uri: str | None) -> None:
    talk.simulator.callback_url = (CALLBACK, "http://testserver/")
    answer = talk.exchange(talk.code(), redirect_uri=redirect_uri)
    assert answer.status == 400
    assert told(answer)["error"] == "invalid_request"


def test_an_old_code_is_refused(talk: Conversation) -> None:
    code = talk.code()
    talk.simulator.move_clock(601)
    assert talk.exchange(code).status == 400


def test_a_code_dies_with_the_grant(talk: Conversation) -> None:
    code = talk.code()
    talk.simulator.revoke("jane")
    assert talk.exchange(code).status == 400


def test_pkce_is_verified(talk: Conversation) -> None:
    sent = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    assert talk.exchange(talk.code(**sent), code_verifier=VERIFIER).status == 200
    assert talk.exchange(talk.code(**sent), code_verifier="w" * 43).status == 400
    assert talk.exchange(talk.code(**sent)).status == 400


def test_pkce_may_be_ignored(talk: Conversation) -> None:
    talk.simulator.rules.pkce_verified = False
    code = talk.code(code_challenge=CHALLENGE, code_challenge_method="S256")
    assert talk.exchange(code, code_verifier="w" * 43).status == 200


def test_the_client_has_to_authenticate(talk: Conversation) -> None:
    answer = talk.token({}, grant_type="authorization_code", code="x")
    assert answer.status == 400
    assert told(answer) == UNAUTHENTICATED
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Basic /w==", "Basic bm8tY29sb24=", "Bearer abc"],
    ids=["empty", "no base64", "no UTF-8", "no colon", "another scheme"],
)
def test_what_is_no_basic_authentication_is_none(talk: Conversation, header: str) -> None:
    assert told(talk.token({"authorization": header})) == UNAUTHENTICATED


@pytest.mark.parametrize("part", [0, 1])
def test_wrong_credentials_are_refused(talk: Conversation, part: int) -> None:
    pair = [talk.simulator.client_id, talk.simulator.client_secret]
    pair[part] += "x"
    answer = talk.token(basic(*pair), grant_type="authorization_code")
    assert answer.status == 400
    assert told(answer) == BAD_CREDENTIALS


def test_credentials_may_be_encoded_as_the_rfc_wants(talk: Conversation) -> None:
    talk.simulator.client = RegisteredClient(client_secret="a+b%c")
    assert talk.token(basic(talk.simulator.client_id, "a%2Bb%25c")).status == 400
    answer = talk.token(basic(talk.simulator.client_id, "a%2Bb%25c"))
    assert told(answer)["error_description"] == "Unsupported grant type: None"


def test_credentials_in_the_body_are_refused(talk: Conversation) -> None:
    given = {"client_id": talk.simulator.client_id, "client_secret": talk.simulator.client_secret}
    assert told(talk.token({}, **given)) == UNAUTHENTICATED


def test_credentials_in_the_body_may_do(talk: Conversation) -> None:
    talk.simulator.rules.body_credentials = True
    given = {"client_id": talk.simulator.client_id, "client_secret": talk.simulator.client_secret}
    answer = talk.token(
        {},
        grant_type="authorization_code",
        code=talk.code(),
        redirect_uri=CALLBACK,
        **given,
    )
    assert answer.status == 200


@pytest.mark.parametrize("grant", [None, "password", "urn:ietf:params:oauth:grant-type:device_code", "nonsense"])
def test_other_grants_are_refused(talk: Conversation, grant: str | None) -> None:
    answer = talk.token(grant_type=grant)
    assert answer.status == 400
    assert told(answer) == {
        "error": "invalid_grant",
        "error_description": f"Unsupported grant type: {grant}",
    }


@pytest.mark.parametrize(("grant", "field"), [("authorization_code", "code"), ("refresh_token", "refresh_token")])
def test_a_missing_field_is_named(talk: Conversation, grant: str, field: str) -> None:
    answer = talk.token(grant_type=grant)
    assert answer.status == 400
    assert told(answer) == {
        "error": "invalid_request",
        "error_description": f"Missing required field: {field}",
    }


def test_a_token_is_asked_for_by_post(talk: Conversation) -> None:
    assert talk.send("GET", "/site/oauth2/access_token").status == 405


def test_a_token_is_not_asked_for_in_the_address(talk: Conversation) -> None:
    client = basic(talk.simulator.client_id, talk.simulator.client_secret)
    url = f"/site/oauth2/access_token?grant_type=authorization_code&code={talk.code()}"
    assert told(talk.send("POST", url, {}, **client))["error"] == "invalid_grant"


def test_a_body_that_is_no_form_is_an_empty_one(talk: Conversation) -> None:
    client = basic(talk.simulator.client_id, talk.simulator.client_secret)
    answer = talk.send("POST", "/site/oauth2/access_token", **client)
    assert told(answer)["error_description"] == "Unsupported grant type: None"


def test_a_refresh_gives_a_new_pair_with_the_same_scopes(talk: Conversation) -> None:
    first = talk.sign_in(scope="account")
    second = told(talk.refresh(first["refresh_token"]))
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert (second["scope"], second["state"]) == ("account", "refresh_token")
    assert talk.api("user", second["access_token"]).status == 200
    assert talk.api("user", first["access_token"]).status == 200


def test_a_refresh_may_narrow_the_scopes(talk: Conversation) -> None:
    data = told(talk.refresh(talk.sign_in()["refresh_token"], scope="email"))
    assert data["scope"] == "email"


def test_a_refresh_can_not_widen_the_scopes(talk: Conversation) -> None:
    answer = talk.refresh(talk.sign_in(scope="account")["refresh_token"], scope="email")
    assert (answer.status, told(answer)["error"]) == (400, "invalid_scope")


def test_the_old_refresh_token_has_ten_minutes(talk: Conversation) -> None:
    old = talk.sign_in()["refresh_token"]
    assert talk.refresh(old).status == 200
    talk.simulator.move_clock(timedelta(minutes=9))
    assert talk.refresh(old).status == 200
    talk.simulator.move_clock(timedelta(minutes=2))
    answer = talk.refresh(old)
    assert (answer.status, told(answer)) == (400, BAD_REFRESH)


def test_the_new_refresh_token_lives_on(talk: Conversation) -> None:
    new = told(talk.refresh(talk.sign_in()["refresh_token"]))["refresh_token"]
    talk.simulator.move_clock(timedelta(days=89))
    assert talk.refresh(new).status == 200


def test_three_months_of_disuse_end_a_refresh_token(talk: Conversation) -> None:
    token = talk.sign_in()["refresh_token"]
    talk.simulator.move_clock(timedelta(days=91))
    assert told(talk.refresh(token)) == BAD_REFRESH


def test_use_prolongs_a_refresh_token_that_does_not_rotate(talk: Conversation) -> None:
    talk.simulator.rules.rotate_refresh_tokens = False
    token = talk.sign_in()["refresh_token"]
    for _ in range(3):
        talk.simulator.move_clock(timedelta(days=60))
        assert talk.refresh(token).status == 200


def test_the_dial_uses_refresh_tokens_up(talk: Conversation) -> None:
    mine, other = talk.sign_in("jane"), talk.sign_in("outsider")
    talk.simulator.rotate("jane", grace=0)
    assert talk.refresh(mine["refresh_token"]).status == 400
    assert talk.refresh(other["refresh_token"]).status == 200


def test_the_dial_leaves_the_grace(talk: Conversation) -> None:
    token = talk.sign_in()["refresh_token"]
    talk.simulator.rotate("jane")
    assert talk.refresh(token).status == 200
    talk.simulator.move_clock(601)
    assert talk.refresh(token).status == 400


def test_a_revoked_grant_ends_all_its_tokens(talk: Conversation) -> None:
    mine, other = talk.sign_in("jane"), talk.sign_in("outsider")
    talk.simulator.revoke("jane")
    assert told(talk.refresh(mine["refresh_token"])) == BAD_REFRESH
    assert talk.api("user", mine["access_token"]).status == 401
    assert talk.api("user", other["access_token"]).status == 200


def test_an_unknown_refresh_token_is_refused(talk: Conversation) -> None:
    assert told(talk.refresh("made up")) == BAD_REFRESH


def test_the_deactivated_person_gets_no_token(talk: Conversation) -> None:
    answer = talk.exchange(talk.code("deactivated"))
    assert answer.status == 401
    assert told(answer) == {"error": "unauthorized_client", "error_description": "User is inactive"}


def test_who_is_deactivated_later_is_refused_everywhere(talk: Conversation) -> None:
    talk.simulator.rules.inactive_error = "invalid_grant"
    data = talk.sign_in()
    talk.simulator.deactivate("jane")
    answer = talk.refresh(data["refresh_token"])
    assert (answer.status, told(answer)["error_description"]) == (401, "User is inactive")
    assert told(answer)["error"] == "invalid_grant"
    assert talk.api("user", data["access_token"]).status == 401
    talk.simulator.reactivate("jane")
    assert talk.api("user", data["access_token"]).status == 200


def test_oauthlib_logs_nothing_of_it(talk: Conversation, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        talk.refresh(talk.sign_in()["refresh_token"])
        logging.getLogger("oauthlib.oauth2.rfc6749.grant_types.base").debug("somebody else's")
    assert caplog.messages == ["somebody else's"]
