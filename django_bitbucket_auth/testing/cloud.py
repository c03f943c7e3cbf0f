"""Bitbucket Cloud: which of its parts answers at which address."""

from __future__ import annotations

from .api import Api
from .grants import authorization_server
from .messages import Answer, SimulatorRequest, nothing_here
from .site import Site
from .world import World

_BY_PATH = {
    ("site", "oauth2", "authorize"): "authorize",
    ("site", "oauth2", "access_token"): "token",
    ("2.0", "user"): "user",
    ("2.0", "user", "emails"): "emails",
    ("2.0", "user", "workspaces"): "workspaces",
    ("2.0", "workspaces"): "removed",
    ("2.0", "repositories"): "removed",
    ("2.0", "user", "permissions", "workspaces"): "removed",
    ("2.0", "user", "permissions", "repositories"): "removed",
}


class Cloud:
    """Answers for one `World`; the caller holds its lock."""

    def __init__(self, world: World) -> None:
        self._site = Site(world, authorization_server(world))
        self._api = Api(world)

    def endpoint_named(self, segments: list[str]) -> str:
        """The name that dials and log have for these decoded path parts."""
        match segments:
            case ["2.0", "user", "workspaces", _, "permission"]:
                return "permission"
            case ["2.0", "repositories", _] | ["2.0", "repositories", _, _]:
                return "repositories"
        return _BY_PATH.get(tuple(segments), "other")

    def answer(self, endpoint: str, request: SimulatorRequest, segments: list[str]) -> Answer:
        """The truth."""
        if endpoint == "authorize":
            return self._site.authorize(request)
        if endpoint == "token":
            return self._site.token(request)
        if segments[0] == "2.0":
            return self._api.answer(request, tuple(segments[1:]))
        return nothing_here()

    def whose(self, request: SimulatorRequest) -> str | None:
        """The key of the person whose token came along, if it's anybody's."""
        person, _ = self._api.caller(request)
        return (person.key or None) if person else None
