"""The pictures of the documentation, taken from the example with simulated Bitbuckets.

Each run takes them; where ``PICTURES`` names a folder, which ``docs/images`` is, they stay there::

    PICTURES=docs/images tox run -e browser -- browser/test_pictures.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from browser.elsewhere import Elsewhere
from browser.person import LOGIN, Person
from browser.pictures import SIZES, set_up, take
from browser.several import Several
from browser.test_connections import CONNECTIONS, press_connect
from django.test import Client
from django.utils import timezone

from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import Email, log_in, override_provider
from django_bitbucket_auth.testing import Person as Someone

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
ROOM = "const one = document.querySelector('.results'); return [one.scrollWidth, one.clientWidth]"
ADMIN = "/admin/bitbucket_auth/bitbucketaccount/"
#: Bytes, of one picture.
MOST = 60_000
PLACES = {"default": "bitbucket.org", "dc": "git.example.com", "old": "code.example.com"}


def take_all(person: Person, name: str, folder: Path) -> None:
    """Take a page's pictures; the documentation has as many."""
    for picture in take(person.browser, name, folder):
        assert picture.stat().st_size <= MOST, picture
        assert (IMAGES / picture.name).is_file(), f"{picture.name} is to be taken: see the top of this file"


def folder(otherwise: Path) -> Path:
    return ROOT / os.environ.get("PICTURES", otherwise)


@contextmanager
def well_known() -> Iterator[None]:
    """Simulators, and the accounts there, are shown as if they were real ones. Nothing is asked there."""
    for number, account in enumerate(BitbucketAccount.objects.order_by("pk")):
        place, moment = PLACES[account.provider], datetime(2026, 3, 9, 8, 30, tzinfo=UTC) + timedelta(days=41 * number)
        BitbucketAccount.objects.filter(pk=account.pk).update(
            instance=place,
            profile_url=f"https://{place}/{account.username}/",
            avatar_url=f"https://{place}/{account.username}.png",
            created_at=moment,
            updated_at=moment,
        )
    with (
        override_provider("default", BASE_URL="https://bitbucket.org", API_URL="https://api.bitbucket.org"),
        override_provider("dc", BASE_URL=f"https://{PLACES['dc']}", INSTANCE=PLACES["dc"]),
        override_provider("old", BASE_URL=f"https://{PLACES['old']}", INSTANCE=PLACES["old"]),
    ):
        yield


def open_login(elsewhere: Elsewhere, person: Person) -> None:
    """By a link from elsewhere, which starts nothing."""
    person.browser.open(elsewhere.page("/link", f'<a href="{person.site(LOGIN)}">Go on</a>'))
    person.browser.click("Go on")
    person.arrives(LOGIN)


@pytest.mark.parametrize("person_elsewhere", ["cloud"], indirect=True)
def test_the_pages_of_a_site_with_one_bitbucket(elsewhere: Elsewhere, person_elsewhere: Person, tmp_path: Path) -> None:
    person = person_elsewhere
    open_login(elsewhere, person)
    take_all(person, "login", folder(tmp_path))
    person.browser.click("Sign in with Bitbucket")
    person.is_asked()
    person.allow("outsider")
    assert person.is_told() == "not_a_member"
    take_all(person, "error", folder(tmp_path))
    assert person.browser.violations() == []


def test_the_pages_of_a_site_with_several(elsewhere: Elsewhere, several: Several, tmp_path: Path) -> None:
    person = several.cloud
    with well_known():
        open_login(elsewhere, person)
        take_all(person, "several", folder(tmp_path))
    person.sign_in()
    for other, alias in ((several.data_center, "dc"), (several.older, "old")):
        person.go(CONNECTIONS)
        press_connect(other, f"/bitbucket/{alias}/connect/")
        other.allow()
        person.arrives(CONNECTIONS)
    with well_known():
        person.go(CONNECTIONS)
        take_all(person, "connections", folder(tmp_path))
    assert person.browser.violations() == []


def test_the_pages_of_the_admin(several: Several, tmp_path: Path) -> None:
    person, bitbucket = several.cloud, several.cloud.simulator
    bitbucket.join("jane", "acme", "owner")
    for key, name in (("amina", "Amina Diallo"), ("lars", "Lars Nyström"), ("priya", "Priya Raman")):
        bitbucket.add_person(Someone(key, display_name=name, emails=[Email(f"{key}@example.com", is_primary=True)]))
        bitbucket.join(key, "acme")
    for key in ("amina", "unconfirmed", "lars", "priya"):
        log_in(Client(), key)
    log_in(Client(), "jane", alias="dc")
    person.sign_in()
    tokens = BitbucketToken.objects.exclude(account=None)
    tokens.filter(account__username="amina").update(lost_at=timezone.now())
    tokens.filter(account__username="lars").update(expires_at=timezone.now() - timedelta(hours=1))
    with well_known():
        person.go(ADMIN)
        take_all(person, "admin-list", folder(tmp_path))
        for width, height, scale in SIZES:
            set_up(person.browser, width, height, scale)
            list_, room = person.browser.run(ROOM)
            assert list_ <= room, f"the list has a scroll bar at {width} px"
        person.go(f"{ADMIN}{BitbucketAccount.objects.get(username='jdoe').pk}/change/")
        take_all(person, "admin-account", folder(tmp_path))
    # The admin's scripts ran, and were allowed to.
    assert person.browser.violations() == []
