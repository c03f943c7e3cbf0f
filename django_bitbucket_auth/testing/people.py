"""The people, workspaces and repositories of the simulated Bitbucket. All of it may be changed while it runs."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["owner", "create-project", "collaborator", "member"]


@dataclass
class Email:
    """An address as ``/2.0/user/emails`` lists it."""

    address: str
    is_primary: bool = False
    is_confirmed: bool = True


@dataclass
class Workspace:
    """A workspace.

    ``slug`` and ``name`` may change and be taken over by another; ``uuid`` never does.
    """

    slug: str
    uuid: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        self.uuid = self.uuid or made_up_uuid("workspace", self.slug)
        self.name = self.name or self.slug.title()


@dataclass
class Repository:
    """A repository. ``workspace`` is a slug; who is no member there sees it unless it's private."""

    workspace: str
    slug: str
    name: str = ""
    is_private: bool = True
    uuid: str = ""
    description: str = ""
    updated_on: str = "2026-10-05T08:30:00.123456+00:00"
    language: str = "python"

    def __post_init__(self) -> None:
        self.uuid = self.uuid or made_up_uuid("repository", self.workspace, self.slug)
        self.name = self.name or self.slug


@dataclass
class Person:
    """Somebody with a Bitbucket account.

    ``key`` names the person in tests and on the consent page. ``uuid`` has its braces.
    ``workspaces`` maps slugs to roles. ``active=False`` is an account deactivated at Atlassian:
    every token is refused. ``account_status`` and ``kind`` are what the profile says in
    ``account_status`` and ``type``. ``profile`` overrides members of ``/2.0/user``:
    ``person.profile["uuid"] = None`` sends a null. ``password`` is for the retired password grant.

    Data Center knows the same person by ``dc_id`` (positive, never reused), ``dc_name`` (the login name, of which
    ``dc_slug`` is made: they are *not* the same) and ``dc_type``; the first of ``emails`` is the directory's, which is
    neither confirmed nor unconfirmed. ``dc_profile`` overrides members of the user's JSON, like ``profile``, and
    leaves out those that are ``...`` there.
    """

    key: str
    display_name: str = ""
    username: str = ""
    nickname: str = ""
    uuid: str = ""
    account_id: str = ""
    emails: list[Email] = field(default_factory=list)
    workspaces: dict[str, Role] = field(default_factory=dict)
    active: bool = True
    account_status: str = "active"
    kind: str = "user"
    created_on: str = "2019-02-19T10:36:46.361566-08:00"
    avatar_url: str = ""
    profile: dict[str, object] = field(default_factory=dict)
    note: str = ""
    password: str = field(default="", repr=False)
    dc_id: int = 0
    dc_name: str = ""
    dc_slug: str = ""
    dc_type: str = "NORMAL"
    dc_profile: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.display_name = self.display_name or self.key.title()
        self.username = self.username or self.key
        self.nickname = self.nickname or self.display_name.split()[0]
        self.uuid = self.uuid or made_up_uuid("person", self.key)
        self.account_id = self.account_id or made_up_account_id(self.key)
        self.password = self.password or f"password-of-{self.key}"
        self.dc_id = self.dc_id or made_up_number(self.key)
        self.dc_name = self.dc_name or _directory_name(self.key, self.display_name)
        self.dc_slug = self.dc_slug or slug_of(self.dc_name)

    @property
    def initials(self) -> str:
        """One or two capital letters, for the picture."""
        return "".join(word[0] for word in self.display_name.split()[:2]).upper()

    def goes_by(self, name: str) -> bool:
        """Whether they may sign in under this name: their user name or a confirmed address."""
        return name == self.username or any(email.is_confirmed and email.address == name for email in self.emails)


def app_user(name: str, uuid: str, workspace: str) -> Person:
    """What tokens stand for that are nobody's, a member of ``workspace``. It has no key."""
    return Person(
        key="",
        display_name=name or "App",
        nickname=name or "App",
        uuid=uuid,
        account_id=made_up_account_id(uuid),
        workspaces={workspace: "member"},
        kind="app_user",
        profile={"kind": "oauth_client"},  # which kinds there are isn't documented
        dc_id=made_up_number(uuid),
        dc_name=f"{slug_of(name or 'App')}-service",
        dc_type="SERVICE",
    )


def slug_of(name: str) -> str:
    """What Data Center makes of a name, to have it in addresses: ``jane@example.com`` → ``jane_example.com``."""
    return re.sub(r"[^a-z0-9._-]", "_", name.lower())


def _directory_name(key: str, display_name: str) -> str:
    """A login name like an address, as a company's directory gives them out: ``jane.doe@example.com``."""
    family_name = "".join(f".{word}" for word in display_name.split()[1:][-1:])
    return f"{key}{family_name}@example.com".lower()


def made_up_number(name: str) -> int:
    """A positive number, the same for the same name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:7], 16) + 1


def made_up_account_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def made_up_uuid(*names: str) -> str:
    """The same UUID for the same names, with braces as Bitbucket writes it."""
    return f"{{{uuid.uuid5(uuid.NAMESPACE_URL, 'https://bitbucket.invalid/' + '/'.join(names))}}}"


def default_workspaces() -> dict[str, Workspace]:
    """Fresh copies of the two workspaces, by slug."""
    workspaces = [Workspace("acme", name="Acme Widgets"), Workspace("globex", name="Globex")]
    return {workspace.slug: workspace for workspace in workspaces}


def default_repositories() -> list[Repository]:
    """Fresh copies of the repositories everybody starts with."""
    return [
        Repository("acme", "web-shop", "Web shop", description="Where the widgets are sold"),
        Repository("acme", "deploy-tools", "Deploy tools"),
        Repository("acme", "style-guide", "Style guide", language="html/css"),
        Repository("globex", "docs", "Docs", is_private=False, description="For everybody"),
        Repository("globex", "secret-plans", "Secret plans"),
    ]


def default_people() -> dict[str, Person]:
    """Fresh copies of the four people everybody starts with, by key."""
    people = [
        Person(
            "jane",
            display_name="Jane Doe",
            username="jdoe",
            emails=[
                Email("jane@example.com", is_primary=True),
                Email("jane.doe@example.org", is_confirmed=False),
            ],
            workspaces={"acme": "member"},
            note="the usual case",
        ),
        Person(
            "unconfirmed",
            display_name="Max Newcomer",
            username="max",
            emails=[Email("max@example.com", is_primary=True, is_confirmed=False)],
            workspaces={"acme": "member"},
            note="has no confirmed e-mail address",
        ),
        Person(
            "outsider",
            display_name="Olga Outsider",
            username="olga",
            emails=[Email("olga@example.com", is_primary=True)],
            note="is in no workspace",
        ),
        Person(
            "deactivated",
            display_name="Dora Former",
            username="dora",
            emails=[Email("dora@example.com", is_primary=True)],
            workspaces={"acme": "member"},
            active=False,
            note="is deactivated",
        ),
    ]
    return {person.key: person for person in people}


def people_with_confusing_names() -> list[Person]:
    """Two people of a Data Center, one of whom is *named* like the other's *slug*.

    Who looks the second one up by slug gets the first; and a search for either name finds both, the first one first.
    """
    return [
        Person(
            "ann",
            display_name="Ann Lee",
            dc_name="ann@example.com",
            dc_slug="ann_example.com",
            emails=[Email("ann_example.com@example.org", is_primary=True)],
            workspaces={"acme": "member"},
            note="her slug is the name of somebody else",
        ),
        Person(
            "lookalike",
            display_name="Ann (not ann@example.com)",
            dc_name="ann_example.com",
            dc_slug="ann_example.com1",
            emails=[Email("lookalike@example.org", is_primary=True)],
            note="has the slug of somebody else as a name",
        ),
    ]
