"""Profiles: from whatever Bitbucket answers to one form, or to an error that says which member is at fault.

These functions are total: any JSON value gives a ``Profile`` or a ``ProfileError``, and all texts in a profile can be
stored (no control characters, no lone surrogates, bounded).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from ..exceptions import BitbucketAuthError, ProfileError

_UUID = re.compile(r"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}")
_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ADDRESS = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Email:
    """An address as Bitbucket lists it. Only a confirmed one proves that the person reads its mail.

    The operator may vouch for others (``TRUST_EMAILS``): those of a directory, say.
    """

    address: str
    is_primary: bool = False
    is_confirmed: bool = False
    is_vouched_for: bool = False

    @property
    def is_trusted(self) -> bool:
        """Whether it counts as the person's."""
        return self.is_confirmed or self.is_vouched_for


@dataclass(frozen=True, slots=True)
class Profile:
    """A person at one Bitbucket.

    ``(instance, uid)`` is the identity: it never changes and is never given to somebody else. Everything else can
    change hands. A profile in the 1.0 format has no ``uid``, so it identifies nobody. ``given_name`` and
    ``family_name`` are split from ``display_name`` where Bitbucket has no such fields. ``raw`` is the answer as it
    came. ``emails_error`` says why the addresses are unknown, if they are.
    """

    provider: str
    instance: str
    uid: str
    account_id: str | None = None
    username: str = ""
    nickname: str = ""
    display_name: str = ""
    given_name: str = ""
    family_name: str = ""
    emails: tuple[Email, ...] = ()
    avatar_url: str = ""
    profile_url: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    emails_error: BitbucketAuthError | None = field(default=None, repr=False, compare=False)

    @property
    def email(self) -> str | None:
        """The primary address if it is trusted, else the first trusted one, else ``None``."""
        trusted = [email for email in self.emails if email.is_trusted]
        return next((email.address for email in trusted if email.is_primary), trusted[0].address if trusted else None)


def parse_v2(
    body: object,
    *,
    provider: str,
    instance: str,
    emails: tuple[Email, ...] = (),
    emails_error: BitbucketAuthError | None = None,
) -> Profile:
    """The profile in the answer of ``GET /2.0/user``.

    Raises:
        ProfileError: this is no person (``not_a_person``: access tokens and app users present themselves as users),
            nobody who may act (``inactive``), or has no stable id (``no_stable_id``).
    """
    if not isinstance(body, dict):
        raise ProfileError("the profile isn't a JSON object", "", reason="bad_answer")
    if body.get("type") != "user":
        raise ProfileError(f"the profile is of the type {_shown(body.get('type'))}", "type", reason="not_a_person")
    if "account_status" in body and body["account_status"] != "active":
        status = _shown(body["account_status"])
        raise ProfileError(f"the account's status is {status}", "account_status", reason="inactive")
    uuid = body.get("uuid")
    uid = uuid.lower() if isinstance(uuid, str) else ""
    if not _UUID.fullmatch(uid):
        raise ProfileError("the profile has no uuid", "uuid")
    display_name = text(body.get("display_name"))
    given_name, family_name = split_name(display_name)
    account_id = body.get("account_id")
    return Profile(
        provider=provider,
        instance=instance,
        uid=uid,
        # Whole or not at all: an id that is tidied up may be somebody else's.
        account_id=account_id if account_id and account_id == text(account_id, 128) else None,
        username=text(body.get("username")),
        nickname=text(body.get("nickname")),
        display_name=display_name,
        given_name=given_name,
        family_name=family_name,
        emails=emails,
        avatar_url=_link(body, "avatar"),
        profile_url=_link(body, "html"),
        raw=body,
        emails_error=emails_error,
    )


def parse_v1(
    body: object,
    *,
    provider: str,
    instance: str,
    emails: tuple[Email, ...] = (),
    emails_error: BitbucketAuthError | None = None,
) -> Profile:
    """The profile in the answer of ``GET /1.0/user/``. It has no id: its ``uid`` is empty.

    Raises:
        ProfileError: this is no person (``not_a_person``: a team), or not in this format.
    """
    user = body.get("user") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(user, dict):
        raise ProfileError("the profile isn't in the 1.0 format", "user", reason="bad_answer")
    username = text(user.get("username"))
    if not username:
        raise ProfileError("the profile has no username", "user.username", reason="bad_answer")
    if user.get("is_team", False) is not False:
        raise ProfileError("the profile is a team's", "user.is_team", reason="not_a_person")
    given_name, family_name = text(user.get("first_name")), text(user.get("last_name"))
    return Profile(
        provider=provider,
        instance=instance,
        uid="",
        username=username,
        display_name=text(user.get("display_name")) or f"{given_name} {family_name}".strip(),
        given_name=given_name,
        family_name=family_name,
        emails=emails,
        avatar_url=_https(user.get("avatar")),
        raw=body,
        emails_error=emails_error,
    )


def parse_data_center(
    body: object,
    *,
    provider: str,
    instance: str,
    fetch_emails: bool = True,
    trust_emails: bool | tuple[str, ...] = False,
) -> Profile:
    """The profile in a user of ``GET /rest/api/latest/users`` (Bitbucket Data Center REST, "RestApplicationUser").

    Its ``id`` is unique within one instance. Its address is what the directory says, which Bitbucket never confirms:
    ``trust_emails`` says whether the operator does, for all or for those of some domains.

    Raises:
        ProfileError: this is no person (``not_a_person``: a service), nobody who may act (``inactive``), or has no
            stable id (``no_stable_id``).
    """
    if not isinstance(body, dict):
        raise ProfileError("the profile isn't a JSON object", "", reason="bad_answer")
    if body.get("type") != "NORMAL":
        raise ProfileError(f"the profile is of the type {_shown(body.get('type'))}", "type", reason="not_a_person")
    if body.get("active") is not True:
        raise ProfileError("the account isn't active", "active", reason="inactive")
    number = body.get("id")
    # `True` is an `int`, and the same one for everybody.
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**63:
        raise ProfileError("the profile has no id", "id")
    display_name = text(body.get("displayName"))
    given_name, family_name = split_name(display_name)
    links = body.get("links")
    own = links.get("self") if isinstance(links, dict) else None
    first = own[0] if isinstance(own, list) and own else None
    address = body.get("emailAddress") if fetch_emails else None
    return Profile(
        provider=provider,
        instance=instance,
        uid=str(number),
        username=text(body.get("name")),
        display_name=display_name,
        given_name=given_name,
        family_name=family_name,
        emails=(Email(address, True, False, vouches(trust_emails, address)),) if _is_address(address) else (),
        avatar_url=_https(body.get("avatarUrl")),
        profile_url=_https(first.get("href") if isinstance(first, dict) else None),
        raw=body,
    )


def vouches(trust: bool | tuple[str, ...], address: object) -> bool:
    """Whether the operator vouches for an address: for all, or for those of exactly these domains."""
    if isinstance(trust, bool):
        return trust
    domain = str(address).rpartition("@")[2].lower()
    return domain in {name.lower() for name in trust}


def parse_emails(page: object) -> tuple[Email, ...]:
    """The addresses on one page of ``GET /2.0/user/emails``; entries that aren't addresses are left out."""
    values = page.get("values") if isinstance(page, dict) else None
    # `is True`: "false" in a string is true.
    return tuple(
        Email(value["email"], value.get("is_primary") is True, value.get("is_confirmed") is True)
        for value in (values if isinstance(values, list) else ())
        if isinstance(value, dict) and _is_address(value.get("email"))
    )


def parse_v1_emails(values: object) -> tuple[Email, ...]:
    """The addresses in a plain list of the 1.0 API. It doesn't say which are confirmed, so none counts as that."""
    return tuple(
        Email(value["email"], value.get("primary") is True)
        for value in (values if isinstance(values, list) else ())
        if isinstance(value, dict) and _is_address(value.get("email"))
    )


def split_name(display_name: str) -> tuple[str, str]:
    """Given and family name as far as a display name tells: the first word, and the others."""
    given_name, _, family_name = display_name.partition(" ")
    return given_name, family_name


def text(value: object, limit: int = 255) -> str:
    """A text that every database stores: one line, no lone surrogates, at most ``limit`` characters."""
    if not isinstance(value, str):
        return ""
    return " ".join(_UNSTORABLE.sub(" ", value).split())[:limit].rstrip()


def _shown(value: object) -> str:
    """A value for a message: a text cut short, of anything else (which may be nested too deep to print) its type."""
    return repr(value[:40]) if isinstance(value, str) else type(value).__name__


def _is_address(value: object) -> TypeGuard[str]:
    return (
        isinstance(value, str) and len(value) <= 254 and value == text(value) and _ADDRESS.fullmatch(value) is not None
    )


def _link(body: Mapping[str, Any], name: str) -> str:
    links = body.get("links")
    link = links.get(name) if isinstance(links, dict) else None
    return _https(link.get("href") if isinstance(link, dict) else None)


def _https(url: object) -> str:
    """An https link of a profile, or nothing: a ``javascript:`` URL in an ``href`` would run in the site's name."""
    if not isinstance(url, str) or len(url) > 1000 or not re.match(r"https://[^\s\x00-\x20\"'<>\\]+\Z", url):
        return ""
    return "" if _UNSTORABLE.search(url) else url
