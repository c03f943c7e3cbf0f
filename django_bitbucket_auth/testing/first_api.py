"""Cloud's API under ``/1.0/``, as it was until 2019, and as passport-bitbucket reads it."""

from __future__ import annotations

from .api import Endpoint
from .messages import Answer, SimulatorRequest, api_error, json_answer
from .people import Person
from .shapes import picture
from .world import World

_NOTICE = "https://developer.atlassian.com/cloud/bitbucket/deprecation-notice-v1-apis/"


def gone() -> Answer:
    """What all of it answers today."""
    detail = f"This API is no longer supported. Please refer to the deprecation notice at: {_NOTICE}"
    return api_error(410, "Resource removed", detail=detail)


def find(world: World, path: tuple[str, ...]) -> Endpoint | None:
    """``path``: the decoded parts after ``1.0``."""

    def user(person: Person, request: SimulatorRequest) -> Answer:
        return json_answer(200, _profile(world, person))

    def emails(person: Person, request: SimulatorRequest) -> Answer:
        return json_answer(200, _emails(person))

    def own_emails(person: Person, request: SimulatorRequest) -> Answer:
        return emails(person, request) if path[1] == person.username else api_error(403, "Forbidden")

    match path:
        case ("user",):
            return Endpoint("account", user)
        case ("emails",):
            return Endpoint("email", emails)
        case ("users", _, "emails"):
            return Endpoint("email", own_emails)
    return None


def _profile(world: World, person: Person) -> dict[str, object]:
    """Names and a picture; nothing in it stays the same for ever."""
    first, _, last = person.display_name.rpartition(" ")
    return {
        "repositories": [],
        "user": {
            "username": person.username,
            "first_name": first or last,
            "last_name": last if first else "",
            "display_name": person.display_name,
            "is_staff": False,
            "avatar": picture(world, person),
            "resource_uri": f"/1.0/users/{person.username}",
            "is_team": person.kind == "team",
        },
    }


def _emails(person: Person) -> list[dict[str, object]]:
    """A plain list; ``active`` is what later became ``is_confirmed``."""
    return [
        {"active": email.is_confirmed, "email": email.address, "primary": email.is_primary} for email in person.emails
    ]
