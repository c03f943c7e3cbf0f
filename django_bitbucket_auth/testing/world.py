"""The simulated Bitbucket's state, and what can happen in it besides requests."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta

from .client import RegisteredClient
from .issuing import issue
from .keys import SIMULATOR_RSA_KEY
from .kinds import context_path_for, is_data_center, kind_named
from .people import (
    Person,
    Repository,
    Role,
    Workspace,
    app_user,
    default_people,
    default_repositories,
    default_workspaces,
    made_up_uuid,
    slug_of,
)
from .rules import Rules
from .vault import Grant, IssuedToken, Vault


class World:
    """People, workspaces, repositories, the client, the rules, what was given out, and the clock.

    Every method may be called from any thread. Reading and changing the public attributes directly
    is fine too, between requests.
    """

    def __init__(
        self,
        kind: str = "cloud",
        *,
        people: Iterable[Person] | None = None,
        client: RegisteredClient | None = None,
        rules: Rules | None = None,
        context_path: str = "",
    ) -> None:
        self.lock = threading.RLock()
        self.kind = kind_named(kind)
        #: Where all of it lies: ``""``, or like ``"/bitbucket"`` on a Data Center.
        self.context_path = context_path_for(kind, context_path)
        self.client = client or RegisteredClient()
        self.client.settle(kind)
        self.rules = rules or Rules.for_kind(kind)
        self.workspaces: dict[str, Workspace] = default_workspaces()
        self.repositories: list[Repository] = default_repositories()
        self.people: dict[str, Person] = default_people()
        if people is not None:
            self.people = {person.key: person for person in people}
        self.vault = Vault()
        self.clock_offset = 0.0
        #: The address of site and API, with the context path; set once a server listens.
        self.url = f"http://127.0.0.1{self.context_path}"

    @property
    def is_data_center(self) -> bool:
        return is_data_center(self.kind)

    @property
    def client_id(self) -> str:
        return self.client.client_id

    @property
    def consumer_key(self) -> str:
        """What OAuth 1.0a calls the client's id."""
        return self.client.client_id

    @property
    def client_secret(self) -> str:
        return self.client.client_secret

    @property
    def rsa_private_key(self) -> str:
        """PEM: the other half of the public key with which the client is registered from the start."""
        return SIMULATOR_RSA_KEY

    @property
    def callback_url(self) -> str | tuple[str, ...] | None:
        """See `RegisteredClient`."""
        return self.client.callback_url

    @callback_url.setter
    def callback_url(self, value: str | tuple[str, ...] | None) -> None:
        self.client.callback_url = value

    def now(self) -> float:
        """The simulated time, in seconds since 1970."""
        return time.time() + self.clock_offset

    def move_clock(self, by: float | timedelta) -> None:
        """Let ``by`` (seconds or a timedelta) pass in Bitbucket. The site's own clock stays.

        ``ValueError`` for more than a hundred years, and for what is no number.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if not abs(self.clock_offset + seconds) < 100 * 365 * 86400:
            raise ValueError("the clock goes a hundred years at most")
        with self.lock:
            self.clock_offset += seconds

    def person(self, person: Person | str) -> Person:
        """The person by key or as such; ``LookupError`` that names who there is."""
        if isinstance(person, Person):
            return person
        if person not in self.people:
            raise LookupError(f"No person {person!r} here, but: {', '.join(self.people)}")
        return self.people[person]

    def add_person(self, person: Person) -> Person:
        """Let somebody in, or replace who has the same key."""
        with self.lock:
            self.people[person.key] = person
        return person

    def rename(
        self,
        person: Person | str,
        *,
        username: str | None = None,
        nickname: str | None = None,
        display_name: str | None = None,
        dc_name: str | None = None,
    ) -> None:
        """Change a person's names; on a Data Center the slug goes with the name.

        Usernames may be taken over from others: nothing checks that here.
        """
        found = self.person(person)
        with self.lock:
            found.username = found.username if username is None else username
            found.nickname = found.nickname if nickname is None else nickname
            found.display_name = found.display_name if display_name is None else display_name
            if dc_name is not None:
                found.dc_name, found.dc_slug = dc_name, slug_of(dc_name)

    def deactivate(self, person: Person | str) -> None:
        """Deactivate the account: from now on "User is inactive"."""
        self.person(person).active = False

    def reactivate(self, person: Person | str) -> None:
        self.person(person).active = True

    def add_workspace(self, workspace: Workspace) -> Workspace:
        with self.lock:
            self.workspaces[workspace.slug] = workspace
        return workspace

    def rename_workspace(self, slug: str, new_slug: str, name: str | None = None) -> None:
        """Give a workspace another slug; all that's in it stays, the old slug is free for anybody."""
        with self.lock:
            workspace = self.workspaces.pop(slug)
            workspace.slug = new_slug
            workspace.name = workspace.name if name is None else name
            self.workspaces[new_slug] = workspace
            if self.client.workspace == slug:
                self.client.workspace = new_slug
            for repository in self.repositories:
                if repository.workspace == slug:
                    repository.workspace = new_slug
            for person in self.people.values():
                if slug in person.workspaces:
                    person.workspaces[new_slug] = person.workspaces.pop(slug)

    def join(self, person: Person | str, workspace: str, role: Role = "member") -> None:
        """Make the person a member, or change the role; ``LookupError``: no such workspace."""
        self._require_workspace(workspace)
        self.person(person).workspaces[workspace] = role

    def leave(self, person: Person | str, workspace: str) -> None:
        """End a membership; nothing happens if there is none."""
        self.person(person).workspaces.pop(workspace, None)

    def add_repository(self, repository: Repository) -> Repository:
        """A new repository, in place of one with the same name; ``LookupError``: no such workspace."""
        self._require_workspace(repository.workspace)
        name = (repository.workspace, repository.slug)
        with self.lock:
            self.repositories = [one for one in self.repositories if (one.workspace, one.slug) != name]
            self.repositories.append(repository)
        return repository

    def issue(self, person: Person | str | None = "jane", scopes: Iterable[str] | None = None) -> dict[str, object]:
        """Give out a pair of tokens as if the person had consented, and return the answer's members.

        ``None``: a token of the application itself, without a refresh token. ``scopes``: any; the client's if they
        aren't given. With OAuth 1.0a the pair is ``access_token`` and ``token_secret``, and there are neither scopes
        nor tokens of the application (``ValueError``).
        """
        key = None if person is None else self.person(person).key
        with self.lock:
            return issue(self, key, scopes)

    def keep(self, grant: Grant, told: Mapping[str, object]) -> None:
        """From now on the tokens of a token answer are good; the caller holds the lock."""
        now = self.now()
        self.vault.access[str(told["access_token"])] = IssuedToken(grant, now + self.rules.access_token_seconds)
        if "refresh_token" in told:
            # Three months of disuse are counted from here, also for one that wasn't rotated.
            issued = IssuedToken(grant, now + self.rules.refresh_token_seconds)
            self.vault.keep_refresh(str(told["refresh_token"]), issued)

    def keep_signing(self, grant: Grant, token: str, secret: str) -> None:
        """From now on an access token of OAuth 1.0a is good: for years on a Data Center, for ever on Cloud."""
        life = self.rules.signed_token_seconds if self.is_data_center else math.inf
        self.vault.signing[token] = IssuedToken(grant, self.now() + life, secret=secret)

    def account_of(self, grant: Grant) -> Person | None:
        """Whom the grant's tokens stand for: a person, or an application, which has no key. ``None``: it's gone."""
        if grant.person is not None:
            return self.people.get(grant.person)
        if grant.workspace is None:
            client = self.client
            return app_user(client.name, made_up_uuid("client", client.client_id), client.workspace)
        for workspace in self.workspaces.values():
            if workspace.uuid == grant.workspace:
                return app_user(workspace.name, workspace.uuid, workspace.slug)
        return None

    def revoke(self, person: Person | str | None) -> None:
        """What the person does under "App authorizations": all codes and tokens die at once.

        ``None``: those of the application itself.
        """
        with self.lock:
            self.vault.revoke(None if person is None else self.person(person).key)

    def rotate(self, person: Person | str, *, grace: float | None = None) -> None:
        """Use the person's refresh tokens up, as if somebody else had refreshed.

        They die after ``grace`` seconds (default: the rules'), also where refreshes don't rotate.
        """
        seconds = self.rules.grace_seconds if grace is None else grace
        key = self.person(person).key
        with self.lock:
            for token, issued in self.vault.refresh.items():
                if issued.grant.person == key:
                    self.vault.use_refresh(token, self.now(), seconds)

    def expire_access_tokens(self, person: Person | str | None = None) -> None:
        """Let access tokens (one person's, or all, the application's too) end now; refresh tokens stay."""
        key = None if person is None else self.person(person).key
        with self.lock:
            for issued in self.vault.all_access():
                if person is None or issued.grant.person == key:
                    issued.expires_at = self.now()

    def expire_grant(self, grant: Grant) -> None:
        """Let the access tokens that came of one consent end now; the caller holds the lock."""
        for issued in self.vault.access.values():
            if issued.grant is grant:
                issued.expires_at = self.now()

    def use_older_rules(self) -> None:
        """Cloud before 2026's changes: `Rules.older`. ``ValueError`` on a Data Center."""
        if self.is_data_center:
            raise ValueError("Older rules are Cloud's")
        self.rules = Rules.older()

    def use_todays_rules(self) -> None:
        """Those of November 2026: `Rules.for_kind`; of today's Cloud, also where it's played as it was."""
        self.rules = Rules.for_kind("data-center" if self.is_data_center else "cloud")

    def workspace_by(self, identifier: str) -> Workspace | None:
        """The workspace with this slug or UUID (in braces, as Bitbucket wants it)."""
        for workspace in self.workspaces.values():
            if identifier == workspace.slug or identifier.lower() == workspace.uuid:
                return workspace
        return None

    def _require_workspace(self, slug: str) -> None:
        if slug not in self.workspaces:
            raise LookupError(f"No workspace {slug!r} here, but: {', '.join(self.workspaces)}")
