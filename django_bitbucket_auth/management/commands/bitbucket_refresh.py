"""``manage.py bitbucket_refresh``: renew stored tokens before they are needed, or before they die of disuse."""

from __future__ import annotations

import re
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_bitbucket_auth import conf
from django_bitbucket_auth.exceptions import (
    BitbucketAuthError,
    BitbucketUnavailable,
    ClientRefused,
    ConfigurationError,
    RateLimited,
)
from django_bitbucket_auth.management.progress import Progress
from django_bitbucket_auth.management.renewals import Claimed, Renewals

#: Faults in a row after which Bitbucket is taken to be down.
MOST_FAULTS = 3
#: Most seconds that a rate limit is waited for.
MOST_WAIT = 120
MOST_SECONDS = 10 * 366 * 86400
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Stopped(Exception):
    """No use going on; the message says why."""


class Command(BaseCommand):
    """May run on several hosts at once: what one has claimed the others pass over."""

    help = "Renew stored tokens that would die of disuse (Bitbucket: after three months), or that expire soon."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", action="append", help="alias, may be repeated; default: all")
        parser.add_argument(
            "--within",
            help="also those whose access token has expired or will in this time, such as 30m (units: s, m, h, d)",
        )
        parser.add_argument("--unused", default="60d", help="those that were not renewed for so long; default: 60d")
        parser.add_argument("--most", type=int, help="stop after so many")
        parser.add_argument("--dry-run", action="store_true", help="only count them")

    def handle(self, *args: Any, **options: Any) -> None:
        within = seconds(options["within"], "--within") if options["within"] else None
        unused = seconds(options["unused"], "--unused")
        most = options["most"]
        if most is not None and most < 1:
            raise CommandError("--most has to be 1 or more.")
        try:
            providers = [Renewals(alias, within, unused) for alias in options["provider"] or conf.aliases()]
        except ConfigurationError as error:
            raise CommandError(str(error)) from None
        number = sum(renewals.due().count() for renewals in providers)
        if options["dry_run"]:
            self.stdout.write(f"{number} to be renewed.")
            return
        counts: Counter[str] = Counter()
        progress = Progress(min(number, most or number), self.stderr)
        problems = []
        try:
            for renewals in providers:
                try:
                    self._renew_all(renewals, counts, progress, most)
                except Stopped as stop:
                    problems.append(f"{renewals.alias}: {stop}")
        except KeyboardInterrupt:
            problems.append("Interrupted.")
        finally:
            progress.close()
        self.stdout.write(", ".join(f"{counts[what]} {what}" for what in ("renewed", "refused", "skipped", "failed")))
        if problems or counts["failed"]:
            raise CommandError(" ".join([*problems, "Run it again later for the others."]))

    def _renew_all(self, renewals: Renewals, counts: Counter[str], progress: Progress, most: int | None) -> None:
        faults, claimed = 0, None
        try:
            for claimed in renewals.claimed():
                if most is not None and counts.total() >= most:
                    return
                result = self._renew(renewals, claimed)
                counts["failed" if result == "down" else result] += 1
                progress.step()
                # What Bitbucket says of one token is nothing against the next one.
                faults = faults + 1 if result == "down" else 0
                if faults >= MOST_FAULTS:
                    raise Stopped("Bitbucket is down, or out of reach.")
        finally:
            if claimed is not None:
                renewals.give_back(claimed)

    def _renew(self, renewals: Renewals, claimed: Claimed) -> str:
        """What came of one token: as ``Renewals.renew``, or ``"failed"``, or ``"down"`` where Bitbucket is."""
        try:
            try:
                return renewals.renew(claimed)
            except RateLimited as limit:
                # Without a time it is Bitbucket's hour that has to pass; sign-ins need what is left of the limit.
                if limit.retry_after is None or limit.retry_after > MOST_WAIT:
                    raise
                renewals.give_back(claimed)
                time.sleep(limit.retry_after)
                return renewals.renew(claimed)
        except RateLimited:
            raise Stopped("Bitbucket's rate limit is reached.") from None
        except ClientRefused as error:
            raise Stopped(f"Bitbucket doesn't take the client of the provider {renewals.alias!r}: {error}.") from None
        except BitbucketAuthError as error:
            self.stderr.write(f"{claimed.row.key}: {error}")
            return "down" if isinstance(error, BitbucketUnavailable) else "failed"


def seconds(text: str, option: str) -> timedelta:
    """A time such as ``90``, ``30m`` or ``60d``.

    Raises:
        CommandError: it isn't one.
    """
    found = re.fullmatch(r"(\d{1,10})([smhd]?)", text)
    length = int(found[1]) * _UNITS[found[2]] if found else -1
    if not 0 <= length <= MOST_SECONDS:
        raise CommandError(f"{option} {text!r} is no time such as 90s, 30m, 2h or 60d, of ten years at most.")
    return timedelta(seconds=length)
