"""`log_in`: through login, consent and callback, as a browser goes."""

from collections.abc import Iterator

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.test import Client, override_settings
from django.urls import include, path

from django_bitbucket_auth.testing import (
    BitbucketSimulator,
    LoginImpossible,
    Person,
    log_in,
    override_provider,
    simulated_bitbucket,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def bitbucket() -> Iterator[BitbucketSimulator]:
    with simulated_bitbucket() as simulator:
        yield simulator


def who(client: Client) -> str:
    """The user name of whoever is signed in with this client."""
    request = HttpRequest()
    request.session = client.session
    return get_user(request).get_username()


def test_jane_is_signed_in(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = log_in(client)
    assert (response.status_code, response.headers["Location"]) == (302, "/")
    user = User.objects.get()
    assert who(client) == user.get_username()
    assert user.email == "jane@example.com"
    assert [logged.endpoint for logged in bitbucket.requests][:3] == [
        "authorize",
        "authorize",
        "token",
    ]


def test_next_is_where_it_ends(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = log_in(client, next="/private/?a=b&c=d")
    assert response.headers["Location"] == "/private/?a=b&c=d"


def test_a_person_may_be_handed_over(bitbucket: BitbucketSimulator, client: Client) -> None:
    eve = bitbucket.add_person(Person("eve", username="eve-e"))
    log_in(client, eve)
    assert User.objects.get().first_name == "Eve"


def test_deny_is_answered_by_the_callback(bitbucket: BitbucketSimulator, client: Client) -> None:
    response = log_in(client, None)
    assert response.status_code == 403
    assert not User.objects.exists()


def test_a_refusal_is_the_callbacks_answer(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", WORKSPACES=["acme"]):
        assert log_in(client, "outsider").status_code == 403
        assert log_in(client, "jane").status_code == 302


def test_another_alias_has_its_own_login(client: Client) -> None:
    with simulated_bitbucket("second", people=[Person("eve")]) as bitbucket:
        assert log_in(client, "eve", alias="second").status_code == 302
    (authorize,) = [e for e in bitbucket.requests if e.endpoint == "authorize" and e.query]
    assert authorize.query["redirect_uri"] == "http://testserver/bitbucket/second/callback/"


@pytest.mark.parametrize("checked", [True, False])
def test_the_button_is_pressed_where_get_starts_nothing(bitbucket: BitbucketSimulator, checked: bool) -> None:
    client = Client(enforce_csrf_checks=checked)
    with override_provider("default", LOGIN_ON_GET=False):
        response = log_in(client, next="/private/")
    assert (response.status_code, response.headers["Location"]) == (302, "/private/")


def test_the_way_leads_over_the_callbacks_host(bitbucket: BitbucketSimulator, client: Client) -> None:
    with override_provider("default", CALLBACK_URL="http://localhost/bitbucket/callback/"):
        assert log_in(client, next="/private/").headers["Location"] == "/private/"
    (authorize,) = [e for e in bitbucket.requests if e.endpoint == "authorize" and e.query]
    assert authorize.query["redirect_uri"] == "http://localhost/bitbucket/callback/"


@override_settings(SECURE_SSL_REDIRECT=True, SESSION_COOKIE_SECURE=True)
def test_the_way_leads_over_https(bitbucket: BitbucketSimulator, client: Client) -> None:
    assert log_in(client).status_code == 302
    (authorize,) = [e for e in bitbucket.requests if e.endpoint == "authorize" and e.query]
    assert authorize.query["redirect_uri"] == "https://testserver/bitbucket/callback/"


def test_an_unknown_person_is_named(bitbucket: BitbucketSimulator, client: Client) -> None:
    with pytest.raises(LoginImpossible, match="No person 'eve' here"):
        log_in(client, "eve")


def test_a_person_of_another_simulator_is_no_person_here(bitbucket: BitbucketSimulator, client: Client) -> None:
    with pytest.raises(LoginImpossible, match=r"400, .*Nobody of that name"):
        log_in(client, Person("eve"))


def test_without_a_simulator_it_says_where_the_login_led(client: Client) -> None:
    with (
        override_provider("default", CLIENT_ID="i", CLIENT_SECRET="s"),
        pytest.raises(LoginImpossible, match=r"https://bitbucket\.org/site/oauth2/authorize, "),
    ):
        log_in(client)


def test_bitbuckets_own_page_is_quoted(bitbucket: BitbucketSimulator, client: Client) -> None:
    bitbucket.callback_url = "http://localhost/elsewhere/"
    with pytest.raises(LoginImpossible, match=r"400, Simulator .* Invalid redirect_uri\."):
        log_in(client)


def test_the_sites_own_page_is_quoted(bitbucket: BitbucketSimulator, client: Client) -> None:
    with (
        override_provider("default", CLIENT_ID=""),
        pytest.raises(LoginImpossible, match="/bitbucket/login/ answered 503"),
    ):
        log_in(client)


def elsewhere(request: HttpRequest, alias: str = "") -> HttpResponse:
    """A login that some other app took over."""
    return HttpResponseRedirect("/sign-in/")


def to_itself(request: HttpRequest, alias: str = "") -> HttpResponse:
    """A login that never gets anywhere."""
    return HttpResponseRedirect("?again")


def pages(view: object) -> object:
    """A URLconf with a login of its own."""
    routes = [path("login/", view, name="login")]  # type: ignore[call-overload]
    return type("urls", (), {"urlpatterns": [path("", include((routes, "bitbucket_auth")))]})


@pytest.mark.parametrize(
    ("view", "words"),
    [(elsewhere, "leads to /sign-in/, where no"), (to_itself, "over and over")],
)
def test_a_login_that_leads_elsewhere_is_told(view: object, words: str, client: Client) -> None:
    with override_settings(ROOT_URLCONF=pages(view)), pytest.raises(LoginImpossible, match=words):
        log_in(client)
