#!/usr/bin/env python
"""Run the example site beside a simulated Bitbucket, or against the real one.

Usually by way of tox, which installs what it needs: ``tox run -e example -- --check``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from types import FrameType

import database
import requests
import walkthrough
from kinds import KINDS, Kind
from servers import ServerProblem, environment, free_ports, manage, refuse_taken, running
from terminal import say

CHECK_SECONDS = 60
#: The least that the app takes.
RECHECK_SECONDS = 60
ENDINGS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__.split("\n\n")[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--check",
        action="store_true",
        help="sign in as a browser would, print what happened, and stop; exits 0 or 1",
    )
    parser.add_argument(
        "--patient",
        action="store_true",
        help="with --check: let the person leave the workspace as well, and wait the minute until that is noticed",
    )
    mode.add_argument(
        "--real",
        action="store_true",
        help="use the real Bitbucket, with what its kind needs in the environment (README.rst)",
    )
    parser.add_argument(
        "--provider",
        choices=KINDS,
        default="cloud",
        metavar="KIND",
        help=f"which Bitbucket: {', '.join(KINDS)} (default cloud)",
    )
    parser.add_argument("--port", type=int, help="of the site (default 8000; for --check any free one)")
    parser.add_argument(
        "--simulator-port",
        type=int,
        help="of the simulator (default 8010; for --check any free one)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 fine, 1 something is wrong (a sentence says what)."""
    options = parse(arguments)
    kind = KINDS[options.provider]
    for number in ENDINGS:
        signal.signal(number, leave)
    try:
        if options.check:
            port, simulator_port = free_ports()
            ports = options.port or port, options.simulator_port or simulator_port
            return check(kind, *ports, patient=options.patient)
        if options.real:
            return serve(kind, options.port or 8000, None)
        return serve(kind, options.port or 8000, options.simulator_port or 8010)
    except ServerProblem as problem:
        say(f"✗ {problem}")
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        return 128 + signal.SIGINT if options.check else 0


def leave(number: int, frame: FrameType | None) -> None:
    """Asked to end: as an exception, so that the servers are stopped on the way out.

    Asked again meanwhile (tox passes on a Ctrl-C that the terminal has sent already), it goes on.
    """
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def serve(kind: Kind, port: int, simulator_port: int | None) -> int:
    """Run until Ctrl-C."""
    site = f"http://localhost:{port}"
    if simulator_port is None:
        require_registration(kind)
    refuse_taken(port, "site", "--port")
    if simulator_port is not None:
        refuse_taken(simulator_port, "simulator", "--simulator-port")
    env = environment(kind, simulator_port)
    database.migrate(env)
    with running(env, port, simulator_port) as servers:
        say(f"\nOpen {site}/ and sign in.")
        if simulator_port is not None:
            say(f"Its Bitbucket is simulated: http://127.0.0.1:{simulator_port}{kind.context_path}/_simulator/")
        else:
            say(f"The callback URL to register at Bitbucket: {site}/bitbucket/callback/")
        say("Ctrl-C stops everything.\n")
        while True:
            for server in servers:
                server.echo = True
                if not server.alive:
                    raise server.problem("ended")
            time.sleep(0.2)


def require_registration(kind: Kind) -> None:
    """Raise ServerProblem unless the environment says where Bitbucket is, and who the site is there."""
    if kind.is_oauth1 and not kind.is_data_center:
        raise ServerProblem(
            "Bitbucket Cloud has taken no OAuth 1.0a since early 2026: use --provider cloud with the same consumer, or "
            "leave out --real to see it against the simulator."
        )
    *others, last = kind.variables
    for name in kind.variables:
        # The app reads credentials from files as well.
        if not (os.environ.get(name) or (name.startswith("BITBUCKET_CLIENT_") and os.environ.get(f"{name}_FILE"))):
            raise ServerProblem(
                f"{name} is not set: put {', '.join(others)} and {last} into the environment (README.rst says where "
                "to get them), or leave out --real to use the simulator."
            )


def check(kind: Kind, port: int, simulator_port: int, *, patient: bool) -> int:
    """Sign in without a person, on a database of its own, within a minute, or two if ``patient``."""
    refuse_taken(port, "site", "--port")
    refuse_taken(simulator_port, "simulator", "--simulator-port")
    site, simulator = f"http://localhost:{port}", f"http://127.0.0.1:{simulator_port}{kind.context_path}"
    if hasattr(signal, "SIGALRM"):  # elsewhere the time limits of the single steps have to do
        signal.signal(signal.SIGALRM, too_long)
        signal.alarm(CHECK_SECONDS + (RECHECK_SECONDS if patient else 0))
    shorter = {"BITBUCKET_RECHECK": str(RECHECK_SECONDS)}
    with database.for_a_check(environment(kind, simulator_port) | shorter) as env:
        job = partial(manage, env, "workspace_report", kind.project)
        with running(env, port, simulator_port) as servers:
            say(f"The site runs on {site}, its simulated Bitbucket ({kind.name}) on {simulator}.\n")
            try:
                wait = pause if patient else None
                person = walkthrough.Walk(kind, site, simulator, job, RECHECK_SECONDS, wait).go()
            except (walkthrough.StepFailed, LookupError, requests.RequestException) as error:
                say(f"  ✗ {error}\n")
                for server in servers:
                    say(str(server.problem("was running")))
                return 1
    say("\nAll of it worked. Who was signed in:\n")
    for name, value in person.items():
        say(f"  {name:<20} {value}")
    return 0


def pause(seconds: int) -> None:
    say(f"    ({seconds} seconds pass.)")
    time.sleep(seconds)


def too_long(number: int, frame: FrameType | None) -> None:
    raise ServerProblem("The check took too long and was given up.")


if __name__ == "__main__":
    sys.exit(main())
