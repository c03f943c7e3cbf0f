"""Bitbucket Cloud: which of its parts answers at which address."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from . import first_api
from .api import Api
from .grants import authorization_server
from .messages import Answer, SimulatorRequest, api_error, nothing_here
from .site import Site
from .world import World

if TYPE_CHECKING:
    from .cloud_oauth1 import CloudOAuth1
    from .vault import Grant

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
    ("1.0", "user"): "user",
    ("1.0", "emails"): "emails",
}
#: The addresses of OAuth 1.0a below ``/1.0/oauth/``, and their names.
_STEPS = {"request_token": "request_token", "authenticate": "authorize", "access_token": "token"}


class Cloud:
    """Answers for one `World`; the caller holds its lock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._site = Site(world, authorization_server(world))
        self._api = Api(world, self._signed_grant)

    @cached_property
    def _oauth1(self) -> CloudOAuth1:
        # Made when it's first asked for: it's switched off, but where Cloud is played as it was.
        from .cloud_oauth1 import CloudOAuth1

        return CloudOAuth1(self.world)

    def endpoint_named(self, segments: list[str]) -> str:
        """The name that dials and log have for these decoded path parts."""
        match _without_site(segments):
            case ["2.0", "user", "workspaces", _, "permission"]:
                return "permission"
            case ["2.0", "workspaces", _]:
                return "workspaces"
            case ["2.0", "repositories", _] | ["2.0", "repositories", _, _]:
                return "repositories"
            case ["1.0", "users", _, "emails"]:
                return "emails"
            case ["1.0", "oauth", step] if step in _STEPS:
                return _STEPS[step]
            case path:
                return _BY_PATH.get(tuple(path), "other")

    def answer(self, endpoint: str, request: SimulatorRequest, segments: list[str]) -> Answer:
        """The truth."""
        rules = self.world.rules
        match _without_site(segments):
            case ["1.0", "oauth", step] if step in _STEPS:
                if not rules.oauth1_taken:
                    return api_error(401, "OAuth 1.0 is no longer supported.")
                return self._oauth1.answer(endpoint, request)
            case ["1.0", *path]:
                return first_api.gone() if rules.first_api_gone else self._first(request, tuple(path))
            case ["2.0", *path]:
                return self._api.answer(request, tuple(path))
            case ["site", "oauth2", "authorize"]:
                return self._site.authorize(request)
            case ["site", "oauth2", "access_token"]:
                return self._site.token(request)
        return nothing_here()

    def whose(self, request: SimulatorRequest) -> str | None:
        """The key of the person whose token came along, if it's anybody's."""
        if request.is_signed:
            return self._oauth1.whose(request) if self.world.rules.oauth1_taken else None
        grant = self._api.grant_of(request)
        return grant.person if grant else None

    def _first(self, request: SimulatorRequest, path: tuple[str, ...]) -> Answer:
        return self._api.give(request, first_api.find(self.world, path))

    def _signed_grant(self, request: SimulatorRequest) -> Grant | None:
        return self._oauth1.grant_of(request) if self.world.rules.oauth1_taken else None


def _without_site(segments: list[str]) -> list[str]:
    """``bitbucket.org/api/1.0/`` and ``bitbucket.org/!api/1.0/`` were the same as ``api.bitbucket.org/1.0/``."""
    return segments[1:] if segments[:2] in (["api", "1.0"], ["!api", "1.0"]) else segments
