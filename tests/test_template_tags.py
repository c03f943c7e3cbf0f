"""``{% load bitbucket_auth %}``: links that begin a sign-in."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from django.template import Context, Template
from django.test import Client, RequestFactory, override_settings
from django.utils.html import escape
from django.utils.safestring import mark_safe

from django_bitbucket_auth.bitbucket import CloudProvider
from django_bitbucket_auth.exceptions import ConfigurationError

LOGIN = "/bitbucket/login/"


class Forge(CloudProvider):
    """A project's own kind, with a name of its own."""

    name: ClassVar[str] = "Forge <3"


def render(tag: str, path: str = "/private/", method: str = "GET", **context: Any) -> str:
    """What the tag becomes on the page ``path``."""
    request = RequestFactory().generic(method, path)
    return Template("{% load bitbucket_auth %}" + tag).render(Context({"request": request, **context}))


def url(arguments: str = "", path: str = "/private/", method: str = "GET", **context: Any) -> str:
    return render(f"{{% bitbucket_login_url {arguments} %}}", path, method, **context)


# -- where to ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "then"),
    [("/private/", "%2Fprivate%2F"), ("/private/?a=1&b=<", "%2Fprivate%2F%3Fa%3D1%26b%3D%253C"), ("/", "%2F")],
)
def test_people_come_back_to_the_page_that_they_were_on(path: str, then: str) -> None:
    assert url(path=path) == f"{LOGIN}?next={then}"


@pytest.mark.parametrize("path", ["/bitbucket/login/", "/bitbucket/callback/?code=x", "/" + "x" * 1024])
def test_pages_that_sign_in_are_no_place_to_come_back_to(path: str) -> None:
    assert url(path=path) == LOGIN


@pytest.mark.parametrize(
    ("path", "then"),
    [
        ("/accounts/login/?next=/private/", "/private/"),
        ("/accounts/login/?next=//evil.example", "/accounts/login/?next="),
    ],
)
def test_a_page_to_sign_in_at_passes_on_where_people_want_to_go(path: str, then: str) -> None:
    assert url(path=path).startswith(f"{LOGIN}?next={quote(then, safe='')}")


def test_nobody_comes_back_to_the_answer_of_a_form() -> None:
    assert url(method="POST") == LOGIN
    assert url('next="/welcome/"', method="POST") == f"{LOGIN}?next=%2Fwelcome%2F"


def test_a_place_can_be_named() -> None:
    assert url('next="/welcome/?a=1"') == f"{LOGIN}?next=%2Fwelcome%2F%3Fa%3D1"
    assert url("next=place", place=mark_safe("/welcome/")) == f"{LOGIN}?next=%2Fwelcome%2F"
    assert url('next=""') == url("next=missing") == LOGIN


@pytest.mark.parametrize("place", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil"])
def test_a_place_elsewhere_is_left_out(place: str) -> None:
    assert url("next=place", place=place) == LOGIN


def test_without_the_request_only_a_place_that_is_named_is_known(client: Client) -> None:
    assert url(request=None) == LOGIN
    assert url('next="/welcome/"', request=None) == f"{LOGIN}?next=%2Fwelcome%2F"


# -- at which ----------------------------------------------------------------------------------------------------------


@override_settings(BITBUCKET_AUTH={"default": {}, "dc": {}})
def test_a_provider_can_be_named() -> None:
    assert url('provider="dc" next=""') == "/bitbucket/dc/login/"
    assert url('provider="default" next=""') == url('provider="" next=""') == LOGIN
    assert 'href="/bitbucket/dc/login/?next=%2Fprivate%2F"' in render('{% bitbucket_login_button provider="dc" %}')


@override_settings(BITBUCKET_AUTH={"dc": {}})
def test_without_a_default_the_link_leads_to_the_choice() -> None:
    assert url('next=""') == LOGIN
    assert "Sign in with Bitbucket" in render("{% bitbucket_login_button %}")


def test_a_provider_that_is_unknown_is_the_templates_mistake() -> None:
    with pytest.raises(ConfigurationError, match="no provider 'dc'"):
        url('provider="dc"')
    with pytest.raises(ConfigurationError, match="no provider 'dc'"):
        render('{% bitbucket_login_button provider="dc" %}')


@pytest.mark.parametrize("setting", ["nonsense", {"default": "nonsense"}, {"default": {"KIND": "none.Such"}}])
def test_settings_that_are_wrong_do_not_take_the_projects_pages_down(setting: Any) -> None:
    with override_settings(BITBUCKET_AUTH=setting):
        assert url('provider="default" next=""') == LOGIN
        assert "Sign in with Bitbucket" in render("{% bitbucket_login_button %}")


# -- how it looks ------------------------------------------------------------------------------------------------------


def test_the_button_is_a_link() -> None:
    link = f'<a class="bba-button" href="{LOGIN}?next=%2Fprivate%2F" rel="nofollow">Sign in with Bitbucket</a>'
    assert render("{% bitbucket_login_button %}") == link


def test_text_and_class_can_be_others() -> None:
    shown = render('{% bitbucket_login_button "Come in" css_class="button big" next="" %}')
    assert shown == f'<a class="button big" href="{LOGIN}" rel="nofollow">Come in</a>'


@override_settings(BITBUCKET_AUTH={"default": {"KIND": "test_template_tags.Forge"}})
def test_a_provider_says_its_own_name() -> None:
    assert "Sign in with Forge &lt;3</a>" in render("{% bitbucket_login_button %}")


def test_nothing_that_is_given_becomes_markup() -> None:
    evil = '"><script>alert(1)</script>'
    shown = render("{% bitbucket_login_button evil css_class=evil next=evil %}", evil=evil)
    assert shown == f'<a class="{escape(evil)}" href="{LOGIN}" rel="nofollow">{escape(evil)}</a>'
    assert "<" not in url("next=evil", evil=f"/{evil}") and "<" not in url(request=None, next=evil)


def test_a_url_can_be_kept_for_later() -> None:
    assert render('{% bitbucket_login_url next="/a/" as there %}[{{ there }}]') == f"[{LOGIN}?next=%2Fa%2F]"


@pytest.mark.django_db
def test_the_link_begins_a_sign_in(bitbucket: Any, client: Client) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    response = client.get(url(), headers=headers)
    assert response.status_code == 302 and response["Location"].startswith(bitbucket.url)
