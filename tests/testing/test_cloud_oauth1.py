"""Cloud as it was: OAuth 1.0a, and the API under ``/1.0/``; and what became of them."""

import logging

import pytest
from testing.conversation import CALLBACK, Conversation, told
from testing.signing import SITE, SigningConversation, form_of, pair
from testing.signing import told as returned

from django_bitbucket_auth.testing import SIMULATOR_RSA_KEY, Answer, BitbucketSimulator

PROFILE = {
    "repositories": [],
    "user": {
        "username": "jdoe",
        "first_name": "Jane",
        "last_name": "Doe",
        "display_name": "Jane Doe",
        "is_staff": False,
        "avatar": "http://127.0.0.1/_simulator/avatars/jane.svg",
        "resource_uri": "/1.0/users/jdoe",
        "is_team": False,
    },
}


@pytest.fixture
def talk() -> SigningConversation:
    return SigningConversation(BitbucketSimulator("cloud-oauth1"))


def refused(answer: Answer) -> bool:
    return (answer.status, answer.text) == (400, "Could not verify OAuth request.")


@pytest.mark.parametrize("method", ["HMAC-SHA1", "RSA-SHA1"])
@pytest.mark.parametrize("prefix", ["api", "!api"])
def test_three_steps_lead_to_signed_requests(method: str, prefix: str) -> None:
    talk = SigningConversation(BitbucketSimulator("cloud-oauth1"), method)
    talk.paths = {name: path.replace("/api/", f"/{prefix}/") for name, path in talk.paths.items()}
    token = pair(talk.request_token())
    assert talk.ask(token).status == 200
    back = returned(talk.press(token, person="jane"))
    answer = talk.access_token(token, back["oauth_verifier"])
    assert set(form_of(answer)) == {"oauth_token", "oauth_token_secret"}
    answer = talk.get("2.0/user", pair(answer))
    assert told(answer)["username"] == "jdoe"
    assert answer.headers["X-Credential-Type"] == "oauth1"
    assert [(logged.endpoint, logged.person) for logged in talk.simulator.requests] == [
        ("request_token", None),
        ("authorize", None),
        ("authorize", "jane"),
        ("token", "jane"),
        ("user", "jane"),
    ]


@pytest.mark.parametrize("path", ["1.0/user/", "1.0/user", "api/1.0/user/", "!api/1.0/user/"])
def test_the_profile_was_another_one(talk: SigningConversation, path: str) -> None:
    assert told(talk.get(path, talk.sign_in())) == PROFILE
    assert talk.simulator.requests[-1].endpoint == "user"


def test_one_name_is_a_first_name(talk: SigningConversation) -> None:
    talk.simulator.rename("jane", display_name="Jane")
    user = told(talk.get("1.0/user/", talk.sign_in()))["user"]
    assert (user["first_name"], user["last_name"]) == ("Jane", "")


@pytest.mark.parametrize("path", ["1.0/emails/", "1.0/users/jdoe/emails"])
def test_addresses_were_a_plain_list(talk: SigningConversation, path: str) -> None:
    assert talk.get(path, talk.sign_in()).json() == [
        {"active": True, "email": "jane@example.com", "primary": True},
        {"active": False, "email": "jane.doe@example.org", "primary": False},
    ]
    assert talk.simulator.requests[-1].endpoint == "emails"


def test_addresses_are_ones_own(talk: SigningConversation) -> None:
    assert talk.get("1.0/users/olga/emails", talk.sign_in()).status == 403


def test_it_needed_the_same_scopes(talk: SigningConversation) -> None:
    talk.simulator.client.scopes = ("account",)
    token = talk.sign_in()
    assert talk.get("1.0/user/", token).status == 200
    assert talk.get("1.0/emails/", token).status == 403


def test_a_bearer_token_opened_it_too(talk: SigningConversation) -> None:
    cloud = Conversation(talk.simulator)
    token = cloud.sign_in()["access_token"]
    assert told(cloud.send("GET", "/1.0/user/", authorization=f"Bearer {token}")) == PROFILE


@pytest.mark.parametrize("path", ["1.0/privileges", "1.0/oauth/nonsense", "api/2.0/user"])
def test_other_addresses_are_not_there(talk: SigningConversation, path: str) -> None:
    assert talk.get(path, talk.sign_in()).status == 404


def test_a_refusal_does_not_say_why(talk: SigningConversation) -> None:
    token, verifier = talk.allowed()
    for answer in (
        talk.request_token(client_secret="wrong"),
        talk.request_token(client_key="somebody-else"),
        talk.request_token(callback=None),
        talk.request_token("https://attacker.com/"),
        talk.request_token(timestamp="1000000000"),
        talk.request_token(signature_method="RSA-SHA256", rsa_key=SIMULATOR_RSA_KEY),
        talk.access_token(token, "wrong"),
    ):
        assert refused(answer)
    assert talk.access_token(token, verifier).status == 200
    assert refused(talk.access_token(token, verifier))


def test_signed_calls_of_the_api_are_refused_as_others_are(talk: SigningConversation) -> None:
    token = talk.sign_in()
    assert talk.get("2.0/user", token, nonce="once").status == 200
    for answer in (
        talk.get("2.0/user", token, nonce="once"),
        talk.get("2.0/user", (token[0], "wrong")),
        talk.get("2.0/user", None),
    ):
        assert (answer.status, told(answer)["type"]) == (401, "error")


def test_tokens_live_until_they_are_revoked(talk: SigningConversation) -> None:
    token = talk.sign_in()
    talk.simulator.move_clock(50 * 365 * 86400)
    assert talk.get("2.0/user", token).status == 200
    talk.simulator.revoke("jane")
    assert talk.get("2.0/user", token).status == 401
    token = talk.sign_in()
    talk.simulator.expire_access_tokens()
    assert talk.get("2.0/user", token).status == 401


def test_who_is_deactivated_is_refused(talk: SigningConversation) -> None:
    token = talk.sign_in()
    talk.simulator.deactivate("jane")
    assert talk.get("2.0/user", token).status == 401
    assert talk.get("1.0/user/", token).status == 401


def test_the_steps_may_be_taken_by_get(talk: SigningConversation) -> None:
    assert talk.signed("GET", talk.paths["request-token"], callback_uri=SITE).status == 200


def test_deny_leads_back(talk: SigningConversation) -> None:
    token = talk.asked()
    assert returned(talk.press(token, deny="1"))["oauth_problem"] == "permissions_denied"
    assert refused(talk.access_token(token, "x"))


def test_the_registered_callback_matched_as_a_prefix(talk: SigningConversation) -> None:
    talk.simulator.callback_url = CALLBACK
    assert talk.request_token(f"{CALLBACK}more").status == 200
    assert refused(talk.request_token("http://testserver/"))


def test_tokens_are_given_out_without_a_login(talk: SigningConversation) -> None:
    data = talk.simulator.issue("jane", ["account"])
    token = (str(data["access_token"]), str(data["token_secret"]))
    assert told(talk.get("2.0/user", token))["username"] == "jdoe"
    assert talk.get("2.0/user/emails", token).status == 403


@pytest.mark.parametrize("kind", ["cloud", "cloud-oauth1"])
def test_today_it_is_switched_off(kind: str) -> None:
    talk = SigningConversation(BitbucketSimulator("cloud-oauth1"))
    token = talk.sign_in()
    if kind == "cloud":
        talk = SigningConversation(BitbucketSimulator())
    talk.simulator.use_todays_rules()
    for answer in (
        talk.request_token(),
        talk.access_token(token, "x"),
        talk.ask(token),
        talk.get("2.0/user", token),
    ):
        assert (answer.status, told(answer)["type"]) == (401, "error")
    assert talk.simulator.requests[-1].person is None
    for path in ("1.0/user/", "api/1.0/emails/"):
        answer = talk.get(path, token)
        assert (answer.status, told(answer)["error"]["message"]) == (410, "Resource removed")


def test_older_rules_switch_it_on() -> None:
    talk = SigningConversation(BitbucketSimulator())
    talk.simulator.use_older_rules()
    assert told(talk.get("1.0/user/", talk.sign_in())) == PROFILE


def test_oauthlib_logs_nothing_of_it(talk: SigningConversation, caplog: pytest.LogCaptureFixture) -> None:
    talk.get("2.0/user", talk.sign_in())
    header = talk.simulator.requests[-1].headers["authorization"]
    with caplog.at_level(logging.DEBUG):  # from here on: signing logs, too
        talk.send("GET", "/2.0/user", authorization=header)
    assert talk.simulator.requests[-1].status == 401
    assert caplog.messages == []
