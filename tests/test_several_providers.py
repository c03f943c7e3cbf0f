"""Cloud and two Data Centers in one project: one page that offers them, and nobody taken for another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from logins import verified_by
from steps import TYPED, attempts_of, code_for, come_back, reason_of, signed_answer, start

from django_bitbucket_auth import conf
from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.exceptions import NotConnected
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider, simulated_bitbucket
from django_bitbucket_auth.testing.overriding import pointed_at

pytestmark = pytest.mark.django_db

Three = dict[str, BitbucketSimulator]


@pytest.fixture
def three() -> Iterator[Three]:
    """Bitbucket Cloud, and two Data Centers, one by each protocol."""
    with (
        simulated_bitbucket("default") as cloud,
        simulated_bitbucket("dc", kind="data-center", context_path="/bitbucket") as dc,
        simulated_bitbucket("old", kind="data-center-oauth1") as old,
    ):
        yield {"default": cloud, "dc": dc, "old": old}


def offers(response: Any) -> list[str]:
    """Where the page's buttons lead, in their order."""
    html = response.content.decode()
    return re.findall(r'<form[^>]* action="([^"]+)"', html) + re.findall(r'formaction="([^"]+)"', html)


# -- one page ----------------------------------------------------------------------------------------------------------


def test_one_page_offers_all_of_them_the_one_that_was_asked_for_first(three: Three, client: Client) -> None:
    assert offers(client.get("/bitbucket/login/")) == [
        "/bitbucket/login/",
        "/bitbucket/dc/login/",
        "/bitbucket/old/login/",
    ]
    response = client.get("/bitbucket/old/login/", {"next": "/private/"})
    assert offers(response) == ["/bitbucket/old/login/", "/bitbucket/login/", "/bitbucket/dc/login/"]
    html = response.content.decode()
    assert html.count('name="next" value="/private/"') == 1
    places = re.findall(r'class="bba-place">([^<]+)<', html)
    assert places == [three[alias].url.partition("//")[2] for alias in ("old", "default", "dc")]


def test_a_single_provider_has_one_button_and_no_place(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = client.get("/bitbucket/login/")
    assert offers(response) == ["/bitbucket/login/"] and b"bba-place" not in response.content


@pytest.mark.parametrize("alias", ["dc", "old"])
def test_the_button_of_another_leads_to_the_other(three: Three, alias: str) -> None:
    client = Client(enforce_csrf_checks=True)
    page = client.get("/bitbucket/login/", {"next": "/private/"})
    token = client.cookies["csrftoken"].value
    answer = client.post(f"/bitbucket/{alias}/login/", {"csrfmiddlewaretoken": token, "next": "/private/"})
    assert answer.status_code == 200
    assert answer.headers["Refresh"].startswith(f"0;url={three[alias].url}/")
    assert page.headers["Content-Security-Policy"].count("form-action 'self'") == 1


def test_what_is_wrong_with_another_is_no_reason_not_to_offer_this_one(three: Three, client: Client) -> None:
    with override_provider("dc", RETRIES="many"), override_provider("old", CLIENT_ID=""):
        assert offers(client.get("/bitbucket/login/")) == ["/bitbucket/login/"]


def test_where_none_is_the_default_the_page_lets_people_choose(three: Three, client: Client) -> None:
    with override_settings(BITBUCKET_AUTH={alias: conf.given(alias) for alias in ("old", "dc")}):
        for response in (
            client.get("/bitbucket/login/", {"next": "/private/"}, headers=TYPED),
            client.post("/bitbucket/login/"),
        ):
            assert response.status_code == 200
            assert offers(response) == ["/bitbucket/old/login/", "/bitbucket/dc/login/"]
        assert client.get("/bitbucket/default/login/").status_code == 404
        assert client.get("/bitbucket/callback/").status_code == 404
        assert client.get("/bitbucket/dc/login/", headers=TYPED).status_code == 302
        with override_provider("old", RETRIES="many"):
            assert offers(client.get("/bitbucket/login/")) == ["/bitbucket/dc/login/"]
            with override_provider("dc", BASE_URL="nowhere"):
                response = client.get("/bitbucket/login/")
        assert response.status_code == 503 and reason_of(response) == "misconfigured"


def test_without_the_backend_the_choice_is_misconfigured(three: Three, client: Client) -> None:
    with override_settings(
        BITBUCKET_AUTH={"dc": conf.given("dc")}, AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"]
    ):
        response = client.get("/bitbucket/login/")
    assert response.status_code == 503 and reason_of(response) == "misconfigured"


# -- side by side ------------------------------------------------------------------------------------------------------


def test_one_user_may_have_an_account_at_each(three: Three) -> None:
    """A receiver knows that they are one: nothing in the profiles says so."""
    log_in(Client(), "jane")
    jane = User.objects.get()
    with verified_by(lambda profile, **kwargs: jane if profile.display_name == "Jane Doe" else None):
        for alias in ("dc", "old"):
            client = Client()
            assert log_in(client, "jane", alias=alias).status_code == 302
            assert client.session["_auth_user_id"] == str(jane.pk)
    assert User.objects.get() == jane
    accounts = {account.provider: account for account in BitbucketAccount.objects.all()}
    assert {alias: account.instance for alias, account in accounts.items()} == {
        alias: simulator.url.partition("//")[2] for alias, simulator in three.items()
    }
    for alias, simulator in three.items():
        before = len(simulator.requests)
        assert get_session(jane, alias).get("user" if alias == "default" else "users?filter=jane").ok
        assert [logged.person for logged in simulator.requests[before:]] == ["jane"]


def test_the_same_id_at_two_data_centers_is_two_people(three: Three) -> None:
    three["old"].person("outsider").dc_id = three["dc"].person("jane").dc_id
    log_in(Client(), "jane", alias="dc")
    log_in(Client(), "outsider", alias="old")
    one, two = BitbucketAccount.objects.all()
    assert one.uid == two.uid and one.user != two.user


def test_two_providers_of_one_bitbucket_know_one_person(three: Three) -> None:
    """By both protocols, during a change from one to the other: the instance is the same, and so is the id."""
    with pointed_at(three["dc"], "again", SCOPES=["REPO_READ"]):
        log_in(Client(), "jane", alias="dc")
        log_in(Client(), "jane", alias="again")
    assert BitbucketAccount.objects.get().provider == "again"
    assert sorted(BitbucketToken.objects.values_list("provider", flat=True)) == ["again", "dc"]


def test_a_token_of_one_is_not_used_at_another(three: Three) -> None:
    log_in(Client(), "jane", alias="dc")
    user = User.objects.get()
    with pytest.raises(NotConnected):
        get_session(user)
    keys = conf.given("old")
    with override_provider("dc", **{**keys, "CLIENT_SECRET": ""}), pytest.raises(NotConnected):
        get_session(user, "dc")


def test_a_token_of_the_other_protocol_is_not_used(three: Three) -> None:
    """The alias has become another kind: the bearer would be sent as a token that signs, and the other way round."""
    log_in(Client(), "jane", alias="dc")
    user = User.objects.get()
    keys = {**conf.given("old"), "BASE_URL": three["dc"].url, "CLIENT_ID": three["dc"].client_id}
    with override_provider("dc", **keys), pytest.raises(NotConnected):
        get_session(user, "dc")
    assert get_session(user, "dc").get("repos").ok


# -- mixed up ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("begun", "finished"), [("default", "dc"), ("dc", "default"), ("dc", "old"), ("old", "dc")])
def test_an_answer_of_one_is_not_taken_at_the_callback_of_another(
    three: Three, client: Client, begun: str, finished: str
) -> None:
    """RFC 9700, 4.4: a Bitbucket that is in other hands could have another's codes sent to it."""
    path = {"default": "/bitbucket/login/"}.get(begun, f"/bitbucket/{begun}/login/")
    started = start(client, path)
    callback = {"default": "/bitbucket/callback/"}.get(finished, f"/bitbucket/{finished}/callback/")
    if begun == "old":
        answer: dict[str, Any] = signed_answer(three["old"], started)
    else:
        answer = {"state": started.state, "code": code_for(three[begun], started)}
    before = {alias: len(simulator.requests) for alias, simulator in three.items()}
    response = come_back(client, callback, **answer)
    assert response.status_code == 400 and reason_of(response) in ("state_mismatch", "state_missing")
    assert {alias: len(simulator.requests) for alias, simulator in three.items()} == before
    assert attempts_of(client)
    back = {"default": "/bitbucket/callback/"}.get(begun, f"/bitbucket/{begun}/callback/")
    assert come_back(client, back, **answer).status_code == 302


def test_the_redirect_uris_are_distinct_and_none_begins_like_another(three: Three, client: Client) -> None:
    found = [start(client, path).parameters["redirect_uri"] for path in ("/bitbucket/login/", "/bitbucket/dc/login/")]
    start(client, "/bitbucket/old/login/")
    sent = three["old"].requests_to("request_token")[0].headers["authorization"]
    assert "%2Fbitbucket%2Fold%2Fcallback%2F" in sent
    assert [urlsplit(url).path for url in found] == ["/bitbucket/callback/", "/bitbucket/dc/callback/"]
    assert not found[1].startswith(found[0])


def test_settings_that_changed_in_between_end_what_was_begun(three: Three, client: Client) -> None:
    """The fingerprint holds every address that a secret goes to, that of the request token, too."""
    answer = signed_answer(three["old"], start(client, "/bitbucket/old/login/"))
    elsewhere = f"{three['old'].url}/plugins/servlet/oauth/other"
    with override_provider("old", ENDPOINTS={"request_token": elsewhere}):
        response = come_back(client, "/bitbucket/old/callback/", **answer)
    assert reason_of(response) == "state_mismatch"
    assert come_back(client, "/bitbucket/old/callback/", **answer).status_code == 302
