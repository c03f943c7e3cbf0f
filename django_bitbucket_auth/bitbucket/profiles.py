"""Profiles: from whatever Bitbucket answers to one form, or to an error that says which member is at fault.

These functions are total: any JSON value gives a ``Profile`` or a ``ProfileError``, and all texts in a profile can be
stored (no control characters, no lone surrogates, bounded).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..exceptions import BitbucketAuthError, ProfileError

_UUID = re.compile(r"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}")
_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ADDRESS = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Email:
    """An address as Bitbucket lists it. Only a confirmed one proves that the person reads its mail."""

    address: str
    is_primary: bool = False
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """A person at one Bitbucket.

    ``(instance, uid)`` is the identity: it never changes and is never given to somebody else. Everything else can
    change hands. ``given_name`` and ``family_name`` are split from ``display_name`` where Bitbucket has no such
    fields. ``raw`` is the answer as it came. ``emails_error`` says why the addresses are unknown, if they are.
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
        """The primary address if it is confirmed, else the first confirmed one, else ``None``."""
        trusted = [email for email in self.emails if email.is_confirmed]
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


def parse_emails(page: object) -> tuple[Email, ...]:
    """The addresses on one page of ``GET /2.0/user/emails``; entries that aren't addresses are left out."""
    values = page.get("values") if isinstance(page, dict) else None
    found = []
    for value in values if isinstance(values, list) else []:
        address = value.get("email") if isinstance(value, dict) else None
        if (
            isinstance(address, str)
            and len(address) <= 254
            and address == text(address)
            and _ADDRESS.fullmatch(address)
        ):
            # `is True`: "false" in a string is true.
            found.append(Email(address, value.get("is_primary") is True, value.get("is_confirmed") is True))
    return tuple(found)


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


def _link(body: Mapping[str, Any], name: str) -> str:
    """An https link of a profile, or nothing: a ``javascript:`` URL in an ``href`` would run in the site's name."""
    links = body.get("links")
    link = links.get(name) if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    if not isinstance(href, str) or len(href) > 1000 or not re.match(r"https://[^\s\x00-\x20\"'<>\\]+\Z", href):
        return ""
    return "" if _UNSTORABLE.search(href) else href
