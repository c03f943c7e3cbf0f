"""With ``SESSION_COOKIE_SAMESITE = "Strict"`` no step that Bitbucket begins carries the session."""

from browser.person import CALLBACK, PRIVATE, PROFILE, Person


def test_who_signs_in_is_signed_in_at_the_end(strict_person: Person) -> None:
    strict_person.sign_in()
    assert strict_person.browser.find("h1").text == "Jane Doe"
    assert strict_person.browser.cookies()["example_sessionid"]["sameSite"] == "Strict"


def test_the_private_page_is_shown_after_the_way_over_bitbucket(strict_person: Person) -> None:
    strict_person.go(PRIVATE)
    strict_person.is_asked()
    strict_person.allow()
    strict_person.arrives(PRIVATE)
    assert "You are, Jane Doe." in strict_person.browser.text
    # The page in between: a redirect would have arrived at the private page without the session.
    forward = strict_person.last_answer(CALLBACK)
    assert (forward.status, forward.answered["refresh"]) == (200, f"0;url={PRIVATE}")


def test_who_denies_is_told_so_and_signs_in_by_the_link(strict_person: Person) -> None:
    strict_person.go_to_consent()
    strict_person.deny()
    assert strict_person.is_told() == "cancelled"
    strict_person.browser.click("Try again")
    strict_person.is_asked()
    strict_person.allow()
    strict_person.arrives(PROFILE)
    assert strict_person.browser.find("h1").text == "Jane Doe"


def test_an_answer_that_nobody_asked_for_is_looked_at_once_more_and_then_refused(strict_person: Person) -> None:
    browser = strict_person.browser
    browser.open(f"{strict_person.simulator.url}/_simulator/")
    browser.run("location.href = arguments[0]", strict_person.site(f"{CALLBACK}?code=x&state=y"))
    assert strict_person.is_told() == "state_missing"
    assert [(trip.status, "code" in trip.url) for trip in browser.requests() if trip.path == CALLBACK] == [
        (200, True),
        (400, False),
    ]
    assert strict_person.redeemed() == 0
