"""The pages on a phone and on a desktop, in light and dark; pytest's temporary folder has their pictures."""

from itertools import product
from pathlib import Path

import pytest
from browser.chromium import Browser
from browser.elsewhere import Elsewhere
from browser.person import CALLBACK, LOGIN, PROFILE, REPOSITORIES, Person
from browser.several import Several
from selenium.webdriver.common.by import By

PHONE, DESKTOP = (360, 740), (1280, 800)
MEASURE = """
return {
  window: innerWidth,
  page: document.documentElement.scrollWidth,
  sheets: [...document.styleSheets].map(sheet => [new URL(sheet.href).pathname, sheet.cssRules.length > 10]),
  corner: getComputedStyle(document.querySelector(".bba-card, .card, .steps li, .places li")).borderTopLeftRadius,
}
"""
MENU = "return [...document.querySelectorAll('.menu a, .menu button')].map(one => one.getBoundingClientRect().bottom)"


def emulate(browser: Browser, width: int, height: int, colours: str) -> None:
    phone = (width, height) == PHONE
    browser.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_pages_fit_the_window_and_wear_their_stylesheet(
    size: tuple[int, int], colours: str, elsewhere: Elsewhere, person: Person, tmp_path: Path
) -> None:
    browser = person.browser
    width, height = size
    emulate(browser, width, height, colours)

    def look(name: str, sheet: str) -> None:
        assert browser.driver.save_screenshot(str(tmp_path / f"{name}-{width}-{colours}.png"))
        seen = browser.run(MEASURE)
        assert seen["window"] == width, name
        assert seen["page"] <= width, name
        assert seen["sheets"] == [[f"/static/{sheet}", True]], name
        assert seen["corner"] == "18px", name

    person.go("/")
    look("home", "site.css")
    browser.open(elsewhere.page("/link", f'<a href="{person.site(LOGIN)}">Go on</a>'))
    browser.click("Go on")
    person.arrives(LOGIN)
    look("login", "bitbucket_auth/bitbucket_auth.css")
    browser.click("Sign in with Bitbucket")
    person.is_asked()
    person.allow("outsider")
    person.arrives(CALLBACK)
    look("error", "bitbucket_auth/bitbucket_auth.css")
    browser.click("Try again")
    person.is_asked()
    person.allow()
    person.arrives(PROFILE)
    look("profile", "site.css")
    person.go("/")
    look("home-signed-in", "site.css")
    browser.press(By.CSS_SELECTOR, ".places a")
    person.arrives("/members/")
    look("members", "site.css")
    browser.click("Repositories")
    person.arrives(REPOSITORIES)
    look("repositories", "site.css")
    # The menu stays on one line.
    assert len(set(browser.run(MENU))) == 1
    person.simulator.revoke("jane")
    person.go(REPOSITORIES)
    look("withdrawn", "site.css")


def test_several_places_to_sign_in_at_fit_the_window(elsewhere: Elsewhere, several: Several, tmp_path: Path) -> None:
    person, browser = several.cloud, several.cloud.browser
    places = [one.simulator.url.partition("//")[2] for one in (several.cloud, several.data_center, several.older)]
    person.browser.open(elsewhere.page("/link", f'<a href="{person.site(LOGIN)}">Go on</a>'))
    browser.click("Go on")
    person.arrives(LOGIN)
    for (width, height), colours in product((PHONE, DESKTOP), ("light", "dark")):
        emulate(browser, width, height, colours)
        assert browser.driver.save_screenshot(str(tmp_path / f"several-{width}-{colours}.png"))
        assert browser.run(MEASURE)["page"] <= width
        buttons = browser.driver.find_elements(By.CSS_SELECTOR, ".bba-button--choice")
        assert [button.text.split("\n")[-1] for button in buttons] == places
        # Each one as tall as a finger needs it (WCAG 2.5.5: 44 px).
        assert min(button.size["height"] for button in buttons) >= 44


@pytest.mark.parametrize("person_elsewhere", ["data-center"], indirect=True)
def test_what_a_data_center_has_fits_the_window(person_elsewhere: Person, tmp_path: Path) -> None:
    person, browser = person_elsewhere, person_elsewhere.browser
    person.sign_in()
    for path in (PROFILE, REPOSITORIES):
        person.go(path)
        for (width, height), colours in product((PHONE, DESKTOP), ("light", "dark")):
            emulate(browser, width, height, colours)
            assert browser.driver.save_screenshot(str(tmp_path / f"{path.strip('/')}-{width}-{colours}.png"))
            assert browser.run(MEASURE)["page"] <= width
