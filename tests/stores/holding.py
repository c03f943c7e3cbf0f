"""A process of its own that holds a store's lock: ``python holding.py '["file", "/folder", "key"]'``.

It says "held" or "taken", waits for the end of its input, lets go, and ends.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import coverage
import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
# The folder that a program is in comes first, and the tests' own comes not at all.
sys.path[0] = str(Path(__file__).parents[1])
django.setup()

from django.test import override_settings  # noqa: E402
from stores.keeping import shared  # noqa: E402

from django_bitbucket_auth.stores import CacheTokenStore, DatabaseTokenStore, FileTokenStore, TokenStore  # noqa: E402


def store(kind: str, where: str) -> TokenStore:
    """The store to hold."""
    if kind == "cache":
        return CacheTokenStore("shared")
    return FileTokenStore(where) if kind == "file" else DatabaseTokenStore()


def main(kind: str, where: str, key: str) -> None:
    """Do what the arguments say."""
    with override_settings(CACHES=shared(Path(where))), store(kind, where).lock(key) as held:
        for measuring in filter(None, [coverage.Coverage.current()]):
            measuring.save()  # it may be killed
        sys.stdout.write("taken\n" if held is None else "held\n")
        sys.stdout.flush()
        sys.stdin.read()


main(*json.loads(sys.argv[1]))
