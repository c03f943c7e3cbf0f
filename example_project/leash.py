"""Run a command of Django's as a child that ends when its parent ends, however that ends.

``python leash.py runserver …`` is ``python manage.py runserver …`` with standard input held by the
parent. A parent that is killed can't stop its children; but its end of the pipe closes.
"""

import os
import sys
import threading

from django.core.management import execute_from_command_line


def end_with_parent() -> None:
    """Wait until standard input ends, then leave at once."""
    while os.read(0, 1024):  # not sys.stdin: its lock would be held when the interpreter shuts down
        pass
    os._exit(0)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "website.settings")
    threading.Thread(target=end_with_parent, daemon=True).start()
    execute_from_command_line(["manage.py", *sys.argv[1:]])
