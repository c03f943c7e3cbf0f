"""Profiles are read whole, or refused with the member that is at fault."""

from __future__ import annotations

import math
from typing import Any

import pytest
from bitbucket.answers import EMAIL, JANE, USER
from oauth.values import NAMED, NAMES, nested

from django_bitbucket_auth.bitbucket.profiles import Email, Profile, parse_emails, parse_v2, split_name, text
from django_bitbucket_auth.exceptions import ProfileError, RateLimited


def read(body: object = None, **changes: Any) -> Profile:
    return parse_v2({**USER, **changes} if body is None else body, provider="default", instance="bitbucket.org")


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in USER.items() if key != name}


def test_a_profile_of_2026_is_read() -> None:
    assert read() == Profile(
        provider="default",
        instance="bitbucket.org",
        uid=JANE,
        account_id="5c65ffffffffffffffffffff",
        username="jdoe",
        nickname="Jane",
        display_name="Jane Doe",
        given_name="Jane",
        family_name="Doe",
        avatar_url="https://avatar-management--avatars.us-west-2.prod.public.atl-paas.net/5c65/128",
        profile_url="https://bitbucket.org/%7B768f0000-0000-0000-0000-00000000000a%7D/",
    )
    assert read().raw == USER
    assert read().emails_error is None
    assert read().email is None


def test_what_came_with_the_addresses_is_in_the_profile() -> None:
    emails, error = (Email("a@b.example", True, True),), RateLimited("x")
    profile = parse_v2(USER, provider="p", instance="i", emails=emails, emails_error=error)
    assert (profile.provider, profile.instance, profile.emails, profile.emails_error) == ("p", "i", emails, error)
    assert profile.email == "a@b.example"


def test_the_answer_as_it_came_is_not_in_the_repr() -> None:
    assert "has_2fa_enabled" not in repr(read())


@pytest.mark.parametrize("missing", [name for name in USER if name not in ("type", "uuid")])
def test_only_type_and_uuid_are_needed(missing: str) -> None:
    """The user name went in 2019, to the KeyErrors of half the libraries (bitbucket.md 10)."""
    assert read(without(missing)).uid == JANE


def test_a_profile_of_type_and_uuid_alone_is_enough() -> None:
    profile = read({"type": "user", "uuid": JANE})
    assert (profile.account_id, profile.username, profile.display_name, profile.avatar_url) == (None, "", "", "")


# -- the identity ------------------------------------------------------------------------------------------------------


def test_the_uuid_is_kept_in_lower_case_with_its_braces() -> None:
    assert read(uuid=JANE.upper()).uid == JANE


@pytest.mark.parametrize(
    "uuid",
    [
        None, "", "None", "null", 0, False, True, 7, [], [JANE], {}, JANE[1:-1], f" {JANE}", f"{JANE}\n", JANE + JANE,
        JANE[:-2] + "}", JANE.replace("a", "g"), JANE.replace("a", "\uff41"), "{}", "{None}", "jdoe", "\x00", "\ud800",
    ],
)  # fmt: skip
def test_without_a_uuid_there_is_no_identity(uuid: Any) -> None:
    """A missing id that became the string "None" was shared by all (social-core < 6.1.1)."""
    with pytest.raises(ProfileError) as caught:
        read(uuid=uuid)
    assert (caught.value.reason, caught.value.field) == ("no_stable_id", "uuid")


def test_an_absent_uuid_is_no_identity_whatever_else_there_is() -> None:
    with pytest.raises(ProfileError) as caught:
        read(without("uuid"))
    assert caught.value.reason == "no_stable_id"


def test_a_changed_name_address_or_nickname_changes_no_identity() -> None:
    changed = read(username="other", nickname="Other", display_name="Some Body", account_id="x")
    assert (changed.instance, changed.uid) == (read().instance, read().uid)


def test_a_recycled_user_name_is_somebody_elses_identity() -> None:
    assert read(uuid=JANE.replace("a", "b")).uid != read().uid
    assert read(uuid=JANE.replace("a", "b")).username == read().username


@pytest.mark.parametrize(
    "account_id", ["5c65ffffffffffffffffffff", "557058:c0b72ad0-1cb5-4018-9cdc-0cde8492c443", "x" * 128]
)
def test_an_account_id_is_kept_as_it_is(account_id: str) -> None:
    assert read(account_id=account_id).account_id == account_id


@pytest.mark.parametrize(
    "account_id",
    [None, "", " ", 0, 7, True, [], ["x"], {"x": 1}, "x" * 129, "557058:a\n", " 557058:a", "5570\x0058:a", "a\ud800"],
)  # fmt: skip
def test_an_account_id_is_never_tidied_up_into_somebody_elses(account_id: Any) -> None:
    assert read(account_id=account_id).account_id is None


# -- who is a person ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["app_user", "team", "workspace", "User", "user ", "", None, 1, True, ["user"], {}])
def test_only_a_user_is_a_person(kind: Any) -> None:
    """Access tokens of workspaces, projects and repositories present themselves as users, apps as ``app_user``."""
    with pytest.raises(ProfileError) as caught:
        read(type=kind)
    assert (caught.value.reason, caught.value.field) == ("not_a_person", "type")


def test_what_does_not_say_its_type_is_no_person() -> None:
    with pytest.raises(ProfileError) as caught:
        read(without("type"))
    assert caught.value.reason == "not_a_person"


@pytest.mark.parametrize("status", ["inactive", "closed", "Active", "active ", "", None, True, 1, ["active"], {}])
def test_an_account_that_is_not_active_is_refused(status: Any) -> None:
    with pytest.raises(ProfileError) as caught:
        read(account_status=status)
    assert (caught.value.reason, caught.value.field) == ("inactive", "account_status")


def test_an_account_that_does_not_say_its_status_is_active() -> None:
    assert read(without("account_status")).uid == JANE


def test_the_message_tells_the_value_on_one_short_line() -> None:
    with pytest.raises(ProfileError, match=r"^the profile is of the type 'app_user'$"):
        read(type="app_user")
    with pytest.raises(ProfileError) as caught:
        read(account_status="a\r\nforged log line\ud800" + "x" * 1000)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 100
    assert str(caught.value).encode()


# -- any JSON value ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_any_json_value_for_a_profile_is_a_profile_error(name: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read([None] if NAMED[name] is None else NAMED[name])
    assert caught.value.reason in ("bad_answer", "not_a_person")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("member", [*USER, "kind", "location", "website"])
def test_any_value_in_any_member_gives_a_storable_profile_or_a_profile_error(member: str, name: str) -> None:
    try:
        profile = read({**USER, member: NAMED[name]})
    except ProfileError as error:
        told: tuple[str | None, ...] = (str(error),)
    else:
        told = (
            profile.uid, profile.account_id, profile.username, profile.nickname, profile.display_name,
            profile.given_name, profile.family_name, profile.avatar_url, profile.profile_url,
        )  # fmt: skip
    for value in filter(None, told):
        assert_storable(value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["avatar", "html", "href"])
def test_any_value_in_the_links_gives_a_link_or_none(place: str, name: str) -> None:
    links = {"avatar": {"href": NAMED[name]}} if place == "href" else {place: NAMED[name]}
    profile = read(links=links)
    assert (profile.avatar_url, profile.profile_url) == ("", "")


def assert_storable(value: str) -> None:
    assert len(value) <= 1000
    assert value.encode()
    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in value)


@pytest.mark.parametrize("depth", [10, 500, 990, 1000, 5000, 200_000])
def test_what_is_nested_too_deep_to_print_is_refused_by_its_type(depth: int) -> None:
    value = nested(depth)
    for member in ("type", "account_status"):
        with pytest.raises(ProfileError, match="list"):
            read({**USER, member: value})
    assert read(display_name=value).display_name == ""


# -- texts and links ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("Jane Doe", "Jane Doe"),
        ("  Jane \t\n Doe ", "Jane Doe"),
        ("Jane\x00Doe", "Jane Doe"),
        ("Jane\ud800Doe\udfff", "Jane Doe"),
        ("Jane\u2028Doe\u2029\x85\x9f", "Jane Doe"),
        ("Jane\x1b[31mDoe", "Jane [31mDoe"),
        ("\x00\x01", ""),
        ("Ján \U0001f600 \U0001d49f", "Ján \U0001f600 \U0001d49f"),
        ("x" * 300, "x" * 255),
        ("x" * 254 + " y", "x" * 254),
        (None, ""),
        (7, ""),
        (True, ""),
        (math.nan, ""),
        (["Jane"], ""),
    ],
)
def test_a_text_is_one_line_that_every_database_stores(value: object, stored: str) -> None:
    assert text(value) == stored


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Jane Doe", ("Jane", "Doe")),
        ("Jane van der Doe", ("Jane", "van der Doe")),
        ("Jane", ("Jane", "")),
        ("", ("", "")),
    ],
)
def test_a_name_is_split_at_its_first_space(name: str, parts: tuple[str, str]) -> None:
    assert split_name(name) == parts


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "http://bitbucket.org/x", "//bitbucket.org/x",
        "/x", "", " https://bitbucket.org/", "https://bitbucket.org/ x", "https://bitbucket.org/\n", "https://",
        "https://bitbucket.org/\x00", "https://bitbucket.org/\"onerror='x'", "https://bitbucket.org/<script>",
        "https://bitbucket.org\\@evil.example", "https://bitbucket.org/\ud800", "https://bitbucket.org/\x85",
        "https://bitbucket.org/\u2028", "https://bitbucket.org/" + "x" * 1000, "xhttps://bitbucket.org/",
    ],
)  # fmt: skip
def test_a_link_that_is_not_plain_https_is_left_out(href: str) -> None:
    profile = read(links={"avatar": {"href": href}, "html": {"href": href}})
    assert (profile.avatar_url, profile.profile_url) == ("", "")


def test_a_link_of_a_thousand_characters_is_kept() -> None:
    href = "https://bitbucket.org/".ljust(1000, "x")
    assert read(links={"avatar": {"href": href}}).avatar_url == href


# -- addresses ---------------------------------------------------------------------------------------------------------


def test_a_page_of_addresses_is_read() -> None:
    body = {"pagelen": 10, "values": [EMAIL, {**EMAIL, "email": "b@c.example", "is_primary": False}], "page": 1}
    assert parse_emails(body) == (Email("user@example.org", True, True), Email("b@c.example", False, True))


@pytest.mark.parametrize("value", [1, "true", "True", "false", "yes", [True], {"a": 1}, None, 0, "", False])
def test_only_true_itself_confirms_an_address(value: Any) -> None:
    """ "false" in a string is true."""
    (email,) = parse_emails({"values": [{**EMAIL, "is_confirmed": value, "is_primary": value}]})
    assert (email.is_confirmed, email.is_primary) == (False, False)


def test_an_address_that_does_not_say_so_is_not_confirmed() -> None:
    assert parse_emails({"values": [{"email": "a@b.example"}]}) == (Email("a@b.example", False, False),)


@pytest.mark.parametrize(
    "address",
    [
        None, "", "jane", "@", "a@", "@b.example", "a@b@c.example", "a b@c.example", " a@b.example", "a@b.example\n",
        "a@b.example\x00", "a\ud800@b.example", "a@b.example\u2028", "a@b.exa\x85mple", "a\r\nBcc: x@y.example",
        "@b.example".rjust(255, "x"), 7, True, [EMAIL["email"]], {"a@b.example": 1},
    ],
    ids=range(20),
)  # fmt: skip
def test_what_is_no_address_is_left_out(address: Any) -> None:
    assert parse_emails({"values": [{**EMAIL, "email": address}, EMAIL]}) == (Email("user@example.org", True, True),)


def test_an_address_of_254_characters_is_kept() -> None:
    address = "@b.example".rjust(254, "x")
    assert parse_emails({"values": [{"email": address}]}) == (Email(address),)


@pytest.mark.parametrize("name", NAMES)
def test_any_json_value_for_a_page_of_addresses_has_none(name: str) -> None:
    value = NAMED[name]
    assert parse_emails(value) == ()
    assert parse_emails({"values": value}) == ()
    assert parse_emails({"values": [value]}) == ()
    assert len(parse_emails({"values": [{"email": "a@b.example", "is_confirmed": value, "is_primary": value}]})) == 1


@pytest.mark.parametrize(
    ("emails", "trusted"),
    [
        ([("a", True, True)], "a"),
        ([("a", False, True), ("b", True, True)], "b"),
        ([("a", False, True), ("b", False, True)], "a"),
        ([("a", True, False), ("b", False, True)], "b"),
        ([("a", True, False), ("b", False, False)], None),
        ([("a", False, False), ("b", False, True), ("c", True, True)], "c"),
        ([], None),
    ],
)
def test_only_a_confirmed_address_counts_and_the_primary_first(
    emails: list[tuple[str, bool, bool]], trusted: str | None
) -> None:
    profile = Profile("p", "i", JANE, emails=tuple(Email(*email) for email in emails))
    assert profile.email == trusted
