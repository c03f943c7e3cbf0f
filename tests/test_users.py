"""User names, and the user models of projects."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import override_settings
from logins import JANE, NAMESAKE, overtaken_by, refusal, sign_in

from django_bitbucket_auth import users
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.bitbucket import Profile
from django_bitbucket_auth.exceptions import BitbucketUnavailable
from django_bitbucket_auth.models import BitbucketAccount

TESTS = Path(__file__).parent
NAMELESS = replace(JANE, nickname="", display_name="")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"username": "jdoe", "nickname": "jane"}, "jdoe"),
        ({"nickname": "jane", "display_name": "Jane Doe"}, "jane"),
        ({"display_name": "Jane Doe"}, "Jane-Doe"),
        ({"nickname": "Zoë Müller"}, "Zoe-Muller"),
        ({"nickname": "ádmin"}, "admin"),
        ({"nickname": "\N{FULLWIDTH LATIN SMALL LETTER A}dmin"}, "admin"),
        ({"nickname": "\N{CYRILLIC SMALL LETTER A}dmin"}, "dmin"),
        ({"nickname": "张伟", "display_name": "Zhang Wei"}, "Zhang-Wei"),
        ({"nickname": "张伟"}, "bitbucket-11111111"),
        ({"nickname": "..-"}, "bitbucket-11111111"),
        ({}, "bitbucket-11111111"),
        ({"nickname": "a/b\\c<script>"}, "a-b-c-script"),
        ({"nickname": "-jane.+_doe-"}, "jane.+_doe"),
        ({"nickname": "x" * 300}, "x" * 100),
    ],
)
def test_suggested_names_are_plain_ascii(names: dict[str, str], expected: str) -> None:
    name = users.suggest_name(replace(NAMELESS, **names))  # type: ignore[arg-type]
    assert name == expected
    assert name.isascii()


def test_candidates_fit_their_column() -> None:
    names = users.candidates("j" * 200)
    assert (len(names), len(set(names))) == (20, 20)
    assert (names[0], names[1], names[-1]) == ("j" * 150, "j" * 148 + "-2", "j" * 147 + "-20")
    with override_settings(AUTH_USER_MODEL="people.Pseudonym"):
        assert users.candidates("jane-the-great")[::19] == ["jane-the-gre", "jane-the--20"]


@pytest.mark.django_db
def test_a_taken_name_gets_the_next_number() -> None:
    for number, name in enumerate(["JANE", "jane-3", "Jane-2"]):
        User.objects.create_user(name, f"{number}@example.com")
    assert sign_in().username == "jane-4"


@pytest.mark.django_db
def test_a_name_is_taken_whatever_its_case() -> None:
    User.objects.create_user("Strasse")
    assert sign_in(replace(JANE, nickname="sTRASSE")).username == "sTRASSE-2"


@pytest.mark.django_db
def test_a_name_is_no_pattern() -> None:
    User.objects.create_user("janexdoe")
    assert sign_in(replace(JANE, nickname="jane_doe")).username == "jane_doe"


@pytest.mark.django_db
def test_a_name_that_only_a_collation_takes_for_taken_gets_the_next_number() -> None:
    """The database, not Python, has the last word: who is called like that here must not lock anybody out."""
    User.objects.create_user("ádmin")
    User.objects.create_user("ádmin-2")
    names = [sign_in(replace(person, nickname="admin", emails=())).username for person in (JANE, NAMESAKE)]
    assert names == (["admin-3", "admin-4"] if connection.vendor == "mysql" else ["admin", "admin-2"])


@pytest.mark.django_db
def test_the_twentieth_name_is_the_last() -> None:
    for name in users.candidates("jane")[:-1]:
        User.objects.create_user(name)
    assert sign_in().username == "jane-20"
    with pytest.raises(BitbucketUnavailable, match="'jane' to 'jane-20'"):
        sign_in(replace(NAMESAKE, emails=()))
    assert not BitbucketAccount.objects.filter(uid=NAMESAKE.uid).exists()


@pytest.mark.django_db
def test_whoever_loses_the_race_for_a_name_gets_the_next() -> None:
    def rival(name: str) -> None:
        User.objects.create_user(name)

    with overtaken_by(lambda: rival("jane"), lambda: rival("jane-2"), lambda: rival("x")):
        assert sign_in().username == "jane-3"


@pytest.mark.django_db
def test_losing_every_race_for_a_name_ends() -> None:
    """Twenty names, twenty rivals."""
    rivals = iter(users.candidates("jane"))

    def rival() -> None:
        User.objects.create_user(next(rivals))

    with overtaken_by(*[rival] * 20), pytest.raises(BitbucketUnavailable, match="taken"):
        sign_in()
    assert User.objects.count() == 20


@pytest.mark.django_db
def test_names_that_change_with_each_race_end_too() -> None:
    class Fickle(BitbucketBackend):
        asked = 0

        def username_for(self, profile: Profile) -> str:
            self.asked += 1
            return f"name{self.asked}"

    def rival() -> None:
        User.objects.create_user(f"name{User.objects.count() + 1}")

    with overtaken_by(*[rival] * 21), pytest.raises(BitbucketUnavailable, match="in time"):
        sign_in(backend=Fickle())
    assert User.objects.count() == 21


@pytest.mark.django_db
def test_a_refusal_for_a_name_is_never_anothers_user() -> None:
    jane = User.objects.create_user("jane", "jane@example.com")
    assert sign_in() != jane
    assert refusal(NAMESAKE, create_users=False) == "sign_up_closed"


@pytest.mark.parametrize("model", ["member", "employee", "pseudonym"])
def test_other_user_models_are_signed_in(model: str) -> None:
    """In a process of its own: ``AUTH_USER_MODEL`` is settled when models are loaded."""
    url = os.environ.get("DATABASE_URL")
    database = {"DATABASE_URL": f"{url}_{model}"} if url else {}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"people/{model}.py"],
        cwd=TESTS,
        env={**os.environ, **database, "TESTS_USER_MODEL": f"people.{model.title()}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
