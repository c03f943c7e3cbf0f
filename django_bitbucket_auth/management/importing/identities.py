"""Who a row of another package stands for: by ids that never change hands, or not at all.

A row has a key, by which the package found its user, and, with luck, the profile that Bitbucket answered at the last
sign-in. The key says what the row is about; the profile proves what kind of key it is, and brings the other id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...bitbucket.profiles import text
from ...models import BitbucketAccount
from ...oauth import urls

_UUID = re.compile(r"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}")
#: The form of an account id that no user name can have: of letters, digits, "-" and "_". Others look like names.
_ACCOUNT_ID = re.compile(r"[0-9]{1,10}:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_MOST = 128 - len(BitbucketAccount.placeholder_uid(""))

NO_ID = "has no stable id"
BY_NAME = "is keyed by a user name, which --usernames takes for these ids"
CONTRADICTION = "has ids that contradict each other"
NO_PERSON = "is no person's"
UNPLACED = "doesn't say at which Bitbucket it is, and numbers are counted from 1 by each"
ELSEWHERE = "is of another address than this Bitbucket's"


class Unidentified(Exception):
    """Nobody can say who this is; the text says why, and follows "it"."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A person at one Bitbucket. One of ``uid`` and ``account_id`` may be unknown: then it is ``None``."""

    uid: str | None
    account_id: str | None = None
    username: str = ""
    display_name: str = ""
    email: str = ""

    @property
    def stored_uid(self) -> str:
        """The ``uid`` of the account's row."""
        return self.uid or BitbucketAccount.placeholder_uid(self.account_id or "")

    def __str__(self) -> str:
        name = self.display_name or self.username
        return f"{self.uid or self.account_id}{f' ({name})' if name else ''}"


def of_cloud(key: str, profile: Mapping[str, Any], *, usernames: bool) -> Identity:
    """Who a row of Bitbucket Cloud is about.

    A key that is a user name proves nothing by itself: whoever takes over a name that is free would be taken over as
    its former owner. Its profile, if it has both ids, is of the one who signed in last by it; whether that was still
    the owner, the operator has to know, and says so by ``usernames``.

    Raises:
        Unidentified: nobody, as far as can be proved.
    """
    if profile.get("type", "user") != "user":
        raise Unidentified(NO_PERSON)
    uuid = profile.get("uuid")
    uid = uuid.lower() if isinstance(uuid, str) and _UUID.fullmatch(uuid.lower()) else None
    account_id = profile.get("account_id")
    if not account_id or account_id != text(account_id, _MOST):
        account_id = None
    names = {"username": text(profile.get("username")), "display_name": text(profile.get("display_name"))}
    if _UUID.fullmatch(key.lower()):
        if uid not in (None, key.lower()):
            raise Unidentified(CONTRADICTION)
        return Identity(key.lower(), account_id, **names)
    if account_id == key or (account_id is None and _ACCOUNT_ID.fullmatch(key)):
        return Identity(uid, key, **names)
    if key != profile.get("username"):
        raise Unidentified(CONTRADICTION if _ACCOUNT_ID.fullmatch(key) else NO_ID)
    if not uid or not account_id:
        raise Unidentified(NO_ID)
    if not usernames:
        raise Unidentified(BY_NAME)
    return Identity(uid, account_id, **names)


def of_data_center(key: str, profile: Mapping[str, Any], *, addresses: tuple[str, ...]) -> Identity:
    """Who a row of a Data Center is about, which lies, or has lain, at one of ``addresses``.

    Its ids are numbers that each installation counts from 1: the address in the profile tells them apart.

    Raises:
        Unidentified: nobody, as far as can be proved.
    """
    if profile.get("type", "NORMAL") != "NORMAL":
        raise Unidentified(NO_PERSON)
    if not _NUMBER.fullmatch(key) or int(key) >= 2**63:
        raise Unidentified(NO_ID)
    if str(profile.get("id", key)) != key:
        raise Unidentified(CONTRADICTION)
    place = profile.get("url")
    if not place:
        raise Unidentified(UNPLACED)
    if not any(urls.within(str(place), address) for address in addresses):
        raise Unidentified(ELSEWHERE)
    return Identity(
        key,
        None,
        # Both are what a sign-in recognises the person by.
        username=text(profile.get("name")),
        email=text(profile.get("email"), 254),
        display_name=text(profile.get("display_name")),
    )
