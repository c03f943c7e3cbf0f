"""What ``run.py --check`` does: sign in as a person at a browser would, and say what happened."""

from __future__ import annotations

import re
from collections.abc import Callable
from subprocess import CompletedProcess
from urllib.parse import parse_qs, urlsplit

import requests
from terminal import say
from visitor import Browser, Page

# The usual case among the simulator's people.
PERSON, NAME, USER_NAME, EMAIL = "jane", "Jane Doe", "jdoe", "jane@example.com"
WORKSPACE, REPOSITORY = "acme", "Web shop"

TOKEN_REQUEST = "POST /site/oauth2/access_token"

#: Runs the scheduled job.
Job = Callable[[], CompletedProcess[str]]


class StepFailed(Exception):
    """Something wasn't as it should be. The message says what was expected and what came."""


def walk(site: str, simulator: str, job: Job) -> dict[str, str]:
    """Go through the site as somebody who signs in; print each step; return what it shows of her.

    ``job`` runs the scheduled job. Raises StepFailed (or LookupError: a link or button is missing; or requests'
    exceptions) at the first thing that is not as it should be.
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

    see_repositories(browser, site, simulator)
    run_the_job(simulator, job)

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


def see_repositories(browser: Browser, site: str, simulator: str) -> None:
    """What the API shows, also with an expired token, and what is said once the grant is withdrawn."""
    address = f"{site}/repositories/"
    page = browser.click("Repositories")
    expect_repositories(page, address)
    done(f"The page of repositories shows what {NAME} sees at Bitbucket", page)

    turn(simulator, "expire")
    before = len(requests_of(simulator))
    page = browser.type(address)
    expect_repositories(page, address)
    made = requests_of(simulator)[before:]
    expect(page, TOKEN_REQUEST in made, f"a renewed token (Bitbucket was asked {made})")
    done("Her access token has expired at Bitbucket: the site renews it, and the page is as before", page)
    say(f"      {' → '.join(made)}")

    turn(simulator, "revoke")
    page = browser.type(address)
    expect(page, page.status == 403 and page.url == address, "a page with 403")
    expect(page, "Sign in again" in page.text and REPOSITORY not in page.text, "what to do")
    done("She has withdrawn the site's access at Bitbucket: the page says what to do", page)
    say(f"      “{page.heading}”")

    page = browser.click("Sign in again")
    expect_consent(page, simulator)
    done("“Sign in again” leads to Bitbucket", page)

    page = browser.press(PERSON)
    expect_repositories(page, address)
    done("She allows it anew, and is back on the page, which shows her repositories", page)


def run_the_job(simulator: str, job: Job) -> None:
    """Twice, as cron would. The token that the first run gets is kept in the database for the second."""
    for run, tokens in (("first", 1), ("second", 0)):
        before = len(requests_of(simulator))
        finished = job()
        said = finished.stdout.strip()
        if finished.returncode or REPOSITORY not in said:
            raise StepFailed(f"expected the job to name {REPOSITORY}, got status {finished.returncode}: {said}")
        made = requests_of(simulator)[before:]
        if (asked := made.count(TOKEN_REQUEST)) != tokens:
            raise StepFailed(f"expected the {run} run of the job to ask for {tokens} tokens, not {asked}: {made}")
        kept = "asks for a token" if tokens else "uses the token that the first has kept"
        say(f"  ✓ The scheduled job reports on {WORKSPACE}; its {run} run {kept}")
        say(f"      {' → '.join(made)}")


def turn(simulator: str, dial: str) -> None:
    """Let something happen to the person's tokens at the simulated Bitbucket, as its page of dials does."""
    with requests.Session() as session:
        session.trust_env = False
        form = {"dial": dial, "person": PERSON}
        session.post(f"{simulator}/_simulator/", form, timeout=10).raise_for_status()


def requests_of(simulator: str) -> list[str]:
    """What Bitbucket was asked, oldest first. Of what is long ago the page of dials has the number only: ``""``."""
    text = Browser().type(f"{simulator}/_simulator/").text
    number = re.search(r"(\d+) requests, ", text)
    if number is None:
        raise LookupError("the page of dials has no number of requests")
    shown = re.findall(r"\b([A-Z]+ /\S*) \d{3}\b", text[number.end() :])
    return [""] * (int(number[1]) - len(shown)) + shown[::-1]


def expect(page: Page, condition: object, expected: str) -> None:
    """Raise StepFailed, with what came instead, unless the condition holds."""
    if not condition:
        raise StepFailed(f"expected {expected}, got {way(page)}: {page.text[:400]}")


def expect_consent(page: Page, simulator: str) -> None:
    at = urlsplit(page.url)
    there = f"{at.scheme}://{at.netloc}{at.path}" == f"{simulator}/site/oauth2/authorize"
    expect(page, page.status == 200 and there, "Bitbucket's question")


def expect_repositories(page: Page, address: str) -> None:
    expect(page, page.status == 200 and page.url == address, "the page of repositories")
    expect(page, WORKSPACE in page.text and REPOSITORY in page.text, f"{REPOSITORY} of {WORKSPACE} on it")


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
