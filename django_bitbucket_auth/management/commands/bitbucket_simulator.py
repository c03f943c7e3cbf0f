"""``manage.py bitbucket_simulator``: a Bitbucket to develop against, on this machine."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

if TYPE_CHECKING:
    from django_bitbucket_auth.testing import BitbucketSimulator

SWITCH = "BITBUCKET_SIMULATOR"


class Command(BaseCommand):
    """Runs until it's interrupted. What it takes to run it, and why, is in `handle`."""

    help = "Run a simulated Bitbucket on this machine, to sign in without the real one."
    # The project may not be complete yet; the simulator doesn't use it.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        from django_bitbucket_auth.testing.kinds import KINDS

        parser.add_argument("--port", type=int, default=8010, help="default: 8010; 0: any")
        parser.add_argument("--kind", choices=KINDS, default="cloud", help="which Bitbucket it plays; default: cloud")
        parser.add_argument("--context-path", default="", help="of a Data Center: where it lies, like /bitbucket")
        parser.add_argument(
            "--callback-url",
            help="the one callback that is registered; default: any on this machine",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # It signs anybody in as anybody: a deployed site must not get one by a slip. The variable
        # says that it's meant, DEBUG that this isn't such a site.
        if os.environ.get(SWITCH) != "1":
            raise CommandError(
                f"The simulator lets everybody in as anybody. If that is what you want here, set "
                f"the environment variable {SWITCH}=1."
            )
        if not settings.DEBUG:
            raise CommandError("The simulator is for development: it needs DEBUG = True.")

        from django_bitbucket_auth.testing import BitbucketSimulator, RegisteredClient

        client = RegisteredClient(callback_url=options["callback_url"])
        try:
            simulator = BitbucketSimulator(options["kind"], client=client, context_path=options["context_path"])
        except ValueError as error:
            raise CommandError(f"{error}.") from None
        try:
            with simulator.serving(options["port"]):
                self._tell(simulator)
                threading.Event().wait()
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
        except OverflowError:
            raise CommandError(f"Port {options['port']} can't be used: it isn't between 0 and 65535.") from None
        except OSError as error:
            raise CommandError(
                f"Port {options['port']} can't be used: {error.strerror}. Choose another: --port."
            ) from error

    def _tell(self, simulator: BitbucketSimulator) -> None:
        from django_bitbucket_auth.testing.pointing import setting_for

        self.stdout.write(
            f"A simulated Bitbucket is at {simulator.url}\n"
            f"It plays: {simulator.kind}\n"
            f"Its dials (faults, people, clock, rules) are at {simulator.url}/_simulator/\n\n"
            "Point a provider at it:\n\n"
            f"{setting_for(simulator)}\n"
            "Ctrl-C stops it."
        )
        self.stdout.flush()
