"""What people do with tabs and the back button, also where session cookies are strict."""

import pytest
from browser.person import CALLBACK, PRIVATE, PROFILE, Person


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "the other way round"])
def test_two_tabs_sign_in_and_each_gets_where_it_wanted(either_person: Person, order: tuple[int, int]) -> None:
    person, browser = either_person, either_person.browser
    targets = PROFILE, PRIVATE
    tabs = []
    for target in targets:
        browser.driver.switch_to.new_window("tab")
        tabs.append(browser.driver.current_window_handle)
        person.go(target)
        person.is_asked()
    assert len(browser.attempts()) == 2
    for tab in order:
        browser.driver.switch_to.window(tabs[tab])
        person.allow()
        person.arrives(targets[tab])
        assert "Jane Doe" in browser.text
    assert person.redeemed() == 2
    assert browser.attempts() == []


def test_back_after_success_and_consenting_again_finds_the_person_signed_in(either_person: Person) -> None:
    person = either_person
    person.sign_in()
    before = len(person.simulator.requests_to("token") + person.simulator.requests_to("user"))
    person.browser.driver.back()
    person.is_asked()
    person.allow()
    person.arrives(PROFILE)
    assert person.browser.find("h1").text == "Jane Doe"
    after = len(person.simulator.requests_to("token") + person.simulator.requests_to("user"))
    assert (before, after) == (2, 2)


def test_back_from_another_page_finds_the_person_signed_in(either_person: Person) -> None:
    person = either_person
    person.sign_in()
    person.browser.click("Private page")
    person.arrives(PRIVATE)
    asked = len(person.simulator.requests)
    person.browser.driver.back()
    person.arrives(PROFILE)
    assert person.browser.find("h1").text == "Jane Doe"
    assert len(person.simulator.requests) == asked


def test_the_answer_of_bitbucket_opened_again_finds_the_person_signed_in(either_person: Person) -> None:
    person = either_person
    person.sign_in()
    asked = len(person.simulator.requests)
    person.browser.open(person.last_answer(CALLBACK).url)
    person.arrives(PROFILE)
    assert person.browser.find("h1").text == "Jane Doe"
    assert len(person.simulator.requests) == asked


def test_the_forwarding_page_is_no_step_of_the_history(strict_person: Person) -> None:
    strict_person.sign_in()
    assert strict_person.last_answer(CALLBACK).status == 200
    entries = strict_person.browser.command("Page.getNavigationHistory")["entries"]
    assert [entry["url"] for entry in entries if CALLBACK in entry["url"]] == []
