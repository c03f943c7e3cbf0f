"""Files as a store: what they hold, who can read them, and where they may be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from stores.keeping import (
    KEY,
    RECORD,
    SECRETS,
    held_by,
    loaded,
    newer,
)

from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.stores import FileTokenStore
from django_bitbucket_auth.stores.file import _name
from django_bitbucket_auth.testing import BitbucketSimulator
from django_bitbucket_auth.tokens import get_access_token

#: All that a store does.
USES: dict[str, Callable[[FileTokenStore], object]] = {
    "check": lambda store: store.check(),
    "load": lambda store: store.load(KEY),
    "save": lambda store: store.save(KEY, RECORD),
    "delete": lambda store: store.delete(KEY),
    "lock": held_by,
}
each_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


def place(store: FileTokenStore, ending: str = "token", key: str = KEY) -> Path:
    return store.folder / _name(key, ending)


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


@pytest.fixture
def umask() -> Iterator[Callable[[int], object]]:
    """Sets it, until the end of the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


# -- what it keeps -----------------------------------------------------------------------------------------------------


def test_a_record_is_kept_until_it_is_deleted(file_store: FileTokenStore) -> None:
    assert file_store.load(KEY) is None
    file_store.save(KEY, RECORD)
    assert file_store.load(KEY) == RECORD
    file_store.save(KEY, newer(RECORD))
    assert loaded(file_store) == newer(RECORD)
    assert file_store.load("another key") is None
    file_store.delete(KEY)
    file_store.delete(KEY)
    assert file_store.load(KEY) is None


def test_a_file_shows_neither_a_secret_nor_the_key(file_store: FileTokenStore) -> None:
    file_store.save("../jane@example.com", RECORD)
    [path] = file_store.folder.iterdir()
    text = path.name + path.read_text()
    assert path.parent == file_store.folder
    for secret in (*SECRETS, "jane", "client-7", "bitbucket.org"):
        assert secret not in text


@pytest.mark.parametrize("key", ["", "x" * 5000, "../../etc/passwd", "/etc/passwd", "jané\n\0", "."])
def test_any_text_is_a_key_and_none_is_a_path(file_store: FileTokenStore, key: str) -> None:
    file_store.save(key, RECORD)
    assert file_store.load(key) == RECORD
    assert len(list(file_store.folder.iterdir())) == 1


def test_a_token_is_had_from_it(bitbucket: BitbucketSimulator, file_store: FileTokenStore) -> None:
    tokens = {get_access_token(store=FileTokenStore(file_store.folder)).access_token for _ in range(3)}
    assert len(tokens) == len(bitbucket.requests_to("token")) == 1


def test_a_store_stays_where_it_is_if_the_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileTokenStore("tokens")
    store.save(KEY, RECORD)
    monkeypatch.chdir("/")
    assert store.load(KEY) == RECORD
    assert store.folder == tmp_path / "tokens"


# -- who can read it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o007])
def test_folder_and_files_are_ones_own_whatever_the_umask(
    tmp_path: Path, mask: int, umask: Callable[[int], object]
) -> None:
    umask(mask)
    store = FileTokenStore(tmp_path / "a" / "b" / "tokens")
    store.save(KEY, RECORD)
    with store.lock(KEY):
        folders = [store.folder, store.folder.parent, store.folder.parent.parent]
        assert [mode(folder) for folder in folders] == [0o700] * 3
        assert {path.suffix: mode(path) for path in store.folder.iterdir()} == {".token": 0o600, ".lock": 0o600}


def test_a_umask_that_takes_ones_own_rights_does_not_lock_one_out(
    file_store: FileTokenStore, umask: Callable[[int], object]
) -> None:
    file_store.check()
    umask(0o777)
    file_store.save(KEY, RECORD)
    assert mode(place(file_store)) == 0o600


@each_use
@pytest.mark.parametrize("bits", [0o755, 0o710, 0o701, 0o770, 0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_use_is_refused(
    tmp_path: Path, bits: int, use: Callable[[FileTokenStore], object]
) -> None:
    folder = tmp_path / "tokens"
    folder.mkdir()
    folder.chmod(bits)
    with pytest.raises(ConfigurationError, match=f"isn't yours alone. Do: chmod 700 {folder}"):
        use(FileTokenStore(folder))
    assert list(folder.iterdir()) == []


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "tokens"
    folder.mkdir(0o700)
    with suppress(PermissionError):  # only root can give something away, and what is root's isn't anybody else's
        os.chown(folder, 12345, -1)
    theirs = folder if folder.stat().st_uid == 12345 else Path("/")
    with pytest.raises(ConfigurationError, match="isn't yours alone"):
        FileTokenStore(theirs).check()


@each_use
@pytest.mark.parametrize("what", ["file", "link", "dangling link", "pipe", "below a file", "below a dangling link"])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, what: str, use: Callable[[FileTokenStore], object]) -> None:
    folder, real = tmp_path / "tokens", tmp_path / "real"
    real.mkdir(0o700)
    if what in ("file", "below a file"):
        folder.touch(0o600)
    elif what == "link":
        folder.symlink_to(real)
    elif what == "pipe":
        os.mkfifo(folder, 0o600)
    else:
        folder.symlink_to(tmp_path / "nothing")
    with pytest.raises(ConfigurationError, match="can't be made or opened as a folder"):
        use(FileTokenStore(folder / "x" / "y" if what.startswith("below") else folder))
    assert list(real.iterdir()) == []
    assert not (tmp_path / "nothing").exists()


# -- what the site serves ----------------------------------------------------------------------------------------------


@each_use
@pytest.mark.parametrize("name", ["MEDIA_ROOT", "STATIC_ROOT"])
@pytest.mark.parametrize("way", ["", "tokens", "a/b/c", "../served/tokens", "link", "link/tokens", "no/../tokens"])
def test_a_folder_that_is_served_is_refused(
    tmp_path: Path, settings: Any, name: str, way: str, use: Callable[[FileTokenStore], object]
) -> None:
    served, inside = tmp_path / "served", tmp_path / "inside"
    served.mkdir(0o700)
    inside.mkdir(0o700)
    (inside / "link").symlink_to(served)
    setattr(settings, name, str(served))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigurationError, match=f"don't belong under {name}"):
        use(FileTokenStore((inside if way.startswith("link") else served) / way))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_served_folder_behind_a_link_is_refused_by_its_real_name(tmp_path: Path, settings: Any) -> None:
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "media").symlink_to(tmp_path / "real")
    settings.MEDIA_ROOT = tmp_path / "media"
    with pytest.raises(ConfigurationError, match="MEDIA_ROOT"):
        FileTokenStore(tmp_path / "real" / "tokens").check()


def test_a_folder_beside_or_above_what_is_served_is_fine(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT, settings.STATIC_ROOT = str(tmp_path / "served"), None
    for folder in (tmp_path / "served-not", tmp_path / "above"):
        FileTokenStore(folder).check()
        assert folder.is_dir()
    settings.STATIC_ROOT = tmp_path / "above" / "static"
    FileTokenStore(tmp_path / "above").check()
