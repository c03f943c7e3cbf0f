"""The page with a person's accounts: they connect one more and give one up, and it looks as it should."""

from functools import partial
from itertools import product
from pathlib import Path

from browser.person import CALLBACK, PROFILE, Person
from browser.several import Several
from browser.test_looks import DESKTOP, MEASURE, PHONE, emulate
from selenium.webdriver.common.by import By

CONNECT, CONNECTIONS, DISCONNECT = "/bitbucket/connect/", "/bitbucket/connections/", "/bitbucket/disconnect/"


def press_connect(person: Person, path: str = CONNECT) -> None:
    """On the page with the accounts, up to Bitbucket's question."""
    person.browser.press(By.CSS_SELECTOR, f"form[action='{path}'] button")
    person.is_asked()


def names(person: Person) -> list[str]:
    """Whose accounts the page shows."""
    return [one.text for one in person.browser.driver.find_elements(By.CSS_SELECTOR, ".bba-account-name")]


def test_accounts_of_three_bitbuckets_are_connected_shown_and_given_up(several: Several, tmp_path: Path) -> None:
    person, browser = several.cloud, several.cloud.browser

    def look(name: str) -> None:
        for (width, height), colours in product((PHONE, DESKTOP), ("light", "dark")):
            emulate(browser, width, height, colours)
            # Colours that are on their way to those of the other scheme are nobody's.
            browser.command(
                "Emulation.setEmulatedMedia",
                features=[
                    {"name": "prefers-color-scheme", "value": colours},
                    {"name": "prefers-reduced-motion", "value": "reduce"},
                ],
            )
            shown = browser.run("return document.documentElement.scrollHeight")
            browser.command(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=max(height, shown),
                deviceScaleFactor=1,
                mobile=width == PHONE[0],
            )
            assert browser.driver.save_screenshot(str(tmp_path / f"{name}-{width}-{colours}.png"))
            seen = browser.run(MEASURE)
            assert seen["page"] <= width
            assert seen["sheets"] == [["/static/bitbucket_auth/bitbucket_auth.css", True]]
            buttons = browser.driver.find_elements(By.CSS_SELECTOR, ".bba-button")
            # Each one as tall as a finger needs it (WCAG 2.5.5: 44 px).
            assert min(button.size["height"] for button in buttons) >= 44

    def has_left(number: int, driver: object) -> bool:
        return len(names(person)) == number

    person.sign_in()
    person.go(CONNECTIONS)
    assert names(person) == ["Jane Doe"] and "only way to sign in" in browser.text
    look("connections-one")
    for other, alias in ((several.data_center, "dc"), (several.older, "old")):
        press_connect(other, f"/bitbucket/{alias}/connect/")
        other.allow()
        person.arrives(CONNECTIONS)
    assert len(names(person)) == 3 and "only way to sign in" not in browser.text
    look("connections-three")
    for left in (2, 1):
        browser.click("Disconnect")
        browser.until(partial(has_left, left), f"{left} accounts are left")
    browser.click("Disconnect")
    assert "stays connected" in browser.find(".bba-notice").text and len(names(person)) == 1
    look("connections-refused")
    assert browser.violations() == []


def test_who_connects_a_second_account_of_the_same_bitbucket_stays_signed_in(either_person: Person) -> None:
    """With strict cookies too, which the way back from Bitbucket doesn't carry."""
    either_person.sign_in()
    either_person.browser.click("Connected accounts")
    either_person.arrives(CONNECTIONS)
    before = either_person.redeemed()
    press_connect(either_person)
    either_person.allow("unconfirmed")
    either_person.arrives(CONNECTIONS)
    assert names(either_person) == ["Jane Doe", "Max Newcomer"]
    assert either_person.redeemed() == before + 1
    assert either_person.browser.attempts() == []
    either_person.browser.click("Back to the site")
    either_person.arrives(PROFILE)
    assert either_person.browser.find("h1").text == "Jane Doe"
    # The site has other guests after this.
    either_person.go(CONNECTIONS)
    either_person.browser.press(By.XPATH, "//li[contains(., 'Max Newcomer')]//button")
    either_person.browser.until(lambda driver: names(either_person) == ["Jane Doe"], "Max is given up")


def test_who_denies_is_told_that_nothing_was_connected_and_goes_back(person: Person) -> None:
    person.sign_in()
    person.go(CONNECTIONS)
    press_connect(person)
    person.deny()
    assert person.is_told() == "cancelled"
    assert "The account was not connected" in person.browser.text
    person.browser.click("Your connected accounts")
    person.arrives(CONNECTIONS)
    assert len(names(person)) == 1


def test_a_strange_page_connects_nothing(person: Person) -> None:
    """Neither by a link nor by a form that submits itself."""
    person.sign_in()
    browser = person.browser
    browser.open(f"{person.simulator.url}/_simulator/")
    browser.run("location.href = arguments[0]", person.site(CONNECT))
    browser.until(lambda driver: person.last_answer(CONNECT).status == 405, "a GET is answered")
    browser.open(f"{person.simulator.url}/_simulator/")
    before = len(person.simulator.requests)
    browser.run(
        "const form = document.createElement('form'); form.method = 'post'; form.action = arguments[0];"
        "document.body.append(form); form.submit()",
        person.site(CONNECT),
    )
    browser.until(lambda driver: person.last_answer(CONNECT).status == 403, "a form of another site is refused")
    assert browser.attempts() == [] and len(person.simulator.requests) == before
    assert [trip for trip in browser.requests() if trip.path == CALLBACK][1:] == []
