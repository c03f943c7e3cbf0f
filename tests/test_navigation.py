"""Where a sign-in may end."""

import pytest
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from django.views.generic import RedirectView

from django_bitbucket_auth import navigation, views
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/private/", "/private/"),
        ("/private/?a=1&b=%20#x", "/private/?a=1&b=%20#x"),
        ("/grüße/", "/gr%C3%BC%C3%9Fe/"),
        ("/", "/"),
        ("http://testserver/private/?q#f", "/private/?q#f"),
        ("https://TESTSERVER/private/", "/private/"),
        ("http://testserver", "/"),
        ("/bitbucket/connections/", "/bitbucket/connections/"),
        ("/" + "x" * 1023, "/" + "x" * 1023),
    ],
)
def test_a_place_on_this_site_is_kept(value: str, expected: str) -> None:
    assert navigation.safe_next(RequestFactory().get("/"), value) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        " /private/",
        "private/",
        "SECRET_KEY",
        "LOGIN_REDIRECT_URL",
        "//evil.example/",
        "///evil.example/",
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/private\x00/",
        "/private/\x7f",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "https://evil.example/",
        "http://testserver@evil.example/",
        "http://evil.example\\@testserver/",
        "http://user@testserver/",
        "ftp://testserver/",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://[",
        "//[::1",
        "http://[::1/x",
        "http://testserver:80x/",
        "http://testserver.evil.example/",
        "/" + "x" * 1024,
        "/" + "ü" * 200,
        "/bitbucket/login/",
        "/bitbucket/callback/?code=x",
        "/bitbucket/default/login/",
        "/bitbucket/dc/callback/",
        "/bitbucket/%6Cogin/",
        "/admin/logout/",
        "http://testserver/bitbucket/login/",
        "http://testserver//evil.example/",
    ],
)
@pytest.mark.parametrize("hosts", [["testserver"], ["*"]])
def test_any_other_place_is_not(value: object, hosts: list[str]) -> None:
    with override_settings(ALLOWED_HOSTS=hosts):
        assert navigation.safe_next(RequestFactory().get("/"), value) == ""


#: Our callback where another package's was, so that what is registered at Bitbucket stays.
urlpatterns = [
    path("accounts/bitbucket_oauth2/login/callback/", views.callback),
    path("accounts/", RedirectView.as_view(url="/")),
]


@override_settings(ROOT_URLCONF=__name__)
def test_our_callback_is_no_place_wherever_it_is() -> None:
    request = RequestFactory().get("/")
    assert navigation.safe_next(request, "/accounts/bitbucket_oauth2/login/callback/?code=x") == ""
    assert navigation.safe_next(request, "/accounts/") == "/accounts/"


def test_a_forged_host_makes_no_host_ours() -> None:
    with override_settings(ALLOWED_HOSTS=["*"]):
        request = RequestFactory().get("/", headers={"Host": "evil.example"})
        assert navigation.safe_next(request, "https://evil.example/private/") == "/private/"


def test_our_own_views_are_known_under_a_script_prefix(settings: object) -> None:
    from django.urls import set_script_prefix

    set_script_prefix("/tools/")
    try:
        request = RequestFactory().get("/")
        assert navigation.safe_next(request, "/tools/bitbucket/login/") == ""
        assert navigation.safe_next(request, "/tools/private/") == "/tools/private/"
    finally:
        set_script_prefix("/")


@pytest.mark.django_db
@pytest.mark.parametrize("evil", ["SECRET_KEY", "//evil.example/", "https://evil.example/", "/bitbucket/login/"])
def test_a_login_with_a_bad_next_ends_at_the_success_url(
    bitbucket: BitbucketSimulator, client: Client, evil: str
) -> None:
    with override_settings(ALLOWED_HOSTS=["*"]):
        assert log_in(client, "jane", next=evil).headers["Location"] == "/"


@pytest.mark.django_db
def test_no_client_address_is_believed(bitbucket: BitbucketSimulator, client: Client) -> None:
    # There is no logic on client addresses, so a forged X-Forwarded-For has nothing to fool.
    client.defaults["HTTP_X_FORWARDED_FOR"] = "127.0.0.1"
    assert log_in(client).status_code == 302


@pytest.mark.django_db
def test_a_second_provider_lives_at_urls_of_its_own(bitbucket: BitbucketSimulator) -> None:
    with override_provider("second", BASE_URL=bitbucket.url):
        urls = [navigation.url_of("callback", alias) for alias in ("default", "second")]
    assert urls == ["/bitbucket/callback/", "/bitbucket/second/callback/"]
    assert not any(one != two and one.startswith(two) for one in urls for two in urls)
