"""The pages on a phone and on a desktop, in light and dark; pytest's temporary folder has their pictures."""

from pathlib import Path

import pytest
from browser.elsewhere import Elsewhere
from browser.person import CALLBACK, LOGIN, PROFILE, REPOSITORIES, Person

PHONE, DESKTOP = (360, 740), (1280, 800)
MEASURE = """
return {
  window: innerWidth,
  page: document.documentElement.scrollWidth,
  sheets: [...document.styleSheets].map(sheet => [new URL(sheet.href).pathname, sheet.cssRules.length > 10]),
  corner: getComputedStyle(document.querySelector(".bba-card, .card, .steps li")).borderTopLeftRadius,
}
"""
MENU = "return [...document.querySelectorAll('.menu a, .menu button')].map(one => one.getBoundingClientRect().bottom)"


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_pages_fit_the_window_and_wear_their_stylesheet(
    size: tuple[int, int], colours: str, elsewhere: Elsewhere, person: Person, tmp_path: Path
) -> None:
    browser = person.browser
    width, height = size
    phone = size == PHONE
    browser.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])

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
    browser.click("Repositories")
    person.arrives(REPOSITORIES)
    look("repositories", "site.css")
    # The menu stays on one line.
    assert len(set(browser.run(MENU))) == 1
    person.simulator.revoke("jane")
    person.go(REPOSITORIES)
    look("withdrawn", "site.css")
