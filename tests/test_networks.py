"""Networks behind firewalls: plain HTTP where it is allowed, an API at an address of its own, certificates."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import responses
from bitbucket.data_center_answers import USER, WHO, named, page
from django.contrib.auth.models import User
from django.test import Client, override_settings
from oauth.certificates import certificate, tls_of
from oauth.loopback import Exchange, Loopback, reply
from steps import TYPED, come_back, reason_of, start

from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.models import BitbucketAccount

pytestmark = pytest.mark.django_db

TOKEN = {"access_token": "canary", "refresh_token": "canary-r", "token_type": "bearer", "expires_in": 3600}


def data_center(url: str, **keys: Any) -> override_settings:
    """A Data Center at this address, as the only provider."""
    given = {"KIND": "data-center", "BASE_URL": url, "CLIENT_ID": "id", "CLIENT_SECRET": "secret", **keys}
    return override_settings(BITBUCKET_AUTH={"default": given})


def play(base: str, api: str) -> None:
    """Let Bitbucket's addresses there answer, and no others."""
    responses.post(f"{base}/rest/oauth2/latest/token", json=TOKEN)
    responses.get(f"{api}/rest/api/latest/application-properties", json=WHO, headers=named())
    responses.get(f"{api}/rest/api/latest/users", json=page(USER), headers=named())


@responses.activate
@pytest.mark.parametrize(
    ("base", "api", "instance"),
    [
        ("http://git.intranet:7990/stash", None, "git.intranet:7990/stash"),
        ("http://10.1.2.3", None, "10.1.2.3"),
        ("https://[fd00::7]:8443/bitbucket/", None, "[fd00::7]:8443/bitbucket"),
        ("https://git.example.com/bitbucket", "https://api.example.com/git", "api.example.com/git"),
        ("https://GIT.Example.com", None, "git.example.com"),
    ],
)
def test_ports_context_paths_and_addresses_of_every_form(
    client: Client, base: str, api: str | None, instance: str
) -> None:
    play(base.rstrip("/"), (api or base).rstrip("/"))
    with data_center(base, ALLOW_HTTP=base.startswith("http:"), **({"API_URL": api} if api else {})):
        started = start(client)
        assert started.url.lower().startswith(f"{base.rstrip('/')}/rest/oauth2/latest/authorize?".lower())
        assert come_back(client, code="c", state=started.state).status_code == 302
        assert BitbucketAccount.objects.get().instance == instance
        assert get_session(User.objects.get()).json("users")["values"] == [USER]


@responses.activate
def test_plain_http_is_not_spoken_by_a_slip(client: Client) -> None:
    with data_center("http://git.intranet"):
        response = client.get("/bitbucket/login/", headers=TYPED)
    assert response.status_code == 503 and reason_of(response) == "misconfigured"
    assert len(responses.calls) == 0


def script(exchange: Exchange) -> bytes:
    """A Data Center in three answers."""
    target, headers = exchange.request.target, {"X-AUSERNAME": "jane", "Content-Type": "application/json"}
    if "oauth2" in target:
        return reply(body='{"access_token": "canary", "token_type": "bearer"}')
    if "users" in target:
        person = '{"name": "jane", "id": 1, "type": "NORMAL", "active": true}'
        return reply(body=f'{{"values": [{person}], "isLastPage": true}}', headers=headers)
    return reply(body='{"version": "8"}', headers=headers)


def test_a_certificate_of_ones_own_signs_people_in_and_nothing_else_does(client: Client, tmp_path: Path) -> None:
    ours, other = certificate(tmp_path, "ours"), certificate(tmp_path, "other")
    with Loopback(script, tls=tls_of(ours)) as server:
        for keys, status in (({}, 503), ({"CA_BUNDLE": other[0]}, 503), ({"CA_BUNDLE": ours[0]}, 302)):
            with data_center(f"{server.url}/git", RETRIES=0, **keys):
                assert come_back(client, code="c", state=start(client).state).status_code == status
        assert {request.target.partition("?")[0] for request in server.requests} == {
            "/git/rest/oauth2/latest/token",
            "/git/rest/api/latest/application-properties",
            "/git/rest/api/latest/users",
        }


def test_a_client_certificate_is_shown(client: Client, tmp_path: Path) -> None:
    ours, own = certificate(tmp_path, "ours"), certificate(tmp_path, "own")
    context = tls_of(ours)
    context.load_verify_locations(own[0])
    context.verify_mode = ssl.CERT_REQUIRED
    with Loopback(script, tls=context) as server:
        for keys, status in (({}, 503), ({"CLIENT_CERT": own}, 302)):
            with data_center(server.url, RETRIES=0, CA_BUNDLE=ours[0], **keys):
                assert come_back(client, code="c", state=start(client).state).status_code == status


def test_all_of_it_goes_by_the_proxy(client: Client) -> None:
    with Loopback(script) as proxy:
        with data_center("http://git.invalid/bitbucket", ALLOW_HTTP=True, PROXIES={"http": proxy.url}):
            assert come_back(client, code="c", state=start(client).state).status_code == 302
            assert get_session(User.objects.get()).get("repos").ok
        assert all(request.target.startswith("http://git.invalid/bitbucket/rest/") for request in proxy.requests)
        assert len(proxy.requests) == 4
