"""The pytest plugin, and that it costs nothing until it's used."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

import django_bitbucket_auth.testing
from django_bitbucket_auth.conf import provider_settings
from django_bitbucket_auth.testing import BitbucketSimulator


def imported_by(statement: str) -> set[str]:
    """The top-level modules a fresh interpreter has after ``statement``."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    return set(done.stdout.split())


def test_the_plugin_imports_neither_django_nor_requests_nor_oauthlib() -> None:
    modules = imported_by("import django_bitbucket_auth.testing.plugin")
    assert "django_bitbucket_auth" in modules
    assert not modules & {"django", "requests", "oauthlib", "requests_oauthlib", "environ"}


def test_the_simulator_imports_no_django_and_none_of_the_apps_rings() -> None:
    code = (
        "from django_bitbucket_auth.testing import BitbucketSimulator; "
        "ours = {n for n in sys.modules if n.startswith('django_bitbucket_auth.')}; "
        "assert all(n.startswith('django_bitbucket_auth.testing') for n in ours), ours"
    )
    assert not imported_by(code) & {"django", "requests", "requests_oauthlib"}


@pytest.mark.parametrize("name", django_bitbucket_auth.testing.__all__)
def test_what_is_named_is_there(name: str) -> None:
    assert getattr(django_bitbucket_auth.testing, name) is not None


def test_what_is_not_named_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = django_bitbucket_auth.testing.nonsense


def test_the_provider_points_at_the_server(bitbucket: BitbucketSimulator, bitbucket_server: BitbucketSimulator) -> None:
    assert bitbucket is bitbucket_server
    seen = provider_settings("default")
    assert (seen.base_url, seen.api_url) == (bitbucket.url, bitbucket.url)


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_gets_it_as_new(bitbucket: BitbucketSimulator, turn: int) -> None:
    assert bitbucket.people["jane"].active
    assert (bitbucket.requests, bitbucket.connections) == ([], 0)
    bitbucket.deactivate("jane")
    bitbucket.fail("user")


@pytest.mark.django_db
def test_the_login_fixture_signs_in(
    bitbucket: BitbucketSimulator, bitbucket_login: Callable[..., Any], client: Client
) -> None:
    assert bitbucket_login(client).status_code == 302
    assert bitbucket.requests_to("user")[0].person == "jane"


@pytest.mark.django_db
def test_a_login_keeps_its_connections(bitbucket: BitbucketSimulator, bitbucket_login: Callable[..., Any]) -> None:
    for endpoint in ("user", "emails"):  # held back, they surely need a connection each
        bitbucket.slow(endpoint, 0.5, times=1)
    bitbucket_login(Client())
    before = bitbucket.connections
    bitbucket_login(Client())
    assert bitbucket.connections == before
