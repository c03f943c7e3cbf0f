"""OAuth 1.0a on Cloud, as it was until early 2026 (bitbucket.md 2)."""

from __future__ import annotations

from .messages import Answer, SimulatorRequest
from .oauth1 import OAuth1
from .oauth1_site import SignedSite
from .oauth1_validator import Refused
from .vault import Grant
from .world import World


class CloudSignedSite(SignedSite):
    """The three addresses, in Cloud's words."""

    authorize_path = "/api/1.0/oauth/authenticate"
    methods = ("GET", "POST")

    def extras(self) -> dict[str, str]:
        return {}

    def refusal(self, refused: Refused) -> Answer:
        """Seen by many who used passport-bitbucket: a status and a sentence, whatever the problem."""
        return Answer(400, {"Content-Type": "text/plain; charset=utf-8"}, b"Could not verify OAuth request.")


class CloudOAuth1:
    """Answers for one `World`; the caller holds its lock."""

    def __init__(self, world: World) -> None:
        self._oauth1 = OAuth1(world)
        self._site = CloudSignedSite(world, self._oauth1)

    def answer(self, endpoint: str, request: SimulatorRequest) -> Answer:
        """One of the three steps."""
        if endpoint == "request_token":
            return self._site.request_token(request)
        if endpoint == "token":
            return self._site.access_token(request)
        return self._site.authorize(request)

    def whose(self, request: SimulatorRequest) -> str | None:
        """See `OAuth1.whose`."""
        return self._oauth1.whose(request)

    def grant_of(self, request: SimulatorRequest) -> Grant | None:
        """What a signed request stands for; ``None`` if it isn't good: Cloud doesn't say why."""
        try:
            return self._oauth1.grant_of(request)
        except Refused:
            return None
