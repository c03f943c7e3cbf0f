"""What all providers have in common: the system checks, and whether the stored tokens can be read."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.checks import ERROR, CheckMessage
from django.db import DatabaseError
from django.views.decorators.debug import sensitive_variables

from ... import checks, crypto
from ...exceptions import ConfigurationError
from ...models import BitbucketToken
from ...stores import database
from .findings import Finding, Level

#: Rows that are tried: the oldest, and as many of the newest.
SAMPLE = 100


def checked() -> Iterator[Finding]:
    """What this app's system checks find; on a server (``DEBUG`` off) those of ``check --deploy``, too."""
    found = [] if settings.DEBUG else checks.check_deployment(None)
    # First, because some of them are an error on a server and a warning elsewhere: each is said once.
    found += [*checks.check_settings(None), *checks.check_project(None)]
    said = set()
    for message in found:
        if not (message.is_silenced() or message.msg in said):
            said.add(message.msg)
            yield Finding(_level(message), str(message.id), str(message.msg), str(message.hint or ""))


def _level(message: CheckMessage) -> Level:
    return "error" if message.level >= ERROR else "warning"


def keys() -> Iterator[Finding]:
    """Whether the stored tokens can be decrypted with the present keys, by some of them."""
    try:
        newest = crypto.newest()
        rows = database.all_rows()
        count, old = rows.count(), rows.exclude(sealed__startswith=newest).count()
        some = {row.pk: row for order in ("pk", "-pk") for row in rows.order_by(order)[:SAMPLE]}
        unreadable = sum(not _opens(row) for row in some.values())
    except ConfigurationError as error:
        yield Finding("error", "keys", str(error), "Correct BITBUCKET_AUTH_TOKEN_KEYS.")
        return
    except DatabaseError as error:
        yield Finding(
            "error",
            "tokens_unread",
            f"The table of tokens can't be read ({type(error).__name__}).",
            "Run manage.py migrate, and see that DATABASES is right.",
        )
        return
    if unreadable:
        yield Finding(
            "error",
            "tokens_unreadable",
            f"{unreadable} of {len(some)} stored tokens that were tried can't be decrypted (there are {count}).",
            "Put the key that they were made with behind the new one: into BITBUCKET_AUTH_TOKEN_KEYS, or, where that "
            "isn't set, SECRET_KEY_FALLBACKS. Else their people have to sign in again.",
        )
    elif old:
        yield Finding(
            "note",
            "tokens_of_older_keys",
            f"{old} of {count} stored tokens are encrypted with an older key.",
            "Keep that key until manage.py bitbucket_rotate_keys has been run.",
        )
    else:
        yield Finding("ok", "tokens", f"{len(some)} of {count} stored tokens were tried, and can be decrypted.")


@sensitive_variables()
def _opens(row: BitbucketToken) -> bool:
    # Not by `row.open()`, which writes a line about each to the log, as for a token that somebody wants.
    try:
        crypto.unseal("token column", row.key, row.sealed)
    except crypto.Unsealable:
        return False
    return True
