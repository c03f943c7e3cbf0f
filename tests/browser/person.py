"""Somebody at a browser: the steps of a sign-in as a person takes them."""

from dataclasses import dataclass

from browser.chromium import Browser, Request
from browser.example import Site
from selenium.webdriver.common.by import By

from django_bitbucket_auth.testing import BitbucketSimulator

LOGIN, CALLBACK, PROFILE, PRIVATE = "/bitbucket/login/", "/bitbucket/callback/", "/profile/", "/private/"
REPOSITORIES = "/repositories/"
#: Where each kind of Bitbucket asks.
AUTHORIZE = {
    "cloud": "/site/oauth2/authorize",
    "cloud-oauth1": "/api/1.0/oauth/authenticate/",
    "data-center": "/rest/oauth2/latest/authorize",
    "data-center-oauth1": "/plugins/servlet/oauth/authorize",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Uses ``site`` with ``browser``, and is asked by ``simulator`` who to be."""

    browser: Browser
    site: Site
    simulator: BitbucketSimulator

    def go(self, path: str) -> None:
        """Type an address of the site."""
        self.browser.open(self.site(path))

    def go_to_consent(self) -> None:
        """From the home page to Bitbucket's question."""
        self.go("/")
        self.browser.click("Sign in with Bitbucket")
        self.is_asked()

    def is_asked(self) -> None:
        """Wait for Bitbucket's question."""
        self.browser.arrive(f"{self.simulator.url}{AUTHORIZE[self.simulator.kind]}")

    def allow(self, who: str = "jane") -> None:
        """Grant access as one of the people there."""
        self.browser.press(By.CSS_SELECTOR, f"button[name=person][value={who}]")

    def deny(self) -> None:
        self.browser.press(By.CSS_SELECTOR, "button[name=deny]")

    def arrives(self, path: str) -> None:
        """Wait for a page of the site."""
        self.browser.arrive(self.site(path))

    def sign_in(self) -> None:
        """From the home page to the profile."""
        self.go_to_consent()
        self.allow()
        self.arrives(PROFILE)

    def is_told(self) -> str:
        """Wait for the error page; its reason code."""
        return self.browser.find(".bba-card--problem").get_attribute("data-reason") or ""

    def last_answer(self, path: str) -> Request:
        """The last request for a page of the site, once it is answered."""

        def answered(driver: object) -> list[Request]:
            made = [request for request in self.browser.requests() if request.url.partition("?")[0] == self.site(path)]
            return [request for request in made[-1:] if request.status]

        return self.browser.until(answered, f"{path} answered")[0]

    def redeemed(self) -> int:
        """How many codes (in OAuth 1.0a: verifiers) were sent to Bitbucket."""
        return len(self.simulator.requests_to("token"))
