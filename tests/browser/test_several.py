"""One page that offers several Bitbuckets, under our policy, which lets forms go to the site only."""

from browser.elsewhere import Elsewhere
from browser.person import LOGIN, PRIVATE, PROFILE, Person
from browser.several import Several
from selenium.webdriver.common.by import By

BUTTONS = ".bba-button--choice"


def choose(elsewhere: Elsewhere, person: Person, path: str, place: str) -> None:
    """By a link from elsewhere, which starts nothing, and the button for one of the places."""
    person.browser.open(elsewhere.page("/link", f'<a href="{person.site(path)}">Go on</a>'))
    person.browser.click("Go on")
    person.arrives(LOGIN)
    person.browser.press(By.XPATH, f"//button[contains(., '{place}')]")
    person.is_asked()


def test_each_button_names_its_place_and_the_second_signs_in_there(elsewhere: Elsewhere, several: Several) -> None:
    person, browser = several.data_center, several.data_center.browser
    choose(elsewhere, person, PRIVATE, "127.0.0.2")
    answer = person.last_answer("/bitbucket/dc/login/")
    assert (answer.method, answer.status) == ("POST", 200)
    assert "form-action 'self'" in person.last_answer(LOGIN).answered["content-security-policy"]
    person.allow()
    person.arrives(PRIVATE)  # where they wanted to go
    assert "You are, Jane Doe." in browser.text
    assert person.last_answer("/bitbucket/dc/callback/").status == 302
    assert browser.violations() == []
    assert several.cloud.simulator.requests == several.older.simulator.requests == []


def test_who_denies_tries_again_at_the_same_place(elsewhere: Elsewhere, several: Several) -> None:
    person = several.older
    choose(elsewhere, person, PRIVATE, "127.0.0.3")
    person.deny()
    assert person.is_told() == "cancelled"
    person.browser.click("Try again")
    person.is_asked()
    person.allow()
    person.arrives(PRIVATE)
    assert person.browser.violations() == []


def test_people_of_several_places_are_not_the_same(elsewhere: Elsewhere, several: Several) -> None:
    names = []
    for person, place in ((several.cloud, "127.0.0.1"), (several.data_center, ".2"), (several.older, ".3")):
        choose(elsewhere, person, f"{LOGIN}?next={PROFILE}", place)
        person.allow()
        person.arrives(PROFILE)
        facts = person.browser.driver.find_elements(By.CSS_SELECTOR, ".facts div")
        names += [fact.text.split("\n")[-1] for fact in facts if "User name here" in fact.text]
        person.browser.click("Sign out")
        person.arrives("/")
    assert len(set(names)) == 3
