"""The example project as a person starts it: a process of its own, in this environment."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import repeat, takewhile
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "example_project"
ENOUGH = 90


def environment(**more: str) -> dict[str, str]:
    """This environment without anything that steers the example, and with ``more``."""
    steering = ("BITBUCKET_", "DJANGO_", "DATABASE_", "DEBUG", "SECRET_KEY", "PYTHONPATH", "COV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return kept | {"PYTHONIOENCODING": "utf-8"} | more


def run(*arguments: str, project: Path = EXAMPLE, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``python ARGUMENTS`` in the project's folder to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=ENOUGH,
        check=False,
    )


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def addresses(output: str) -> list[int]:
    """The ports of the site and the simulator, as the output names them."""
    found = re.search(r"http://localhost:(\d+).*?http://127\.0\.0\.1:(\d+)", output, re.DOTALL)
    assert found, output
    return [int(port) for port in found.groups()]


@contextmanager
def listener() -> Iterator[int]:
    """Another program's port."""
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def free_ports() -> list[int]:
    with listener() as one, listener() as other:
        return [one, other]


def test_the_check_signs_in_as_a_browser_would_and_leaves_nothing_running() -> None:
    done = run("run.py", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 28
    assert "✗" not in done.stdout
    assert re.search(r"^ +Name +Jane Doe$", done.stdout, re.MULTILINE)
    assert re.search(r"^ +E-mail +jane@example\.com confirmed$", done.stdout, re.MULTILINE)
    assert [listens(port) for port in addresses(done.stdout)] == [False, False]


@pytest.mark.parametrize(
    ("file", "mistake", "said"),
    [
        (
            "templates/profile.html",
            ("{{ account.email }}", ""),
            "expected jane@example.com as a confirmed address, got GET localhost:",
        ),
        (
            "website/management/commands/workspace_report.py",
            ("store=DatabaseTokenStore()", ""),
            "expected the second run of the job to ask for 0 tokens, not 1",
        ),
    ],
    ids=["an address that isn't shown", "a token that isn't kept"],
)
def test_a_mistake_in_the_site_fails_the_check(file: str, mistake: tuple[str, str], said: str, tmp_path: Path) -> None:
    project = shutil.copytree(EXAMPLE, tmp_path / "example")
    page = project / file
    page.write_text(page.read_text("utf-8").replace(*mistake), "utf-8")
    done = run("run.py", "--check", project=project)
    assert done.returncode == 1
    assert f"✗ {said}" in done.stdout
    assert "GET /profile/" in done.stdout  # the site's own words
    assert [listens(port) for port in addresses(done.stdout)] == [False, False]


@pytest.mark.parametrize("option", ["--port", "--simulator-port"])
def test_a_taken_port_is_said_in_a_sentence(option: str) -> None:
    with listener() as port:
        done = run("run.py", "--check", option, str(port))
    assert done.returncode == 1
    assert f"Port {port}, where the " in done.stdout
    assert f"choose another port with {option} {port + 1}." in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=["Ctrl-C", "terminated", "killed"],
)
def test_however_it_ends_nothing_is_left_running(number: signal.Signals, status: int, tmp_path: Path) -> None:
    ports = free_ports()
    with subprocess.Popen(
        [sys.executable, "run.py", f"--port={ports[0]}", f"--simulator-port={ports[1]}"],
        cwd=EXAMPLE,
        env=environment(DATABASE_PATH=str(tmp_path / "db.sqlite3")),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout
        # To the end of what it says, if it never gets so far.
        said = "".join(takewhile("Ctrl-C stops everything.\n".__ne__, process.stdout))
        assert addresses(said) == ports
        assert [listens(port) for port in ports] == [True, True]
        process.send_signal(number)
        assert process.wait(ENOUGH) == status

    def ended(pause: float) -> bool:
        time.sleep(pause)  # killed, it can't wait for its children
        return [listens(port) for port in ports] == [False, False]

    assert next(filter(None, map(ended, repeat(0.05, 200))), False), "still running"


def test_the_real_bitbucket_needs_credentials_and_a_plain_terminal_can_read_so() -> None:
    done = run("run.py", "--real", PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert done.stdout.startswith("failed: BITBUCKET_CLIENT_ID is not set: put ")


def settings(**more: str) -> subprocess.CompletedProcess[str]:
    return run(
        "-c",
        "from website import settings; print(settings.BITBUCKET_AUTH)",
        project=EXAMPLE,
        **more,
    )


def test_missing_credentials_never_select_the_simulator() -> None:
    assert settings(DEBUG="1").stdout == "{'default': {'WORKSPACES': ['*'], 'RECHECK': 300}}\n"


def test_the_simulator_is_refused_without_debug() -> None:
    done = settings(BITBUCKET_SIMULATOR="1")
    assert done.returncode == 1
    assert "BITBUCKET_SIMULATOR=1 lets anybody in" in done.stderr


def test_the_system_checks_have_nothing_to_say_about_it() -> None:
    done = run("manage.py", "check", DEBUG="1", BITBUCKET_SIMULATOR="1")
    assert done.returncode == 0
    assert done.stdout.startswith("System check identified no issues")


def test_a_job_that_fails_says_why_and_exits_with_1() -> None:
    done = run("manage.py", "workspace_report", DEBUG="1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.search(r"^CommandError: .*BITBUCKET_CLIENT_ID.*\n\Z", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr


def test_without_debug_the_site_needs_a_secret_key_of_its_own() -> None:
    done = settings()
    assert done.returncode == 1
    assert "SECRET_KEY" in done.stderr


def test_the_check_plays_another_kind_on_a_database_that_is_named_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    file = tmp_path / "named.sqlite3"
    done = run("run.py", "--check", "--provider", "data-center-oauth1", DATABASE_URL=f"sqlite:///{file}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout.count("✓"), "✗" in done.stdout) == (17, False)
    assert re.search(r"^ +Bitbucket user name +jane\.doe@example\.com$", done.stdout, re.MULTILINE)
    assert [listens(port) for port in addresses(done.stdout)] == [False, False]
    with closing(sqlite3.connect(file)) as database:
        tables = "auth_user", "django_session", "bitbucket_auth_bitbucketaccount", "bitbucket_auth_bitbuckettoken"
        left = [database.execute(f"SELECT COUNT(*) FROM {table}").fetchone() for table in tables]  # noqa: S608
    assert left == [(0,)] * 4
