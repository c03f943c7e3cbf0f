"""Starting a site: what the app adds to ``django.setup()``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from .measuring import Row, Setting

#: As `startproject` writes them.
_BARE = [f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")]
# Seconds for all, for a second time (when all is imported already), and for a third time with our app. The difference
# of whole starts would be lost in what two processes differ by.
_CODE = """
import sys, time
bare, ours = sys.argv[1:-1], sys.argv[-1]
from django.conf import settings
settings.configure(INSTALLED_APPS=bare, SECRET_KEY="of-a-site-that-only-starts")
import django
from django.apps import apps
times = [time.process_time()]
django.setup()
times.append(time.process_time())
for installed in (bare, [*bare, ours]):
    apps.set_installed_apps(installed)
    times.append(time.process_time())
print(*times)
"""


def run(setting: Setting) -> Iterator[Row]:
    """In processes of their own."""
    _seconds()  # so that all is compiled
    found = [_seconds() for _ in range(7 if setting.small else 41)]
    bare, more = (median(one[which] for one in found) for which in (0, 1))
    yield Row(
        "CPU of django.setup(), over a bare project",
        f"{more * 1e3:+.1f} ms on {bare * 1e3:.0f} ({more / bare:.0%})",
        "≤ +5 ms",
    )


def _seconds() -> tuple[float, float]:
    """For a bare project, and for our app."""
    # Compiled modules are part of how a site starts, whatever is set here.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", _CODE, *_BARE, "django_bitbucket_auth"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    start, bare, again, ours = map(float, told.split())
    return bare - start, (ours - again) - (again - bare)
