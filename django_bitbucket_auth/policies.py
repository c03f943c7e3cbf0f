"""Who may come in. Decisions over values: no I/O."""

from __future__ import annotations

from collections.abc import Sequence

from .bitbucket import Membership, Profile
from .exceptions import LoginRefused


def check_membership(profile: Profile, memberships: Sequence[Membership]) -> None:
    """Let pass whoever is a member of one of the required workspaces; none required, everybody.

    An answer about another person proves nothing. What isn't known is not a no, and not a yes either.

    Raises:
        LoginRefused: ``not_a_member``, or ``membership_unknown`` if Bitbucket couldn't say. The cause is for the
            log.
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
        raise LoginRefused("", "membership_unknown", cause=causes)
    raise LoginRefused("", "not_a_member", cause=causes)
