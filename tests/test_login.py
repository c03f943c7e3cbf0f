"""Starting a sign-in."""

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from steps import CALLBACK, LOGIN, TYPED, attempts_of, start

from django_bitbucket_auth import crypto, state
from django_bitbucket_auth.testing import BitbucketSimulator, override_provider

pytestmark = pytest.mark.django_db


def payload(client: Client) -> dict[str, Any]:
    """What the one started login in the client's jar holds."""
    (name,) = attempts_of(client)
    found: dict[str, Any] = json.loads(crypto.unseal("started login", name, client.cookies[name].value))
    return found


def test_a_typed_visit_leads_to_bitbucket_with_state_and_challenge(
    bitbucket: BitbucketSimulator, client: Client
) -> None:
    started = start(client)
    assert started.url.startswith(f"{bitbucket.url}/site/oauth2/authorize?")
    parameters = started.parameters
    assert parameters["response_type"] == "code"
    assert parameters["client_id"] == bitbucket.client.client_id
    assert parameters["redirect_uri"] == f"http://testserver{CALLBACK}"
    assert parameters["code_challenge_method"] == "S256" and len(parameters["code_challenge"]) == 43
    assert len(parameters["state"]) >= 43
    assert "scope" not in parameters  # all that the client was registered for
    assert "code_verifier" not in started.url


def test_scopes_are_sent_where_they_are_set(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", SCOPES=["account", "email"], PKCE=False):
        parameters = start(client).parameters
    assert parameters["scope"] == "account email"
    assert "code_challenge" not in parameters


def test_each_start_has_a_state_and_a_verifier_of_its_own(bitbucket: BitbucketSimulator) -> None:
    one, two = Client(), Client()
    assert start(one).state != start(two).state
    assert payload(one)["verifier"] != payload(two)["verifier"]


def test_no_query_no_cache_and_no_session_to_start_a_login(bitbucket: BitbucketSimulator, client: Client) -> None:
    cache.clear()
    with CaptureQueriesContext(connection) as queries:
        start(client)
    assert len(queries) == 0
    assert "sessionid" not in client.cookies
    assert not bitbucket.requests


def test_a_hundred_abandoned_logins_leave_five_small_cookies_and_no_row(
    bitbucket: BitbucketSimulator, client: Client
) -> None:
    with CaptureQueriesContext(connection) as queries:
        for _ in range(100):
            start(client, next="/private/?" + "x" * 300)
    names = attempts_of(client)
    assert len(queries) == 0
    assert len(names) <= 5
    assert sum(len(name) + len(client.cookies[name].value) for name in names) <= 4096
    assert all(len(client.cookies[name].value) <= 2048 for name in names)


def test_the_oldest_attempt_goes_first(bitbucket: BitbucketSimulator, client: Client) -> None:
    states = [start(client).state for _ in range(6)]
    request = RequestFactory().get("/")
    left = set(attempts_of(client))
    assert left == {state._name(request, one) for one in states[1:]}


def test_cookies_of_others_are_left_alone(bitbucket: BitbucketSimulator, client: Client) -> None:
    for number in range(6):
        client.cookies[f"bitbucket_auth_{number:016x}"] = "1.somebody.elses"
    start(client)
    assert all(client.cookies[f"bitbucket_auth_{number:016x}"].value for number in range(6))


def test_the_cookie_is_http_only_lax_and_host_bound_on_https(bitbucket: BitbucketSimulator) -> None:
    plain, secure = Client(), Client()
    start(plain)
    start(secure, secure=True)
    (name,), (host_name,) = attempts_of(plain), attempts_of(secure)
    assert name.startswith("bitbucket_auth_") and host_name.startswith("__Host-bitbucket_auth_")
    for cookie, is_secure in ((plain.cookies[name], ""), (secure.cookies[host_name], True)):
        assert cookie["httponly"] is True and cookie["samesite"] == "Lax" and cookie["path"] == "/"
        assert cookie["secure"] == is_secure and cookie["domain"] == "" and cookie["max-age"] == 600


def test_the_cookie_shows_nothing_of_the_attempt(bitbucket: BitbucketSimulator, client: Client) -> None:
    started = start(client, next="/private/")
    (name,) = attempts_of(client)
    text = name + client.cookies[name].value
    held = payload(client)
    assert held["state"] == started.state and held["next"] == "/private/" and held["intent"] == "login"
    for secret in (held["state"], held["verifier"], "/private/", held["redirect_uri"]):
        assert secret not in text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**TYPED, "Sec-Fetch-Site": "cross-site"},
        {**TYPED, "Sec-Fetch-Site": "same-site"},
        {**TYPED, "Sec-Fetch-Mode": "cors"},
        {**TYPED, "Sec-Fetch-Mode": "no-cors"},
        {**TYPED, "Sec-Fetch-Dest": "iframe"},
        {**TYPED, "Sec-Fetch-Dest": "image"},
        {**TYPED, "Sec-Purpose": "prefetch;prerender"},
        {**TYPED, "Sec-Purpose": "prefetch"},
        {**TYPED, "Purpose": "prefetch"},
        {**TYPED, "X-Moz": "prefetch"},
        {**TYPED, "X-Purpose": "preview"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_get_that_nobody_meant_shows_the_button_and_starts_nothing(
    bitbucket: BitbucketSimulator, client: Client, headers: dict[str, str]
) -> None:
    response = client.get(LOGIN, {"next": "/private/"}, headers=headers)
    html = response.content.decode()
    assert response.status_code == 200
    assert 'method="post"' in html and 'name="next" value="/private/"' in html and "csrfmiddlewaretoken" in html
    assert not attempts_of(client)


def test_a_get_from_this_site_starts_the_login(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = client.get(LOGIN, headers={**TYPED, "Sec-Fetch-Site": "same-origin"})
    assert response.status_code == 302 and attempts_of(client)


def test_head_starts_nothing(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = client.head(LOGIN, headers=TYPED)
    assert response.status_code == 200 and not attempts_of(client)


def test_with_login_on_get_switched_off_only_a_post_starts(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", LOGIN_ON_GET=False):
        assert client.get(LOGIN, headers=TYPED).status_code == 200
        assert not attempts_of(client)
        assert client.post(LOGIN).status_code == 200
    assert attempts_of(client)


def test_a_post_answers_a_page_that_forwards_and_no_redirect(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = client.post(LOGIN, {"next": "/private/"})
    url = response.headers["Refresh"].removeprefix("0;url=")
    assert response.status_code == 200 and "Location" not in response.headers
    assert url.startswith(f"{bitbucket.url}/site/oauth2/authorize?")
    assert url.replace("&", "&amp;") in response.content.decode()
    assert payload(client)["next"] == "/private/"


def test_a_post_without_a_csrf_token_starts_nothing(bitbucket: BitbucketSimulator) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(LOGIN).status_code == 403
    assert not attempts_of(client)


def test_the_button_works_with_its_token(bitbucket: BitbucketSimulator) -> None:
    client = Client(enforce_csrf_checks=True)
    html = client.get(LOGIN).content.decode()
    token = html.partition('csrfmiddlewaretoken" value="')[2].partition('"')[0]
    assert client.post(LOGIN, {"csrfmiddlewaretoken": token}).status_code == 200
    assert attempts_of(client)


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_other_methods_are_not_allowed(bitbucket: BitbucketSimulator, client: Client, method: str) -> None:
    response = getattr(client, method)(LOGIN)
    assert response.status_code == 405
    assert response.headers["X-Frame-Options"] == "DENY" and "no-store" in response.headers["Cache-Control"]


def test_query_parameters_other_than_next_change_nothing(bitbucket: BitbucketSimulator, client: Client) -> None:
    evil: dict[str, Any] = {
        "client_id": "evil",
        "redirect_uri": "https://evil.example/",
        "scope": "admin",
        "state": "fixed",
        "response_type": "token",
        "code_challenge": "evil",
    }
    parameters = start(client, **evil).parameters
    assert not set(evil.values()) & set(parameters.values())


@pytest.mark.parametrize("method", ["get", "post"])
def test_every_page_is_uncached_unframed_and_under_a_strict_policy(
    bitbucket: BitbucketSimulator, client: Client, method: str
) -> None:
    response = getattr(client, method)(LOGIN)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert response.headers["X-Frame-Options"] == "DENY" and "no-store" in response.headers["Cache-Control"]
    assert "<script" not in response.content.decode() and "style=" not in response.content.decode()


def test_the_button_page_lets_its_form_send_an_origin(bitbucket: BitbucketSimulator, client: Client) -> None:
    assert client.get(LOGIN).headers["Referrer-Policy"] == "same-origin"


def test_the_policy_names_the_host_of_the_static_files(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_settings(STATIC_URL="https://cdn.example.com/static/"):
        policy = client.get(LOGIN).headers["Content-Security-Policy"]
    assert "style-src https://cdn.example.com;" in policy
    with override_settings(STATIC_URL="//cdn.example.com/static/"):
        policy = client.get(LOGIN).headers["Content-Security-Policy"]
    assert "style-src cdn.example.com;" in policy


def test_a_projects_own_base_page_brings_its_own_policy(
    bitbucket: BitbucketSimulator, client: Client, tmp_path: Any, settings: Any
) -> None:
    folder = tmp_path / "bitbucket_auth"
    folder.mkdir()
    (folder / "base.html").write_text("<title>Ours</title>{% block content %}{% endblock %}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    response = client.get(LOGIN)
    assert b"<title>Ours</title>" in response.content and b"csrfmiddlewaretoken" in response.content
    assert "Content-Security-Policy" not in response.headers
    assert response.headers["X-Frame-Options"] == "DENY"
