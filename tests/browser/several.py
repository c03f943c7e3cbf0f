"""The example site with several Bitbuckets at once: Cloud, and two Data Centers, each on an address of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from browser.chromium import Browser
from browser.example import Site
from browser.person import Person
from example.sites import served, site_of

from django_bitbucket_auth.testing import BitbucketSimulator
from django_bitbucket_auth.testing.overriding import pointed_at


@dataclass(frozen=True, slots=True)
class Several:
    """The same person at each of them. Their aliases are ``default``, ``dc`` and ``old``."""

    cloud: Person
    data_center: Person
    older: Person


@contextmanager
def running_several(browser: Browser) -> Iterator[Several]:
    """Run it in threads of this process."""
    data_center = BitbucketSimulator("data-center")
    older = BitbucketSimulator("data-center-oauth1", context_path="/bitbucket")
    with (
        site_of("cloud") as cloud,
        data_center.serving(host="127.0.0.2"),
        older.serving(host="127.0.0.3"),
        pointed_at(data_center, "dc"),
        pointed_at(older, "old"),
        served() as url,
    ):
        yield Several(*(Person(browser, Site(url), simulator) for simulator in (cloud, data_center, older)))
