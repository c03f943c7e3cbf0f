"""``manage.py bitbucket_rotate_keys``: encrypt what is stored with the newest key, so that the old ones can go."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from django_bitbucket_auth import crypto
from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.management.progress import Progress
from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.stores import database


class Command(BaseCommand):
    """Goes through the table once, in batches. What is done is passed over, so it can be stopped and run again."""

    help = "Encrypt the stored tokens anew, with the newest of the keys. May be stopped and run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=500, help="rows of one transaction; default: 500")
        parser.add_argument("--dry-run", action="store_true", help="only count what would be done")

    def handle(self, *args: Any, batch: int, dry_run: bool, **options: Any) -> None:
        if batch < 1:
            raise CommandError("--batch has to be 1 or more.")
        try:
            newest = crypto.newest()
        except ConfigurationError as error:
            raise CommandError(str(error)) from None
        old = database.all_rows().exclude(sealed__startswith=newest)
        left = old.count()
        if dry_run:
            self.stdout.write(f"{left} {tokens(left)} encrypted with an older key.")
            return
        progress = Progress(left, self.stderr)
        done = unreadable = last = 0
        try:
            while rows := list(old.filter(pk__gt=last).order_by("pk")[:batch]):
                with transaction.atomic(using=old.db):
                    results = [self._encrypt(row) for row in rows]
                done += results.count(True)
                unreadable += results.count(False)
                last = rows[-1].pk
                progress.step(len(rows))
        except KeyboardInterrupt:
            raise CommandError(f"Stopped after {done}. Run it again to go on.", returncode=130) from None
        finally:
            progress.close()
        self.stdout.write(f"{done} {tokens(done)} encrypted with the newest key now.")
        if unreadable:
            raise CommandError(
                f"{unreadable} can't be decrypted with any configured key, and were left as they are. "
                "Add the key they were made with to BITBUCKET_AUTH_TOKEN_KEYS, or let their people sign in again."
            )

    def _encrypt(self, row: BitbucketToken) -> bool | None:
        """Whether the row could be decrypted; ``None`` if it has a newer pair by now, which is the newest key's."""
        opened = row.open()
        if opened is None:
            return False
        values = {"sealed": BitbucketToken.columns(row.key, *opened)["sealed"]}
        # The same pair, so the version stays: a renewal that is under way must be able to save its answer.
        rows = database.all_rows()
        return database.replace_pair(rows, row.key, values, version=row.version, row=row.pk, renewed=False) or None


def tokens(number: int) -> str:
    """The noun and the verb for so many."""
    return "token is" if number == 1 else "tokens are"
