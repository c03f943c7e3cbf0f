"""Files as a store: for a command or a job on one machine. POSIX only, since it locks with ``flock``."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings

from ..exceptions import ConfigurationError
from . import sealed
from .base import Record, TokenStore

_PURPOSE = "token file"


class FileTokenStore(TokenStore):
    """Keeps each record as an encrypted file in ``folder``, which is made if it isn't there.

    The folder has to be yours alone (0700), and outside of what the site serves.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def load(self, key: str) -> Record | None:
        try:
            handle = os.open(self._path(key, "token"), os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, encoding="ascii", errors="replace") as file:
            return sealed.unseal(_PURPOSE, key, file.read())

    def save(self, key: str, record: Record) -> None:
        text = sealed.seal(_PURPOSE, key, record)
        # Written whole beside, then put in place: nobody ever reads half a token, and a full disk costs none.
        path = self._path(key, secrets.token_hex(8))
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            path.replace(self._path(key, "token"))
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def delete(self, key: str) -> None:
        self._path(key, "token").unlink(missing_ok=True)

    @contextmanager
    def lock(self, key: str) -> Iterator[TokenStore | None]:
        """A lock among all processes of this machine. The system frees it when its process dies."""
        handle = os.open(self._path(key, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield self
        finally:
            os.close(handle)

    def check(self) -> None:
        """Make the folder, and refuse one that others can read or that the site serves."""
        real = self.folder.resolve()
        for name in ("MEDIA_ROOT", "STATIC_ROOT"):
            root = getattr(settings, name, None)
            if root and real.is_relative_to(Path(root).resolve()):
                raise ConfigurationError(f"Tokens don't belong under {name}, which is served. Choose another folder.")
        try:
            with suppress(FileExistsError):
                self.folder.mkdir(0o700, parents=True)
            there = self.folder.stat()
        except OSError as error:
            raise ConfigurationError(f"{self.folder} can't be made or read: {error.strerror}.") from None
        if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.geteuid() or there.st_mode & 0o077:
            raise ConfigurationError(f"{self.folder} isn't yours alone. Do: chmod 700 {self.folder}")

    def _path(self, key: str, ending: str) -> Path:
        # Hashed: a key is no path.
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.{ending}"
