"""What other sites' pages can do: nothing but show a person the button."""

from collections.abc import Callable

import pytest
from browser.elsewhere import Elsewhere
from browser.person import CALLBACK, LOGIN, PRIVATE, PROFILE, Person
from selenium.webdriver.common.by import By

EMBED = {
    "iframe": "const frame = document.createElement('iframe'); frame.src = arguments[0]; document.body.append(frame)",
    "prefetch": """
        const link = document.createElement("link");
        link.rel = "prefetch";
        link.href = arguments[0];
        document.head.append(link);
    """,
}


def link(elsewhere: Elsewhere, target: str) -> str:
    return elsewhere.page("/link", f'<a href="{target}">Go on</a>')


def link_to_redirect(elsewhere: Elsewhere, target: str) -> str:
    return link(elsewhere, elsewhere.redirect("/redirect", target))


def form(elsewhere: Elsewhere, target: str) -> str:
    return elsewhere.page("/form", f'<form action="{target}"><button>Go on</button></form>')


def window(elsewhere: Elsewhere, target: str) -> str:
    return elsewhere.page("/window", f"<button onclick=\"location.replace('{target}')\">Go on</button>")


@pytest.mark.parametrize("page", [link, link_to_redirect, form, window])
def test_what_leads_to_the_login_from_elsewhere_starts_nothing_but_shows_the_button(
    page: Callable[[Elsewhere, str], str], elsewhere: Elsewhere, person: Person
) -> None:
    person.browser.open(page(elsewhere, person.site(LOGIN)))
    person.browser.click("Go on")
    person.arrives(LOGIN)
    assert person.browser.find("h1").text == "Sign in"
    assert person.browser.attempts() == []
    assert person.simulator.requests == []


def test_a_page_that_sends_its_visitors_to_the_login_by_itself_starts_nothing(
    elsewhere: Elsewhere, person: Person
) -> None:
    refresh = f'<meta http-equiv="refresh" content="0;url={person.site(LOGIN)}">'
    person.browser.open(elsewhere.page("/refresh", "", refresh))
    person.arrives(LOGIN)
    assert person.browser.find("h1").text == "Sign in"
    assert person.browser.attempts() == []
    assert person.simulator.requests == []


def test_the_button_leads_on_to_bitbucket_and_to_the_page_that_was_wanted(elsewhere: Elsewhere, person: Person) -> None:
    person.browser.open(link(elsewhere, person.site(PRIVATE)))
    person.browser.click("Go on")
    person.arrives(LOGIN)
    person.browser.click("Sign in with Bitbucket")
    person.is_asked()
    person.allow()
    person.arrives(PRIVATE)
    assert "You are, Jane Doe." in person.browser.text


def test_a_form_posted_from_elsewhere_starts_nothing(elsewhere: Elsewhere, person: Person) -> None:
    person.browser.open(
        elsewhere.page("/post", f'<form method="post" action="{person.site(LOGIN)}"><button>Go on</button></form>')
    )
    person.browser.click("Go on")
    person.arrives(LOGIN)
    assert person.last_answer(LOGIN).status == 403
    assert person.browser.attempts() == []
    assert person.simulator.requests == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('<img src="{}" alt="">', "Image"),
        ('<link rel="prefetch" href="{}">', "Other"),
        ('<iframe src="{}"></iframe>', "Document"),
        ('<script src="{}"></script>', "Script"),
    ],
    ids=["img", "prefetch", "iframe", "script"],
)
def test_what_a_page_elsewhere_embeds_starts_nothing(
    body: str, kind: str, elsewhere: Elsewhere, person: Person
) -> None:
    person.browser.open(elsewhere.page("/embed", body.format(person.site(LOGIN))))
    answered = person.browser.until(
        lambda driver: [made for made in person.browser.requests() if made.path == LOGIN and made.status],
        "the login was asked for and answered",
    )
    assert [(made.kind, made.status) for made in answered] == [(kind, 200)]
    assert "bitbucket_auth" not in answered[0].answered["set-cookie"]
    assert person.browser.attempts() == []
    assert person.simulator.requests == []


@pytest.mark.parametrize("element", ["iframe", "prefetch"])
def test_what_a_page_of_the_site_itself_embeds_or_fetches_in_advance_starts_nothing(
    element: str, person: Person
) -> None:
    # The example's policy would not even let it ask; another project's may.
    person.browser.command("Page.setBypassCSP", enabled=True)
    person.go("/")
    person.browser.run(EMBED[element], person.site(LOGIN))
    answered = person.browser.until(
        lambda driver: [made for made in person.browser.requests() if made.path == LOGIN and made.status],
        "the login was asked for and answered",
    )
    assert [(made.headers["sec-fetch-site"], made.status) for made in answered] == [("same-origin", 200)]
    assert "bitbucket_auth" not in answered[0].answered["set-cookie"]
    assert person.browser.attempts() == []


@pytest.mark.parametrize("path", [LOGIN, f"{CALLBACK}?code=x&state=y"], ids=["login", "error"])
def test_our_pages_are_not_shown_in_a_frame(path: str, elsewhere: Elsewhere, person: Person) -> None:
    frames = f'<iframe id="ours" src="{person.site(path)}"></iframe><iframe id="theirs" src="/framed"></iframe>'
    elsewhere.page("/framed", "Shown")
    person.browser.open(elsewhere.page("/frames", frames))

    def shown(frame: str) -> str:
        person.browser.driver.switch_to.default_content()
        person.browser.driver.switch_to.frame(person.browser.find(f"#{frame}"))
        return str(person.browser.run("return document.documentElement.outerHTML"))

    assert "Shown" in shown("theirs")
    assert "bba-" not in shown("ours")
    refusals = [line for line in person.browser.violations() if "frame-ancestors 'none'" in line]
    assert len(refusals) == 1
    assert person.site.url in refusals[0]


def test_who_is_signed_in_may_come_by_a_link_from_elsewhere(elsewhere: Elsewhere, person: Person) -> None:
    person.sign_in()
    person.browser.open(link(elsewhere, person.site(PROFILE)))
    person.browser.press(By.LINK_TEXT, "Go on")
    person.arrives(PROFILE)
    assert person.browser.find("h1").text == "Jane Doe"
