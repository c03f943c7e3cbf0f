"""Data Center's OAuth 1.0a: three steps, signed requests, and the problems by name."""

import logging
import re

import pytest
import requests_oauthlib
from testing.signing import SITE, SigningConversation, form_of, pair, problem, told

from django_bitbucket_auth.testing import SIMULATOR_RSA_KEY, BitbucketSimulator, RegisteredClient

METHODS = ("RSA-SHA1", "HMAC-SHA1")


@pytest.fixture
def talk() -> SigningConversation:
    return SigningConversation(BitbucketSimulator("data-center-oauth1", context_path="/bitbucket"))


@pytest.mark.parametrize("method", METHODS)
def test_three_steps_lead_to_signed_requests(method: str) -> None:
    talk = SigningConversation(BitbucketSimulator("data-center-oauth1"), method)
    requested = form_of(talk.request_token())
    assert set(requested) == {"oauth_token", "oauth_token_secret", "oauth_callback_confirmed"}
    assert requested["oauth_callback_confirmed"] == "true"
    token = (requested["oauth_token"], requested["oauth_token_secret"])
    page = talk.ask(token)
    assert (page.status, "not the real Bitbucket" in page.text) == (200, True)
    back = told(talk.press(token, person="jane"))
    assert set(back) == {"state", "oauth_token", "oauth_verifier"}
    assert (back["state"], back["oauth_token"]) == ("the-state", token[0])
    given = form_of(talk.access_token(token, back["oauth_verifier"]))
    access = (given.pop("oauth_token"), given.pop("oauth_token_secret"))
    assert given.pop("oauth_session_handle")
    assert given == {"oauth_expires_in": "157680000", "oauth_authorization_expires_in": "160272000"}
    answer = talk.get("application-properties", access)
    assert answer.headers["X-AUSERNAME"] == "jane.doe%40example.com"
    assert talk.get("users?filter=doe&filter=a%20b%2B%7B&x=", access).status == 200
    seen = [(logged.endpoint, logged.person) for logged in talk.simulator.requests]
    assert seen == [
        ("request_token", None),
        ("authorize", None),
        ("authorize", "jane"),
        ("token", "jane"),
        ("whoami", "jane"),
        ("user", "jane"),
    ]


def test_a_second_implementation_signs_in_over_the_network() -> None:
    with BitbucketSimulator("data-center-oauth1", context_path="/bitbucket").serving() as simulator:
        below = f"{simulator.url.replace('127.0.0.1', 'localhost')}/plugins/servlet/oauth"
        with requests_oauthlib.OAuth1Session(
            simulator.consumer_key,
            signature_method="RSA-SHA1",
            rsa_key=simulator.rsa_private_key,
            callback_uri=SITE,
        ) as session:
            requested = session.fetch_request_token(f"{below}/request-token")
            talk = SigningConversation(simulator)
            back = talk.press((requested["oauth_token"], ""), person="jane").headers["Location"]
            session.parse_authorization_response(back)
            session.fetch_access_token(f"{below}/access-token")
            answer = session.get(f"{simulator.url}/rest/api/latest/users?filter=doe")
            assert answer.json()["size"] == 1


@pytest.mark.parametrize("where", ["AUTH_HEADER", "QUERY", "BODY"])
def test_a_signature_may_be_in_three_places(talk: SigningConversation, where: str) -> None:
    token = talk.sign_in()
    path = "/bitbucket/rest/api/latest/users"
    if where == "BODY":
        answer = talk.signed("POST", path, token, {"a": "b c"}, signature_type=where)
    else:
        answer = talk.signed("GET", path, token, signature_type=where)
    assert answer.status == (405 if where == "BODY" else 200)
    assert answer.headers["X-AUSERNAME"] == "jane.doe%40example.com"
    assert talk.simulator.requests[-1].person == "jane"


def test_a_signed_request_sees_what_the_person_sees(talk: SigningConversation) -> None:
    assert talk.get("projects/ACME/repos", talk.sign_in()).status == 200
    assert talk.get("projects/ACME/repos", talk.sign_in("outsider")).status == 401


def test_a_signature_that_is_wrong_is_refused(talk: SigningConversation) -> None:
    token = talk.sign_in()
    for answer in (
        talk.get("users", token, realm="x", signature_method="HMAC-SHA1", client_secret="wrong"),
        talk.get("users", (token[0], "wrong"), signature_method="HMAC-SHA1"),
        talk.request_token(signature_method="HMAC-SHA1", client_secret="wrong"),
        talk.access_token((talk.allowed()[0][0], "wrong"), talk.allowed()[1], signature_method="HMAC-SHA1"),
    ):
        assert problem(answer) in ("signature_invalid", "token_rejected")
    good = talk.get("users", token, realm="x")
    assert good.status == 200


def test_each_part_of_a_request_is_signed(talk: SigningConversation) -> None:
    token = talk.sign_in()
    talk.get("users?filter=doe", token)
    header = talk.simulator.requests[-1].headers["authorization"]
    for path in ("users?filter=dof", "users", "application-properties"):
        talk.simulator.vault.nonces.clear()
        below = "/bitbucket/rest/api/latest"
        assert problem(talk.send("GET", f"{below}/{path}", authorization=header)) == "signature_invalid"
    talk.simulator.vault.nonces.clear()
    answer = talk.send("GET", f"{below}/users?filter=doe", authorization=header, host="localhost")
    assert problem(answer) == "signature_invalid"
    answer = talk.send("GET", f"{below}/users?filter=doe", authorization=header)
    assert problem(answer) == "nonce_used"
    talk.simulator.vault.nonces.clear()
    assert talk.send("GET", f"{below}/users?filter=doe", authorization=header).status == 200


@pytest.mark.parametrize("broken", ["!", "a", "\N{SNOWMAN}", "%", ""])
def test_what_is_no_signature_is_refused(talk: SigningConversation, broken: str) -> None:
    talk.method = "RSA-SHA1"
    token = talk.sign_in()
    talk.get("users", token)
    header = talk.simulator.requests[-1].headers["authorization"]
    header = re.sub(r'oauth_signature="[^"]*"', f'oauth_signature="{broken}"', header)
    talk.simulator.vault.nonces.clear()
    answer = talk.send("GET", "/bitbucket/rest/api/latest/users", authorization=header)
    assert problem(answer) == ("signature_invalid" if broken else "parameter_absent")


def test_a_nonce_is_good_once(talk: SigningConversation) -> None:
    token = talk.sign_in()
    assert talk.get("users", token, nonce="once").status == 200
    assert problem(talk.get("users", token, nonce="once")) == "nonce_used"
    assert talk.get("users", talk.sign_in("outsider"), nonce="once").status == 200
    talk.simulator.move_clock(1)
    assert talk.get("users", token, nonce="once").status == 200


@pytest.mark.parametrize(("apart", "is_good"), [(-301, False), (-298, True), (298, True), (301, False)])
def test_the_clocks_may_be_five_minutes_apart(talk: SigningConversation, apart: int, is_good: bool) -> None:
    answer = talk.get("users", talk.sign_in(), timestamp=str(int(talk.simulator.now()) + apart))
    assert is_good == (answer.status == 200)
    assert is_good or problem(answer) == "timestamp_refused"


def test_the_clock_is_the_simulated_one(talk: SigningConversation) -> None:
    token = talk.sign_in()
    talk.simulator.move_clock(86400)
    assert talk.get("users", token).status == 200


@pytest.mark.parametrize("timestamp", ["1", "yesterday!", "12345678901"])
def test_what_is_no_timestamp_is_refused(talk: SigningConversation, timestamp: str) -> None:
    answer = talk.request_token(timestamp=timestamp)
    assert problem(answer) == "parameter_rejected"
    assert form_of(answer)["oauth_parameters_rejected"] == "oauth_timestamp"


def test_who_is_not_registered_is_refused(talk: SigningConversation) -> None:
    assert problem(talk.request_token(client_key="somebody-else")) == "consumer_key_unknown"
    assert problem(talk.get("users", talk.sign_in(), client_key="somebody-else")) == "consumer_key_unknown"


def test_a_link_for_oauth_2_is_no_consumer() -> None:
    talk = SigningConversation(BitbucketSimulator("data-center", context_path="/bitbucket"))
    assert problem(talk.request_token()) == "consumer_key_unknown"


@pytest.mark.parametrize("method", METHODS)
def test_a_consumer_may_be_registered_for_one_method(method: str) -> None:
    client = RegisteredClient(signature_methods=(method,))
    talk = SigningConversation(BitbucketSimulator("data-center-oauth1", client=client, context_path="/bitbucket"))
    other = next(name for name in METHODS if name != method)
    keys = {"signature_method": other, "rsa_key": SIMULATOR_RSA_KEY}
    assert problem(talk.request_token(**keys)) == "signature_method_rejected"
    assert talk.request_token(**keys | {"signature_method": method}).status == 200


def test_secrets_are_not_sent_as_they_are(talk: SigningConversation) -> None:
    assert problem(talk.request_token(signature_method="PLAINTEXT")) == "signature_method_rejected"


def test_what_lacks_something_is_told_so(talk: SigningConversation) -> None:
    answer = talk.request_token(callback=None)
    assert (problem(answer), form_of(answer)["oauth_parameters_absent"]) == ("parameter_absent", "oauth_callback")
    token, verifier = talk.allowed()
    answer = talk.access_token(token, None)
    assert form_of(answer)["oauth_parameters_absent"] == "oauth_verifier"
    answer = talk.get("users", None)
    assert problem(answer) == "parameter_absent"
    answer = talk.send("POST", talk.paths["access-token"])
    assert problem(answer) == "parameter_rejected"
    # None of it has used anything up.
    assert talk.access_token(token, verifier).status == 200


def test_a_malformed_request_may_be_a_400(talk: SigningConversation) -> None:
    talk.simulator.rules.malformed_status = 400
    assert talk.request_token(callback=None).status == 400
    assert talk.request_token(client_key="somebody-else").status == 401


def test_parameters_in_two_places_or_twice_are_refused(talk: SigningConversation) -> None:
    path = talk.paths["request-token"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert problem(talk.send("POST", path, "oauth_nonce=a&oauth_nonce=b", **form)) == "parameter_rejected"
    header = 'OAuth oauth_nonce="a"'
    assert problem(talk.send("POST", f"{path}?oauth_token=b", authorization=header)) == "parameter_rejected"
    assert problem(talk.send("POST", f"{path}?a={{b}}", authorization=header)) == "parameter_rejected"


def test_another_version_is_refused(talk: SigningConversation) -> None:
    names = ("consumer_key", "signature_method", "signature", "timestamp", "nonce", "callback")
    header = "OAuth " + ", ".join(f'oauth_{name}="x"' for name in names) + ', oauth_version="2.0"'
    answer = talk.send("POST", talk.paths["request-token"], authorization=header)
    assert (problem(answer), form_of(answer)["oauth_acceptable_versions"]) == ("version_rejected", "1.0-1.0")


def test_a_refused_signature_is_told_where_anybody_may_ask(talk: SigningConversation) -> None:
    answer = talk.get("application-properties", ("unknown", "x"))
    assert problem(answer) == "token_rejected"
    assert "X-AUSERNAME" not in answer.headers


def test_a_sessions_cookie_goes_before_a_signature(talk: SigningConversation) -> None:
    access = talk.sign_in()
    cookie = talk.get("users", access).headers["Set-Cookie"].partition(";")[0]
    answer = talk.send("GET", "/bitbucket/rest/api/latest/users", cookie=cookie, authorization="OAuth x")
    assert answer.headers["X-AUSERNAME"] == "jane.doe%40example.com"


def test_tokens_are_given_out_without_a_login(talk: SigningConversation) -> None:
    data = talk.simulator.issue("outsider")
    assert (data["access_token"], data["token_secret"]) == (data["oauth_token"], data["oauth_token_secret"])
    token = (str(data["access_token"]), str(data["token_secret"]))
    assert talk.get("application-properties", token).headers["X-AUSERNAME"].startswith("outsider")
    with pytest.raises(ValueError, match="no tokens of the application"):
        talk.simulator.issue(None)


def test_a_reset_forgets_all_tokens(talk: SigningConversation) -> None:
    access, allowed = talk.sign_in(), talk.allowed()
    talk.simulator.reset()
    assert talk.simulator.kind == "data-center-oauth1"
    assert problem(talk.get("users", access)) == "token_rejected"
    assert problem(talk.access_token(*allowed)) == "token_rejected"


def test_faults_have_names_for_the_steps(talk: SigningConversation) -> None:
    for step, name in (("request-token", "request_token"), ("authorize", "authorize"), ("access-token", "token")):
        talk.simulator.fail(name, 503, times=1)
        assert talk.send("GET", talk.paths[step]).status == 503


def test_nothing_of_it_is_logged(talk: SigningConversation, caplog: pytest.LogCaptureFixture) -> None:
    talk.get("users", talk.sign_in())
    header = talk.simulator.requests[-1].headers["authorization"]
    with caplog.at_level(logging.DEBUG):  # from here on: signing logs, too
        for path in ("users", "projects"):
            talk.simulator.vault.nonces.clear()
            talk.send("GET", f"/bitbucket/rest/api/latest/{path}", authorization=header)
    assert [logged.status for logged in talk.simulator.requests[-2:]] == [200, 401]
    assert caplog.messages == []


def test_the_whole_pair_is_new_each_time(talk: SigningConversation) -> None:
    given = [*talk.sign_in(), *talk.sign_in(), *pair(talk.request_token())]
    assert len(set(given)) == 6
