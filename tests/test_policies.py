"""Who may come in, by what Bitbucket said of the workspaces."""

from __future__ import annotations

from itertools import permutations

import pytest

from django_bitbucket_auth.bitbucket import Membership, Profile
from django_bitbucket_auth.exceptions import LoginRefused
from django_bitbucket_auth.policies import check_membership

JANE = Profile("default", "bitbucket.org", "{jane}")
YES = Membership("acme", "yes", "member", JANE.uid)
YES_OF_NOBODY = Membership("acme", "yes", "owner")
YES_OF_ANOTHER = Membership("delta", "yes", "owner", "{joe}")
NO = Membership("beta", "no", cause="HTTP 403")
UNKNOWN = Membership("gamma", "unknown", cause="HTTP 503")


def outcome(*memberships: Membership) -> str:
    try:
        check_membership([member.workspace for member in memberships], JANE, memberships)
    except LoginRefused as refusal:
        return refusal.reason
    return "in"


@pytest.mark.parametrize(
    ("memberships", "expected"),
    [
        ([], "in"),
        ([YES], "in"),
        ([YES_OF_NOBODY], "in"),
        ([YES, NO], "in"),
        ([YES, UNKNOWN], "in"),
        ([YES, NO, UNKNOWN], "in"),
        ([YES, YES_OF_ANOTHER], "in"),
        ([NO], "not_a_member"),
        ([NO, NO], "not_a_member"),
        ([UNKNOWN], "membership_unknown"),
        ([NO, UNKNOWN], "membership_unknown"),
        ([YES_OF_ANOTHER], "membership_unknown"),
        ([YES_OF_ANOTHER, NO], "membership_unknown"),
        ([Membership("acme", "yes", user_uid="")], "membership_unknown"),
        ([Membership("acme", "no", user_uid="{joe}")], "not_a_member"),
    ],
)
def test_one_yes_about_this_person_lets_in_and_what_is_not_known_never_does(
    memberships: list[Membership], expected: str
) -> None:
    for order in permutations(memberships):
        assert outcome(*order) == expected


def test_a_refusal_tells_the_log_why_and_the_person_nothing() -> None:
    with pytest.raises(LoginRefused) as caught:
        check_membership(["beta", "gamma", "delta", "omega"], JANE, [YES_OF_ANOTHER, UNKNOWN, NO])
    assert (
        caught.value.cause
        == "beta: HTTP 403; gamma: HTTP 503; delta: the answer is about another person; omega: there is no answer"
    )
    assert caught.value.message == ""


@pytest.mark.parametrize("memberships", [[], [YES], [YES, NO]])
def test_an_answer_that_is_missing_or_about_another_workspace_lets_nobody_in(memberships: list[Membership]) -> None:
    with pytest.raises(LoginRefused) as caught:
        check_membership(["omega"], JANE, memberships)
    assert caught.value.reason == "membership_unknown"


def test_where_nothing_is_required_everybody_comes_in() -> None:
    assert check_membership((), JANE, [NO, UNKNOWN]) is None  # type: ignore[func-returns-value]
