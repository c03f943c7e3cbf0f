"""A strict content policy: the example's own on its pages, ours on ours."""

from browser.elsewhere import Elsewhere
from browser.person import LOGIN, PRIVATE, PROFILE, Person
from selenium.webdriver.common.by import By


def test_no_page_of_the_site_or_of_ours_violates_its_policy(elsewhere: Elsewhere, either_person: Person) -> None:
    person, browser = either_person, either_person.browser
    person.go_to_consent()
    person.deny()
    assert person.is_told() == "cancelled"
    browser.click("Try again")
    person.is_asked()
    person.allow()
    person.arrives(PROFILE)
    browser.click("Private page")
    person.arrives(PRIVATE)
    browser.click("Sign out")
    person.arrives("/")
    browser.open(elsewhere.page("/link", f'<a href="{person.site(LOGIN)}">Go on</a>'))
    browser.click("Go on")
    person.arrives(LOGIN)
    browser.click("Sign in with Bitbucket")
    person.is_asked()
    person.allow("unconfirmed")
    person.arrives(PROFILE)
    assert browser.violations() == []
    shown = [made for made in browser.requests() if made.kind == "Document" and made.status in (200, 403)]
    ours = [made for made in shown if made.url.startswith(person.site.url)]
    assert len(ours) >= 8
    assert all("default-src 'none'" in made.answered["content-security-policy"] for made in ours)


def test_the_console_tells_what_a_policy_refused(person: Person) -> None:
    person.go("/")
    person.browser.run(
        "document.body.append(document.createElement('style')); document.querySelector('style').append('a {}')"
    )
    assert "style-src 'self'" in person.browser.violations()[0]


def test_the_button_reaches_bitbucket_though_forms_may_go_to_the_site_only(
    elsewhere: Elsewhere, person: Person
) -> None:
    person.browser.open(elsewhere.page("/link", f'<a href="{person.site(LOGIN)}">Go on</a>'))
    person.browser.click("Go on")
    person.arrives(LOGIN)
    assert "form-action 'self'" in person.last_answer(LOGIN).answered["content-security-policy"]
    person.browser.click("Sign in with Bitbucket")
    person.is_asked()
    assert (person.last_answer(LOGIN).method, person.last_answer(LOGIN).status) == ("POST", 200)
    assert person.browser.violations() == []


def test_a_form_on_a_page_of_the_projects_own_reaches_bitbucket_under_its_policy(
    elsewhere: Elsewhere, person: Person
) -> None:
    person.sign_in()
    assert "form-action 'self'" in person.last_answer(PROFILE).answered["content-security-policy"]
    lead_to = "document.forms[0].action = arguments[0]"
    # The policy is in force: it holds a form that leads elsewhere.
    person.browser.run(lead_to, elsewhere.page("/form", "Never shown"))
    person.browser.press(By.CSS_SELECTOR, "form button")
    refused = person.browser.until(lambda driver: person.browser.violations(), "the form was held")
    assert "form-action 'self'" in refused[0]
    person.browser.run(lead_to, person.site(LOGIN))
    person.browser.press(By.CSS_SELECTOR, "form button")
    person.is_asked()
    assert (person.last_answer(LOGIN).method, person.last_answer(LOGIN).status) == ("POST", 200)
    assert person.browser.violations() == refused
