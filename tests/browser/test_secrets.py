"""What the browser keeps and passes on: cookies, and the code in the address of the error page."""

import re
from urllib.parse import parse_qs, urlsplit

from browser.person import CALLBACK, LOGIN, PROFILE, Person


def test_no_script_sees_the_cookies_of_a_started_login_or_of_the_session(person: Person) -> None:
    person.sign_in()
    person.browser.driver.switch_to.new_window("tab")
    person.go(LOGIN)
    person.is_asked()
    person.go("/")
    seen = str(person.browser.run("return document.cookie"))
    assert "example_csrftoken=" in seen  # the project's own, which it lets scripts see
    assert "bitbucket_auth" not in seen
    assert "sessionid" not in seen
    (attempt,) = person.browser.attempts()
    assert re.fullmatch(r"bitbucket_auth_[0-9a-f]{16}", attempt["name"])
    assert (attempt["httpOnly"], attempt["sameSite"], attempt["path"]) == (True, "Lax", "/")
    assert (attempt["domain"], attempt["session"]) == ("localhost", False)


def test_the_cookie_of_a_started_login_is_gone_afterwards_however_it_ended(person: Person) -> None:
    for who in ("outsider", "jane"):
        person.go_to_consent()
        assert len(person.browser.attempts()) == 1
        person.allow(who)
        person.arrives(CALLBACK if who == "outsider" else PROFILE)
        assert person.browser.attempts() == []
    assert person.redeemed() == 2


def test_the_error_page_keeps_the_code_in_its_address_to_itself(person: Person) -> None:
    person.go_to_consent()
    person.allow("outsider")
    assert person.is_told() == "not_a_member"
    address = person.browser.url
    secrets = [parse_qs(urlsplit(address).query)[name][0] for name in ("code", "state")]
    person.browser.click("Try again")
    person.is_asked()
    made = person.browser.requests()
    loaded = [request for request in made if request.page == address and request.url != address]
    assert [request.status for request in loaded if request.kind == "Stylesheet"] == [200]
    assert all(request.url.startswith(person.site("/")) for request in loaded)
    (shown,) = [number for number, request in enumerate(made) if request.url == address]
    later = made[shown + 1 :]
    assert LOGIN in [request.path for request in later]
    assert not any("referer" in request.headers for request in later if request.url.startswith(person.site("/")))
    assert "referer" not in person.simulator.requests_to("authorize")[-1].headers
    assert not any(secret in f"{request.url} {request.headers}" for secret in secrets for request in later)
