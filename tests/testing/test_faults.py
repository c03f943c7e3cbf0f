"""The dials that make Bitbucket fail, and the log that tests count by."""

import pytest
from testing.conversation import Conversation, told

from django_bitbucket_auth.testing import Email, Fault, Person, RegisteredClient, Rules


def test_an_endpoint_fails_until_it_is_healed(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    talk.simulator.fail("user", 500)
    for _ in range(3):
        answer = talk.api("user", token)
        assert answer.status == 500
        assert answer.headers["Content-Type"].startswith("text/html")
    assert talk.api("user/emails", token).status == 200
    talk.simulator.heal("emails")
    assert talk.api("user", token).status == 500
    talk.simulator.heal("user")
    assert talk.api("user", token).status == 200


def test_an_endpoint_fails_so_many_times(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    talk.simulator.fail("user", 503, times=2)
    assert [talk.api("user", token).status for _ in range(3)] == [503, 503, 200]
    assert list(talk.simulator.faults) == []


def test_faults_are_used_up_in_their_order(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    talk.simulator.fail("user", 502, times=1)
    talk.simulator.fail("*", 503, times=1)
    assert [talk.api("user", token).status for _ in range(3)] == [502, 503, 200]


def test_too_many_requests_are_told_in_json(talk: Conversation) -> None:
    talk.simulator.fail("token", 429, retry_after=3)
    answer = talk.exchange(talk.code())
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "3"
    assert told(answer)["error"]["message"] == "Rate limit for this resource has been exceeded"


def test_other_client_errors_are_told_in_json(talk: Conversation) -> None:
    talk.simulator.fail("user", 400)
    answer = talk.api("user", "x")
    assert told(answer)["type"] == "error"
    assert "Retry-After" not in answer.headers


def test_a_failure_carries_nothing_out(talk: Conversation) -> None:
    code = talk.code()
    talk.simulator.fail("token", 503, times=1)
    assert talk.exchange(code).status == 503
    assert talk.exchange(code).status == 200


def test_a_cut_request_was_carried_out(talk: Conversation) -> None:
    code = talk.code()
    talk.simulator.cut("token", times=1)
    answer = talk.exchange(code)
    assert (answer.status, answer.cut) == (200, "before")
    assert talk.exchange(code).status == 400


def test_troubles_on_the_way_travel_with_the_answer(talk: Conversation) -> None:
    talk.simulator.slow("authorize", 4, times=1)
    assert talk.ask().delay == 4
    talk.simulator.drip("authorize", 0.5, times=1)
    assert talk.ask().drip == 0.5
    talk.simulator.cut("authorize", middle=True, times=1)
    assert talk.ask().cut == "middle"
    assert (talk.ask().delay, talk.ask().drip, talk.ask().cut) == (0, 0, "")


def test_any_answer_can_be_given(talk: Conversation) -> None:
    headers = {"Content-Type": "text/plain", "X-Odd": "1"}
    talk.simulator.answer("user", 418, headers=headers, body="teapot")
    answer = talk.api("user", "x")
    assert (answer.status, answer.headers, answer.text) == (418, headers, "teapot")
    headers["X-Odd"] = "2"
    assert talk.api("user", "x").headers["X-Odd"] == "1"
    talk.simulator.heal()
    talk.simulator.answer("user", body=b"\xff")
    assert (talk.api("user", "x").status, talk.api("user", "x").body) == (200, b"\xff")


def test_a_path_is_an_endpoint_too(talk: Conversation) -> None:
    token = talk.sign_in()["access_token"]
    talk.simulator.join("jane", "globex")
    talk.simulator.fail("/2.0/user/workspaces/{1}/permission", 503)
    talk.simulator.fail("/2.0/user/workspaces/acme/permission", 502)
    assert talk.api("user/workspaces/acme/permission", token).status == 502
    assert talk.api("user/workspaces/%7B1%7D/permission", token).status == 503
    assert talk.api("user/workspaces/globex/permission", token).status == 200


def test_an_endpoint_that_is_not_there_is_named(talk: Conversation) -> None:
    with pytest.raises(ValueError, match="'profile', but: authorize, token"):
        talk.simulator.fail("profile")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("user"), "user works"),
        (Fault("user", 2, status=500), "user answers 500, 2 times more"),
        (Fault("user", delay=1.5), "user answers after 1.5 s"),
        (Fault("*", drip=0.1, cut="middle"), "* sends a byte every 0.1 s and hangs up in the"),
        (Fault("user", cut="before"), "user hangs up without an answer"),
    ],
)
def test_a_fault_says_what_it_does(fault: Fault, words: str) -> None:
    assert str(fault).startswith(words)


def test_the_log_says_who_asked_for_what(talk: Conversation) -> None:
    talk.ask()
    token = talk.sign_in()["access_token"]
    talk.api("user/workspaces/acme/permission?a=b", token)
    talk.api("hook_events", token)
    talk.api("repositories", token)
    talk.send("GET", "/_simulator/")
    seen = [(e.endpoint, e.method, e.status, e.person) for e in talk.simulator.requests]
    assert seen == [
        ("authorize", "GET", 200, None),
        ("authorize", "POST", 302, "jane"),
        ("token", "POST", 200, None),
        ("permission", "GET", 200, "jane"),
        ("other", "GET", 404, "jane"),
        ("removed", "GET", 410, "jane"),
    ]
    exchange, permission = talk.simulator.requests[2:4]
    assert exchange.form["grant_type"] == "authorization_code"
    assert permission.query == {"a": "b"}
    assert permission.path == "/2.0/user/workspaces/acme/permission"
    assert permission.headers["authorization"] == f"Bearer {token}"
    assert talk.simulator.requests_to("token") == [exchange]


def test_the_log_shows_no_secrets(talk: Conversation) -> None:
    data = talk.sign_in()
    talk.refresh(data["refresh_token"])
    shown = repr(talk.simulator.requests)
    assert "refresh_token" not in shown
    assert data["refresh_token"] not in shown


def test_a_reset_is_a_new_beginning(talk: Conversation) -> None:
    simulator = talk.simulator
    data = talk.sign_in()
    simulator.rename("jane", username="other")
    simulator.people["jane"].emails.append(Email("new@example.com"))
    simulator.add_person(Person("eve"))
    simulator.rename_workspace("acme", "gone")
    simulator.callback_url = "http://localhost/only"
    simulator.use_older_rules()
    simulator.move_clock(5000)
    simulator.fail("user")
    simulator.reset()
    assert simulator.requests == []
    assert talk.api("user", data["access_token"]).status == 401
    assert simulator.people["jane"].username == "jdoe"
    assert len(simulator.people["jane"].emails) == 2
    assert "eve" not in simulator.people
    assert "acme" in simulator.workspaces
    assert simulator.client == RegisteredClient()
    assert simulator.rules == Rules()
    assert simulator.clock_offset == 0
    assert talk.api("user", talk.sign_in()["access_token"]).status == 200


def test_a_reset_can_be_repeated(talk: Conversation) -> None:
    for _ in range(2):
        talk.simulator.deactivate("jane")
        talk.simulator.reset()
        assert talk.simulator.people["jane"].active


def test_an_unknown_person_is_a_lookup_error_with_names(talk: Conversation) -> None:
    with pytest.raises(LookupError, match="No person 'eve' here, but: jane, unconfirmed"):
        talk.simulator.revoke("eve")


def test_a_person_may_stand_for_the_key(talk: Conversation) -> None:
    talk.simulator.deactivate(talk.simulator.people["jane"])
    assert not talk.simulator.people["jane"].active


@pytest.mark.parametrize("host", ["attacker.com", "127.0.0.1.attacker.com", "10.0.0.1", "[", ""])
def test_another_name_for_this_machine_gets_nothing(talk: Conversation, host: str) -> None:
    assert talk.send("GET", "/_simulator/", host=host).status == 421
    assert talk.send("GET", "/site/oauth2/authorize", host=host).status == 421
    assert talk.simulator.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost:8010", "[::1]:8010", "LOCALHOST"])
def test_names_of_this_machine_are_answered(talk: Conversation, host: str) -> None:
    assert talk.send("GET", "/_simulator/", host=host).status == 200
