"""Signing in at the example site, with everything as it should be, and as each of the people there."""

from browser.person import CALLBACK, LOGIN, PRIVATE, PROFILE, Person


def test_who_allows_it_is_signed_in_and_sees_name_and_confirmed_address(person: Person) -> None:
    person.go_to_consent()
    person.allow()
    person.arrives(PROFILE)
    assert person.browser.find("h1").text == "Jane Doe"
    assert "jane@example.com confirmed" in person.browser.text
    assert [trip.status for trip in person.browser.requests() if trip.path in (LOGIN, CALLBACK)] == [302, 302]
    person.go("/")
    assert person.browser.find("h1").text == "Hello, Jane."


def test_the_private_page_leads_to_bitbucket_and_is_shown_afterwards(person: Person) -> None:
    person.go("/")
    person.browser.click("Try the private page")
    person.is_asked()
    person.allow()
    person.arrives(PRIVATE)
    assert "You are, Jane Doe." in person.browser.text


def test_who_signs_out_sees_the_private_page_no_more(person: Person) -> None:
    person.sign_in()
    person.browser.click("Sign out")
    person.arrives("/")
    person.go(PRIVATE)
    person.is_asked()
    assert "example_sessionid" not in person.browser.cookies()


def test_who_denies_is_told_so_and_signs_in_by_the_link(person: Person) -> None:
    person.go_to_consent()
    person.deny()
    assert person.is_told() == "cancelled"
    assert person.last_answer(CALLBACK).status == 403
    assert "You were not signed in" in person.browser.text
    assert person.redeemed() == 0
    person.browser.click("Try again")
    person.is_asked()
    assert person.last_answer(LOGIN).method == "GET"
    person.allow()
    person.arrives(PROFILE)
    assert person.browser.find("h1").text == "Jane Doe"


def test_who_denied_on_the_way_to_a_page_gets_there_after_trying_again(person: Person) -> None:
    person.go(PRIVATE)
    person.is_asked()
    person.deny()
    assert person.is_told() == "cancelled"
    person.browser.click("Try again")
    person.is_asked()
    person.allow()
    person.arrives(PRIVATE)
    assert "You are, Jane Doe." in person.browser.text


def test_who_has_no_confirmed_address_is_signed_in_without_one(person: Person) -> None:
    person.go_to_consent()
    person.allow("unconfirmed")
    person.arrives(PROFILE)
    assert person.browser.find("h1").text == "Max Newcomer"
    assert "no confirmed address" in person.browser.text
    assert "max@example.com" not in person.browser.text


def test_who_is_in_no_workspace_is_turned_away_and_may_come_as_somebody_else(person: Person) -> None:
    person.go_to_consent()
    person.allow("outsider")
    assert person.is_told() == "not_a_member"
    assert person.last_answer(CALLBACK).status == 403
    assert "in none of them" in person.browser.text
    person.browser.click("Try again")
    person.is_asked()
    person.allow()
    person.arrives(PROFILE)
    assert person.browser.find("h1").text == "Jane Doe"


def test_who_is_deactivated_is_turned_away_for_good(person: Person) -> None:
    person.go_to_consent()
    person.allow("deactivated")
    assert person.is_told() == "inactive"
    assert person.last_answer(CALLBACK).status == 403
    assert not person.browser.has("a")
    person.go(PRIVATE)
    person.is_asked()
    assert "example_sessionid" not in person.browser.cookies()
