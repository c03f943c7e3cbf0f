"""Runs the benches and prints their table."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from importlib import import_module

from .bitbucket import Bitbucket, elsewhere
from .measuring import Row, Setting

#: Of the modules with a `run`.
NAMES = ("api", "flight", "logins", "startup", "renewals", "rotation")
#: What the machine may have set, and requests would heed.
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle", "netrc")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Measure what things cost, in ratios.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--small", action="store_true", help="to see that it works: below a minute, rough figures")
    parser.add_argument("--rows", type=int, help="tokens in the table; default: 100000, small: 2000")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    rows = arguments.rows or (2_000 if arguments.small else 100_000)
    # Who stops it leaves no database behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    for name in _VARIABLES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    with elsewhere() as bitbucket:
        url, client_id, client_secret = bitbucket.address()
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "BENCH_BITBUCKET": url,
            "BENCH_CLIENT_ID": client_id,
            "BENCH_CLIENT_SECRET": client_secret,
        }
        return _run(arguments.names or NAMES, bitbucket, rows, arguments.small)


def _run(names: list[str] | tuple[str, ...], bitbucket: Bitbucket, rows: int, small: bool) -> int:
    import django
    from django.conf import settings
    from django.db import connection

    django.setup()
    before = settings.DATABASES["default"]["NAME"]
    found: list[Row] = []
    failed = []
    try:
        os.environ["BENCH_DATABASE"] = connection.creation.create_test_db(
            verbosity=0, autoclobber=True, serialize=False
        )
        for name in names:
            start = time.monotonic()
            try:
                for row in import_module(f"bench.{name}").run(Setting(bitbucket, rows, small)):
                    found.append(row)
                    print(f"{row.what}: {row.measured}", file=sys.stderr)
            except Exception:
                traceback.print_exc()
                failed.append(name)
            print(f"[{name}: {time.monotonic() - start:.0f} s]", file=sys.stderr)
    finally:
        if connection.settings_dict["NAME"] != before:  # else none was made
            connection.creation.destroy_test_db(before, verbosity=0)
    print(_table(found, f"Django {django.get_version()}, {connection.vendor}, {rows} rows"))
    for name in failed:
        print(f"FAILED: {name}", file=sys.stderr)
    return 1 if failed else 0


def _table(rows: list[Row], title: str) -> str:
    cells = [("what", "measured", "target"), *((row.what, row.measured, row.target) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join(["", title, "", lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


if __name__ == "__main__":
    sys.exit(main())
