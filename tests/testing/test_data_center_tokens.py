"""How long the tokens of OAuth 1.0a live, and what a person decides about them."""

import pytest
from testing.conversation import CALLBACK
from testing.signing import SITE, SigningConversation, problem, told

from django_bitbucket_auth.testing import BitbucketSimulator


@pytest.fixture
def talk() -> SigningConversation:
    return SigningConversation(BitbucketSimulator("data-center-oauth1", context_path="/bitbucket"))


@pytest.mark.parametrize("callback", ["https://attacker.com/", "oob", "http://localhost@attacker.com/", "not a URL"])
def test_a_callback_elsewhere_is_refused(talk: SigningConversation, callback: str) -> None:
    assert problem(talk.request_token(callback)) == "parameter_rejected"


def test_a_registered_callback_may_be_asked_for_with_any_query(talk: SigningConversation) -> None:
    talk.simulator.callback_url = CALLBACK
    assert talk.request_token(SITE).status == 200
    assert problem(talk.request_token("http://testserver/other/")) == "parameter_rejected"


def test_a_request_token_lives_ten_minutes(talk: SigningConversation) -> None:
    early, late = talk.allowed(), talk.allowed()
    undecided = talk.asked()
    talk.simulator.move_clock(599)
    assert talk.access_token(*early).status == 200
    talk.simulator.move_clock(2)
    assert problem(talk.access_token(*late)) == "token_expired"
    assert talk.ask(undecided).status == 401


def test_a_request_token_is_good_once(talk: SigningConversation) -> None:
    allowed = talk.allowed()
    assert talk.access_token(*allowed).status == 200
    assert problem(talk.access_token(*allowed)) == "token_used"
    assert talk.ask(allowed[0]).status == 401


def test_a_person_decides_once(talk: SigningConversation) -> None:
    token, _ = talk.allowed()
    answer = talk.press(token, person="outsider")
    assert (answer.status, "Location" in answer.headers) == (401, False)


def test_the_verifier_has_to_be_the_right_one(talk: SigningConversation) -> None:
    token, verifier = talk.allowed()
    assert problem(talk.access_token(token, "wrong")) == "token_rejected"
    assert talk.access_token(token, verifier).status == 200


def test_an_undecided_or_unknown_request_token_is_refused(talk: SigningConversation) -> None:
    assert problem(talk.access_token(talk.asked(), "x")) == "permission_unknown"
    assert problem(talk.access_token(("unknown", "x"), "x")) == "token_rejected"
    for token in ("unknown", ""):
        assert talk.ask((token, "")).status == 401


def test_an_access_token_is_no_request_token_nor_the_other_way_round(talk: SigningConversation) -> None:
    access, requested = talk.sign_in(), talk.asked()
    assert problem(talk.access_token(access, "x")) == "token_rejected"
    assert problem(talk.get("users", requested)) == "token_rejected"


def test_deny_leads_back_with_the_problem(talk: SigningConversation) -> None:
    token = talk.asked()
    back = told(talk.press(token, deny="1"))
    assert back == {"state": "the-state", "oauth_token": token[0], "oauth_problem": "permissions_denied"}
    assert problem(talk.access_token(token, "x")) == "permission_denied"
    assert talk.ask(token).status == 401


@pytest.mark.parametrize("has_token", [True, False])
@pytest.mark.parametrize("has_problem", [True, False])
def test_deny_may_come_with_less(talk: SigningConversation, has_token: bool, has_problem: bool) -> None:
    rules = talk.simulator.rules
    rules.denial_has_token, rules.denial_has_error, rules.denial_problem = has_token, has_problem, "user_refused"
    token = talk.asked()
    expected = {"state": "the-state"}
    expected |= {"oauth_token": token[0]} if has_token else {}
    expected |= {"oauth_problem": "user_refused"} if has_problem else {}
    assert told(talk.press(token, deny="1")) == expected


def test_nobody_consents_on_another_sites_page(talk: SigningConversation) -> None:
    token = talk.asked()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "sec-fetch-site": "cross-site"}
    answer = talk.send("POST", talk.paths["authorize"], f"oauth_token={token[0]}&person=jane", **headers)
    assert (answer.status, "Location" in answer.headers) == (403, False)
    assert talk.press(token, person="nobody").status == 400
    assert talk.send("DELETE", talk.paths["authorize"]).status == 405


@pytest.mark.parametrize("step", ["request-token", "access-token"])
def test_tokens_are_asked_for_by_post(talk: SigningConversation, step: str) -> None:
    assert talk.signed("GET", talk.paths[step]).status == 405


def test_a_revoked_token_is_refused(talk: SigningConversation) -> None:
    access, allowed = talk.sign_in(), talk.allowed()
    talk.simulator.revoke("jane")
    assert problem(talk.get("users", access)) == "token_revoked"
    assert problem(talk.access_token(*allowed)) == "token_revoked"
    assert talk.get("users", talk.sign_in()).status == 200


def test_access_tokens_end_after_five_years_or_at_once(talk: SigningConversation) -> None:
    access = talk.sign_in()
    talk.simulator.move_clock(157680000 - 1)
    assert talk.get("users", access).status == 200
    talk.simulator.move_clock(2)
    assert problem(talk.get("users", access)) == "token_expired"
    mine, other = talk.sign_in(), talk.sign_in("outsider")
    talk.simulator.expire_access_tokens("jane")
    assert problem(talk.get("users", mine)) == "token_expired"
    assert talk.get("users", other).status == 200


def test_who_is_deactivated_is_refused(talk: SigningConversation) -> None:
    access, allowed = talk.sign_in(), talk.allowed()
    talk.simulator.deactivate("jane")
    assert problem(talk.get("users", access)) == "permission_denied"
    assert problem(talk.access_token(*allowed)) == "permission_denied"
