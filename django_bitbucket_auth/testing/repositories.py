"""The API's repositories: a workspace's, one of them, and a new one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import quote

from .messages import Answer, SimulatorRequest, api_error, json_answer
from .people import Person, Repository, Workspace
from .shapes import no_workspace, page, workspace_object
from .world import World

_NOT_FOUND = (
    "You may not have access to this repository or it no longer exists in this workspace. "
    "If you think this repository exists and you have access, make sure you are authenticated."
)
#: What may be given of a new repository, and what it has to be.
_GIVEN = {"description": str, "is_private": bool}


class Repositories:
    """Answers for one `World`. A workspace is named by its slug or UUID, and so is a repository."""

    def __init__(self, world: World) -> None:
        self.world = world

    def all_of(self, identifier: str, person: Person, request: SimulatorRequest) -> Answer:
        """The workspace's repositories, as far as the person may see them."""
        workspace = self.world.workspace_by(identifier)
        if workspace is None:
            return no_workspace(identifier)
        return page(self.world, request, [self._told(one, workspace) for one in self._visible(workspace, person)])

    def one_of(self, identifier: str, name: str, person: Person) -> Answer:
        """One repository. That it's private is answered like that it isn't there."""
        workspace = self.world.workspace_by(identifier)
        if workspace is not None:
            for one in self._visible(workspace, person):
                if name == one.slug or name.lower() == one.uuid:
                    return json_answer(200, self._told(one, workspace))
        return api_error(404, _NOT_FOUND)

    def create(self, identifier: str, slug: str, person: Person, request: SimulatorRequest) -> Answer:
        """A new repository, described by the request's JSON, if there is any."""
        workspace = self.world.workspace_by(identifier)
        if workspace is None:
            return no_workspace(identifier)
        if workspace.slug not in person.workspaces:
            return api_error(403, "You do not have permission to create repositories in this workspace.")
        if any(one.slug == slug for one in self._visible(workspace, person)):
            return api_error(400, "Repository with this Slug and Owner already exists.")
        given = _object(request.body)
        if given is None:
            return api_error(400, "Bad request", detail="The body has to be a JSON object.")
        wrong = {
            name: ["Not a valid value."] for name, kind in _GIVEN.items() if type(given.get(name, kind())) is not kind
        }
        if wrong:
            return api_error(400, "Bad request", fields=wrong)
        now = datetime.fromtimestamp(self.world.now(), UTC).isoformat()
        new = Repository(workspace.slug, slug, updated_on=now, language="")
        for name in _GIVEN:
            setattr(new, name, given.get(name, getattr(new, name)))
        return json_answer(200, self._told(self.world.add_repository(new), workspace))

    def _visible(self, workspace: Workspace, person: Person) -> list[Repository]:
        member = workspace.slug in person.workspaces
        return [
            one for one in self.world.repositories if one.workspace == workspace.slug and (member or not one.is_private)
        ]

    def _told(self, repository: Repository, workspace: Workspace) -> dict[str, object]:
        path = f"{workspace.slug}/{quote(repository.slug, safe='')}"
        return {
            "type": "repository",
            "uuid": repository.uuid,
            "full_name": f"{workspace.slug}/{repository.slug}",
            "name": repository.name,
            "slug": repository.slug,
            "is_private": repository.is_private,
            "description": repository.description,
            "language": repository.language,
            "updated_on": repository.updated_on,
            "workspace": workspace_object(self.world, workspace),
            "links": {
                "self": {"href": f"{self.world.url}/2.0/repositories/{path}"},
                "html": {"href": f"{self.world.url}/{path}"},
            },
        }


def _object(body: bytes) -> dict[str, object] | None:
    """The JSON object in a body; an empty one if there is nothing, ``None`` if it's something else."""
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
