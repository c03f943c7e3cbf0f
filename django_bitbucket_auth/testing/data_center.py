"""Bitbucket Data Center: which of its parts answers at which address."""

from __future__ import annotations

from .data_center_api import DataCenterApi
from .data_center_callers import Callers
from .data_center_oauth import DataCenterSite, data_center_server
from .messages import Answer, SimulatorRequest, nothing_here
from .oauth1 import OAuth1
from .oauth1_site import SignedSite
from .world import World

#: ``/rest/…/latest/`` and ``/rest/…/1.0/`` are the same.
_VERSIONS = ("latest", "1.0")
#: The addresses of OAuth 1.0a below ``/plugins/servlet/oauth/``, and their names.
_SERVLETS = {"request-token": "request_token", "authorize": "authorize", "access-token": "token"}


class DataCenter:
    """Answers for one `World`; the caller holds its lock."""

    def __init__(self, world: World) -> None:
        self._site = DataCenterSite(world, data_center_server(world))
        oauth1 = OAuth1(world)
        self._signed_site = SignedSite(world, oauth1)
        self._callers = Callers(world, oauth1)
        self._api = DataCenterApi(world, self._callers)

    def endpoint_named(self, segments: list[str]) -> str:
        """The name that dials and log have for these decoded path parts."""
        match segments:
            case ["rest", "oauth2", version, "authorize" | "token" as name] if version in _VERSIONS:
                return name
            case ["plugins", "servlet", "oauth", name] if name in _SERVLETS:
                return _SERVLETS[name]
            case ["plugins", "servlet", "applinks", "whoami"]:
                return "whoami"
            case ["rest", "api", version, *path] if version in _VERSIONS:
                return self._api.endpoint_named(tuple(path))
        return "other"

    def answer(self, endpoint: str, request: SimulatorRequest, segments: list[str]) -> Answer:
        """The truth."""
        match segments:
            case ["rest", "oauth2", _, "authorize"] if endpoint == "authorize":
                return self._site.authorize(request)
            case ["rest", "oauth2", _, "token"] if endpoint == "token":
                return self._site.token(request)
            case ["plugins", "servlet", "oauth", "request-token"]:
                return self._signed_site.request_token(request)
            case ["plugins", "servlet", "oauth", "authorize"]:
                return self._signed_site.authorize(request)
            case ["plugins", "servlet", "oauth", "access-token"]:
                return self._signed_site.access_token(request)
            case ["plugins", "servlet", "applinks", "whoami"]:
                return self._api.name_alone(request)
            case ["rest", "api", version, *path] if version in _VERSIONS:
                return self._api.answer(request, tuple(path))
        return nothing_here()

    def whose(self, request: SimulatorRequest) -> str | None:
        """The key of the person whose token or session came along, if it's anybody's."""
        return self._callers.whose(request)
