"""What the tests of this folder start: a simulated Bitbucket, the example site, strangers' pages, a browser."""

import signal
from collections.abc import Iterator

import pytest
from browser.chromium import Browser, driving
from browser.elsewhere import Elsewhere, serving
from browser.example import Site, running
from browser.person import Person
from browser.several import Several, running_several
from example.sites import served, site_of
from selenium.webdriver import Chrome

from django_bitbucket_auth.testing import BitbucketSimulator


@pytest.fixture(scope="session")
def served_simulator() -> Iterator[BitbucketSimulator]:
    with BitbucketSimulator().serving() as simulator:
        yield simulator


@pytest.fixture
def simulator(served_simulator: BitbucketSimulator) -> BitbucketSimulator:
    """As at its start: nothing was asked, everything works."""
    served_simulator.reset()
    return served_simulator


@pytest.fixture(scope="session")
def site(served_simulator: BitbucketSimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example site as it is."""
    with running(served_simulator.url, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="session")
def strict_site(served_simulator: BitbucketSimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example site with session cookies that no step from another site carries."""
    folder = tmp_path_factory.mktemp("strict-site")
    with running(served_simulator.url, folder, SESSION_COOKIE_SAMESITE="Strict") as site:
        yield site


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def driver() -> Iterator[Chrome]:
    """The browser's process, which takes a second to start, and outlives no polite end of this one."""
    usual = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as if Ctrl-C were pressed
    try:
        with driving() as driver:
            yield driver
    finally:
        signal.signal(signal.SIGTERM, usual)


@pytest.fixture
def browser(driver: Chrome) -> Browser:
    """A browser in which nothing has happened yet."""
    return Browser(driver)


@pytest.fixture
def person(browser: Browser, site: Site, simulator: BitbucketSimulator) -> Person:
    """Somebody at the browser who wants to use the site."""
    return Person(browser, site, simulator)


@pytest.fixture
def strict_person(browser: Browser, strict_site: Site, simulator: BitbucketSimulator) -> Person:
    """Somebody who wants to use the site with the strict session cookies."""
    return Person(browser, strict_site, simulator)


@pytest.fixture(params=["person", "strict_person"], ids=["lax cookies", "strict cookies"])
def either_person(request: pytest.FixtureRequest) -> Person:
    """Both of them."""
    found: Person = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["cloud-oauth1", "data-center", "data-center-oauth1"])
def person_elsewhere(request: pytest.FixtureRequest, browser: Browser, transactional_db: None) -> Iterator[Person]:
    """Somebody who wants to use the site with another kind of Bitbucket, a Data Center not at the root of its host.

    The site runs in threads of this process: a process each would take longer to start than all that happens in it.
    """
    path = "/bitbucket" if request.param.startswith("data-center") else ""
    with site_of(request.param, path) as simulator, served() as url:
        yield Person(browser, Site(url), simulator)


@pytest.fixture
def several(browser: Browser, transactional_db: None) -> Iterator[Several]:
    """The site with Bitbucket Cloud and two Data Centers, also in this process."""
    with running_several(browser) as several:
        yield several
