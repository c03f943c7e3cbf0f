"""A new private key, in a file of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError
from django.views.decorators.debug import sensitive_variables

from ..oauth import rsa_keys


@sensitive_variables("private")
def write_new_key(path: Path) -> str:
    """Make a pair of RSA keys, write the private half to ``path``, and return the public half (PEM).

    Raises:
        CommandError: there is something at ``path`` already, it can't be written, or it is under what the site serves.
    """
    try:
        with _new_file(path) as file:
            private = rsa_keys.new_key()
            file.write(private)
    except FileExistsError:
        raise CommandError(f"{path} exists. Choose another name: a key that is in use must not be lost.") from None
    except OSError as error:
        raise CommandError(
            f"{path} can't be written: {error.strerror}. Its folder has to exist, and to be yours to write in."
        ) from None
    return rsa_keys.public_key(private)


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """A new file that its owner alone can read. If its block fails, it is gone again."""
    # Without links on the way: by this very name it is compared, and opened.
    real = path.parent.resolve(strict=True) / path.name
    _refuse_served(real)
    # Nothing that is there is written to, a planted link least of all: who planted it would choose who reads the key.
    handle = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            os.fchmod(handle, 0o600)  # the umask may have taken our own rights, too
            yield file
    except BaseException:
        real.unlink()
        raise


def _refuse_served(real: Path) -> None:
    served: list[tuple[str, Any]] = [("MEDIA_ROOT", settings.MEDIA_ROOT), ("STATIC_ROOT", settings.STATIC_ROOT)]
    # What is in these is served by `runserver`, and copied to where it is served by `collectstatic`.
    entries: list[Any] = list(settings.STATICFILES_DIRS)
    served += [("STATICFILES_DIRS", entry[-1] if isinstance(entry, (list, tuple)) else entry) for entry in entries]
    served += [(f"the static folder of {app.label}", Path(app.path, "static")) for app in apps.get_app_configs()]
    for name, root in served:
        if root and real.is_relative_to(Path(root).resolve()):
            raise CommandError(f"A key doesn't belong under {name}, which is served. Choose another folder.")
