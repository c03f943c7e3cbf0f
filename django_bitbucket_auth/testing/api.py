"""The API under ``/2.0/``, as far as a login and its first calls need it (bitbucket.md 3, 4, 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .messages import Answer, SimulatorRequest, api_error, json_answer
from .people import Person, Workspace
from .repositories import Repositories
from .shapes import named, no_workspace, page, profile, workspace_object
from .vault import Grant
from .world import World

#: Path under /2.0/ → the scope it needs. Gone since 14 April 2026 (CHANGE-2770).
REMOVED = {
    ("workspaces",): "account",
    ("user", "permissions", "workspaces"): "account",
    ("user", "permissions", "repositories"): "account",
    ("repositories",): "repository",
}
_CHANGES = "https://developer.atlassian.com/cloud/bitbucket/changelog"
_REFUSED = "Token is invalid, expired, or not supported for this endpoint."


class Endpoint(NamedTuple):
    """The scope that is needed, what's answered to whom, and the methods that are taken."""

    scope: str
    give: Callable[[Person, SimulatorRequest], Answer]
    methods: tuple[str, ...] = ("GET", "HEAD")


class Api:
    """Answers for one `World`; the caller holds its lock."""

    def __init__(self, world: World, signed_grant: Callable[[SimulatorRequest], Grant | None]) -> None:
        self.world = world
        self._signed_grant = signed_grant
        self._repositories = Repositories(world)

    def answer(self, request: SimulatorRequest, path: tuple[str, ...]) -> Answer:
        """``path``: the decoded parts after ``2.0``."""
        if path in REMOVED and self.world.rules.removed_endpoints_gone:
            return _gone("CHANGE-2770")
        return self.give(request, self._find(request.method, path))

    def give(self, request: SimulatorRequest, found: Endpoint | None) -> Answer:
        """What an endpoint gives to the caller; with the scope and the method it takes."""
        if found is None:
            return api_error(404, "Resource not found", detail="There is no API hosted at this URL.")
        if request.method not in found.methods:
            return api_error(405, "Method not allowed")
        person, granted = self.caller(request)
        if person is None:
            return api_error(401, _REFUSED)
        if not person.active:
            return api_error(401, "User is inactive")
        headers = {
            "X-OAuth-Scopes": ", ".join(granted),
            "X-Accepted-OAuth-Scopes": found.scope,
            "X-Credential-Type": "oauth1" if request.is_signed else "oauth2",
        }
        opens = self.world.rules.account_opens_emails and found.scope == "email" and "account" in granted
        if found.scope not in granted and not opens:
            answer = api_error(
                403,
                "Your credentials lack one or more required privilege scopes.",
                detail={"required": [found.scope], "granted": list(granted)},
            )
        else:
            answer = found.give(person, request)
        answer.headers |= headers
        return answer

    def caller(self, request: SimulatorRequest) -> tuple[Person | None, tuple[str, ...]]:
        """Whose token came along, and its scopes. Only the exact scheme ``Bearer`` counts.

        A signed request is good for one look.
        """
        grant = self.grant_of(request)
        return (None, ()) if grant is None else (self.world.account_of(grant), grant.scopes)

    def grant_of(self, request: SimulatorRequest) -> Grant | None:
        """What the token stands for."""
        if request.is_signed:
            return self._signed_grant(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            token = ""
        if not token and not self.world.rules.query_token_refused:
            token = dict(request.parameters).get("access_token", "")
        issued = self.world.vault.find_access(token, self.world.now())
        return issued.grant if issued else None

    def _find(self, method: str, path: tuple[str, ...]) -> Endpoint | None:
        repositories = self._repositories
        match path:
            case ("user",):
                return Endpoint("account", lambda person, request: json_answer(200, profile(self.world, person)))
            case ("user", "emails"):
                return Endpoint("email", self._emails)
            case ("user", "workspaces"):
                return Endpoint("account", self._workspaces)
            case ("user", "workspaces", identifier, "permission"):
                return Endpoint("account", lambda person, request: self._permission(person, identifier))
            case ("repositories", identifier):
                return Endpoint("repository", lambda person, request: repositories.all_of(identifier, person, request))
            case ("repositories", identifier, slug) if method == "POST":
                return Endpoint(
                    "repository:admin",
                    lambda person, request: repositories.create(identifier, slug, person, request),
                    ("POST",),
                )
            case ("repositories", identifier, slug):
                return Endpoint("repository", lambda person, request: repositories.one_of(identifier, slug, person))
            case ("workspaces", identifier):
                return Endpoint("account", lambda person, request: self._workspace(person, identifier))
        return self._find_removed(path)

    def _find_removed(self, path: tuple[str, ...]) -> Endpoint | None:
        match path:
            case ("workspaces",) | ("user", "permissions", "workspaces"):
                return Endpoint("account", self._old_workspaces)
            case ("repositories",) | ("user", "permissions", "repositories"):
                return Endpoint(REMOVED[path], lambda person, request: page(self.world, request, []))
        return None

    def _emails(self, person: Person, request: SimulatorRequest) -> Answer:
        entries: list[object] = [
            {
                "is_primary": email.is_primary,
                "is_confirmed": email.is_confirmed,
                "type": "email",
                "email": email.address,
                "links": {"self": {"href": f"{self.world.url}/2.0/user/emails/{email.address}"}},
            }
            for email in person.emails
        ]
        return page(self.world, request, entries, self.world.rules.emails_per_page)

    def _workspaces(self, person: Person, request: SimulatorRequest) -> Answer:
        entries: list[object] = [
            {
                "administrator": role == "owner",
                "type": "workspace_access",
                "workspace": {"type": "workspace_base", **named(self.world, workspace)},
            }
            for workspace, role in self._memberships(person)
        ]
        return page(self.world, request, entries)

    def _workspace(self, person: Person, identifier: str) -> Answer:
        workspace = self.world.workspace_by(identifier)
        if workspace is None or workspace.slug not in person.workspaces:
            return no_workspace(identifier)
        return json_answer(200, workspace_object(self.world, workspace))

    def _old_workspaces(self, person: Person, request: SimulatorRequest) -> Answer:
        entries: list[object] = [
            {
                "permission": role,
                "type": "workspace_membership",
                "workspace": workspace_object(self.world, workspace),
            }
            for workspace, role in self._memberships(person)
        ]
        return page(self.world, request, entries)

    def _permission(self, person: Person, identifier: str) -> Answer:
        workspace = self.world.workspace_by(identifier)
        if workspace is None:
            return no_workspace(identifier)
        role = person.workspaces.get(workspace.slug)
        if role is None:
            return api_error(403, "The requesting user does not have access to the workspace.")
        told = {"permission": role} if self.world.rules.permission_names_role else {}
        return json_answer(
            200,
            told
            | {
                "type": "workspace_membership",
                "user": {
                    "type": person.kind,
                    "uuid": person.uuid,
                    "display_name": person.display_name,
                },
                "workspace": workspace_object(self.world, workspace),
            },
        )

    def _memberships(self, person: Person) -> list[tuple[Workspace, str]]:
        return [
            (self.world.workspaces[slug], role)
            for slug, role in sorted(person.workspaces.items())
            if slug in self.world.workspaces
        ]


def _gone(change: str) -> Answer:
    return api_error(
        410,
        f"{change} - Functionality has been deprecated",
        detail="Please read the changelog entry for more details.",
        data={"announcement_url": f"{_CHANGES}#{change}"},
    )
