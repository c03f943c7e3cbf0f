"""Who calls a Data Center: by a session's cookie, or by a token."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from .messages import Answer, SimulatorRequest
from .oauth1 import OAuth1
from .people import Person
from .vault import Grant
from .world import World

COOKIE = "BITBUCKETSESSIONID"

#: Each of these opens what those before it open (bitbucket.md 6.1). ``ACCOUNT_WRITE`` stands aside.
_RISING = (
    "PUBLIC_REPOS",
    "REPO_READ",
    "REPO_WRITE",
    "REPO_ADMIN",
    "PROJECT_ADMIN",
    "ADMIN_WRITE",
    "SYSTEM_ADMIN",
)
SCOPES = (*_RISING, "ACCOUNT_WRITE")
#: Sessions and signed requests know no scopes: they may what the person may.
_ALL = frozenset(SCOPES)


def opened_by(scopes: tuple[str, ...]) -> frozenset[str]:
    """All scopes that these open."""
    opened = {scope for scope in scopes if scope in SCOPES}
    for place, scope in enumerate(_RISING):
        if scope in scopes:
            opened.update(_RISING[:place])
    return frozenset(opened)


@dataclass(frozen=True)
class Caller:
    """Whoever calls. Nobody: ``refused`` says whether something came along that was to prove more."""

    person: Person | None = None
    scopes: frozenset[str] = frozenset()
    refused: bool = False


class Callers:
    """Finds out for one `World`; the caller holds its lock."""

    def __init__(self, world: World, oauth1: OAuth1) -> None:
        self.world = world
        self.oauth1 = oauth1

    def who(self, request: SimulatorRequest) -> Caller:
        """A session's cookie decides, whatever token came with it: that's what makes a shared jar dangerous.

        Raises `Refused` for a signature that isn't good: it's told so, even where anybody may ask.
        """
        person = self._in_session(request)
        if person is not None:
            return Caller(person, _ALL)
        if request.is_signed:
            return Caller(self.world.account_of(self.oauth1.grant_of(request)), _ALL)
        grant = self._bearer(request)
        person = self.world.account_of(grant) if grant else None
        if grant is None or person is None or not person.active:
            return Caller(refused="authorization" in request.headers)
        return Caller(person, opened_by(grant.scopes))

    def whose(self, request: SimulatorRequest) -> str | None:
        """For the log: whose cookie or token it is. Proves nothing, and uses nothing up."""
        person = self._in_session(request)
        if person is not None:
            return person.key
        if request.is_signed:
            return self.oauth1.whose(request)
        grant = self._bearer(request)
        return grant.person if grant else None

    def _bearer(self, request: SimulatorRequest) -> Grant | None:
        """What the token in the header stands for. Only the exact scheme ``Bearer`` counts."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        issued = self.world.vault.find_access(token, self.world.now()) if scheme == "Bearer" else None
        return issued.grant if issued else None

    def remember(self, request: SimulatorRequest, person: Person | None, answer: Answer) -> None:
        """Begin a session, as Data Center does with every answer to somebody who has none."""
        if not self.world.rules.session_cookies or self._in_session(request) is not None:
            return
        value = secrets.token_hex(16).upper()
        if person is not None and person.key:
            self.world.vault.sessions[value] = person.key
        answer.headers["Set-Cookie"] = f"{COOKIE}={value}; Path={self.world.context_path or '/'}; HttpOnly"

    def _in_session(self, request: SimulatorRequest) -> Person | None:
        sent = (one.strip().partition("=") for one in request.headers.get("cookie", "").split(";"))
        value = next((value for name, _, value in sent if name == COOKIE), "")
        person = self.world.people.get(self.world.vault.sessions.get(value, ""))
        return person if person is not None and person.active else None
