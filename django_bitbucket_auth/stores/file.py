"""Files as a store: for a command or a job on one machine. POSIX only, since it locks with ``flock``."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings

from ..exceptions import BitbucketUnavailable, ConfigurationError
from . import sealed
from .base import Record, TokenStore

_PURPOSE = "token file"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
#: Seconds after which what is half written was written by a process that died.
_ABANDONED = 60


class FileTokenStore(TokenStore):
    """Keeps each record as an encrypted file in ``folder``, which is made if it isn't there.

    The folder has to be yours alone (0700), no symbolic link, and outside of what the site serves. Every use sees to
    that, and raises ``ConfigurationError`` otherwise; ``BitbucketUnavailable`` where a file can't be read or written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        # Absolute now: a process may change its directory later, and would find no token there.
        self.folder = Path(folder).absolute()

    def load(self, key: str) -> Record | None:
        with self._opened() as folder:
            try:
                # Not blocking: a pipe in its place would be waited for.
                handle = os.open(_name(key, "token"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return None
                if error.errno != errno.ELOOP:
                    raise
                text = None  # a link that was planted is no token
            else:
                with os.fdopen(handle, encoding="ascii", errors="replace") as file:
                    text = file.read()
        return sealed.unseal(_PURPOSE, key, text)

    def save(self, key: str, record: Record) -> None:
        text = sealed.seal(_PURPOSE, key, record)
        # Written whole beside, then put in place: nobody ever reads half a token, and a full disk costs none.
        beside = _name(key, f"{secrets.token_hex(8)}.new")
        with self._opened() as folder:
            _sweep(folder, key)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
            try:
                with os.fdopen(handle, "w", encoding="ascii") as file:
                    os.fchmod(handle, 0o600)  # the umask may have taken our own rights, too
                    file.write(text)
                    file.flush()
                    os.fsync(handle)
                os.replace(beside, _name(key, "token"), src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(beside, dir_fd=folder)
                raise
            # The name, too, has to survive a power cut: Bitbucket has forgotten the older pair by then.
            os.fsync(folder)

    def delete(self, key: str) -> None:
        with self._opened() as folder, suppress(FileNotFoundError):
            os.unlink(_name(key, "token"), dir_fd=folder)

    @contextmanager
    def lock(self, key: str) -> Iterator[TokenStore | None]:
        """A lock among all processes of this machine. The system frees it when its process dies."""
        with self._opened() as folder:
            handle = os.open(_name(key, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield self
        finally:
            # Not by closing alone: a process that was forked meanwhile has it open, too.
            fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)

    def check(self) -> None:
        """Make the folder, and refuse one that others can read or that the site serves."""
        with self._opened():
            pass

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The folder. What happens in it happens by this handle, so nobody can put another folder in its place."""
        real = self.folder.resolve()
        for name in ("MEDIA_ROOT", "STATIC_ROOT"):
            root = getattr(settings, name)
            if root and real.is_relative_to(Path(root).resolve()):
                raise ConfigurationError(f"Tokens don't belong under {name}, which is served. Choose another folder.")
        try:
            _make(self.folder)
            folder = os.open(self.folder, _FOLDER)
        except OSError as error:
            raise ConfigurationError(
                f"{self.folder} can't be made or opened as a folder that is no link: {error.strerror}."
            ) from None
        try:
            there = os.fstat(folder)
            if there.st_uid != os.geteuid() or there.st_mode & 0o077:
                raise ConfigurationError(f"{self.folder} isn't yours alone. Do: chmod 700 {self.folder}")
            yield folder
        except OSError as error:
            raise BitbucketUnavailable(f"a token in {self.folder} can't be used: {error.strerror}") from None
        finally:
            os.close(folder)


def _make(folder: Path) -> None:
    """Make a folder. Those on the way to it are ours alone, too: who can write there could swap it."""
    with suppress(FileExistsError):
        try:
            folder.mkdir(0o700)
        except FileNotFoundError:
            _make(folder.parent)
            folder.mkdir(0o700)


def _sweep(folder: int, key: str) -> None:
    """Remove what processes left of this key that died while they wrote."""
    beginning = _name(key, "")
    for name in os.listdir(folder):
        if name.startswith(beginning) and name.endswith(".new"):
            with suppress(FileNotFoundError):  # somebody else was faster
                if time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime > _ABANDONED:
                    os.unlink(name, dir_fd=folder)


def _name(key: str, ending: str) -> str:
    # Hashed: a key is no path.
    return f"{hashlib.sha256(key.encode()).hexdigest()}.{ending}"
