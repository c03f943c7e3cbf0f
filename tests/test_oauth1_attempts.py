"""The started login of OAuth 1.0a: the request token picks it, and a state rides along (security rules 9, 11, 13)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from steps import SENT_BACK, TYPED, attempts_of, come_back, nothing_was_written, reason_of, signed_answer, start

from django_bitbucket_auth import crypto
from django_bitbucket_auth.bitbucket import DataCenterOAuth1Provider
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider, simulated_bitbucket

pytestmark = pytest.mark.django_db


@pytest.fixture
def simulator() -> Iterator[BitbucketSimulator]:
    """A Data Center with an application link."""
    with simulated_bitbucket(kind="data-center-oauth1") as found:
        yield found


def held(client: Client) -> list[dict[str, Any]]:
    """What the started logins in the client's jar hold."""
    return [
        json.loads(crypto.unseal("started login", name, client.cookies[name].value)) for name in attempts_of(client)
    ]


def check_refused(simulator: BitbucketSimulator, client: Client, reason: str, **answer: Any) -> None:
    before = len(simulator.requests)
    response = come_back(client, **answer)
    assert response.status_code == 400 and reason_of(response) == reason, response.content
    assert len(simulator.requests) == before
    assert "sessionid" not in client.cookies and nothing_was_written()


def test_a_login_begins_with_one_request_and_leaves_one_cookie(simulator: BitbucketSimulator, client: Client) -> None:
    cache.clear()
    with CaptureQueriesContext(connection) as queries:
        started = start(client)
    assert started.url.startswith(f"{simulator.url}/plugins/servlet/oauth/authorize?oauth_token=")
    assert [logged.endpoint for logged in simulator.requests] == ["request_token"]
    [attempt] = held(client)
    assert attempt["request_token"] == started.parameters["oauth_token"] and attempt["request_secret"]
    assert attempt["verifier"] is None and len(attempt["state"]) >= 43
    assert len(queries) == 0 and "sessionid" not in client.cookies


def test_the_cookie_shows_neither_token_nor_secret(simulator: BitbucketSimulator, client: Client) -> None:
    start(client)
    [attempt] = held(client)
    cookie = client.cookies.output()
    assert attempt["request_token"] not in cookie and attempt["request_secret"] not in cookie


def test_the_answer_belongs_to_this_browser(simulator: BitbucketSimulator) -> None:
    answer = signed_answer(simulator, start(Client()))
    check_refused(simulator, Client(), "state_missing", **answer)


def test_an_attackers_request_token_that_the_victim_allows_signs_nobody_in(simulator: BitbucketSimulator) -> None:
    """OAuth 1.0's session fixation, and its reverse: the attacker's allowed token in the victim's browser."""
    attacker, victim = Client(), Client()
    answer = signed_answer(simulator, start(attacker), "outsider")
    start(victim)
    check_refused(simulator, victim, "state_missing", **answer)


def test_two_tabs_finish_in_either_order(simulator: BitbucketSimulator) -> None:
    for order in (1, -1):
        client = Client()
        answers = [signed_answer(simulator, start(client)) for _ in range(2)][::order]
        assert [come_back(client, **answer).status_code for answer in answers] == [302, 302]


@pytest.mark.parametrize("changed", ["oauth_token", "state"])
def test_token_and_state_of_two_tabs_dont_fit(simulator: BitbucketSimulator, client: Client, changed: str) -> None:
    one, two = (signed_answer(simulator, start(client)) for _ in range(2))
    check_refused(simulator, client, "state_mismatch", **{**one, changed: two[changed]})


@pytest.mark.parametrize("missing", ["oauth_token", "state"])
def test_neither_may_be_missing(simulator: BitbucketSimulator, client: Client, missing: str) -> None:
    answer = signed_answer(simulator, start(client))
    wanted = "state_missing" if missing == "oauth_token" else "state_mismatch"
    check_refused(simulator, client, wanted, **{name: value for name, value in answer.items() if name != missing})


def test_an_answer_is_good_once(simulator: BitbucketSimulator, client: Client) -> None:
    answer = signed_answer(simulator, start(client))
    (name,) = attempts_of(client)
    cookie = client.cookies[name].value
    assert come_back(client, **answer).status_code == 302
    again = Client()
    again.cookies[name] = cookie
    before = len(simulator.requests)
    response = come_back(again, **answer)
    assert response.status_code == 400 and reason_of(response) == "state_reused"
    assert len(simulator.requests) == before


def test_head_spends_nothing(simulator: BitbucketSimulator, client: Client) -> None:
    answer = signed_answer(simulator, start(client))
    before = len(simulator.requests)
    assert client.head("/bitbucket/callback/", answer).status_code == 405
    assert len(simulator.requests) == before
    assert come_back(client, **answer).status_code == 302


def test_an_attempt_has_its_time(simulator: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", STATE_MAX_AGE=60):
        answer = signed_answer(simulator, start(client))
        (name,) = attempts_of(client)
        [attempt] = held(client)
        attempt["started"] -= 61
        client.cookies[name] = crypto.seal("started login", name, json.dumps(attempt))
        check_refused(simulator, client, "state_expired", **answer)


def test_a_request_token_that_took_too_long_at_bitbucket_starts_over(
    simulator: BitbucketSimulator, client: Client
) -> None:
    answer = signed_answer(simulator, start(client))
    simulator.move_clock(timedelta(hours=1))
    response = come_back(client, **answer)
    assert response.status_code in (400, 502), response.content
    assert nothing_was_written()


@pytest.mark.parametrize("has_token", [True, False])
@pytest.mark.parametrize("has_problem", [True, False])
def test_a_denial_is_one_however_it_comes(
    simulator: BitbucketSimulator, client: Client, has_token: bool, has_problem: bool
) -> None:
    simulator.rules.denial_has_token, simulator.rules.denial_has_error = has_token, has_problem
    response = log_in(client, None)
    told = has_token or has_problem
    assert response.status_code == (403 if told else 400)
    assert reason_of(response) == ("cancelled" if told else "state_missing")
    assert nothing_was_written()


def test_what_is_no_denial_is_none_without_its_token(simulator: BitbucketSimulator, client: Client) -> None:
    response = come_back(client, oauth_problem="token_expired")
    assert response.status_code == 400 and reason_of(response) == "state_missing"


@pytest.mark.parametrize("status", [401, 429, 500, 302, 200])
def test_a_login_that_cant_begin_says_so_and_leaves_nothing(
    simulator: BitbucketSimulator, client: Client, status: int
) -> None:
    simulator.answer("request_token", status, body="oauth_token=t&oauth_token_secret=s")
    response = client.get("/bitbucket/login/", headers=TYPED)
    assert response.status_code in (502, 503)
    assert attempts_of(client) == [] and nothing_was_written()
    simulator.heal()
    assert log_in(client, "jane").status_code == 302


class Hasty(DataCenterOAuth1Provider):
    """Notes how long it would wait."""

    deadlines: ClassVar[list[float]] = []

    def send(self, request: Any) -> Any:
        type(self).deadlines.append(self.configuration.deadline)
        return super().send(request)


@pytest.mark.parametrize(("deadline", "beginning"), [(20, 6), (3, 3)])
def test_nobody_holds_a_worker_for_long_by_beginning(deadline: float, beginning: float) -> None:
    """Whoever asks for it has proved nothing yet."""
    from test_oauth1_attempts import Hasty  # as the setting names it

    Hasty.deadlines.clear()
    with simulated_bitbucket(kind="data-center-oauth1", KIND="test_oauth1_attempts.Hasty", DEADLINE=deadline):
        assert log_in(Client(), "jane").status_code == 302
    assert Hasty.deadlines == [beginning, deadline, deadline, deadline]


def test_the_page_with_the_button_asks_bitbucket_nothing(simulator: BitbucketSimulator, client: Client) -> None:
    """Nor does a page of somebody else's that has a hundred of our addresses in it."""
    assert client.get("/bitbucket/login/").status_code == 200
    assert client.get("/bitbucket/login/", headers=SENT_BACK).status_code == 200
    assert simulator.requests == []


def test_no_log_line_and_no_page_shows_what_came_with_the_callback(
    simulator: BitbucketSimulator, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """All loggers at DEBUG: also those of oauthlib and requests-oauthlib, which log what they sign."""
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("oauthlib", "requests", "urllib3", "django")):
            caplog.set_level(logging.DEBUG, logger=name)
    answer = signed_answer(simulator, start(client))
    [attempt] = held(client)
    simulator.fail("token", 500)
    with override_settings(DEBUG=True):
        failed = come_back(client, **answer)
    assert failed.status_code == 503
    simulator.heal()
    assert log_in(client, "jane").status_code == 302
    secrets = [attempt["request_secret"], attempt["request_token"], answer["oauth_verifier"], simulator.client_secret]
    assert [secret for secret in secrets if secret in caplog.text] == []
    assert [secret for secret in secrets if secret in failed.content.decode()] == []
