"""``manage.py bitbucket_refresh``: what is due, who does it, and when it gives up."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from stored import Overtaken, renewals, soon, stored

from django_bitbucket_auth import conf, tokens
from django_bitbucket_auth.management import renewals as work
from django_bitbucket_auth.management.commands import bitbucket_refresh
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.oauth.token import Token
from django_bitbucket_auth.stores import DatabaseTokenStore, database
from django_bitbucket_auth.testing import BitbucketSimulator, Person, override_provider
from django_bitbucket_auth.tokens import get_access_token

pytestmark = pytest.mark.django_db

JSON = {"Content-Type": "application/json"}


def run(*arguments: str, error: io.StringIO | None = None) -> str:
    """What the command prints."""
    out = io.StringIO()
    call_command("bitbucket_refresh", *arguments, stdout=out, stderr=error or io.StringIO())
    return out.getvalue().strip()


def all_are_free() -> bool:
    """Whether nobody has a lease of any token."""
    return not BitbucketToken.objects.exclude(database.free(datetime.now(UTC))).exists()


def crowd(bitbucket: BitbucketSimulator, number: int, **columns: Any) -> list[BitbucketToken]:
    """So many people's tokens."""
    for place in range(number):
        bitbucket.add_person(Person(f"p{place:03}"))
    return [stored(bitbucket, f"p{place:03}", **columns) for place in range(number)]


# -- what is due -------------------------------------------------------------------------------------------------------


def test_what_was_unused_for_two_months_is_due(bitbucket: BitbucketSimulator) -> None:
    stored(bitbucket)
    assert run() == "0 renewed, 0 refused, 0 skipped, 0 failed"
    row = stored(bitbucket, updated_at=timezone.now() - timedelta(days=61))
    assert run() == "1 renewed, 0 refused, 0 skipped, 0 failed"
    row.refresh_from_db()
    assert row.updated_at > timezone.now() - timedelta(minutes=1)
    assert run("--unused", "90d") == run("--unused=3000h")
    assert renewals(bitbucket) == 1


def test_what_expires_within_a_time_is_due_if_that_is_asked_for(bitbucket: BitbucketSimulator) -> None:
    rows = crowd(bitbucket, 3)
    for row, seconds in zip(rows, (-60, 1500, 2400), strict=True):
        BitbucketToken.objects.filter(pk=row.pk).update(expires_at=soon(seconds))
    assert run("--dry-run") == "0 to be renewed."
    assert run("--within=30m", "--dry-run") == "2 to be renewed."
    assert renewals(bitbucket) == 0
    assert run("--within=30m") == "2 renewed, 0 refused, 0 skipped, 0 failed"
    assert [BitbucketToken.objects.get(pk=row.pk).version for row in rows] == [2, 2, 1]


def test_what_has_no_end_is_not_due_before_it_is_unused(bitbucket: BitbucketSimulator) -> None:
    row = stored(bitbucket, expires_at=None)
    assert run("--within=30d", "--dry-run") == "0 to be renewed."
    BitbucketToken.objects.update(updated_at=timezone.now() - timedelta(days=61))
    assert run() == "1 renewed, 0 refused, 0 skipped, 0 failed"
    row.refresh_from_db()
    assert row.version == 2


@pytest.mark.parametrize(
    "columns",
    [
        {"lost_at": timezone.now()},
        {"client_id": "another"},
        {"instance": "elsewhere"},
        {"grant": "client_credentials"},
        {"grant": "bitbucket_jwt"},
        {"lease": "somebody", "lease_until": soon(3600)},
    ],
)
def test_what_cannot_be_renewed_is_not_tried(bitbucket: BitbucketSimulator, columns: dict[str, Any]) -> None:
    stored(bitbucket, ended=True, **columns)
    assert run("--within=1m") == "0 renewed, 0 refused, 0 skipped, 0 failed"
    assert renewals(bitbucket) == 0


def test_inactive_peoples_tokens_are_left_alone(bitbucket: BitbucketSimulator) -> None:
    stored(bitbucket, ended=True)
    User.objects.update(is_active=False)
    assert run("--within=1m", "--dry-run") == "0 to be renewed."
    assert run("--within=1m") == "0 renewed, 0 refused, 0 skipped, 0 failed"


def test_a_token_without_an_account_is_renewed_too(bitbucket: BitbucketSimulator) -> None:
    given = str(bitbucket.issue("jane")["refresh_token"])
    get_access_token(grant="refresh_token", refresh_token=given, store=DatabaseTokenStore(), key="robot")
    BitbucketToken.objects.update(expires_at=soon(-1))
    assert run("--within=1m") == "1 renewed, 0 refused, 0 skipped, 0 failed"


def test_a_token_without_a_refresh_token_or_a_key_is_passed_over(bitbucket: BitbucketSimulator, settings: Any) -> None:
    row = stored(bitbucket, ended=True)
    assert row.account is not None
    only = Token("x", expires_at=soon(-1))
    tokens.write(row.account, only, conf.provider_settings(), grant="authorization_code", using="default")
    assert run("--within=1m") == "0 renewed, 0 refused, 1 skipped, 0 failed"
    settings.BITBUCKET_AUTH_TOKEN_KEYS = ["another key of thirty-two characters"]
    assert run("--within=1m") == "0 renewed, 0 refused, 1 skipped, 0 failed"
    assert renewals(bitbucket) == 0 and all_are_free()


def test_each_provider_has_its_turn_or_the_ones_that_are_named(bitbucket: BitbucketSimulator) -> None:
    stored(bitbucket, ended=True)
    keys = {"BASE_URL": bitbucket.url, "API_URL": bitbucket.url, "CLIENT_SECRET": bitbucket.client_secret}
    with override_provider("second", **keys, CLIENT_ID=bitbucket.client_id):
        assert run("--within=1m", "--provider=second", "--dry-run") == "0 to be renewed."
        assert run("--within=1m", "--provider=second", "--provider=default", "--dry-run") == "1 to be renewed."
        assert run("--within=1m") == "1 renewed, 0 refused, 0 skipped, 0 failed"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--provider=nowhere",), "nowhere"),
        (("--within=soon",), "--within 'soon' is no time"),
        (("--unused=1y",), "--unused '1y' is no time"),
        (("--unused=99999999d",), "ten years at most"),
        (("--most=0",), "--most has to be"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(
    bitbucket: BitbucketSimulator, arguments: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(CommandError, match=problem):
        run(*arguments)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("2h", 7200), ("60d", 5184000), ("0", 0)]
)
def test_times_have_units(text: str, seconds: int) -> None:
    assert bitbucket_refresh.seconds(text, "--within") == timedelta(seconds=seconds)


# -- what comes of it --------------------------------------------------------------------------------------------------


def test_a_dead_token_is_counted_and_marked(bitbucket: BitbucketSimulator) -> None:
    rows = crowd(bitbucket, 3, ended=True)
    bitbucket.revoke("p001")
    assert run("--within=1m") == "2 renewed, 1 refused, 0 skipped, 0 failed"
    rows[1].refresh_from_db()
    assert rows[1].refused_at is not None and rows[1].lease == ""


def test_a_token_that_is_deleted_meanwhile_is_passed_over(bitbucket: BitbucketSimulator) -> None:
    stored(bitbucket, ended=True)
    Overtaken.acts = [BitbucketToken.objects.all().delete]
    with override_provider("default", KIND="stored.Overtaken"):
        assert run("--within=1m") == "0 renewed, 0 refused, 1 skipped, 0 failed"


def test_no_more_than_asked_for_are_renewed_and_the_others_are_free(bitbucket: BitbucketSimulator) -> None:
    crowd(bitbucket, 5, ended=True)
    assert run("--within=1m", "--most=2") == "2 renewed, 0 refused, 0 skipped, 0 failed"
    assert all_are_free()
    assert run("--within=1m") == "3 renewed, 0 refused, 0 skipped, 0 failed"


def test_a_rate_limit_of_seconds_is_waited_for(bitbucket: BitbucketSimulator) -> None:
    crowd(bitbucket, 3, ended=True)
    bitbucket.fail("token", 429, retry_after=0, times=1)
    assert run("--within=1m") == "3 renewed, 0 refused, 0 skipped, 0 failed"
    assert renewals(bitbucket) == 4


@pytest.mark.parametrize("retry_after", [None, 3600])
def test_a_rate_limit_without_a_time_or_with_a_long_one_ends_the_run(
    bitbucket: BitbucketSimulator, retry_after: int | None
) -> None:
    crowd(bitbucket, 3, ended=True)
    bitbucket.fail("token", 429, retry_after=retry_after)
    with pytest.raises(CommandError, match=r"rate limit is reached\. Run it again"):
        run("--within=1m")
    assert renewals(bitbucket) == 1
    assert all_are_free()


def test_a_rate_limit_that_does_not_end_ends_the_run(bitbucket: BitbucketSimulator) -> None:
    crowd(bitbucket, 3, ended=True)
    bitbucket.fail("token", 429, retry_after=0)
    with pytest.raises(CommandError, match="rate limit"):
        run("--within=1m")
    assert renewals(bitbucket) == 2


def test_three_faults_in_a_row_end_the_run(bitbucket: BitbucketSimulator) -> None:
    crowd(bitbucket, 8, ended=True)
    bitbucket.fail("token", 503)
    error = io.StringIO()
    with pytest.raises(CommandError, match="default: Bitbucket is down"):
        run("--within=1m", error=error)
    assert renewals(bitbucket) == 3
    assert error.getvalue().count("HTTP 503") == 3
    assert all_are_free()


def test_single_faults_do_not(bitbucket: BitbucketSimulator) -> None:
    crowd(bitbucket, 8, ended=True)
    for _ in range(2):
        bitbucket.fail("token", 503, times=2)
    with pytest.raises(CommandError, match="Run it again later for the others"):
        run("--within=1m")
    # 2 faults, and 2 more: the third in a row ended it.
    bitbucket.heal()
    rest = BitbucketToken.objects.filter(version=1).count()
    assert run("--within=1m") == f"{rest} renewed, 0 refused, 0 skipped, 0 failed"


def test_a_fault_and_then_none_is_counted(bitbucket: BitbucketSimulator) -> None:
    crowd(bitbucket, 4, ended=True)
    bitbucket.answer("token", 200, headers=JSON, body="{}", times=2)
    error = io.StringIO()
    with pytest.raises(CommandError, match=r"^Run it again later for the others"):
        run("--within=1m", error=error)
    assert BitbucketToken.objects.filter(version=2).count() == 2


def test_tokens_that_bitbucket_answers_oddly_hold_nobody_up(bitbucket: BitbucketSimulator) -> None:
    """Three of them at the front would, else, starve the others at each run."""
    crowd(bitbucket, 6, ended=True)
    bitbucket.answer("token", 400, headers=JSON, body='{"error": "invalid_request"}', times=4)
    with pytest.raises(CommandError, match=r"^Run it again later"):
        run("--within=1m")
    assert BitbucketToken.objects.filter(version=2).count() == 2


def test_one_provider_that_fails_holds_no_other_up(bitbucket: BitbucketSimulator) -> None:
    stored(bitbucket, ended=True)
    keys = {"BASE_URL": bitbucket.url, "API_URL": bitbucket.url}
    broken = {**keys, "CLIENT_ID": bitbucket.client_id, "CLIENT_SECRET": "wrong"}
    fine = {**keys, "CLIENT_ID": bitbucket.client_id, "CLIENT_SECRET": bitbucket.client_secret}
    crowd(bitbucket, 1, ended=True, provider="second")
    out = io.StringIO()
    with (
        override_settings(BITBUCKET_AUTH={"default": broken, "second": fine}),
        pytest.raises(CommandError, match=r"^default: Bitbucket doesn't take the client .* Run it again"),
    ):
        call_command("bitbucket_refresh", "--within=1m", stdout=out)
    assert out.getvalue().startswith("0 renewed, 0 refused, 1 skipped")  # its key is the other provider's
    assert renewals(bitbucket) == 1


def test_what_is_given_back_while_bitbucket_wants_rest_may_be_somebody_elses_by_then(
    bitbucket: BitbucketSimulator,
) -> None:
    crowd(bitbucket, 3, ended=True)
    renewal = work.Renewals("default", timedelta(0), timedelta(days=60))
    first, second, third = renewal.claimed()
    renewal.give_back(first)
    BitbucketToken.objects.filter(pk=second.row.pk).update(lease="another", lease_until=soon(15))
    assert [renewal.renew(claimed) for claimed in (first, second, third)] == ["renewed", "skipped", "renewed"]
    assert renewals(bitbucket) == 2


def test_a_client_that_is_refused_ends_the_run_and_costs_no_token(bitbucket: BitbucketSimulator) -> None:
    crowd(bitbucket, 3, ended=True)
    with (
        override_provider("default", CLIENT_SECRET="wrong"),
        pytest.raises(CommandError, match="doesn't take the client"),
    ):
        run("--within=1m")
    assert renewals(bitbucket) == 1
    assert all_are_free() and not BitbucketToken.objects.exclude(refused_at=None).exists()


def test_who_interrupts_it_leaves_nothing_leased(bitbucket: BitbucketSimulator) -> None:
    crowd(bitbucket, 3, ended=True)

    def interrupt() -> None:
        raise KeyboardInterrupt

    Overtaken.acts = [interrupt]
    with override_provider("default", KIND="stored.Overtaken"), pytest.raises(CommandError, match="Interrupted"):
        run("--within=1m")
    assert all_are_free()


# -- by whom -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_hosts_at_once_never_renew_one_twice(bitbucket: BitbucketSimulator) -> None:
    number = 60
    crowd(bitbucket, number, ended=True)
    barrier = Barrier(3, timeout=20)

    def host(_: int) -> list[int]:
        barrier.wait()
        try:
            return [int(part.split()[0]) for part in run("--within=1m").split(", ")]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(host, range(3)))
    assert [sum(column) for column in zip(*found, strict=True)] == [number, 0, 0, 0]
    assert renewals(bitbucket) == number
    assert set(BitbucketToken.objects.values_list("version", "lease")) == {(2, "")}
    assert len([1 for renewed, *_ in found if renewed]) > 1  # they shared the work


# Elsewhere a row that was looked at is locked until it is claimed.
if connection.vendor == "sqlite":  # needs: sqlite

    def test_what_another_renews_between_look_and_claim_is_not_renewed_again(bitbucket: BitbucketSimulator) -> None:
        row = stored(bitbucket, ended=True)
        others: list[Callable[[], object]] = [lambda: run("--within=1m")]

        def execute(step: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            for other in others[: sql.startswith("UPDATE")]:
                others.clear()
                other()
            return step(sql, params, many, context)

        with connection.execute_wrapper(execute):
            assert run("--within=1m") == "0 renewed, 0 refused, 0 skipped, 0 failed"
        row.refresh_from_db()
        assert (renewals(bitbucket), row.version) == (1, 2)


def test_a_lease_that_somebody_took_over_is_not_used(bitbucket: BitbucketSimulator) -> None:
    stored(bitbucket, ended=True)
    renewal = work.Renewals("default", timedelta(0), timedelta(days=60))
    [claimed] = renewal.claimed()
    claimed.claim.until = 0  # it took too long
    BitbucketToken.objects.update(lease="another", lease_until=soon(15))
    assert renewal.renew(claimed) == "skipped"
    assert (renewals(bitbucket), BitbucketToken.objects.get().lease) == (0, "another")


def test_a_lease_that_hardly_lasts_is_prolonged(bitbucket: BitbucketSimulator) -> None:
    stored(bitbucket, ended=True)
    renewal = work.Renewals("default", timedelta(0), timedelta(days=60))
    [claimed] = renewal.claimed()
    claimed.claim.until = 0
    BitbucketToken.objects.update(lease_until=soon(-1))
    assert renewal.renew(claimed) == "renewed"


def test_what_is_due_is_gone_through_once_even_if_nothing_comes_of_it(bitbucket: BitbucketSimulator) -> None:
    crowd(bitbucket, work.CLAIM + 3, ended=True)
    for number in range(work.CLAIM + 3):
        bitbucket.revoke(f"p{number:03}")
    assert run("--within=1m") == f"0 renewed, {work.CLAIM + 3} refused, 0 skipped, 0 failed"
    assert renewals(bitbucket) == work.CLAIM + 3


def test_all_that_is_due_is_found_however_many_pages_that_are(
    bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "PAGE", 5)
    monkeypatch.setattr(work, "CLAIM", 2)
    crowd(bitbucket, 12, ended=True)
    assert run("--within=1m") == "12 renewed, 0 refused, 0 skipped, 0 failed"


def test_work_for_a_token_does_not_grow_with_their_number(bitbucket: BitbucketSimulator) -> None:
    costs = []
    for number in (work.CLAIM, 3 * work.CLAIM):
        BitbucketToken.objects.all().delete()
        crowd(bitbucket, number, ended=True)
        with CaptureQueriesContext(connection) as queries:
            run("--within=1m")
        costs.append(len(queries) / number)
    few, many = costs
    assert many < few < 12


@override_settings(AUTH_USER_MODEL="auth.Group")  # a model without `is_active`
def test_users_whose_model_has_no_switch_are_all_active(bitbucket: BitbucketSimulator) -> None:
    with override_settings(AUTH_USER_MODEL="auth.User"):
        stored(bitbucket, ended=True)
    assert run("--within=1m") == "1 renewed, 0 refused, 0 skipped, 0 failed"
