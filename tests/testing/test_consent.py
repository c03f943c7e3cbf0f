"""The authorize endpoint: what it asks, and where it sends people."""

import re

import pytest
from testing.conversation import CALLBACK, Conversation, returned, told

from django_bitbucket_auth.testing import BitbucketSimulator, Person, RegisteredClient

MISCONFIGURED = "This integration is misconfigured. Contact the vendor for assistance."


def test_the_page_offers_everybody_and_deny(talk: Conversation) -> None:
    page = talk.ask()
    assert page.status == 200
    assert re.findall(r'name="person" value="(\w+)"', page.text) == [
        "jane",
        "unconfirmed",
        "outsider",
        "deactivated",
    ]
    assert 'name="deny" value="1"' in page.text
    assert "not the real Bitbucket" in page.text
    assert '<form method="post" action="/site/oauth2/authorize">' in page.text


def test_the_page_repeats_the_request_in_hidden_fields(talk: Conversation) -> None:
    page = talk.ask(state='a"<b>')
    assert '<input type="hidden" name="state" value="a&quot;&lt;b&gt;">' in page.text
    assert f'<input type="hidden" name="redirect_uri" value="{CALLBACK}">' in page.text


def test_names_are_text_on_the_page(simulator: BitbucketSimulator, talk: Conversation) -> None:
    simulator.add_person(Person("eve", display_name="<script>alert(1)</script>"))
    assert "<script>" not in talk.ask().text


def test_the_policy_lets_the_redirect_to_the_site_through(talk: Conversation) -> None:
    policy = talk.ask().headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action" not in policy


def test_head_is_answered_like_get(talk: Conversation) -> None:
    assert talk.send("HEAD", "/site/oauth2/authorize?client_id=x").status == 400


def test_other_methods_are_refused(talk: Conversation) -> None:
    assert talk.send("DELETE", "/site/oauth2/authorize").status == 405


def test_a_choice_leads_back_with_code_and_state(talk: Conversation) -> None:
    answer = talk.choose("jane")
    assert answer.status == 302
    assert set(returned(answer)) == {"code", "state"}
    assert returned(answer)["state"] == "the-state"


def test_a_request_without_state_is_answered_without(talk: Conversation) -> None:
    assert set(returned(talk.choose("jane", state=None))) == {"code"}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_nobody_consents_on_another_sites_page(talk: Conversation, site: str) -> None:
    form = talk.question() | {"person": "jane"}
    answer = talk.send("POST", "/site/oauth2/authorize", form, sec_fetch_site=site)
    assert answer.status == 403
    assert "Location" not in answer.headers


def test_nobody_of_that_name(talk: Conversation) -> None:
    answer = talk.choose("nobody")
    assert answer.status == 400
    assert "Location" not in answer.headers


def test_deny_leads_back_with_the_error(talk: Conversation) -> None:
    assert returned(talk.deny()) == {
        "error": "access_denied",
        "error_description": "The user denied the request.",
        "state": "the-state",
    }


def test_deny_may_come_without_state(simulator: BitbucketSimulator, talk: Conversation) -> None:
    simulator.rules.denial_has_state = False
    assert "state" not in returned(talk.deny())


def test_deny_may_come_with_nothing(simulator: BitbucketSimulator, talk: Conversation) -> None:
    simulator.rules.denial_has_error = False
    assert talk.deny().headers["Location"] == CALLBACK


@pytest.mark.parametrize(
    "uri",
    [
        "https://attacker.com/",
        "http://localhost:80@attacker.com/",
        "http://localhost\\@attacker.com/",
        "http://localhost/#fragment",
        "ftp://localhost/",
        "http://[/",
        "http://10.0.0.1/",
        "not-a-uri",
    ],
)
def test_a_callback_elsewhere_stays_on_bitbuckets_page(talk: Conversation, uri: str) -> None:
    for answer in (talk.ask(redirect_uri=uri), talk.choose(redirect_uri=uri)):
        assert answer.status == 400
        assert f"Invalid redirect_uri. {MISCONFIGURED}" in answer.text
        assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:8000/cb",
        "http://localhost:8000/cb?a=b",
        "http://[::1]:8000/cb",
        "https://shop.example.com/cb",
        "https://shop.test/cb",
    ],
)
def test_any_callback_on_this_machine_or_a_reserved_name_is_good(talk: Conversation, uri: str) -> None:
    assert talk.ask(redirect_uri=uri).status == 200
    assert talk.choose(redirect_uri=uri).headers["Location"].startswith(uri)


def test_a_registered_callback_has_to_match_exactly(simulator: BitbucketSimulator, talk: Conversation) -> None:
    simulator.callback_url = CALLBACK
    assert simulator.callback_url == CALLBACK
    assert talk.ask().status == 200
    assert talk.ask(redirect_uri=f"{CALLBACK}more").status == 400
    assert talk.ask(redirect_uri="http://localhost/").status == 400


def test_a_registered_callback_may_match_as_a_prefix(simulator: BitbucketSimulator, talk: Conversation) -> None:
    simulator.callback_url = ("http://localhost/", CALLBACK)
    simulator.rules.callback_prefix = True
    assert talk.ask(redirect_uri=f"{CALLBACK}more").status == 200
    assert talk.ask(redirect_uri="http://testserver/").status == 400


def test_what_is_no_address_is_no_callback() -> None:
    assert not RegisteredClient().accepts("http://[", prefix=False)
    assert RegisteredClient().accepts("http://[::1]/", prefix=False)


def test_without_redirect_uri_the_registered_callback_is_used(
    simulator: BitbucketSimulator, talk: Conversation
) -> None:
    simulator.callback_url = CALLBACK
    code = returned(talk.choose(redirect_uri=None))["code"]
    assert talk.exchange(code, redirect_uri=None).status == 200


@pytest.mark.parametrize("registered", ["", None])
def test_without_any_callback_there_is_an_error(
    simulator: BitbucketSimulator, talk: Conversation, registered: str | None
) -> None:
    simulator.callback_url = registered
    answer = talk.ask(redirect_uri=None)
    assert answer.status == 400
    assert told(answer) == {
        "error": "invalid_request",
        "error_description": "No callback uri defined for the OAuth client.",
    }


@pytest.mark.parametrize("client_id", ["somebody-else", None])
def test_an_unknown_client_stays_on_bitbuckets_page(talk: Conversation, client_id: str | None) -> None:
    answer = talk.ask(client_id=client_id)
    assert answer.status == 400
    assert f"Invalid client_id. {MISCONFIGURED}" in answer.text


def test_a_parameter_twice_stays_on_bitbuckets_page(talk: Conversation) -> None:
    answer = talk.send("GET", "/site/oauth2/authorize?redirect_uri=a&state=1&state=2")
    assert f"Invalid request. {MISCONFIGURED}" in answer.text


@pytest.mark.parametrize(
    ("kind", "error"),
    [("token", "unsupported_response_type"), ("code token", "unauthorized_client")],
)
def test_the_implicit_grant_is_gone(talk: Conversation, kind: str, error: str) -> None:
    back = returned(talk.ask(response_type=kind))
    assert back["error"] == error
    assert back["state"] == "the-state"


def test_scopes_beyond_the_clients_are_dropped(talk: Conversation) -> None:
    assert talk.sign_in(scope="account repository:write")["scope"] == "account"


def test_scopes_may_all_be_beyond_the_client(talk: Conversation) -> None:
    assert returned(talk.ask(scope="repository:write"))["error"] == "invalid_scope"


def test_scopes_beyond_the_clients_may_be_refused(simulator: BitbucketSimulator, talk: Conversation) -> None:
    simulator.rules.scope_parameter = "refused"
    assert returned(talk.ask(scope="account repository:write"))["error"] == "invalid_scope"
    assert talk.ask(scope="account email").status == 200
