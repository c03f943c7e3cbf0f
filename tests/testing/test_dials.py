"""The simulator's own pages: each dial does by hand what a method does in Python."""

import pytest
from testing.conversation import Conversation, DataCenterConversation, told

from django_bitbucket_auth.testing import Answer, BitbucketSimulator, Person, Rules


def turn(talk: Conversation, dial: str, **form: str) -> Answer:
    """Submit one of the page's forms."""
    return talk.send("POST", "/_simulator/", {"dial": dial, **form})


def test_the_address_alone_leads_to_the_dials(talk: Conversation) -> None:
    answer = talk.send("GET", "/")
    assert (answer.status, answer.headers["Location"]) == (302, "/_simulator/")


def test_the_page_shows_how_everything_stands(talk: Conversation) -> None:
    simulator = talk.simulator
    simulator.fail("user", 503, times=2)
    simulator.add_person(Person("eve", display_name="<Eve>"))
    simulator.rules.pkce_verified = False
    talk.sign_in()
    page = talk.send("GET", "/_simulator/")
    assert page.status == 200
    for words in (
        simulator.client_id,
        simulator.client_secret,
        "jane.doe@example.org (unconfirmed)",
        "user answers 503, 2 times more",
        "&lt;Eve&gt;",
        "POST /site/oauth2/access_token",
        "<input type=checkbox name=rotate_refresh_tokens checked>",
        "<input type=checkbox name=pkce_verified>",
        "Reactivate",
    ):
        assert words in page.text


def test_the_page_is_linked_from_consent(talk: Conversation) -> None:
    assert '<a href="/_simulator/">' in talk.ask().text


def test_each_person_has_a_picture(talk: Conversation) -> None:
    picture = talk.send("GET", "/_simulator/avatars/jane.svg")
    assert (picture.status, picture.headers["Content-Type"]) == (200, "image/svg+xml")
    assert ">JD<" in picture.text
    assert talk.send("GET", "/_simulator/avatars/eve.svg").status == 404


def test_what_browsers_ask_for_unasked_is_not_logged(talk: Conversation) -> None:
    assert talk.send("GET", "/favicon.ico").headers["Content-Type"] == "image/svg+xml"
    assert talk.simulator.requests == []


def test_what_is_not_there_is_not_found(talk: Conversation) -> None:
    assert talk.send("GET", "/_simulator/else").status == 404
    assert talk.send("POST", "/_simulator/avatars/jane.svg").status == 404


def test_a_dial_leads_back_to_the_page(talk: Conversation) -> None:
    answer = turn(talk, "heal")
    assert (answer.status, answer.headers["Location"]) == (303, "/_simulator/")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_turns_no_dial(talk: Conversation, site: str) -> None:
    answer = talk.send("POST", "/_simulator/", {"dial": "reset"}, sec_fetch_site=site)
    assert answer.status == 403


def test_a_persons_dials(talk: Conversation) -> None:
    jane = talk.simulator.people["jane"]
    data = talk.sign_in()
    assert turn(talk, "deactivate", person="jane").status == 303
    assert (jane.active, jane.workspaces) == (False, {"acme": "member"})
    turn(talk, "reactivate", person="jane")
    turn(talk, "leave", person="jane", workspace="acme")
    assert (jane.active, jane.workspaces) == (True, {})
    turn(talk, "join", person="jane", workspace="globex", role="owner")
    assert jane.workspaces == {"globex": "owner"}
    turn(talk, "rename", person="jane", username="new", nickname="", display_name="")
    assert (jane.username, jane.display_name) == ("new", "Jane Doe")
    turn(talk, "expire", person="jane")
    assert talk.api("user", data["access_token"]).status == 401
    turn(talk, "rotate", person="jane")
    assert talk.refresh(data["refresh_token"]).status == 200
    turn(talk, "clock", hours="0.5")
    assert talk.refresh(data["refresh_token"]).status == 400
    data = talk.sign_in()
    turn(talk, "revoke", person="jane")
    assert talk.refresh(data["refresh_token"]).status == 400


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"trouble": "503", "times": "2"}, "user answers 503, 2 times more"),
        ({"trouble": "429", "seconds": "7"}, "user answers 429"),
        ({"trouble": "slow", "seconds": "1.5"}, "user answers after 1.5 s"),
        ({"trouble": "slow"}, "user answers after 5 s"),
        ({"trouble": "drip", "seconds": "0.1"}, "user sends a byte every 0.1 s"),
        ({"trouble": "cut"}, "user hangs up without an answer"),
        ({"trouble": "cut-middle"}, "user hangs up in the middle of the answer"),
    ],
)
def test_faults_are_set_by_hand(talk: Conversation, form: dict[str, str], words: str) -> None:
    assert turn(talk, "fault", endpoint="user", **form).status == 303
    assert [str(fault) for fault in talk.simulator.faults] == [words]
    turn(talk, "heal")
    assert list(talk.simulator.faults) == []


def test_seconds_of_too_many_requests_are_retry_after(talk: Conversation) -> None:
    turn(talk, "fault", endpoint="user", trouble="429", seconds="7")
    assert talk.api("user", "x").headers["Retry-After"] == "7"
    turn(talk, "reset")
    turn(talk, "fault", endpoint="user", trouble="429", seconds="")
    assert "Retry-After" not in talk.api("user", "x").headers


def test_rules_are_chosen_by_hand(talk: Conversation) -> None:
    turn(talk, "rules-older")
    assert talk.simulator.rules == Rules.older()
    turn(talk, "rules-today")
    assert talk.simulator.rules == Rules()
    shown = {name: str(value) for name, value in vars(Rules()).items() if not isinstance(value, bool)}
    form = shown | {"access_token_seconds": "3600", "query_token_refused": "on"}
    assert turn(talk, "rules", **form).status == 303
    rules = talk.simulator.rules
    assert rules.access_token_seconds == 3600
    assert rules.query_token_refused
    assert not rules.pkce_verified
    assert rules.grace_seconds == 600.0


@pytest.mark.parametrize(
    ("dial", "form"),
    [
        ("", {}),
        ("explode", {}),
        ("revoke", {}),
        ("revoke", {"person": "eve"}),
        ("join", {"person": "jane", "workspace": "acme", "role": "god"}),
        ("clock", {"hours": "many"}),
        ("clock", {"hours": "nan"}),
        ("clock", {"hours": "1e9"}),
        ("fault", {"endpoint": "user", "trouble": "slow", "seconds": "nan"}),
        ("fault", {"endpoint": "user", "trouble": "slow", "seconds": "-1"}),
        ("fault", {"endpoint": "nowhere", "trouble": "500"}),
        ("fault", {"endpoint": "user", "trouble": "bad luck"}),
        ("rules", {"grace_seconds": "1"}),
        ("rules", dict.fromkeys(vars(Rules()), "x")),
    ],
)
def test_what_can_not_be_done_is_said(talk: Conversation, dial: str, form: dict[str, str]) -> None:
    answer = turn(talk, dial, **form)
    assert answer.status == 400
    assert "That can&#x27;t be done" in answer.text
    assert talk.simulator.rules == Rules()


def test_a_data_center_has_dials_of_its_own(data_center: DataCenterConversation) -> None:
    page = data_center.send("GET", "/bitbucket/_simulator/").text
    for words in ("<code>data-center</code>", "http://127.0.0.1/bitbucket", "jane.doe@example.com", "name=dc_name"):
        assert words in page
    for words in ("Rules before 2026", "removed_endpoints_gone", "SIMULATOR_RSA_KEY", "name=username"):
        assert words not in page
    assert "name=users_per_page" in page
    answer = data_center.send("POST", "/bitbucket/_simulator/", {"dial": "rename", "person": "jane", "dc_name": "j@d"})
    assert (answer.status, answer.headers["Location"]) == (303, "/bitbucket/_simulator/")
    assert data_center.simulator.people["jane"].dc_slug == "j_d"


def test_a_data_centers_rules_are_chosen_by_hand(data_center: DataCenterConversation) -> None:
    simulator = data_center.simulator
    shown = {
        rule.name: str(getattr(simulator.rules, rule.name))
        for rule in Rules.of("data-center")
        if not isinstance(getattr(simulator.rules, rule.name), bool)
    }
    form = shown | {"dial": "rules", "users_per_page": "2", "pkce_required": "on"}
    assert data_center.send("POST", "/bitbucket/_simulator/", form).status == 303
    assert (simulator.rules.users_per_page, simulator.rules.pkce_required) == (2, True)
    assert not simulator.rules.session_cookies
    data_center.send("POST", "/bitbucket/_simulator/", {"dial": "rules-today"})
    assert simulator.rules == Rules.for_kind("data-center")
    assert data_center.send("POST", "/bitbucket/_simulator/", {"dial": "rules-older"}).status == 400
    data_center.send("POST", "/bitbucket/_simulator/", {"dial": "fault", "endpoint": "whoami", "trouble": "429"})
    assert "errors" in told(data_center.get("application-properties"))


def test_a_consumer_is_shown_as_one() -> None:
    page = Conversation(BitbucketSimulator("cloud-oauth1")).send("GET", "/_simulator/").text
    for words in ("<code>cloud-oauth1</code>", "Consumer key: ", "SIMULATOR_RSA_KEY", "name=oauth1_taken checked"):
        assert words in page
