"""A Data Center's projects and repositories: Cloud's workspaces by other names, ``acme`` is the project ``ACME``."""

from __future__ import annotations

from urllib.parse import quote

from .data_center_callers import Caller
from .data_center_shapes import no_such, page
from .messages import Answer, SimulatorRequest, data_center_error
from .people import Repository, Workspace, made_up_number
from .world import World


class DataCenterRepositories:
    """Answers for one `World`. What's public anybody may see, the rest members with ``REPO_READ``."""

    def __init__(self, world: World) -> None:
        self.world = world

    def all(self, caller: Caller, request: SimulatorRequest) -> Answer:
        """All repositories that the caller may see."""
        seen = [one for one in self.world.repositories if self._may_see(caller, one)]
        return page(request, [self._told(one) for one in seen])

    def projects(self, caller: Caller, request: SimulatorRequest) -> Answer:
        """All projects that the caller is in, or may see something of."""
        seen = [one for one in self.world.workspaces.values() if self._may_enter(caller, one)]
        return page(request, [self._project(one) for one in seen])

    def of_project(self, key: str, caller: Caller, request: SimulatorRequest) -> Answer:
        """A project's. That one may not see it is a 401 there, also for somebody who is known."""
        project = next((one for one in self.world.workspaces.values() if project_key(one) == key.upper()), None)
        if project is None:
            return no_such("project.NoSuchProjectException", f"Project {key} does not exist.")
        if not self._may_enter(caller, project):
            return data_center_error(401, "You are not permitted to access this resource", "AuthorisationException")
        seen = [one for one in self.world.repositories if one.workspace == project.slug and self._may_see(caller, one)]
        return page(request, [self._told(one) for one in seen])

    def _is_in(self, caller: Caller, slug: str) -> bool:
        return caller.person is not None and slug in caller.person.workspaces and "REPO_READ" in caller.scopes

    def _may_see(self, caller: Caller, repository: Repository) -> bool:
        return not repository.is_private or self._is_in(caller, repository.workspace)

    def _may_enter(self, caller: Caller, workspace: Workspace) -> bool:
        return self._is_in(caller, workspace.slug) or any(
            one.workspace == workspace.slug and not one.is_private for one in self.world.repositories
        )

    def _project(self, workspace: Workspace) -> dict[str, object]:
        key = project_key(workspace)
        return {
            "key": key,
            "id": made_up_number(workspace.uuid),
            "name": workspace.name,
            "public": False,
            "type": "NORMAL",
            "links": {"self": [{"href": f"{self.world.url}/projects/{key}"}]},
        }

    def _told(self, repository: Repository) -> dict[str, object]:
        workspace = self.world.workspaces[repository.workspace]
        path = f"{project_key(workspace)}/repos/{quote(repository.slug, safe='')}"
        return {
            "slug": repository.slug,
            "id": made_up_number(repository.uuid),
            "name": repository.name,
            "description": repository.description,
            "scmId": "git",
            "state": "AVAILABLE",
            "statusMessage": "Available",
            "forkable": True,
            "project": self._project(workspace),
            "public": not repository.is_private,
            "archived": False,
            "links": {"self": [{"href": f"{self.world.url}/projects/{path}/browse"}]},
        }


def project_key(workspace: Workspace) -> str:
    """The key of the project that stands for a workspace: capital letters, digits and underscores."""
    return workspace.slug.upper().replace("-", "_").replace(".", "_")
