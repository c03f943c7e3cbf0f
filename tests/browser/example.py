"""The example site as a process of its own, in this environment, on a database and port of its own."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

PROJECT = Path(__file__).parents[2] / "example_project"
#: Seconds, by far more than a start takes.
ENOUGH = 30
#: What would steer the site, or measure it: its process is killed, so it has no measurements to hand in.
STEERING = ("BITBUCKET_", "DJANGO_", "DATABASE_", "SESSION_", "DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "PYTHON", "COV")


@dataclass(frozen=True, slots=True)
class Site:
    """The running site, on ``localhost``."""

    url: str

    def __call__(self, path: str) -> str:
        return f"{self.url}{path}"


class _Listener(threading.Thread):
    """Hears out what a process says, so that its pipe never fills, and waits for where it is to be found."""

    def __init__(self, output: IO[str]) -> None:
        super().__init__(daemon=True)
        self.output = output
        self.said: list[str] = []
        self.url = ""
        self.decided = threading.Event()
        self.start()

    def run(self) -> None:
        for line in self.output:
            self.said.append(line)
            if found := re.match(r"Starting development server at (\S+?)/$", line):
                self.url = found[1]
                self.decided.set()
        self.decided.set()


@contextmanager
def running(simulator_url: str, folder: Path, **more: str) -> Iterator[Site]:
    """Run the site against a simulator, with ``more`` in its environment, on a fresh database in ``folder``.

    Its standard input is its leash (see ``leash.py``): should this process be killed, the site ends as well.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}
    environment = kept | {
        "BITBUCKET_SIMULATOR": "1",
        "BITBUCKET_SIMULATOR_PORT": str(urlsplit(simulator_url).port),
        "DATABASE_PATH": str(folder / "db.sqlite3"),
        "DEBUG": "1",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=ENOUGH,
        check=True,
    )
    with subprocess.Popen(
        # Port 0: the system chooses one that is free, and the site says which.
        [sys.executable, "-u", "leash.py", "runserver", "--noreload", "localhost:0"],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout
            listener = _Listener(process.stdout)
            listener.decided.wait(ENOUGH)
            assert listener.url.startswith("http://localhost:"), "".join(listener.said)
            yield Site(listener.url)
        finally:
            process.kill()
        listener.join(ENOUGH)
