"""The tests' project, set up as a site would be that counts its milliseconds."""

import os
import tempfile
from pathlib import Path

from settings import *  # noqa: F403
from settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "bench"]
ROOT_URLCONF = "bench.urls"

DATABASES = {"default": DATABASES["default"]}
_database = DATABASES["default"]
# The database is a test database: made for the bench, and dropped after it. Its other processes are told its name.
_name = f"bench_{os.getpid()}"
if _database["ENGINE"].endswith(".sqlite3"):
    _database["TEST"] = {"NAME": str(Path(tempfile.gettempdir(), f"{_name}.sqlite3"))}
    # As Django's documentation advises for sites on SQLite: readers and the one writer don't wait for each other, and
    # who waits for the writer does so for longer than five seconds.
    _database["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
else:
    _database["TEST"] = {"NAME": _name}
_database["NAME"] = os.environ.get("BENCH_DATABASE", _database["NAME"])
# A connection for each request would cost more than what is measured.
_database["CONN_MAX_AGE"] = None

BITBUCKET_AUTH = {
    "default": {
        "BASE_URL": os.environ["BENCH_BITBUCKET"],
        "API_URL": os.environ["BENCH_BITBUCKET"],
        "CLIENT_ID": os.environ["BENCH_CLIENT_ID"],
        "CLIENT_SECRET": os.environ["BENCH_CLIENT_SECRET"],
        "WORKSPACES": ["*"],
    }
}
#: The newest of two keys, as while keys are being changed.
BITBUCKET_AUTH_TOKEN_KEYS = ["the-newer-key-of-the-bench-of-38-chars", "the-older-key-of-the-bench-of-38-chars"]
