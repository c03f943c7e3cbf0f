"""The JSON that several answers of a Data Center have in common: users, pages, what isn't there."""

from __future__ import annotations

from urllib.parse import quote

from .messages import Answer, SimulatorRequest, data_center_error, json_answer
from .people import Person
from .shapes import picture
from .world import World


def user(world: World, person: Person, request: SimulatorRequest) -> dict[str, object]:
    """A user; with a picture only if the request names its size."""
    told: dict[str, object] = {
        "name": person.dc_name,
        "active": person.active,
        "displayName": person.display_name,
        "id": person.dc_id,
        "slug": person.dc_slug,
        "type": person.dc_type,
        "links": {"self": [{"href": f"{world.url}/users/{quote(person.dc_slug)}"}]},
    }
    if person.emails:
        told["emailAddress"] = person.emails[0].address
    size = dict(request.parameters).get("avatarSize")
    if size:
        told["avatarUrl"] = f"{picture(world, person)}?s={quote(size)}"
    told |= person.dc_profile
    return {name: value for name, value in told.items() if value is not ...}


def page(request: SimulatorRequest, entries: list[object] | list[dict[str, object]], most: int = 1000) -> Answer:
    """One page of a collection: ``size`` is that of this page, ``nextPageStart`` null on the last one."""
    asked = dict(request.parameters)
    try:
        start, limit = int(asked.get("start", "0")), int(asked.get("limit", "25"))
    except ValueError:
        start, limit = 0, 0
    if start < 0 or limit < 1:
        return data_center_error(
            400, "The page's start and limit are numbers.", "validation.ArgumentValidationException"
        )
    limit = min(limit, most)
    shown = entries[start : start + limit]
    is_last = start + limit >= len(entries)
    return json_answer(
        200,
        {
            "size": len(shown),
            "limit": limit,
            "isLastPage": is_last,
            "values": shown,
            "start": start,
            "nextPageStart": None if is_last else start + limit,
        },
    )


def no_such(exception: str, message: str) -> Answer:
    """404, with the exception's name below ``com.atlassian.bitbucket``."""
    return data_center_error(404, message, exception)
