"""Bitbucket Cloud: of what somebody is a member."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from bitbucket.answers import ACME, API, EMAIL, JANE, MEMBERSHIP, TOKEN, USER, cloud, error, page, permission_url
from oauth.loopback import Exchange, Loopback, reply
from oauth.values import NAMED, NAMES
from responses import RequestsMock

from django_bitbucket_auth.bitbucket import Membership
from django_bitbucket_auth.bitbucket.cloud import read_membership
from django_bitbucket_auth.exceptions import ForeignURL


def member(**changes: Any) -> dict[str, Any]:
    return {**MEMBERSHIP, **changes}


def asked(bitbucket: RequestsMock, workspace: str = ACME, **answer: Any) -> Membership:
    bitbucket.get(permission_url(workspace), **answer)
    (found,) = cloud().fetch_memberships(TOKEN, (workspace,))
    return found


def test_a_member_is_a_member(bitbucket: RequestsMock) -> None:
    assert asked(bitbucket, json=MEMBERSHIP) == Membership(ACME, "yes", "member", JANE)
    assert bitbucket.calls[0].request.url == f"{API}/2.0/user/workspaces/%7B{ACME[1:-1]}%7D/permission"
    assert bitbucket.calls[0].request.headers["Authorization"] == "Bearer canary-token"


def test_a_workspace_may_be_named_by_its_slug(bitbucket: RequestsMock) -> None:
    assert asked(bitbucket, "acme", json=MEMBERSHIP).answer == "yes"


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("body", ["", "<html>", json.dumps(error("The requesting user does not have access."))])
def test_403_and_404_are_a_no(bitbucket: RequestsMock, status: int, body: str) -> None:
    found = asked(bitbucket, body=body, status=status)
    assert found.answer == "no"
    assert f"HTTP {status}" in found.cause


@pytest.mark.parametrize("status", [302, 307, 400, 401, 402, 405, 408, 409, 410, 418, 429, 500, 502, 503, 504])
def test_every_other_status_is_unknown(bitbucket: RequestsMock, status: int) -> None:
    found = asked(bitbucket, json=MEMBERSHIP, status=status, headers={"Location": permission_url(ACME)})
    assert found.answer == "unknown"
    assert str(status) in found.cause
    assert "canary" not in found.cause


def test_a_403_for_want_of_a_scope_is_no_answer(bitbucket: RequestsMock) -> None:
    body = error("Your credentials lack one or more required privilege scopes.", detail={"required": ["account"]})
    found = asked(bitbucket, json=body, status=403)
    assert found.answer == "unknown"
    assert "required: account" in found.cause


@pytest.mark.parametrize("body", ["", "<html>", "null", "[]", "{}", '"yes"', "true", "x" * (1024**2 + 1)], ids=range(8))
def test_a_200_without_a_membership_is_unknown(bitbucket: RequestsMock, body: str) -> None:
    assert asked(bitbucket, body=body).answer == "unknown"


def test_a_fault_of_the_network_is_unknown() -> None:
    with Loopback(lambda _: None) as server:
        (found,) = cloud(api_url=server.url).fetch_memberships(TOKEN, (ACME,))
        assert (found.answer, found.cause.startswith(f"no answer from {server.url}")) == ("unknown", True)


@pytest.mark.parametrize("workspace", ["..", ".", "a/b", "../../user", "a\\b", "%2e%2e"])
def test_a_workspace_can_not_lead_to_another_endpoint(bitbucket: RequestsMock, workspace: str) -> None:
    """Settings refuse such names; a subclass might not."""
    with pytest.raises(ForeignURL):
        cloud().fetch_memberships(TOKEN, (workspace,))
    assert len(bitbucket.calls) == 0


def test_each_workspace_is_asked_in_order_and_at_the_same_time() -> None:
    meeting = threading.Barrier(3)

    def script(exchange: Exchange) -> bytes:
        meeting.wait(5)
        if "beta" in exchange.request.target:
            return reply(404)
        slug = exchange.request.target.split("/")[4]
        return reply(body=json.dumps(member(workspace={"slug": slug, "uuid": ACME})))

    with Loopback(script) as server:
        found = cloud(api_url=server.url).fetch_memberships(TOKEN, ("acme", "beta", "gamma"))
    assert [(one.workspace, one.answer) for one in found] == [("acme", "yes"), ("beta", "no"), ("gamma", "yes")]


def test_no_workspaces_are_no_requests(bitbucket: RequestsMock) -> None:
    assert cloud().fetch_memberships(TOKEN, ()) == ()
    assert len(bitbucket.calls) == 0


def test_profile_addresses_and_memberships_are_one_wave() -> None:
    meeting = threading.Barrier(4)

    def script(exchange: Exchange) -> bytes:
        meeting.wait(5)
        target = exchange.request.target
        if target.endswith("/permission"):
            return reply(body=json.dumps(member(workspace={"slug": target.split("/")[4]})))
        return reply(body=json.dumps(USER if target == "/2.0/user" else page(EMAIL)))

    with Loopback(script) as server:
        for _ in range(2):
            profile, found = cloud(api_url=server.url).fetch_identity(TOKEN, ("acme", "beta"))
            assert (profile.email, [one.answer for one in found]) == ("user@example.org", ["yes", "yes"])
        assert (len(server.requests), server.connections) == (8, 4)


# -- what an answer proves ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["member", "create-project", "owner"])
def test_these_roles_make_a_member(role: str) -> None:
    assert read_membership(ACME, member(permission=role)) == Membership(ACME, "yes", role, JANE)


def test_a_membership_need_not_tell_the_role() -> None:
    """The schema lists only user, workspace and links."""
    body = {name: value for name, value in MEMBERSHIP.items() if name != "permission"}
    assert read_membership(ACME, body) == Membership(ACME, "yes", "", JANE)
    assert read_membership(ACME, member(permission=None)).answer == "yes"


@pytest.mark.parametrize(
    "role", ["collaborator", "Owner", "owner ", "none", "", "admin", 0, 1, True, False, ["owner"], {}]
)
def test_another_role_is_unknown(role: Any) -> None:
    found = read_membership(ACME, member(permission=role))
    assert (found.answer, found.role) == ("unknown", "")
    assert "unknown role" in found.cause


@pytest.mark.parametrize(
    "workspace",
    [
        {"uuid": JANE, "slug": "acme", "name": "Acme"},
        {"uuid": ACME[1:-1], "slug": "acme"},
        {"uuid": None},
        {"uuid": [ACME]},
        {"uuid": {ACME: 1}},
        {"uuid": True},
        {"slug": "acme", "name": ACME},
        {"name": ACME, "slug": ACME},
        {},
        None,
        ACME,
        [ACME],
        True,
    ],
)
def test_a_uuid_is_proved_by_the_same_uuid_only(workspace: Any) -> None:
    """Anybody can choose the name, and a slug can be given up and taken over."""
    found = read_membership(ACME, member(workspace=workspace))
    assert (found.answer, found.cause) == ("unknown", "the answer is about another workspace's uuid")


@pytest.mark.parametrize(
    "workspace",
    [
        {"slug": "acme2"},
        {"slug": "acm"},
        {"slug": ""},
        {"name": "acme"},
        {"uuid": "acme"},
        {"slug": None},
        {},
        None,
        "acme",
    ],
)
def test_a_slug_is_proved_by_the_same_slug_only(workspace: Any) -> None:
    found = read_membership("acme", member(workspace=workspace))
    assert (found.answer, found.cause) == ("unknown", "the answer is about another workspace's slug")


@pytest.mark.parametrize("slug", ["none", "null", "true", "nan"])
@pytest.mark.parametrize("value", [None, True, False, float("nan"), 0])
def test_a_slug_is_not_proved_by_what_is_no_text(slug: str, value: Any) -> None:
    assert read_membership(slug, member(workspace={"slug": value})).answer == "unknown"


def test_case_makes_no_other_workspace() -> None:
    assert read_membership(ACME.upper(), MEMBERSHIP).answer == "yes"
    assert read_membership(ACME, member(workspace={"uuid": ACME.upper()})).answer == "yes"
    assert read_membership("Acme", MEMBERSHIP).answer == "yes"


@pytest.mark.parametrize(
    ("user", "uid"),
    [
        ({"uuid": JANE}, JANE),
        ({"uuid": JANE.upper()}, JANE),
        ({"uuid": ACME}, ACME),
        ({"uuid": ""}, ""),
        ({"uuid": 7}, ""),
        ({"uuid": [JANE]}, ""),
        ({"uuid": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_answer_tells_whom_it_is_about(user: Any, uid: str | None) -> None:
    assert read_membership(ACME, member(user=user)).user_uid == uid


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["permission", "user", "workspace", "uuid", "user-uuid"])
def test_any_json_value_anywhere_in_a_membership_is_an_answer(place: str, name: str) -> None:
    value = NAMED[name]
    body = member(
        **{
            "uuid": {"workspace": {"uuid": value}},
            "user-uuid": {"user": {"uuid": value}},
        }.get(place, {place: value})
    )
    found = read_membership(ACME, body)
    proved = place in ("user", "user-uuid") or (place == "permission" and value is None)
    assert found.answer == ("yes" if proved else "unknown")
    assert f"{found.role}{found.cause}".isprintable()
    if place == "user-uuid" and value is not None:
        assert found.user_uid != JANE
