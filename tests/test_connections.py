"""The page with a person's accounts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from steps import CONNECT, CONNECTIONS, DISCONNECT, connect, listening, reason_of

from django_bitbucket_auth import conf
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.signals import login_refused
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider, simulated_bitbucket

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(bitbucket: BitbucketSimulator) -> Client:
    client = Client()
    log_in(client, "jane")
    return client


def page(client: Client, path: str = CONNECTIONS) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html.partition("<main")[2]).replace("\xa0", " ").split())


def forms(html: str) -> list[str]:
    return re.findall(r'<form[^>]* action="([^"]+)"', html)


def test_it_says_whose_account_is_connected_where_and_since_when(bitbucket: BitbucketSimulator, client: Client) -> None:
    BitbucketAccount.objects.update(created_at="2026-03-05T12:00:00Z")
    html = page(client)
    place = bitbucket.url.partition("//")[2]
    assert f"JD Jane Doe jdoe · {place} Connected March 5, 2026 API access yes, expires in 1 hour, 59" in words(html)
    assert forms(html) == [DISCONNECT, CONNECT]
    assert f'name="account" value="{BitbucketAccount.objects.get().pk}"' in html
    assert html.count("csrfmiddlewaretoken") == 2 and "only way to sign in" in html


def test_it_shows_ones_own_accounts_only(client: Client) -> None:
    log_in(Client(), "outsider")
    assert "Olga" not in page(client)


def test_it_loads_nothing_foreign_and_is_nobodys_to_keep(client: Client) -> None:
    BitbucketAccount.objects.update(avatar_url="https://avatars.example.com/jane.png")
    response = client.get(CONNECTIONS)
    assert "avatars.example.com" not in response.content.decode() and "<img" not in response.content.decode()
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; ") and "form-action 'self'" in policy
    assert "no-store" in response.headers["Cache-Control"] and response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"


def test_it_has_no_token_in_it(client: Client) -> None:
    token = BitbucketToken.objects.get().reveal()
    assert token is not None
    html = page(client)
    assert token.access_token not in html and token.refresh_token not in html


@pytest.mark.parametrize("path", [CONNECTIONS, "/bitbucket/dc/connections/"])
def test_who_isnt_signed_in_is_asked_to(client: Client, path: str) -> None:
    with simulated_bitbucket("dc", kind="data-center"):
        response = Client().get(path)
    assert (response.status_code, response.headers["Location"]) == (302, f"/bitbucket/login/?next={path}")


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_only_looked_at(client: Client, method: str) -> None:
    assert getattr(client, method)(CONNECTIONS).status_code == 405
    assert client.head(CONNECTIONS).status_code == 200


def test_it_is_the_same_at_each_alias_and_none_at_others(client: Client) -> None:
    with simulated_bitbucket("dc", kind="data-center") as dc:
        connect(client, dc, alias="dc")
        one, other = page(client), page(client, "/bitbucket/dc/connections/")
        assert forms(one) == forms(other) == [DISCONNECT, DISCONNECT, CONNECT, "/bitbucket/dc/connect/"]
        assert "only way to sign in" not in one
    assert client.get("/bitbucket/dc/connections/").status_code == 404


def test_it_works_where_no_provider_is_the_default(client: Client) -> None:
    with simulated_bitbucket("dc", kind="data-center"), override_settings(BITBUCKET_AUTH={"dc": conf.given("dc")}):
        html = page(client)
        assert forms(html) == [DISCONNECT, "/bitbucket/dc/connect/"] and "t use this Bitbucket any more" in html
        account = BitbucketAccount.objects.get()
        assert client.post(DISCONNECT, {"account": account.pk}).status_code == 403
        assert client.post(CONNECT).status_code == 404


def test_providers_that_cant_be_used_are_not_offered(client: Client) -> None:
    with simulated_bitbucket("dc", kind="data-center") as dc:
        connect(client, dc, alias="dc")
        with override_provider("dc", RETRIES="many"):
            html = page(client)
        assert forms(html) == [DISCONNECT, DISCONNECT, CONNECT]
        assert html.count("t use this Bitbucket any more") == 1 and dc.url.partition("//")[2] in html


def test_without_an_account_it_offers_one() -> None:
    client = Client()
    client.force_login(User.objects.create_user("anna"), "django.contrib.auth.backends.ModelBackend")
    with simulated_bitbucket():
        html = page(client)
    assert "No account is connected yet." in html and "Connect an account" in html and forms(html) == [CONNECT]


def test_without_a_provider_it_shows_what_is_there(client: Client) -> None:
    with override_provider("default", RETRIES="many"):
        html = page(client)
    assert forms(html) == [DISCONNECT] and "Connect another account" not in html


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"expires_at": None}, "API access yes Disconnect"),
        ({"expires_at": -10}, "API access yes, renewed when it is used next Disconnect"),
        ({"expires_at": 3630}, "API access yes, expires in 1 hour Disconnect"),
        ({"expires_at": -10, "grant": "oauth1"}, "API access ended; connect the account again to renew it Disconnect"),
        ({"lost_at": -10}, "API access ended; connect the account again to renew it Disconnect"),
        (None, "API access no Disconnect"),
    ],
)
def test_whether_the_site_can_call_bitbucket_is_said_in_words(
    client: Client, columns: dict[str, Any] | None, said: str
) -> None:
    user = User.objects.get()
    user.set_password("correct horse")  # then nothing is said of the last way in
    user.save()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    if columns is None:
        BitbucketToken.objects.all().delete()
    else:
        times = {
            name: timezone.now() + timedelta(seconds=value) if isinstance(value, int) else value
            for name, value in columns.items()
        }
        BitbucketToken.objects.update(**times)
    assert said in words(page(client))


def test_names_are_shown_as_they_are(client: Client) -> None:
    BitbucketAccount.objects.update(display_name="<b>Eve</b> & co", profile_url="javascript:alert(1)")
    html = page(client)
    assert "&lt;b&gt;Eve&lt;/b&gt; &amp; co" in html and "javascript:" not in html
    BitbucketAccount.objects.update(display_name="", username="", profile_url="https://bitbucket.org/jane/")
    html = page(client)
    assert f'href="https://bitbucket.org/jane/" rel="noreferrer">{BitbucketAccount.objects.get().uid}</a>' in html


def test_it_leads_back_to_the_site(client: Client, settings: Any) -> None:
    for wanted, path in (("private", "/private/"), ("nowhere", "")):
        settings.LOGIN_REDIRECT_URL = wanted
        assert re.findall(r'href="([^"]+)">Back to the site', page(client)) == [path] * bool(path)


def test_large_numbers_are_no_prose(client: Client) -> None:
    BitbucketToken.objects.all().delete()
    BitbucketAccount.objects.update(id=1234567)
    with override_settings(USE_THOUSAND_SEPARATOR=True):
        assert 'name="account" value="1234567"' in page(client)


def test_its_queries_dont_grow_with_the_accounts(bitbucket: BitbucketSimulator, client: Client) -> None:
    for person in ("jane", "outsider", "unconfirmed"):
        connect(client, bitbucket, person)
        with CaptureQueriesContext(connection) as queries:
            page(client)
        # Session, user, accounts, tokens; and what is encrypted in them isn't even read.
        assert len(queries) == 4, queries.captured_queries
        assert "sealed" not in queries.captured_queries[-1]["sql"]


def test_who_is_inactive_sees_nothing(client: Client) -> None:
    everybody = "django.contrib.auth.backends.AllowAllUsersModelBackend"
    backends = ["django_bitbucket_auth.backends.BitbucketBackend", everybody]
    with override_settings(AUTHENTICATION_BACKENDS=backends):
        client.force_login(User.objects.get(), everybody)
        User.objects.update(is_active=False)
        response = client.get(CONNECTIONS)
    assert response.status_code == 403 and reason_of(response) == "inactive"


def test_a_database_that_is_down_is_said(client: Client) -> None:
    def execute(run: Any, sql: str, *rest: Any) -> Any:
        if "bitbucketaccount" in sql:
            raise OperationalError("down")
        return run(sql, *rest)

    told: list[str] = []

    def hear(reason: str, **kwargs: Any) -> None:
        told.append(reason)

    with connection.execute_wrapper(execute), listening(login_refused, hear):
        response = client.get(CONNECTIONS)
    assert response.status_code == 503 and told == ["unavailable"]


def test_it_works_under_login_required_middleware(client: Client, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert client.get(CONNECTIONS).status_code == 200
    assert Client().get(CONNECTIONS).status_code == 302
