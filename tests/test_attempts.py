"""The started login that a callback has to belong to, and its one use."""

import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client, override_settings
from steps import CALLBACK, attempts_of, code_for, come_back, reason_of, start

from django_bitbucket_auth import crypto
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider

pytestmark = pytest.mark.django_db


class BrokenCache(LocMemCache):
    """A cache server that is down."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        raise ConnectionError("cache is down")


# -- the attempt ---------------------------------------------------------------------------------------------------


def check_refused(client: Client, bitbucket: BitbucketSimulator, reason: str, **query: Any) -> None:
    before = len(bitbucket.requests)
    response = come_back(client, **query)
    assert response.status_code == 400 and reason_of(response) == reason, response.content
    assert len(bitbucket.requests) == before
    assert "sessionid" not in client.cookies and not User.objects.exists()


def test_a_callback_in_another_browser_is_refused(bitbucket: BitbucketSimulator) -> None:
    # CVE-2025-68158, CVE-2026-41425: a state kept on the server lets an attacker's link sign the victim in.
    started = start(Client())
    check_refused(Client(), bitbucket, "state_missing", code=code_for(bitbucket, started), state=started.state)


@pytest.mark.parametrize(
    "query", [{}, {"code": "c"}, {"code": "c", "state": ""}, {"state": "\udcff"}, {"state": "x" * 9000}]
)
def test_a_callback_without_a_good_state_is_refused(bitbucket: BitbucketSimulator, query: dict[str, Any]) -> None:
    client = Client()
    start(client)
    if "\udcff" in query.get("state", ""):
        query = {"state": "%ED%B3%BF"}
    check_refused(client, bitbucket, "state_missing", **query)


def test_a_state_that_only_fits_the_name_is_refused(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    (name,) = attempts_of(client)
    other = start(Client())
    held = crypto.unseal("started login", name, client.cookies[name].value).replace(started.state, other.state)
    client.cookies[name] = crypto.seal("started login", name, held)
    check_refused(client, bitbucket, "state_mismatch", code="c", state=started.state)


def test_a_cookie_moved_to_another_name_is_refused(bitbucket: BitbucketSimulator, client: Client) -> None:
    first, second = start(client), start(client)
    one, two = attempts_of(client)
    client.cookies[one], client.cookies[two] = client.cookies[two].value, client.cookies[one].value
    check_refused(client, bitbucket, "state_missing", code="c", state=first.state)
    check_refused(client, bitbucket, "state_missing", code="c", state=second.state)


def test_a_forged_cookie_is_refused(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    (name,) = attempts_of(client)
    for forged in ("", "1", "1.", "1.AAAAAAAA.", "1.AAAAAAAA.!!!!", client.cookies[name].value[:-2] + "AA", "ä"):
        other = Client(headers={"Cookie": f"{name}={forged}"})
        check_refused(other, bitbucket, "state_missing", code="c", state=started.state)


def test_an_attempt_of_another_version_is_refused(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    (name,) = attempts_of(client)
    client.cookies[name] = crypto.seal("started login", name, '{"state": "old format"}')
    check_refused(client, bitbucket, "state_missing", code="c", state=started.state)


def test_a_planted_second_cookie_of_the_same_name_is_refused(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    (name,) = attempts_of(client)
    value = client.cookies[name].value
    twice = Client(headers={"Cookie": f"{name}={value}; {name}={value}"})
    check_refused(twice, bitbucket, "state_mismatch", code="c", state=started.state)


def test_a_name_padded_with_unicode_space_is_another_name(bitbucket: BitbucketSimulator) -> None:
    # Django strips U+2000 from cookie names, browsers don't: a sibling subdomain could plant a "__Host-" cookie.
    client = Client()
    started = start(client, secure=True)
    (name,) = attempts_of(client)
    planted = ("\u2000" + name).encode().decode("latin-1")
    other = Client(headers={"Cookie": f"{planted}={client.cookies[name].value}"})
    response = come_back(other, secure=True, code="c", state=started.state)
    assert response.status_code == 400 and reason_of(response) == "state_missing"


def test_on_https_only_the_host_bound_name_is_read(bitbucket: BitbucketSimulator) -> None:
    client = Client()
    started = start(client)  # plain HTTP: the name without __Host-
    response = come_back(client, secure=True, code="c", state=started.state)
    assert response.status_code == 400 and reason_of(response) == "state_missing"


@pytest.mark.parametrize(("shift", "reason"), [(601, "state_expired"), (-5, "state_expired")])
def test_the_age_is_judged_by_the_payload(
    bitbucket: BitbucketSimulator, client: Client, monkeypatch: pytest.MonkeyPatch, shift: int, reason: str
) -> None:
    started = start(client)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + shift)
    check_refused(client, bitbucket, reason, code="c", state=started.state)


def test_a_state_is_bound_to_its_provider(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    code = code_for(bitbucket, started)
    same = {"BASE_URL": bitbucket.url, "API_URL": bitbucket.url, "CLIENT_ID": "b" * 32, "CLIENT_SECRET": "x" * 40}
    with override_provider("second", **same):
        before = len(bitbucket.requests)
        response = come_back(client, "/bitbucket/second/callback/", code=code, state=started.state)
    assert response.status_code == 400 and reason_of(response) == "state_mismatch"
    assert len(bitbucket.requests) == before


@pytest.mark.parametrize("key", ["CLIENT_ID", "INSTANCE", "ENDPOINTS"])
def test_a_state_is_bound_to_client_and_endpoints(bitbucket: BitbucketSimulator, client: Client, key: str) -> None:
    started = start(client)
    value: Any = {"token": "https://elsewhere.invalid/token"} if key == "ENDPOINTS" else "another"
    with override_provider("default", **{key: value}):
        check_refused(client, bitbucket, "state_mismatch", code="c", state=started.state)


# -- used once -----------------------------------------------------------------------------------------------------


def test_a_replayed_callback_sends_nothing_out(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    cookie = {name: client.cookies[name].value for name in attempts_of(client)}
    code = code_for(bitbucket, started)
    assert come_back(client, code=code, state=started.state).status_code == 302
    User.objects.all().delete()
    thief = Client()
    thief.cookies.load(cookie)
    check_refused(thief, bitbucket, "state_reused", code=code, state=started.state)
    assert not attempts_of(thief)


def test_back_after_success_leads_on_for_who_is_signed_in(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    code = code_for(bitbucket, started)
    come_back(client, code=code, state=started.state)
    before = len(bitbucket.requests)
    response = come_back(client, code=code, state=started.state)
    assert response.status_code == 302 and response.headers["Location"] == "/"
    assert len(bitbucket.requests) == before


def test_a_reused_state_of_who_is_signed_in_leads_on(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    cookie = {name: client.cookies[name].value for name in attempts_of(client)}
    code = code_for(bitbucket, started)
    come_back(client, code=code, state=started.state)
    client.cookies.load(cookie)
    response = come_back(client, code=code, state=started.state)
    assert response.status_code == 302 and response.headers["Location"] == "/"


def test_every_answer_after_the_mark_deletes_the_cookie(bitbucket: BitbucketSimulator, client: Client) -> None:
    queries: list[dict[str, Any]] = [{"error": "access_denied"}, {"code": "wrong"}, {}, {"error": "server_error"}]
    for query in queries:
        started = start(client)
        come_back(client, state=started.state, **query)
        assert not attempts_of(client), query
    (deleted,) = [morsel for name, morsel in client.cookies.items() if "bitbucket_auth_" in name][:1]
    assert deleted["max-age"] == 0 and deleted["path"] == "/"


def test_a_cache_that_is_down_sends_nothing_out(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client)
    with override_settings(CACHES={"default": {"BACKEND": "test_attempts.BrokenCache"}}):
        before = len(bitbucket.requests)
        response = come_back(client, code="c", state=started.state)
    assert response.status_code == 503 and reason_of(response) == "unavailable"
    assert len(bitbucket.requests) == before


@pytest.mark.parametrize("method", ["head", "post", "put", "delete", "options"])
def test_only_get_spends_the_code(bitbucket: BitbucketSimulator, method: str) -> None:
    client = Client(enforce_csrf_checks=True)
    started = start(client)
    code = code_for(bitbucket, started)
    before = len(bitbucket.requests)
    response = getattr(client, method)(f"{CALLBACK}?code={code}&state={started.state}")
    assert response.status_code == 405 and "no-store" in response.headers["Cache-Control"]
    assert len(bitbucket.requests) == before and attempts_of(client)
    assert come_back(client, code=code, state=started.state).status_code == 302
