"""The API of a Data Center under ``/rest/api/``: who is it (bitbucket.md 6.2), users, repositories.

There is no address that says who calls. `application-properties` is open to anybody, and names the caller in a header.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from .data_center_callers import Caller, Callers
from .data_center_repositories import DataCenterRepositories
from .data_center_shapes import no_such, page, user
from .messages import Answer, SimulatorRequest, data_center_error, json_answer
from .oauth1_site import challenge
from .oauth1_validator import Refused
from .world import World

VERSION = {"version": "8.19.9", "buildNumber": "8019009", "buildDate": "1726000000000", "displayName": "Bitbucket"}


class Endpoint(NamedTuple):
    """What's answered to whom, and whether anybody may ask."""

    give: Callable[[Caller, SimulatorRequest], Answer]
    is_open: bool = False


class DataCenterApi:
    """Answers for one `World`; the caller holds its lock."""

    def __init__(self, world: World, callers: Callers) -> None:
        self.world = world
        self._callers = callers
        self._repositories = DataCenterRepositories(world)

    def endpoint_named(self, path: tuple[str, ...]) -> str:
        """The name that dials and log have for a path after ``/rest/api/latest/``."""
        match path:
            case ("application-properties",):
                return "whoami"
            case ("users",):
                return "user"
            case ("repos",) | ("projects",) | ("projects", _, "repos") | ("profile", "recent", "repos"):
                return "repositories"
        return "other"

    def answer(self, request: SimulatorRequest, path: tuple[str, ...]) -> Answer:
        """``path``: the decoded parts after ``/rest/api/latest/``."""
        return self._for_caller(request, lambda caller: self._answer(caller, request, path))

    def name_alone(self, request: SimulatorRequest) -> Answer:
        """``/plugins/servlet/applinks/whoami``: the caller's name; nothing for anybody else."""
        kind = {"Content-Type": "text/plain;charset=UTF-8"}
        return self._for_caller(
            request, lambda caller: Answer(200, kind, caller.person.dc_name.encode() if caller.person else b"")
        )

    def _for_caller(self, request: SimulatorRequest, give: Callable[[Caller], Answer]) -> Answer:
        """What's given to whoever calls, with the headers of every answer: their name, and a session."""
        try:
            caller = self._callers.who(request)
        except Refused as refused:
            answer = _refused_credential()
            challenge(self.world, refused, answer)
            return answer
        answer = give(caller)
        if caller.person is not None:
            encode = quote_plus if self.world.rules.name_header_has_plus else quote
            answer.headers["X-AUSERNAME"] = encode(caller.person.dc_name, safe="")
        self._callers.remember(request, caller.person, answer)
        return answer

    def _answer(self, caller: Caller, request: SimulatorRequest, path: tuple[str, ...]) -> Answer:
        found = self._find(path)
        if found is None:
            return data_center_error(404, "There is no resource at this address.")
        if request.method not in ("GET", "HEAD"):
            return data_center_error(405, "Method Not Allowed")
        if caller.person is None:
            if caller.refused and not (found.is_open and self.world.rules.refused_token_is_anonymous):
                return _refused_credential()
            if not found.is_open:
                return data_center_error(401, "You are not permitted to access this resource", "AuthorisationException")
        return found.give(caller, request)

    def _find(self, path: tuple[str, ...]) -> Endpoint | None:
        repositories = self._repositories
        match path:
            case ("application-properties",):
                return Endpoint(lambda caller, request: json_answer(200, VERSION), is_open=True)
            case ("users",):
                return Endpoint(lambda caller, request: self._users(request))
            case ("users", slug):
                return Endpoint(lambda caller, request: self._user(slug, request))
            case ("repos",):
                return Endpoint(repositories.all, is_open=True)
            case ("projects",):
                return Endpoint(repositories.projects, is_open=True)
            case ("projects", key, "repos"):
                return Endpoint(lambda caller, request: repositories.of_project(key, caller, request), is_open=True)
            case ("profile", "recent", "repos"):
                return Endpoint(repositories.all)
        return None

    def _users(self, request: SimulatorRequest) -> Answer:
        """Everybody whose name, display name or address has the filter's text in it, by name."""
        wanted = dict(request.parameters).get("filter", "").casefold()
        found = [
            person
            for person in sorted(self.world.people.values(), key=lambda person: person.dc_name)
            if person.active
            and any(
                wanted in text.casefold()
                for text in (person.dc_name, person.display_name, *(email.address for email in person.emails[:1]))
            )
        ]
        return page(request, [user(self.world, person, request) for person in found], self.world.rules.users_per_page)

    def _user(self, slug: str, request: SimulatorRequest) -> Answer:
        for person in self.world.people.values():
            if person.dc_slug == slug:
                return json_answer(200, user(self.world, person, request))
        return no_such("user.NoSuchUserException", f"User {slug} does not exist.")


def _refused_credential() -> Answer:
    return data_center_error(
        401,
        "Authentication failed. Please check your credentials and try again.",
        "auth.IncorrectPasswordAuthenticationException",
    )
