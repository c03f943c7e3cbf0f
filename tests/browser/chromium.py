"""A real browser: Debian's Chromium without a window, driven by Selenium."""

import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")
#: Seconds that anything may take.
ENOUGH = 15
BLANK = "about:blank"
FONTS = Path(__file__).with_name("fonts.conf")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing leaves this machine, which has several addresses.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.*",
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the browser made for ``page``; ``status`` is 0 as long as nothing was answered over the wire.

    The names of the headers that were sent and ``answered`` are in lower case.
    """

    url: str
    method: str
    kind: str
    page: str
    headers: dict[str, str]
    status: int
    answered: dict[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


class Browser:
    """One person's browser, with nothing in it at first: what was there is thrown away."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self._events: list[dict[str, Any]] = []
        self._console: list[dict[str, Any]] = []
        used = driver.window_handles
        driver.switch_to.new_window("tab")
        fresh = driver.current_window_handle
        for tab in used:
            driver.switch_to.window(tab)
            driver.close()
        driver.switch_to.window(fresh)
        self.command("Storage.clearCookies")
        self.command("Network.clearBrowserCache")
        for log in ("browser", "performance"):
            driver.get_log(log)  # type: ignore[no-untyped-call]

    # What a person does

    def open(self, url: str) -> None:
        """Open an address as if typed."""
        self.driver.get(url)

    def click(self, label: str) -> None:
        """Follow the link, or press the button, that reads ``label``."""
        words = f"normalize-space()={json.dumps(label)}"
        self.press(By.XPATH, f"//a[{words}]|//button[{words}]")

    def press(self, by: str, value: str) -> None:
        """Press the first element that is found so."""

        def pressed(driver: Chrome) -> bool:
            driver.find_element(by, value).click()
            return True

        self.until(pressed, f"{value} can be pressed")

    def until(self, condition: Callable[[Chrome], T], what: str, seconds: float = ENOUGH) -> T:
        """Wait for a condition; say what was expected, and where we are, if it doesn't come true."""
        wait = WebDriverWait(self.driver, seconds, poll_frequency=0.05, ignored_exceptions=(WebDriverException,))
        try:
            found: T = wait.until(condition)
        except WebDriverException as error:
            raise AssertionError(f"never true: {what}\n{self.url}\n{self.text}") from error
        return found

    def arrive(self, url: str) -> None:
        """Wait until the page at ``url``, whatever its query, has loaded."""
        self.until(
            lambda driver: (
                driver.current_url.partition("?")[0] == url and self.run("return document.readyState") == "complete"
            ),
            f"at {url}",
        )

    # What a person sees

    @property
    def url(self) -> str:
        return str(self.driver.current_url)

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return self.find("body").text

    def find(self, selector: str) -> WebElement:
        return self.until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector), f"{selector} is there")

    def has(self, selector: str) -> bool:
        """Whether the page has such an element at this moment."""
        return bool(self.driver.find_elements(By.CSS_SELECTOR, selector))

    # What a developer sees

    def run(self, script: str, *arguments: str) -> Any:
        """The value that a script in the page returns."""
        return self.driver.execute_script(script, *arguments)

    def cookies(self) -> dict[str, dict[str, Any]]:
        """All cookies of all sites, by name, also those that no script sees."""
        return {cookie["name"]: cookie for cookie in self.command("Storage.getCookies")["cookies"]}

    def attempts(self) -> list[dict[str, Any]]:
        """The cookies of started logins."""
        return [cookie for name, cookie in self.cookies().items() if "bitbucket_auth" in name]

    def command(self, name: str, **parameters: object) -> dict[str, Any]:
        """A command of the Chrome DevTools protocol."""
        answer: dict[str, Any] = self.driver.execute_cdp_cmd(name, parameters)
        return answer

    def violations(self) -> list[str]:
        """What the console says about content that a policy refused."""
        self._console += self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [
            entry["message"]
            for entry in self._console
            if entry["source"] == "security" or "Content Security Policy" in entry["message"]
        ]

    def requests(self) -> list[Request]:
        """All requests so far, of all tabs, redirects one by one, in the order they were made."""
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            self._events.append(json.loads(entry["message"])["message"])
        return list(_requests(self._events))


def _requests(events: list[dict[str, Any]]) -> Iterator[Request]:
    """The requests that events of the DevTools protocol tell of.

    What really was sent and answered comes in events of their own, one for each step of a redirect, which may be told
    before the step itself.
    """
    sent: dict[str, list[dict[str, Any]]] = defaultdict(list)
    answered: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["method"] == "Network.requestWillBeSentExtraInfo":
            sent[event["params"]["requestId"]].append(event["params"])
        elif event["method"] == "Network.responseReceivedExtraInfo":
            answered[event["params"]["requestId"]].append(event["params"])
    steps: dict[str, int] = defaultdict(int)
    for event in events:
        told = event["params"]
        # The browser's own pages are none of ours.
        if event["method"] == "Network.requestWillBeSent" and told["request"]["url"].startswith("http"):
            name, step = told["requestId"], steps[told["requestId"]]
            steps[name] += 1
            asked = (sent[name][step:] or [told["request"]])[0]
            answer = (answered[name][step:] or [{"statusCode": 0, "headers": {}}])[0]
            yield Request(
                url=told["request"]["url"],
                method=told["request"]["method"],
                kind=told["type"],
                page=told["documentURL"],
                headers=_lower(asked["headers"]),
                status=answer["statusCode"],
                answered=_lower(answer["headers"]),
            )


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@contextmanager
def driving() -> Iterator[Chrome]:
    """Run a browser with an empty profile; a missing one is an error, not a reason to skip."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    assert all(programs.values()), f"apt-get install chromium chromium-driver: {programs}"
    # Chromium keeps a socket among its temporary files, and the path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as folder:
        options = ChromeOptions()
        options.binary_location = str(programs["chromium"])
        for argument in (*ARGUMENTS, f"--user-data-dir={folder}/profile"):
            options.add_argument(argument)
        # Not the usual first page, which is a program of some eighty files.
        options.add_experimental_option("prefs", {"session.restore_on_startup": 4, "session.startup_urls": [BLANK]})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = Service(
            str(programs["chromedriver"]), env={**os.environ, "TMPDIR": folder, "FONTCONFIG_FILE": str(FONTS)}
        )
        driver = Chrome(options, service)
        try:
            driver.set_page_load_timeout(ENOUGH)
            driver.set_script_timeout(ENOUGH)
            yield driver
        finally:
            driver.quit()
