"""The JSON that several answers of the API have in common: profiles, workspaces, pages."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from .messages import Answer, SimulatorRequest, api_error, json_answer
from .people import Person, Workspace
from .world import World


def profile(world: World, person: Person) -> dict[str, object]:
    """The body of ``/2.0/user``. Note what's not in it: an e-mail address."""
    links = {
        "self": {"href": f"{world.url}/2.0/users/{quote(person.uuid, safe='')}"},
        "html": {"href": f"{world.url}/{quote(person.uuid, safe='')}/"},
    }
    told: dict[str, object] = {
        "display_name": person.display_name,
        "account_id": person.account_id,
        "account_status": person.account_status,
        "created_on": person.created_on,
        "type": person.kind,
        "uuid": person.uuid,
        "links": links,
    }
    if person.key:  # an application has no names besides, and no picture
        links["avatar"] = {"href": picture(world, person)}
        links["repositories"] = {"href": f"{world.url}/2.0/repositories/{person.username}"}
        told |= {
            "username": person.username,
            "nickname": person.nickname,
            "has_2fa_enabled": None,
            "is_staff": False,
        }
    return told | person.profile


def picture(world: World, person: Person) -> str:
    """The address of a person's picture."""
    return person.avatar_url or f"{world.url}/_simulator/avatars/{person.key}.svg"


def named(world: World, workspace: Workspace) -> dict[str, object]:
    """What all the kinds of workspace objects have."""
    here = f"{world.url}/2.0/workspaces/{workspace.slug}"
    return {"slug": workspace.slug, "uuid": workspace.uuid, "links": {"self": {"href": here}}}


def workspace_object(world: World, workspace: Workspace) -> dict[str, object]:
    return {"type": "workspace", "name": workspace.name, **named(world, workspace)}


def no_workspace(identifier: str) -> Answer:
    return api_error(404, f"No workspace with identifier '{identifier}'.")


def page(world: World, request: SimulatorRequest, entries: list[object], pagelen: int = 10) -> Answer:
    """One page of a collection; ``next`` and ``previous`` are absent at the ends."""
    asked = dict(request.parameters)
    asked.pop("access_token", None)
    try:
        number = int(asked.get("page", "1"))
        pagelen = int(asked.get("pagelen", str(pagelen)))
    except ValueError:
        number = 0
    if number < 1 or not 1 <= pagelen <= 100:
        return api_error(400, "Invalid page")

    def link(other: int) -> str:
        query = urlencode(asked | {"page": str(other), "pagelen": str(pagelen)})
        return f"{world.url}{request.path}?{query}"

    end = number * pagelen
    data: dict[str, object] = {
        "pagelen": pagelen,
        "page": number,
        "size": len(entries),
        "values": entries[end - pagelen : end],
    }
    if end < len(entries):
        data["next"] = link(number + 1)
    if number > 1:
        data["previous"] = link(number - 1)
    return json_answer(200, data)
