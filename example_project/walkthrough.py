"""What ``run.py --check`` does: sign in as a person at a browser would, and say what happened."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from terminal import say
from visitor import Browser, Page

# The usual case among the simulator's people.
PERSON, NAME, USER_NAME, EMAIL = "jane", "Jane Doe", "jdoe", "jane@example.com"


class StepFailed(Exception):
    """Something wasn't as it should be. The message says what was expected and what came."""


def walk(site: str, simulator: str) -> dict[str, str]:
    """Go through the site as somebody who signs in; print each step; return what it shows of her.

    Raises StepFailed (or LookupError: a link or button is missing; or requests' exceptions) at the
    first thing that is not as it should be.
    """
    browser = Browser()
    page = browser.type(f"{site}/")
    expect(page, page.status == 200 and "Sign in with Bitbucket" in page.text, "the home page")
    done("The home page is open to everybody", page)

    page = browser.click("Try the private page")
    expect_consent(page, simulator)
    done("The private page asks to sign in, and leads to Bitbucket", page)
    asked = parse_qs(urlsplit(page.url).query)
    expect(page, asked.get("state") and asked.get("code_challenge_method") == ["S256"], "S256")
    say(f"      returns to {asked['redirect_uri'][0]}, with state and an S256 challenge")

    page = browser.press(PERSON)
    expect(page, page.status == 200 and page.url == f"{site}/private/", "the private page")
    expect(page, NAME in page.text, f"{NAME}'s name on it")
    done(f"{NAME} allows it, is signed in and back on the private page", page)

    page = browser.click("Profile")
    expect(page, page.status == 200, "the profile")
    expect(page, f"{EMAIL} confirmed" in page.text, f"{EMAIL} as a confirmed address")
    expect(page, NAME in page.text and USER_NAME in page.text, "both of the person's names")
    done(f"The profile shows {NAME}, {USER_NAME} on Bitbucket, {EMAIL} (confirmed)", page)

    person = {"Name": page.heading} | page.facts

    page = browser.press("Sign out")
    expect(page, page.status == 200 and page.url == f"{site}/", "the home page")
    expect(page, "Sign in with Bitbucket" in page.text, "an offer to sign in")
    done("Signing out leads home", page)

    page = browser.type(f"{site}/private/")
    expect_consent(page, simulator)
    done("The private page asks to sign in again", page)

    page = browser.press("Deny")
    expect(page, page.status == 403 and page.path == "/bitbucket/callback/", "a refusal with 403")
    expect(page, "BB-" in page.text and NAME not in page.text, "a page with a code for help")
    done("Who denies is not signed in, and is told so", page)
    say(f"      “{page.heading}”")

    page = browser.click("Try again")
    expect_consent(page, simulator)
    done("“Try again” leads to Bitbucket once more", page)
    return person


def expect(page: Page, condition: object, expected: str) -> None:
    """Raise StepFailed, with what came instead, unless the condition holds."""
    if not condition:
        raise StepFailed(f"expected {expected}, got {way(page)}: {page.text[:400]}")


def expect_consent(page: Page, simulator: str) -> None:
    at = urlsplit(page.url)
    there = f"{at.scheme}://{at.netloc}{at.path}" == f"{simulator}/site/oauth2/authorize"
    expect(page, page.status == 200 and there, "Bitbucket's question")


def done(what: str, page: Page) -> None:
    """Print a step and the requests it took. Strict policies hold on every page of the site's."""
    if urlsplit(page.url).hostname == "localhost":
        policy = page.response.headers.get("Content-Security-Policy", "")
        expect(page, "default-src 'none'" in policy, "a strict content policy")
        expect(page, not page.inline, f"no inline style or script ({page.inline})")
    say(f"  ✓ {what}")
    say(f"      {way(page)}")


def way(page: Page) -> str:
    """The requests that led to a page, without queries: those are long, and may hold a code."""
    return " → ".join(
        f"{method} {urlsplit(url).netloc}{urlsplit(url).path} {status}" for method, url, status in page.trips
    )
