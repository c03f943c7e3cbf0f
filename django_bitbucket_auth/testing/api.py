"""The API under ``/2.0/``, as far as a login needs it (bitbucket.md 3, 4, 8)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

from .messages import Answer, SimulatorRequest, api_error, json_answer
from .people import Person, Workspace
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


class Api:
    """Answers for one `World`; the caller holds its lock."""

    def __init__(self, world: World) -> None:
        self.world = world

    def answer(self, request: SimulatorRequest, path: tuple[str, ...]) -> Answer:
        """``path``: the decoded parts after ``2.0``."""
        if path in REMOVED and self.world.rules.removed_endpoints_gone:
            return _gone("CHANGE-2770")
        found = self._find(path)
        if found is None:
            return api_error(404, "Resource not found", detail="There is no API hosted at this URL.")
        needed, give = found
        if request.method not in ("GET", "HEAD"):
            return api_error(405, "Method not allowed")
        person, granted = self.caller(request)
        if person is None:
            return api_error(401, _REFUSED)
        if not person.active:
            return api_error(401, "User is inactive")
        headers = {
            "X-OAuth-Scopes": ", ".join(granted),
            "X-Accepted-OAuth-Scopes": needed,
            "X-Credential-Type": "oauth2",
        }
        opens = self.world.rules.account_opens_emails and needed == "email" and "account" in granted
        if needed not in granted and not opens:
            answer = api_error(
                403,
                "Your credentials lack one or more required privilege scopes.",
                detail={"required": [needed], "granted": list(granted)},
            )
        else:
            answer = give(person, request)
        answer.headers |= headers
        return answer

    def caller(self, request: SimulatorRequest) -> tuple[Person | None, tuple[str, ...]]:
        """Whose token came along, and its scopes. Only the exact scheme ``Bearer`` counts."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            token = ""
        if not token and not self.world.rules.query_token_refused:
            token = dict(request.parameters).get("access_token", "")
        issued = self.world.vault.find_access(token, self.world.now())
        if issued is None:
            return None, ()
        return self.world.people.get(issued.grant.person), issued.grant.scopes

    def _find(self, path: tuple[str, ...]) -> tuple[str, Callable[[Person, SimulatorRequest], Answer]] | None:
        match path:
            case ("user",):
                return "account", lambda person, request: json_answer(200, self.profile(person))
            case ("user", "emails"):
                return "email", self._emails
            case ("user", "workspaces"):
                return "account", self._workspaces
            case ("user", "workspaces", identifier, "permission"):
                return "account", lambda person, request: self._permission(person, identifier)
            case ("workspaces",) | ("user", "permissions", "workspaces"):
                return "account", self._old_workspaces
            case ("repositories",) | ("user", "permissions", "repositories"):
                return REMOVED[path], lambda person, request: self._page(request, [], 10)
        return None

    def profile(self, person: Person) -> dict[str, object]:
        """The body of ``/2.0/user``. Note what's not in it: an e-mail address."""
        here = f"{self.world.url}/2.0/users/{quote(person.uuid, safe='')}"
        avatar = person.avatar_url or f"{self.world.url}/_simulator/avatars/{person.key}.svg"
        return {
            "username": person.username,
            "display_name": person.display_name,
            "nickname": person.nickname,
            "has_2fa_enabled": None,
            "account_id": person.account_id,
            "account_status": person.account_status,
            "is_staff": False,
            "created_on": person.created_on,
            "type": person.kind,
            "uuid": person.uuid,
            "links": {
                "self": {"href": here},
                "html": {"href": f"{self.world.url}/{quote(person.uuid, safe='')}/"},
                "avatar": {"href": avatar},
                "repositories": {"href": f"{self.world.url}/2.0/repositories/{person.username}"},
            },
        } | person.profile

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
        return self._page(request, entries, self.world.rules.emails_per_page)

    def _workspaces(self, person: Person, request: SimulatorRequest) -> Answer:
        entries: list[object] = [
            {
                "administrator": role == "owner",
                "type": "workspace_access",
                "workspace": {"type": "workspace_base", **self._named(workspace)},
            }
            for workspace, role in self._memberships(person)
        ]
        return self._page(request, entries, 10)

    def _old_workspaces(self, person: Person, request: SimulatorRequest) -> Answer:
        entries: list[object] = [
            {
                "permission": role,
                "type": "workspace_membership",
                "workspace": {
                    "type": "workspace",
                    "name": workspace.name,
                    **self._named(workspace),
                },
            }
            for workspace, role in self._memberships(person)
        ]
        return self._page(request, entries, 10)

    def _permission(self, person: Person, identifier: str) -> Answer:
        workspace = self.world.workspace_by(identifier)
        if workspace is None:
            return api_error(404, f"No workspace with identifier '{identifier}'.")
        role = person.workspaces.get(workspace.slug)
        if role is None:
            return api_error(403, "The requesting user does not have access to the workspace.")
        named = {"permission": role} if self.world.rules.permission_names_role else {}
        return json_answer(
            200,
            named
            | {
                "type": "workspace_membership",
                "user": {
                    "type": person.kind,
                    "uuid": person.uuid,
                    "display_name": person.display_name,
                },
                "workspace": {
                    "type": "workspace",
                    "name": workspace.name,
                    **self._named(workspace),
                },
            },
        )

    def _memberships(self, person: Person) -> list[tuple[Workspace, str]]:
        return [
            (self.world.workspaces[slug], role)
            for slug, role in sorted(person.workspaces.items())
            if slug in self.world.workspaces
        ]

    def _named(self, workspace: Workspace) -> dict[str, object]:
        here = f"{self.world.url}/2.0/workspaces/{workspace.slug}"
        return {"slug": workspace.slug, "uuid": workspace.uuid, "links": {"self": {"href": here}}}

    def _page(self, request: SimulatorRequest, entries: list[object], pagelen: int) -> Answer:
        """One page of a collection; ``next`` and ``previous`` are absent at the ends."""
        asked = dict(request.parameters)
        asked.pop("access_token", None)
        try:
            page = int(asked.get("page", "1"))
            pagelen = int(asked.get("pagelen", str(pagelen)))
        except ValueError:
            page = 0
        if page < 1 or not 1 <= pagelen <= 100:
            return api_error(400, "Invalid page")

        def link(number: int) -> str:
            query = urlencode(asked | {"page": str(number), "pagelen": str(pagelen)})
            return f"{self.world.url}{request.path}?{query}"

        end = page * pagelen
        data: dict[str, object] = {
            "pagelen": pagelen,
            "page": page,
            "size": len(entries),
            "values": entries[end - pagelen : end],
        }
        if end < len(entries):
            data["next"] = link(page + 1)
        if page > 1:
            data["previous"] = link(page - 1)
        return json_answer(200, data)


def _gone(change: str) -> Answer:
    return api_error(
        410,
        f"{change} - Functionality has been deprecated",
        detail="Please read the changelog entry for more details.",
        data={"announcement_url": f"{_CHANGES}#{change}"},
    )
