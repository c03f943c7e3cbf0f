"""What a sign-in costs: queries, requests and connections."""

from threading import Barrier
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider

pytestmark = pytest.mark.django_db


def written(queries: CaptureQueriesContext) -> list[str]:
    noise = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
    return [query["sql"] for query in queries.captured_queries if not query["sql"].startswith(noise)]


def test_nine_queries_for_a_first_login_and_six_for_a_returning_one(bitbucket: BitbucketSimulator) -> None:
    for most in (9, 6, 6):
        with CaptureQueriesContext(connection) as queries:
            assert log_in(Client(), "jane").status_code == 302
        assert len(written(queries)) <= most, written(queries)


def test_a_returning_login_reads_once_and_writes_only_the_token(bitbucket: BitbucketSimulator) -> None:
    log_in(Client(), "jane")
    with CaptureQueriesContext(connection) as queries:
        log_in(Client(), "jane")
    ours = [sql for sql in written(queries) if "bitbucket_auth" in sql]
    assert [sql.split()[0] for sql in ours] == ["SELECT", "UPDATE"] and "bitbuckettoken" in ours[1]


def test_three_requests_and_no_new_connection_in_steady_state(bitbucket: BitbucketSimulator) -> None:
    for endpoint in ("user", "emails"):  # held back, they surely need a connection each
        bitbucket.slow(endpoint, 0.5, times=1)
    log_in(Client(), "jane")
    connections, requests = bitbucket.connections, len(bitbucket.requests)
    for _ in range(3):
        log_in(Client(), "jane")
    ours = [logged for logged in bitbucket.requests[requests:] if logged.endpoint != "authorize"]
    assert sorted(logged.endpoint for logged in ours) == ["emails"] * 3 + ["token"] * 3 + ["user"] * 3
    assert bitbucket.connections == connections


class Together(CloudProvider):
    """Lets no request of the second wave through before all of them are under way."""

    def send(self, request: Any) -> Any:
        if "/2.0/" in request.url:
            getattr(settings, "MEETING").wait()  # noqa: B009
        return super().send(request)


@pytest.mark.parametrize(("workspaces", "requests"), [(["*"], 2), (["acme"], 3), (["acme", "globex"], 4)])
def test_profile_addresses_and_memberships_are_asked_for_at_the_same_time(
    bitbucket: BitbucketSimulator, client: Client, workspaces: list[str], requests: int
) -> None:
    # Asked for in turn, the first would wait for the others in vain, and the barrier would break.
    meeting = Barrier(requests, timeout=20)
    with (
        override_settings(MEETING=meeting),
        override_provider("default", KIND="test_counts.Together", WORKSPACES=workspaces),
    ):
        assert log_in(client, "jane").status_code == 302
    assert len(bitbucket.requests_to("permission")) == requests - 2
