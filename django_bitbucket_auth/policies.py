"""Who may come in. Decisions over values: no I/O."""

from __future__ import annotations

from collections.abc import Sequence

from .bitbucket import Membership, Profile
from .exceptions import LoginRefused


def check_membership(required: Sequence[str], profile: Profile, memberships: Sequence[Membership]) -> None:
    """Let pass whoever is a member of one of the required workspaces; none required, everybody.

    An answer about another person or workspace proves nothing. What isn't known is not a no, and not a yes either.

    Raises:
        LoginRefused: ``not_a_member``, or ``membership_unknown`` if Bitbucket couldn't say. The cause is for the
            log.
    """
    causes, answers = [], set()
    for workspace in required:
        found = next((member for member in memberships if member.workspace == workspace), None)
        if found is None:
            answer, cause = "unknown", "there is no answer"
        elif found.answer == "yes" and found.user_uid not in (None, profile.uid):
            answer, cause = "unknown", "the answer is about another person"
        else:
            answer, cause = found.answer, found.cause
        answers.add(answer)
        causes.append(f"{workspace}: {cause}")
    if not required or "yes" in answers:
        return
    reason = "membership_unknown" if "unknown" in answers else "not_a_member"
    raise LoginRefused("", reason, cause="; ".join(causes))
