"""The single flight: when a token is renewed, by whom, and what becomes of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from stored import Overtaken, renewals, soon, stored

from django_bitbucket_auth import conf, flight, pauses, tokens
from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.exceptions import (
    BitbucketUnavailable,
    ClientRefused,
    NotConnected,
    OAuthError,
    RateLimited,
    ReauthenticationRequired,
)
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.signals import reauthentication_required, token_refreshed
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider

pytestmark = pytest.mark.django_db

JSON = {"Content-Type": "application/json"}
#: Seen after a rotation, for tokens that were good.
OUR_CLIENT = '{"error": "unauthorized_client", "error_description": "Invalid OAuth client credentials"}'


def use(row: BitbucketToken) -> str:
    """Call the API with the row's token; who Bitbucket says that is."""
    assert row.account is not None
    return str(get_session(row.account).json("user")["username"])


def now(row: BitbucketToken) -> BitbucketToken:
    row.refresh_from_db()
    return row


@pytest.fixture
def told() -> Iterator[list[tuple[Any, dict[str, Any]]]]:
    """The signals that are sent."""
    heard: list[tuple[Any, dict[str, Any]]] = []

    def hear(signal: Any, **kwargs: Any) -> None:
        heard.append((signal, kwargs))

    for signal in (token_refreshed, reauthentication_required):
        signal.connect(hear)
    yield heard
    for signal in (token_refreshed, reauthentication_required):
        signal.disconnect(hear)


# -- when --------------------------------------------------------------------------------------------------------------


def test_a_fresh_token_is_used_as_it_is(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket)
    assert use(row) == "jdoe"
    assert (renewals(bitbucket), now(row).version) == (0, 1)


@pytest.mark.parametrize("ended", [False, True])
def test_a_token_is_renewed_before_and_after_its_end(bitbucket: BitbucketSimulator, ended: bool) -> None:
    row = stored(bitbucket, ended=ended) if ended else stored(bitbucket, expires_at=soon(flight.EARLY - 30))
    old = row.reveal()
    assert use(row) == "jdoe"
    new = now(row).reveal()
    assert new is not None and old is not None
    assert new.access_token != old.access_token and new.refresh_token != old.refresh_token
    assert not new.expired(3600)
    assert (renewals(bitbucket), row.version, row.lease, row.lease_until) == (1, 2, "", None)


def test_a_token_without_an_end_is_used_until_it_is_refused(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, expires_at=None)
    assert use(row) == "jdoe"
    assert renewals(bitbucket) == 0
    bitbucket.expire_access_tokens("jane")
    assert use(row) == "jdoe"
    assert renewals(bitbucket) == 1


def test_an_answer_without_a_refresh_token_keeps_the_old_one(bitbucket: BitbucketSimulator) -> None:
    bitbucket.rules.refresh_answer_has_refresh_token = False
    row = stored(bitbucket, ended=True)
    old = row.reveal()
    for version in (2, 3):
        use(row)
        new = now(row).reveal()
        assert old and new and new.refresh_token == old.refresh_token
        assert row.version == version
        BitbucketToken.objects.update(expires_at=soon(-1))


def test_an_answer_without_scopes_keeps_them(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True)
    answer = bitbucket.issue("jane")
    del answer["scope"]
    bitbucket.answer("token", 200, headers=JSON, body=json.dumps(answer))
    assert use(row) == "jdoe"
    assert now(row).scope == "account email repository"


def test_no_scope_is_sent_and_no_redirect_uri_to_cloud(bitbucket: BitbucketSimulator) -> None:
    use(stored(bitbucket, ended=True, redirect_uri="https://testserver/bitbucket/callback/"))
    [request] = bitbucket.requests_to("token")
    assert set(request.form) == {"grant_type", "refresh_token"}


def test_a_token_with_a_short_life_is_renewed_in_its_last_quarter(bitbucket: BitbucketSimulator) -> None:
    """And not at each call, as it never lasts for longer than others are renewed early."""
    bitbucket.rules.access_token_seconds = 120
    row = stored(bitbucket)
    session = get_session(row.account)
    for _ in range(3):
        session.json("user")
        use(row)
    assert renewals(bitbucket) == 0
    BitbucketToken.objects.update(updated_at=timezone.now() - timedelta(seconds=95), expires_at=soon(25))
    for _ in range(3):
        use(row)
    assert renewals(bitbucket) == 1


# -- by whom -----------------------------------------------------------------------------------------------------------


def test_while_another_renews_it_a_valid_token_is_used(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, expires_at=soon(60), lease="other", lease_until=soon(15))
    assert use(row) == "jdoe"
    assert (renewals(bitbucket), now(row).lease) == (0, "other")


def test_a_lease_that_lapsed_is_taken_over(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True, lease="other", lease_until=soon(-1))
    assert use(row) == "jdoe"
    assert (renewals(bitbucket), now(row).lease) == (1, "")


def test_nobody_waits_for_ever(bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight, "PATIENCE", 0.2)
    row = stored(bitbucket, ended=True, lease="other", lease_until=soon(15))
    with pytest.raises(BitbucketUnavailable, match="another process"):
        use(row)
    assert renewals(bitbucket) == 0


def test_a_token_is_not_used_in_its_last_seconds(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end on the way."""
    monkeypatch.setattr(flight, "PATIENCE", 0)
    row = stored(bitbucket, expires_at=soon(flight.LATE - 5), lease="other", lease_until=soon(15))
    with pytest.raises(BitbucketUnavailable):
        use(row)


def test_a_stale_holder_gets_the_token_that_somebody_else_has_renewed(bitbucket: BitbucketSimulator) -> None:
    """The peers tell it to sign in again."""
    row = stored(bitbucket)
    session = get_session(row.account)
    use(stored(bitbucket, ended=True))
    assert session.json("user")["username"] == "jdoe"
    assert renewals(bitbucket) == 1


def test_a_sign_in_meanwhile_wins_and_the_stale_answer_is_dropped(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True)
    Overtaken.acts = [lambda: stored(bitbucket)]
    with override_provider("default", KIND="stored.Overtaken"):
        assert use(row) == "jdoe"
    assert (now(row).version, renewals(bitbucket)) == (2, 1)
    token = row.reveal()
    # The first pair, the renewed one, and the sign-in's.
    assert token is not None and list(bitbucket.vault.refresh).index(token.refresh_token) == 2


def test_a_token_that_is_deleted_meanwhile_stays_deleted(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True)
    Overtaken.acts = [BitbucketToken.objects.all().delete]
    with override_provider("default", KIND="stored.Overtaken"), pytest.raises(NotConnected, match="deleted"):
        use(row)
    assert not BitbucketToken.objects.exists()


def test_somebody_who_deactivates_and_deletes_before_it_starts_leaves_nothing_to_renew(
    bitbucket: BitbucketSimulator,
) -> None:
    row = stored(bitbucket)
    session = get_session(row.account)
    BitbucketToken.objects.all().delete()
    bitbucket.expire_access_tokens()
    with pytest.raises(NotConnected, match="no token"):
        session.json("user")
    assert renewals(bitbucket) == 0


# -- when Bitbucket is down --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_token_that_is_valid_yet_goes_on_while_it_cannot_be_renewed(
    bitbucket: BitbucketSimulator, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    row = stored(bitbucket, expires_at=soon(60))
    bitbucket.fail("token", status)
    assert use(row) == "jdoe"
    assert "good for a while" in caplog.text
    # And Bitbucket isn't asked at each call.
    assert use(row) == "jdoe"
    assert (renewals(bitbucket), now(row).version, row.lost_at, row.refused_at) == (1, 1, None, None)


@pytest.mark.parametrize("trouble", ["revoked", "down"])
def test_who_is_refused_with_a_token_that_could_not_be_renewed_learns_it_at_once(
    bitbucket: BitbucketSimulator, trouble: str
) -> None:
    """And not when a pause or a lease is over."""
    row = stored(bitbucket, expires_at=soon(60))
    bitbucket.expire_access_tokens("jane")
    if trouble == "revoked":
        bitbucket.revoke("jane")
    else:
        bitbucket.fail("token", 503)
    with pytest.raises(
        ReauthenticationRequired if trouble == "revoked" else BitbucketUnavailable, match=r"Invalid|503"
    ):
        use(row)
    # Tried early, found dead by the API, tried again.
    assert (renewals(bitbucket), now(row).lease) == (2, "")


def test_pauses_are_forgotten_when_there_are_many(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "_MOST_PAUSES", 1)
    bitbucket.fail("token", 503)
    rows = [stored(bitbucket, person, expires_at=soon(60)) for person in ("jane", "outsider")]
    for row in (rows[0], rows[0], rows[1], rows[0]):
        use(row)
    assert renewals(bitbucket) == 3


def test_a_pause_ends(bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "PAUSE", 0)
    row = stored(bitbucket, expires_at=soon(60))
    bitbucket.fail("token", 503, times=1)
    for _ in range(2):
        use(row)
    assert (renewals(bitbucket), now(row).version) == (2, 2)


def test_a_token_that_has_ended_is_unavailable_while_it_cannot_be_renewed(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = stored(bitbucket, ended=True)
    bitbucket.fail("token", 429, retry_after=30)
    with pytest.raises(RateLimited) as caught:
        use(row)
    assert (caught.value.retry_after, now(row).lease) == (30, "")  # whoever comes next may try
    bitbucket.heal()
    # Within the time that Bitbucket has named, nobody here asks again.
    with pytest.raises(RateLimited) as caught:
        use(row)
    assert 25 < (caught.value.retry_after or 0) < 30 and caught.value.status == 429
    assert renewals(bitbucket) == 1
    monkeypatch.setattr(pauses, "_pauses", {})
    assert use(row) == "jdoe"


def test_a_token_that_has_ended_is_tried_again_at_once_where_no_time_is_named(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True)
    bitbucket.fail("token", 503, times=1)
    with pytest.raises(BitbucketUnavailable):
        use(row)
    assert use(row) == "jdoe"


def test_renewing_takes_less_time_than_its_lease_lasts(bitbucket: BitbucketSimulator) -> None:
    from django_bitbucket_auth.stores.base import LEASE

    assert flight.DEADLINE < LEASE < 30 and flight.PATIENCE > LEASE + flight.DEADLINE
    row = stored(bitbucket, ended=True)
    bitbucket.slow("token", 5)
    with override_provider("default", DEADLINE=0.2), pytest.raises(BitbucketUnavailable):
        use(row)  # a shorter DEADLINE holds, too


# -- refused -----------------------------------------------------------------------------------------------------------


def test_a_first_refusal_marks_nothing_lost_and_tells_nobody(
    bitbucket: BitbucketSimulator, told: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    row = stored(bitbucket, ended=True)
    bitbucket.revoke("jane")
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ReauthenticationRequired, match="Invalid"):
        use(row)
    assert (now(row).lost_at, row.version, row.lease, told) == (None, 1, "", [])
    assert row.refused_at is not None


def test_a_passing_refusal_costs_nobody_a_token(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True)
    bitbucket.answer("token", 400, headers=JSON, body='{"error": "invalid_grant"}', times=1)
    with pytest.raises(ReauthenticationRequired):
        use(row)
    assert use(row) == "jdoe"
    assert (now(row).refused_at, row.lost_at) == (None, None)


def test_two_refusals_within_a_minute_are_one(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True, refused_at=timezone.now() - timedelta(seconds=flight.TWICE - 10))
    bitbucket.revoke("jane")
    with pytest.raises(ReauthenticationRequired):
        use(row)
    assert (now(row).lost_at, renewals(bitbucket)) == (None, 1)


def test_a_second_refusal_a_minute_later_loses_the_token_but_does_not_erase_it(
    bitbucket: BitbucketSimulator, told: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    row = stored(bitbucket, ended=True, refused_at=timezone.now() - timedelta(seconds=flight.TWICE + 1))
    bitbucket.revoke("jane")
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ReauthenticationRequired):
        use(row)
    assert now(row).lost_at is not None and row.reveal() is not None
    [(signal, arguments)] = told
    assert signal is reauthentication_required
    assert (arguments["key"], arguments["provider"], arguments["account"]) == (row.key, "default", row.account)
    assert isinstance(arguments["error"], ReauthenticationRequired)
    with pytest.raises(ReauthenticationRequired, match="for good"):
        use(row)
    assert renewals(bitbucket) == 1  # Bitbucket isn't asked again
    assert use(stored(bitbucket)) == "jdoe"  # a sign-in heals
    assert (now(row).lost_at, row.refused_at) == (None, None)


def test_a_deactivated_persons_token_is_refused_for_that_reason(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True)
    bitbucket.deactivate("jane")
    with pytest.raises(ReauthenticationRequired) as caught:
        use(row)
    assert (caught.value.reason, caught.value.status) == ("inactive", 401)
    assert now(row).refused_at is not None


@pytest.mark.parametrize(
    ("status", "headers", "body", "error"),
    [
        (
            400,
            JSON,
            '{"error": "unauthorized_client", "error_description": "Invalid OAuth client credentials"}',
            ClientRefused,
        ),
        (401, JSON, '{"error": "invalid_client"}', ClientRefused),
        (400, JSON, '{"error": "invalid_grant", "error_description": "Unsupported grant type: x"}', ClientRefused),
        (400, {"Content-Type": "text/html"}, "<h1>Blocked</h1>", OAuthError),
        (403, JSON, '{"error": "invalid_grant"}', OAuthError),
        (200, JSON, "{}", OAuthError),
        (500, JSON, '{"error": "invalid_grant"}', BitbucketUnavailable),
    ],
)
def test_what_is_not_bitbuckets_own_no_loses_nobodys_token(
    bitbucket: BitbucketSimulator, status: int, headers: dict[str, str], body: str, error: type[Exception]
) -> None:
    row = stored(bitbucket, ended=True, refused_at=timezone.now() - timedelta(hours=1))
    bitbucket.answer("token", status, headers=headers, body=body)
    with pytest.raises(error) as caught:
        use(row)
    assert not isinstance(caught.value, ReauthenticationRequired)
    assert (now(row).lost_at, row.lease) == (None, "")


def test_a_refusal_of_a_pair_that_was_replaced_meanwhile_counts_for_nothing(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True)
    old = row.reveal()
    assert old is not None
    bitbucket.vault.refresh.pop(old.refresh_token)
    Overtaken.acts = [lambda: stored(bitbucket)]
    with override_provider("default", KIND="stored.OvertakenRefusal"):
        assert use(row) == "jdoe"
    assert (now(row).refused_at, row.version) == (None, 2)


def test_a_refusal_of_a_pair_that_was_deleted_meanwhile_is_one(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True)
    bitbucket.revoke("jane")
    Overtaken.acts = [BitbucketToken.objects.all().delete]
    with override_provider("default", KIND="stored.OvertakenRefusal"), pytest.raises(ReauthenticationRequired):
        use(row)


def test_a_token_that_was_refused_twice_is_not_asked_for_at_each_call(bitbucket: BitbucketSimulator) -> None:
    """A page that is loaded again and again would use up the client's thousand requests an hour."""
    row = stored(bitbucket, ended=True)
    bitbucket.revoke("jane")
    for _ in range(10):
        with pytest.raises(ReauthenticationRequired, match="Invalid refresh_token"):
            use(row)
    assert renewals(bitbucket) == 2


@pytest.mark.parametrize("lost", [False, True])
def test_a_refused_token_is_used_while_it_is_valid(bitbucket: BitbucketSimulator, lost: bool) -> None:
    row = stored(bitbucket, expires_at=soon(60), lost_at=timezone.now() if lost else None)
    bitbucket.answer("token", 400, headers=JSON, body='{"error": "invalid_grant"}')
    assert use(row) == "jdoe"
    assert renewals(bitbucket) == (0 if lost else 1)


def test_a_token_without_a_refresh_token_needs_its_person(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, ended=True)
    assert row.account is not None
    only = Token("gone", expires_at=soon(-5))
    tokens.write(row.account, only, conf.provider_settings(), grant="authorization_code", using="default")
    with pytest.raises(ReauthenticationRequired, match="can't be renewed"):
        use(row)
    assert renewals(bitbucket) == 0


def test_another_clients_token_is_not_sent_for_renewal(bitbucket: BitbucketSimulator) -> None:
    """Bitbucket would refuse it, and that would count against the token."""
    row = stored(bitbucket, ended=True, client_id="another")
    with pytest.raises(ReauthenticationRequired, match="another OAuth client"):
        use(row)
    assert (renewals(bitbucket), now(row).refused_at) == (0, None)
    assert use(stored(bitbucket, "outsider", client_id="another")) == "olga"  # as long as it lasts, it is used


# -- told --------------------------------------------------------------------------------------------------------------


def test_a_renewal_is_told_after_the_commit(
    bitbucket: BitbucketSimulator, told: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    row = stored(bitbucket, ended=True)
    with django_capture_on_commit_callbacks(execute=True) as waiting:
        use(row)
        assert told == []
    assert len(waiting) == 1
    [(signal, arguments)] = told
    assert signal is token_refreshed
    assert (arguments["key"], arguments["provider"], arguments["account"]) == (row.key, "default", row.account)


@pytest.mark.django_db(transaction=True)
def test_a_renewal_outside_of_a_transaction_is_told_at_once(bitbucket: BitbucketSimulator, told: list[Any]) -> None:
    use(stored(bitbucket, ended=True))
    assert [signal for signal, _ in told] == [token_refreshed]


def test_a_receiver_that_fails_spoils_nothing(
    bitbucket: BitbucketSimulator, django_capture_on_commit_callbacks: Any
) -> None:
    def fail(**kwargs: Any) -> None:
        raise ZeroDivisionError

    token_refreshed.connect(fail)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            assert use(stored(bitbucket, ended=True)) == "jdoe"
    finally:
        token_refreshed.disconnect(fail)
