"""The other kinds of Bitbucket: all other tests of this folder have the example site with Cloud by OAuth 2.0."""

from browser.person import CALLBACK, LOGIN, PRIVATE, PROFILE, REPOSITORIES, Person


def test_who_allows_it_is_signed_in_and_sees_name_and_address(person_elsewhere: Person) -> None:
    person, browser = person_elsewhere, person_elsewhere.browser
    person.go_to_consent()
    person.allow()
    person.arrives(PROFILE)
    assert browser.find("h1").text == "Jane Doe"
    known = "trusted" if person.simulator.is_data_center else "confirmed"
    assert f"jane@example.com {known}" in browser.text
    assert [trip.status for trip in browser.requests() if trip.path in (LOGIN, CALLBACK)] == [302, 302]
    assert (person.redeemed(), browser.attempts(), browser.violations()) == (1, [], [])
    browser.click("Sign out")
    person.arrives("/")
    person.go(PRIVATE)
    person.is_asked()


def test_who_denies_is_told_so_and_gets_where_they_wanted_after_trying_again(person_elsewhere: Person) -> None:
    person, browser = person_elsewhere, person_elsewhere.browser
    person.go(PRIVATE)
    person.is_asked()
    person.deny()
    assert person.is_told() == "cancelled"
    assert person.last_answer(CALLBACK).status == 403
    assert person.redeemed() == 0
    browser.click("Try again")
    person.is_asked()
    person.allow()
    person.arrives(PRIVATE)
    assert "You are, Jane Doe." in browser.text
    assert (browser.attempts(), browser.violations()) == ([], [])


def test_repositories_are_shown_and_come_back_after_a_withdrawn_consent(person_elsewhere: Person) -> None:
    person, browser = person_elsewhere, person_elsewhere.browser
    person.sign_in()
    browser.click("Repositories")
    person.arrives(REPOSITORIES)
    assert "Web shop\nprivate" in browser.text
    person.simulator.revoke("jane")
    person.go(REPOSITORIES)
    assert browser.find("h1").text == "Bitbucket has ended this site's access"
    assert "Web shop" not in browser.text
    browser.click("Sign in again")
    person.is_asked()
    person.allow()
    person.arrives(REPOSITORIES)
    assert "Web shop\nprivate" in browser.text
    assert browser.violations() == []
