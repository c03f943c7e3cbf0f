"""What ``run.py --check`` does: sign in as a person at a browser would, and say what happened."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from subprocess import CompletedProcess
from urllib.parse import parse_qs, urlsplit

import requests
from kinds import Kind
from terminal import say
from visitor import Browser, Page

# The usual case among the simulator's people.
PERSON, NAME, EMAIL = "jane", "Jane Doe", "jane@example.com"
# Lends her an account.
OTHER, OTHER_NAME = "unconfirmed", "Max Newcomer"
PROJECT, REPOSITORY = "acme", "Web shop"

#: Runs the scheduled job.
Job = Callable[[], CompletedProcess[str]]


class StepFailed(Exception):
    """Something wasn't as it should be. The message says what was expected and what came."""


@dataclass
class Walk:
    """A person's way through the site at ``site``, which asks the simulated Bitbucket at ``simulator``.

    ``job`` runs the scheduled job. ``wait``, if there is one, lets so many seconds pass; ``recheck`` is how many it
    takes until the site asks again whether somebody still is a member.
    """

    kind: Kind
    site: str
    simulator: str
    job: Job
    recheck: int = 60
    wait: Callable[[int], object] | None = None
    browser: Browser = field(default_factory=Browser)

    def go(self) -> dict[str, str]:
        """Sign in, look around, leave; print each step; return what the site shows of her.

        Raises StepFailed (or LookupError: a link or button is missing; or requests' exceptions) at the first thing that
        is not as it should be. What a kind of Bitbucket hasn't got is no step, and a line says why.
        """
        self.arrive()
        person = self.see_profile()
        self.see_repositories()
        if not self.kind.is_oauth1:
            self.outlive_the_token()
        else:
            say("  - Nothing to renew: OAuth 1.0a has no refresh tokens, and its access tokens last")
        self.come_back_after_withdrawing()
        if not self.kind.is_oauth1:
            self.run_the_job()
        else:
            say("  - No scheduled job: in OAuth 1.0a an application has no token of its own")
        if not self.kind.is_data_center:
            self.become_an_owner()
            self.look_after_accounts()
        else:
            say("  - No pages for members and owners, and no staff: a Data Center has no workspaces")
        self.connect_another()
        self.leave()
        self.deny()
        if self.wait is None:
            say("  - Nobody leaves: until that is noticed takes a minute, and --patient")
        else:
            self.quit()
        return person

    def arrive(self) -> None:
        """From the home page over Bitbucket to the private page."""
        page = self.browser.type(f"{self.site}/")
        expect(page, page.status == 200 and "Sign in with Bitbucket" in page.text, "the home page")
        done("The home page is open to everybody", page)

        page = self.browser.click("Try the private page")
        self.expect_consent(page)
        done("The private page asks to sign in, and leads to Bitbucket", page)
        asked = parse_qs(urlsplit(page.url).query)
        if self.kind.is_oauth1:
            expect(page, list(asked) == ["oauth_token"], "a request token alone")
            say(f"      with a request token that the site has asked for: {self.requests()[0]}")
        else:
            expect(page, asked.get("state") and asked.get("code_challenge_method") == ["S256"], "S256")
            say(f"      returns to {asked['redirect_uri'][0]}, with state and an S256 challenge")

        page = self.browser.press(PERSON)
        expect(page, page.status == 200 and page.url == f"{self.site}/private/", "the private page")
        expect(page, NAME in page.text, f"{NAME}'s name on it")
        done(f"{NAME} allows it, is signed in and back on the private page", page)

    def see_profile(self) -> dict[str, str]:
        """What the site knows of her; returns it."""
        kind, page = self.kind, self.browser.click("Profile")
        expect(page, page.status == 200, "the profile")
        expect(page, f"{EMAIL} {kind.address}" in page.text, f"{EMAIL} as a {kind.address} address")
        expect(page, NAME in page.text and kind.user_name in page.text, "both of the person's names")
        done(f"The profile shows {NAME}, {kind.user_name} on Bitbucket, {EMAIL} ({kind.address})", page)
        return {"Name": page.heading} | page.facts

    def see_repositories(self) -> None:
        """What the API shows."""
        page = self.browser.click("Repositories")
        self.expect_repositories(page)
        done(f"The page of repositories shows what {NAME} sees at Bitbucket", page)

    def outlive_the_token(self) -> None:
        """The same with an expired token."""
        self.turn("expire")
        before = len(self.requests())
        page = self.browser.type(f"{self.site}/repositories/")
        self.expect_repositories(page)
        made = self.requests()[before:]
        expect(page, self.token_request in made, f"a renewed token (Bitbucket was asked {made})")
        done("Her access token has expired at Bitbucket: the site renews it, and the page is as before", page)
        say(f"      {' → '.join(made)}")

    def come_back_after_withdrawing(self) -> None:
        """What is said once the consent is withdrawn, and that signing in again mends it."""
        self.turn("revoke")
        page = self.browser.type(f"{self.site}/repositories/")
        expect(page, page.status == 403 and page.path == "/repositories/", "a page with 403")
        expect(page, "Sign in again" in page.text and REPOSITORY not in page.text, "what to do")
        done("She has withdrawn the site's access at Bitbucket: the page says what to do", page)
        say(f"      “{page.heading}”")

        page = self.browser.click("Sign in again")
        self.expect_consent(page)
        done("“Sign in again” leads to Bitbucket", page)

        page = self.browser.press(PERSON)
        self.expect_repositories(page)
        done("She allows it anew, and is back on the page, which shows her repositories", page)

    def run_the_job(self) -> None:
        """Twice, as cron would. The token that the first run gets is kept in the database for the second."""
        for run, tokens in (("first", 1), ("second", 0)):
            before = len(self.requests())
            finished = self.job()
            said = finished.stdout.strip()
            if finished.returncode or REPOSITORY not in said:
                raise StepFailed(f"expected the job to name {REPOSITORY}, got status {finished.returncode}: {said}")
            made = self.requests()[before:]
            if (asked := made.count(self.token_request)) != tokens:
                raise StepFailed(f"expected the {run} run of the job to ask for {tokens} tokens, not {asked}: {made}")
            kept = "asks for a token" if tokens else "uses the token that the first has kept"
            say(f"  ✓ The scheduled job reports on {self.kind.project}; its {run} run {kept}")
            say(f"      {' → '.join(made)}")

    def become_an_owner(self) -> None:
        """Pages for members and for owners of the workspace: of owners Bitbucket is asked each time."""
        self.browser.click("Private page")
        page = self.browser.click("Try the page for members")
        expect(page, page.status == 200 and NAME in page.text, "the members' page")
        done("The members' page is open to a member", page)

        page = self.browser.click("Try the page for owners")
        expect(page, page.status == 403 and page.path == "/owners/", "a refusal with 403")
        expect(page, "You are not a member" in page.text and "BB-" in page.text, "the reason, and a code for help")
        done("The owners' page is closed to a member", page)

        self.turn("join", workspace=PROJECT, role="owner")
        page = self.browser.type(f"{self.site}/owners/")
        expect(page, page.status == 200 and NAME in page.text, "the owners' page")
        done("She is made an owner at Bitbucket, and the page is open", page)

    def look_after_accounts(self) -> None:
        """The admin, which at this site is open to owners, from their next sign-in on."""
        page = self.browser.type(f"{self.site}/admin/")
        expect(page, page.path == "/admin/login/" and "not authorized" in page.text, "a refusal")
        done("The admin is closed to who wasn't an owner when signing in", page)

        self.leave()
        page = self.browser.type(f"{self.site}/admin/")
        self.expect_consent(page)
        done("The admin asks to sign in, too, and leads to Bitbucket", page)

        page = self.browser.press(PERSON)
        expect(page, page.status == 200 and page.path == "/admin/", "the admin")
        done("An owner is let in", page)

        self.browser.click("Bitbucket accounts")
        page = self.browser.click(f"{NAME} {EMAIL}")
        expect(page, page.status == 200 and page.path.startswith("/admin/bitbucket_auth/"), "an account in the admin")
        expect(page, EMAIL in page.text and "stored" in page.text, "her account, with what became of the token")
        done("It shows her account, and in words that a token is stored", page)

    def connect_another(self) -> None:
        """One more account for a while; and that the last one stays."""
        self.browser.type(f"{self.site}/profile/")
        page = self.browser.click("Connected accounts")
        expect(page, page.status == 200 and NAME in page.text and OTHER_NAME not in page.text, f"{NAME}'s one account")
        done("Her connected accounts are listed: it is one", page)

        page = self.browser.press(f"Connect Bitbucket {self.simulator.partition('//')[2]}")
        self.expect_consent(page)
        done("The button that connects another leads to Bitbucket", page)

        page = self.browser.press(OTHER)
        expect(page, page.status == 200 and page.path == "/bitbucket/connections/", "the accounts")
        expect(page, NAME in page.text and OTHER_NAME in page.text, "both of them")
        done(f"{OTHER_NAME}'s account is hers as well", page)

        page = self.browser.press("Disconnect", last=True)
        expect(page, page.status == 200 and NAME in page.text and OTHER_NAME not in page.text, "one account")
        done("She gives it up", page)

        page = self.browser.press("Disconnect")
        expect(page, page.status == 403 and "stays connected" in page.text and NAME in page.text, "a refusal with 403")
        done("Her own, by which she signs in, stays; only its tokens are gone", page)

    def leave(self) -> None:
        """Sign out."""
        self.browser.type(f"{self.site}/profile/")
        page = self.browser.press("Sign out")
        expect(page, page.status == 200 and page.url == f"{self.site}/", "the home page")
        expect(page, "Sign in with Bitbucket" in page.text, "an offer to sign in")
        done("Signing out leads home", page)

    def deny(self) -> None:
        """Say no at Bitbucket, and try again."""
        page = self.browser.type(f"{self.site}/private/")
        self.expect_consent(page)
        done("The private page asks to sign in again", page)

        page = self.browser.press("Deny")
        expect(page, page.status == 403 and page.path == "/bitbucket/callback/", "a refusal with 403")
        expect(page, "BB-" in page.text and NAME not in page.text, "a page with a code for help")
        done("Who denies is not signed in, and is told so", page)
        say(f"      “{page.heading}”")

        page = self.browser.click("Try again")
        self.expect_consent(page)
        done("“Try again” leads to Bitbucket once more", page)

    def quit(self) -> None:
        """Out of the workspace (at a Data Center: deactivated), and so out of the site."""
        self.browser.press(PERSON)
        page = self.browser.type(f"{self.site}/private/")
        expect(page, page.status == 200 and NAME in page.text, "the private page")
        if self.kind.is_data_center:
            self.turn("deactivate")
        else:
            self.turn("leave", workspace=PROJECT)
        if self.wait is not None:
            self.wait(self.recheck)
        page = self.browser.type(f"{self.site}/private/")
        if self.kind.is_data_center and self.kind.is_oauth1:
            # It answers like this also where somebody has withdrawn a token, so the site can't but ask again.
            self.expect_consent(page)
            done(f"{self.recheck} seconds after she was deactivated, the private page leads to Bitbucket", page)
            return
        expect(page, page.status == 403 and NAME not in page.text, "a refusal with 403")
        done(f"{self.recheck} seconds after she has left, the private page is closed", page)
        say(f"      “{page.heading}”")

        page = self.browser.type(f"{self.site}/")
        expect(page, "Sign in with Bitbucket" in page.text, "an offer to sign in")
        done("She is signed out", page)

    # At Bitbucket

    @property
    def token_request(self) -> str:
        """How Bitbucket's log names a request for tokens."""
        return f"POST {self.kind.context_path}{self.kind.token}"

    def turn(self, dial: str, **more: str) -> None:
        """Let something happen to the person or her tokens at the simulated Bitbucket, as its page of dials does."""
        with requests.Session() as session:
            session.trust_env = False
            form = {"dial": dial, "person": PERSON, **more}
            session.post(f"{self.simulator}/_simulator/", form, timeout=10).raise_for_status()

    def requests(self) -> list[str]:
        """What Bitbucket was asked, oldest first. Of what is long ago its page has the number only: ``""``."""
        text = Browser().type(f"{self.simulator}/_simulator/").text
        number = re.search(r"(\d+) requests, ", text)
        if number is None:
            raise LookupError("the page of dials has no number of requests")
        shown = re.findall(r"\b([A-Z]+ /\S*) \d{3}\b", text[number.end() :])
        return [""] * (int(number[1]) - len(shown)) + shown[::-1]

    # What is expected

    def expect_consent(self, page: Page) -> None:
        at = urlsplit(page.url)
        there = f"{at.scheme}://{at.netloc}{at.path}" == f"{self.simulator}{self.kind.authorize}"
        expect(page, page.status == 200 and there, "Bitbucket's question")

    def expect_repositories(self, page: Page) -> None:
        expect(page, page.status == 200 and page.url == f"{self.site}/repositories/", "the page of repositories")
        expect(page, PROJECT in page.text.lower() and REPOSITORY in page.text, f"{REPOSITORY} of {PROJECT} on it")


def expect(page: Page, condition: object, expected: str) -> None:
    """Raise StepFailed, with what came instead, unless the condition holds."""
    if not condition:
        raise StepFailed(f"expected {expected}, got {way(page)}: {page.text[:400]}")


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
