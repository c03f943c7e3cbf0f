"""The browser that the tests of this folder use."""

import signal

import pytest
from browser.chromium import Browser
from browser.elsewhere import Elsewhere
from selenium.common.exceptions import WebDriverException


def test_what_never_comes_true_is_told_with_what_is_seen_instead(browser: Browser, elsewhere: Elsewhere) -> None:
    browser.open(elsewhere.page("/page", "Something else"))
    with pytest.raises(AssertionError, match=r"never true: a heading\n.*/page\nSomething else"):
        browser.until(lambda driver: browser.has("h1"), "a heading", seconds=0.1)


def test_what_happened_in_another_test_is_forgotten(browser: Browser, elsewhere: Elsewhere) -> None:
    browser.open(elsewhere.page("/page", ""))
    browser.run("document.cookie = 'kept=1'")
    assert [list(browser.cookies()), len(browser.requests()) > 0] == [["kept"], True]
    fresh = Browser(browser.driver)
    assert (fresh.cookies(), fresh.requests(), fresh.violations()) == ({}, [], [])
    assert fresh.url == "about:blank"
    assert len(fresh.driver.window_handles) == 1


def test_nothing_leaves_this_machine(browser: Browser) -> None:
    with pytest.raises(WebDriverException, match="ERR_NAME_NOT_RESOLVED"):
        browser.open("http://bitbucket.org/")


def test_being_told_to_end_the_tests_end_the_browser_first(browser: Browser) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert browser.url == "about:blank"
