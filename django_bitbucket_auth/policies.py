"""Who may come in, and into which groups. Decisions over values: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from .bitbucket import Membership, Profile
from .exceptions import LoginRefused
from .validators import ROLES, split_entry

Answer = Literal["yes", "no", "unknown"]


def check_membership(required: Sequence[str], profile: Profile, memberships: Sequence[Membership]) -> None:
    """Let pass whoever is a member of one of the required workspaces; none required, everybody.

    ``required`` may also be ``"workspace:role"`` entries. An answer about another person or workspace proves nothing.
    What isn't known is not a no, and not a yes either.

    Raises:
        LoginRefused: ``not_a_member``, or ``membership_unknown`` if Bitbucket couldn't say. The cause is for the
            log.
    """
    if not required:
        return
    answer, cause = answer_of(required, profile.uid, memberships)
    if answer != "yes":
        raise LoginRefused("", "membership_unknown" if answer == "unknown" else "not_a_member", cause=cause)


def groups_for(
    groups: Mapping[str, Sequence[str]], profile: Profile, memberships: Sequence[Membership]
) -> frozenset[str]:
    """The groups of ``GROUPS`` that the person belongs in; out of all others of them.

    Raises:
        LoginRefused: ``membership_unknown``. With rights of yesterday somebody could come in who has lost them since.
    """
    found = set()
    for name, entries in groups.items():
        answer, cause = answer_of(entries, profile.uid, memberships)
        if answer == "unknown":
            raise LoginRefused("", "membership_unknown", cause=f"the group {name!r}: {cause}")
        if answer == "yes":
            found.add(name)
    return frozenset(found)


def answer_of(entries: Iterable[str], uid: str, memberships: Sequence[Membership]) -> tuple[Answer, str]:
    """Whether one of the ``"workspace"`` or ``"workspace:role"`` entries holds for a person, and why not.

    One yes is enough. Without, what isn't known outweighs a no.
    """
    answers, causes = set(), []
    for entry in entries:
        answer, cause = _holds(entry, uid, memberships)
        answers.add(answer)
        causes.append(f"{entry}: {cause}")
    verdict: Answer = "yes" if "yes" in answers else "unknown" if "unknown" in answers else "no"
    return verdict, "; ".join(causes)


def _holds(entry: str, uid: str, memberships: Sequence[Membership]) -> tuple[Answer, str]:
    workspace, least = split_entry(entry)
    found = next((member for member in memberships if member.workspace.lower() == workspace.lower()), None)
    if found is None:
        return "unknown", "there is no answer"
    if found.answer != "yes":
        return found.answer, found.cause
    if found.user_uid not in (None, uid):
        return "unknown", "the answer is about another person"
    if ":" not in entry:
        return "yes", ""
    if found.role not in ROLES:
        return "unknown", "the answer names no role"
    return ("yes", "") if ROLES.index(found.role) >= ROLES.index(least) else ("no", f"the role is {found.role}")
