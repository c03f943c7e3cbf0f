"""Start the site and the simulated Bitbucket as children, watch them, and leave none behind."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kinds import Kind
from terminal import say

PROJECT = Path(__file__).resolve().parent
START_SECONDS = 20.0
STOP_SECONDS = 2.0


class ServerProblem(Exception):
    """Something didn't start or didn't last. The message is for the person at the terminal."""


class Server:
    """A running child. ``lines`` is the last of what it said, ``echo`` prints what it says now."""

    def __init__(self, name: str, arguments: list[str], env: Mapping[str, str]) -> None:
        self.name = name
        self.lines: deque[str] = deque(maxlen=40)
        self.echo = False
        self._process = subprocess.Popen(  # noqa: S603 - our own file, no shell
            [sys.executable, "-u", str(PROJECT / "leash.py"), *arguments],
            cwd=PROJECT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C in a terminal is for run.py, which then stops its children in order.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=[self._process.stdout], daemon=True)
        self._reader.start()

    def _read(self, output: IO[str]) -> None:
        for line in output:
            # Queries are long, and codes and states travel in them.
            text = re.sub(r"(?<=/)\?\S+", "?...", line.rstrip())
            self.lines.append(text)
            if self.echo and text:
                say(f"  {self.name:>9} | {text}")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def problem(self, what: str) -> ServerProblem:
        """What happened, with the child's last words."""
        self._reader.join(0.3)  # what it just said may still be on its way
        return ServerProblem("\n    ".join([f"The {self.name} {what}. It said last:", *self.lines]))

    def wait_until_up(self, port: int) -> None:
        """Return when the child answers on ``port`` of 127.0.0.1; raise ServerProblem otherwise."""
        deadline = time.monotonic() + START_SECONDS
        while self.alive and time.monotonic() < deadline:
            if answers("127.0.0.1", port):
                return
            time.sleep(0.05)
        raise self.problem("did not start" if self.alive else "ended at its start")

    def terminate(self) -> None:
        self._process.terminate()

    def wait(self) -> None:
        """Return when the terminated child has ended; see to it that it does."""
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def environment(kind: Kind, simulator_port: int | None) -> dict[str, str]:
    """The children's environment: for the real Bitbucket or a simulated one, never a mixture."""
    prefix = "BITBUCKET_SIMULATOR" if simulator_port is None else "BITBUCKET_"
    env = {name: value for name, value in os.environ.items() if not name.startswith(prefix)}
    if simulator_port is not None:
        env |= {
            "BITBUCKET_SIMULATOR": "1",
            "BITBUCKET_SIMULATOR_PORT": str(simulator_port),
            "BITBUCKET_SIMULATOR_CONTEXT_PATH": kind.context_path,
        }
    return env | {
        "BITBUCKET_KIND": kind.name,
        "DEBUG": "1",
        "DJANGO_RUNSERVER_HIDE_WARNING": "true",
        "DJANGO_SETTINGS_MODULE": "website.settings",
        "PYTHONUTF8": "1",
    }


def manage(env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Django's; ``stdout`` has all that it said. Raise ServerProblem if it doesn't come to its end."""
    try:
        return subprocess.run(  # noqa: S603 - our own file, no shell
            [sys.executable, str(PROJECT / "manage.py"), *arguments],
            cwd=PROJECT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServerProblem(f"manage.py {arguments[0]} took longer than {START_SECONDS:g} seconds.") from None


@contextmanager
def running(env: Mapping[str, str], site_port: int, simulator_port: int | None) -> Iterator[list[Server]]:
    """Run the site and (unless its port is None) the simulator; stop both in the end."""
    commands = [("site", site_port, ["runserver", "--noreload", f"localhost:{site_port}"])]
    if simulator_port is not None:
        command = ["bitbucket_simulator", "--port", str(simulator_port), "--kind", env["BITBUCKET_KIND"]]
        if path := env["BITBUCKET_SIMULATOR_CONTEXT_PATH"]:
            command += ["--context-path", path]
        commands.append(("simulator", simulator_port, command))
    servers: list[Server] = []
    try:
        for name, _, arguments in commands:  # both at once: each takes a second to start
            servers.append(Server(name, arguments, env))
        for server, (_, port, _) in zip(servers, commands, strict=True):
            server.wait_until_up(port)
        yield servers
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait()


def answers(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def free_ports() -> tuple[int, int]:
    """Two ports of this computer that nothing uses at the moment."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def refuse_taken(port: int, name: str, option: str) -> None:
    """Raise ServerProblem if a port is in use, on IPv6 too: browsers try it first for localhost."""
    if answers("127.0.0.1", port) or answers("::1", port):
        raise ServerProblem(
            f"Port {port}, where the {name} should run, is taken by another program: stop that "
            f"program, or choose another port with {option} {port + 1}."
        )
