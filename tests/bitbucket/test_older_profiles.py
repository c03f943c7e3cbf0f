"""Profiles of the 1.0 API, of the 2.0 API as it was, and of Data Center (security rule 5)."""

from __future__ import annotations

from typing import Any

import pytest
from bitbucket.data_center_answers import NAME
from bitbucket.data_center_answers import USER as DC_USER
from oauth.values import NAMED, nested

from django_bitbucket_auth.bitbucket.profiles import (
    Email,
    Profile,
    parse_data_center,
    parse_v1,
    parse_v1_emails,
    parse_v2,
    vouches,
)
from django_bitbucket_auth.exceptions import ProfileError

V1: dict[str, Any] = {
    "username": "jdoe",
    "first_name": "Jane",
    "last_name": "Doe",
    "display_name": "Jane Doe",
    "is_team": False,
    "avatar": "https://secure.gravatar.com/avatar/6c43616e?d=identicon&s=32",
    "resource_uri": "/1.0/users/jdoe",
}
#: As it was in 2014: without `account_id`, `nickname` and `account_status`.
V2_OF_OLD = {
    "username": "jdoe",
    "website": "",
    "display_name": "Jane Doe",
    "links": {
        "self": {"href": "https://bitbucket.org/api/2.0/users/jdoe"},
        "html": {"href": "https://bitbucket.org/jdoe"},
        "avatar": {"href": "https://bitbucket.org/account/jdoe/avatar/32/"},
    },
    "created_on": "2009-03-06T20:52:41.109000+00:00",
    "location": None,
    "type": "user",
    "uuid": "{76F43B39-9405-4ca8-9464-ef5aff1ab130}",
}


def v1(body: object = None, **changes: Any) -> Profile:
    return parse_v1({"user": {**V1, **changes}} if body is None else body, provider="p", instance="bitbucket.org")


def data_center(body: object = None, *, trust: bool | tuple[str, ...] = False, **changes: Any) -> Profile:
    given = {**DC_USER, **changes} if body is None else body
    return parse_data_center(given, provider="dc", instance="git.example.com", trust_emails=trust)


def fault_of(parse: Any, changes: dict[str, Any]) -> str:
    """The member that is at fault for want of a profile; empty if there is one."""
    try:
        parse(**changes)
    except ProfileError as error:
        return error.field
    return ""


# -- 1.0 ---------------------------------------------------------------------------------------------------------------


def test_a_profile_in_the_1_0_format_has_names_but_no_id() -> None:
    assert v1() == Profile(
        provider="p",
        instance="bitbucket.org",
        uid="",
        username="jdoe",
        display_name="Jane Doe",
        given_name="Jane",
        family_name="Doe",
        avatar_url=V1["avatar"],
    )
    assert v1().raw == {"user": V1}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"display_name": None}, "Jane Doe"),
        ({"display_name": "", "last_name": ""}, "Jane"),
        ({"display_name": 7, "first_name": None, "last_name": "Doe"}, "Doe"),
        ({"display_name": None, "first_name": None, "last_name": None}, ""),
    ],
)
def test_a_display_name_is_made_of_the_names(given: dict[str, Any], shown: str) -> None:
    assert v1(**given).display_name == shown


@pytest.mark.parametrize("body", [None, [], "x", 7, {}, {"user": None}, {"user": []}, {"user": {}}, V1])
def test_what_isnt_in_the_1_0_format_is_nonsense(body: object) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_v1(body, provider="p", instance="i")
    assert caught.value.reason == "bad_answer"


@pytest.mark.parametrize("value", [True, None, "false", 1])
def test_a_team_is_no_person(value: object) -> None:
    with pytest.raises(ProfileError) as caught:
        v1(is_team=value)
    assert (caught.value.reason, caught.value.field) == ("not_a_person", "user.is_team")


@pytest.mark.parametrize("name", list(V1))
def test_any_value_of_a_1_0_profile_gives_a_profile_or_an_error(name: str) -> None:
    faults = {fault_of(v1, {name: value}) for value in NAMED.values()}
    assert faults <= {"", f"user.{name}"}
    assert "" in faults


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ([{"active": True, "email": "a@b.example", "primary": True}], (Email("a@b.example", True, False),)),
        ([{"email": "a@b.example", "primary": "true"}, {"email": "no"}, None, "x@y.example"], (Email("a@b.example"),)),
        ({"values": [{"email": "a@b.example"}]}, ()),
        (None, ()),
        ([], ()),
    ],
)
def test_addresses_of_the_1_0_api_are_a_plain_list_and_none_counts_as_confirmed(body: object, found: object) -> None:
    assert parse_v1_emails(body) == found


# -- 2.0 as it was -----------------------------------------------------------------------------------------------------


def test_a_profile_of_2014_is_read() -> None:
    assert parse_v2(V2_OF_OLD, provider="p", instance="bitbucket.org") == Profile(
        provider="p",
        instance="bitbucket.org",
        uid="{76f43b39-9405-4ca8-9464-ef5aff1ab130}",
        username="jdoe",
        display_name="Jane Doe",
        given_name="Jane",
        family_name="Doe",
        avatar_url="https://bitbucket.org/account/jdoe/avatar/32/",
        profile_url="https://bitbucket.org/jdoe",
    )


# -- Data Center -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [name for name in DC_USER if name not in ("id", "type", "active")])
def test_only_id_type_and_active_are_needed(missing: str) -> None:
    assert data_center({key: value for key, value in DC_USER.items() if key != missing}).uid == "101"


def test_a_profile_of_id_type_and_active_alone_is_enough() -> None:
    assert data_center({"id": 1, "type": "NORMAL", "active": True}) == Profile("dc", "git.example.com", "1")


@pytest.mark.parametrize(
    "number", [True, False, None, 0, -1, "101", "", "None", 1.0, 101.5, [101], {}, 2**63, float("nan")]
)
def test_an_id_is_a_positive_integer_or_there_is_no_login(number: object) -> None:
    with pytest.raises(ProfileError) as caught:
        data_center(id=number)
    assert (caught.value.field, caught.value.reason) == ("id", "no_stable_id")


@pytest.mark.parametrize("kind", ["SERVICE", "normal", "", None, 1, ["NORMAL"]])
def test_a_service_is_no_person(kind: object) -> None:
    with pytest.raises(ProfileError) as caught:
        data_center(type=kind)
    assert (caught.value.field, caught.value.reason) == ("type", "not_a_person")


@pytest.mark.parametrize("active", [False, None, "true", 1, []])
def test_only_who_is_active_may_act(active: object) -> None:
    with pytest.raises(ProfileError) as caught:
        data_center(active=active)
    assert (caught.value.field, caught.value.reason) == ("active", "inactive")


@pytest.mark.parametrize("body", [None, [], "x", 7])
def test_what_is_no_object_is_nonsense(body: object) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_data_center(body, provider="p", instance="i")
    assert caught.value.reason == "bad_answer"


@pytest.mark.parametrize("name", list(DC_USER))
def test_any_value_gives_a_profile_or_an_error(name: str) -> None:
    faults = {fault_of(data_center, {name: value}) for value in NAMED.values()}
    assert faults <= {"", name}
    assert ("" in faults) is (name != "type")


def test_any_value_as_a_link_gives_a_profile() -> None:
    assert {fault_of(data_center, {"links": {"self": value}}) for value in NAMED.values()} == {""}


def test_a_profile_that_is_nested_too_deep_is_read() -> None:
    assert data_center(links=nested()).profile_url == ""


@pytest.mark.parametrize("links", [{"self": []}, {"self": {}}, {"self": [None]}, {"self": [{"href": "http://x/"}]}])
def test_a_link_is_https_or_there_is_none(links: object) -> None:
    assert data_center(links=links, avatarUrl="javascript:alert(1)").profile_url == ""
    assert data_center(links=links, avatarUrl="/users/jane/avatar.png").avatar_url == ""


@pytest.mark.parametrize("address", [None, "", "jane", 7, "a@b c", "jane@\u2028example.com", "x" * 250 + "@b.example"])
def test_what_is_no_address_is_left_out(address: object) -> None:
    assert data_center(emailAddress=address).emails == ()


# -- whom the operator vouches for -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trust", "email"),
    [
        (False, None),
        ((), None),
        (True, "jane@example.com"),
        (("example.com",), "jane@example.com"),
        (("other.example", "EXAMPLE.com"), "jane@example.com"),
        (("com",), None),
        (("ple.com",), None),
        (("sub.example.com",), None),
        (("jane@example.com",), None),
    ],
)
def test_a_directorys_address_counts_only_where_the_operator_vouches_for_it(trust: Any, email: str | None) -> None:
    profile = data_center(trust=trust)
    assert profile.email == email
    # Nobody confirmed it, whoever vouches for it.
    assert [(one.is_primary, one.is_confirmed, one.is_trusted) for one in profile.emails] == [
        (True, False, email is not None)
    ]


@pytest.mark.parametrize("address", ["jane@example.com@attacker.example", '"jane@example.com"@attacker.example'])
def test_the_domain_is_what_stands_last(address: str) -> None:
    assert vouches(("example.com",), address) is False
    assert vouches(("attacker.example",), address) is True


def test_a_confirmed_address_needs_nobody_to_vouch_for_it() -> None:
    assert Email("a@b.example", is_confirmed=True).is_trusted
    assert not Email("a@b.example", is_primary=True).is_trusted
    assert data_center().username == NAME
