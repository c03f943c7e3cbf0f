"""The example site calls Bitbucket's API as a person, who sees nothing of tokens as long as they can be renewed."""

from browser.person import PROFILE, REPOSITORIES, Person


def test_repositories_outlive_an_expired_token_and_come_back_after_a_withdrawn_consent(either_person: Person) -> None:
    person, browser = either_person, either_person.browser
    person.sign_in()
    browser.click("Repositories")
    person.arrives(REPOSITORIES)
    assert "Web shop" in browser.text

    person.simulator.expire_access_tokens("jane")
    person.go(REPOSITORIES)
    assert "Web shop" in browser.text
    assert [asked.form["grant_type"] for asked in person.simulator.requests_to("token")] == [
        "authorization_code",
        "refresh_token",
    ]

    person.simulator.revoke("jane")
    person.go(REPOSITORIES)
    assert browser.find("h1").text == "Bitbucket has ended this site's access"
    assert person.last_answer(REPOSITORIES).status == 403
    assert "Web shop" not in browser.text
    browser.click("Profile")
    person.arrives(PROFILE)  # signed in here all the same
    browser.click("Repositories")
    person.arrives(REPOSITORIES)

    browser.click("Sign in again")
    person.is_asked()
    person.allow()
    person.arrives(REPOSITORIES)
    assert "Web shop" in browser.text
    assert browser.violations() == []
