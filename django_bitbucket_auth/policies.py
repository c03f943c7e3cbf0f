"""Who may come in. Decisions over values: no I/O."""

from __future__ import annotations

from collections.abc import Sequence

from .bitbucket import Membership, Profile
from .exceptions import LoginRefused


def check_membership(profile: Profile, memberships: Sequence[Membership]) -> None:
    """Let pass whoever is a member of one of the required workspaces; none required, everybody.

    An answer about another person proves nothing. What isn't known is not a no, and not a yes either.

    Raises:
        LoginRefused: ``not_a_member``, or ``membership_unknown`` if Bitbucket couldn't say. The message names the
            cause for the log.
    """
    if not memberships:
        return
    answers = {
        "unknown" if member.answer == "yes" and member.user_uid not in (None, profile.uid) else member.answer
        for member in memberships
    }
    if "yes" in answers:
        return
    causes = "; ".join(
        f"{member.workspace}: {member.cause or 'the answer is about another person'}" for member in memberships
    )
    if "unknown" in answers:
        raise MembershipRefused(causes, "membership_unknown")
    raise MembershipRefused(causes, "not_a_member")


class MembershipRefused(LoginRefused):
    """Refused by ``WORKSPACES``. The cause is for the log; the person gets the reason's own sentence."""

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__("", reason)
        self.cause = cause

    def __str__(self) -> str:
        return self.cause
