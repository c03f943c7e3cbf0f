"""The databases that ``run.py`` uses: the site's, and one for a check, which leaves nothing in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from servers import ServerProblem, manage


def migrate(env: Mapping[str, str]) -> None:
    """Create or update the tables; raise ServerProblem with what Django said if that fails."""
    _done(env, "migrate", "--verbosity=0")


@contextmanager
def for_a_check(env: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment with an empty database, for the length of the block.

    It is a file that is thrown away, or the database of ``DATABASE_URL``: that one has to be empty, and has its tables
    afterwards, without rows. Raises ServerProblem if it can't be had.
    """
    if not env.get("DATABASE_URL"):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            found = {**env, "DATABASE_PATH": str(Path(folder) / "db.sqlite3")}
            migrate(found)
            yield found
        return
    # It looks before it touches anything: the flush would take what others have there as well.
    _done(env, "migrate_empty")
    try:
        yield dict(env)
    finally:
        _done(env, "flush", "--no-input", "--verbosity=0")


def _done(env: Mapping[str, str], *command: str) -> None:
    finished = manage(env, *command)
    if finished.returncode:
        raise ServerProblem(f"The database could not be set up ({command[0]}):\n{finished.stdout}")
