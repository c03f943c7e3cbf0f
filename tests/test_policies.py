"""Who may come in, by what Bitbucket said of the workspaces."""

from __future__ import annotations

from itertools import permutations

import pytest

from django_bitbucket_auth import validators
from django_bitbucket_auth.bitbucket import Membership, Profile, cloud
from django_bitbucket_auth.exceptions import LoginRefused
from django_bitbucket_auth.policies import check_membership, groups_for

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


def test_workspaces_are_told_apart_by_more_than_case() -> None:
    assert check_membership(["ACME"], JANE, [YES]) is None  # type: ignore[func-returns-value]


# -- groups ------------------------------------------------------------------------------------------------------------


def test_the_roles_are_those_that_make_a_member() -> None:
    assert validators.ROLES == cloud.ROLES


def of(role: str) -> Membership:
    return Membership("acme", "yes", role, JANE.uid)


@pytest.mark.parametrize(
    ("role", "groups"),
    [
        ("member", {"all", "members"}),
        ("create-project", {"all", "members", "makers"}),
        ("owner", {"all", "members", "makers", "owners"}),
    ],
)
def test_a_role_has_what_lower_roles_have(role: str, groups: set[str]) -> None:
    wanted = {
        "all": ("acme",),
        "members": ("acme:member",),
        "makers": ("acme:create-project",),
        "owners": ("acme:owner", "beta:owner"),
    }
    assert groups_for(wanted, JANE, [of(role), NO]) == groups


@pytest.mark.parametrize("found", [UNKNOWN, YES_OF_ANOTHER, Membership("omega", "yes", "", JANE.uid), None])
def test_a_group_that_is_not_known_refuses_even_whoever_is_a_member(found: Membership | None) -> None:
    name = found.workspace if found else "nowhere"
    with pytest.raises(LoginRefused) as caught:
        groups_for({"all": ("acme",), "some": (f"{name}:member", "beta")}, JANE, [YES, NO, *([found] if found else [])])
    assert caught.value.reason == "membership_unknown"
    assert caught.value.cause.startswith("the group 'some': ")


def test_one_workspace_that_says_yes_is_enough_for_a_group() -> None:
    assert groups_for({"some": ("gamma", "acme", "beta")}, JANE, [YES, NO, UNKNOWN]) == {"some"}


def test_no_groups_need_no_answers() -> None:
    assert groups_for({}, JANE, [UNKNOWN]) == frozenset()
