"""Files as a store: who can read them, what is put in their place, and what a crash leaves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from stores.keeping import (
    KEY,
    PLAIN,
    RECORD,
    SECRETS,
    TESTS,
    another_process,
    at_once,
    elsewhere,
    heard,
    in_a_child,
    let_go,
    loaded,
    newer,
)

from django_bitbucket_auth.exceptions import BitbucketUnavailable, ConfigurationError
from django_bitbucket_auth.stores import FileTokenStore, TokenStore
from django_bitbucket_auth.stores.file import _name
from django_bitbucket_auth.testing import BitbucketSimulator
from django_bitbucket_auth.tokens import get_access_token


def held_by(store: TokenStore, key: str = KEY) -> bool:
    with store.lock(key) as held:
        return held is not None


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


# -- what is put in its place ------------------------------------------------------------------------------------------


def test_a_link_in_place_of_the_token_is_not_followed_and_is_replaced(
    file_store: FileTokenStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = FileTokenStore(tmp_path / "other")
    other.save(KEY, RECORD)
    file_store.check()
    place(file_store).symlink_to(place(other))
    assert file_store.load(KEY) is None
    [record] = caplog.records
    assert KEY in record.getMessage()
    file_store.save(KEY, newer(RECORD))
    assert not place(file_store).is_symlink()
    assert loaded(file_store) == newer(RECORD)
    assert loaded(other) == RECORD


def test_a_link_in_place_of_the_lock_is_not_followed(file_store: FileTokenStore, tmp_path: Path) -> None:
    file_store.check()
    place(file_store, "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(BitbucketUnavailable, match=str(file_store.folder)):
        held_by(file_store)
    assert not (tmp_path / "victim").exists()


def test_a_pipe_in_place_of_the_token_is_not_waited_for(file_store: FileTokenStore) -> None:
    file_store.check()
    os.mkfifo(place(file_store))
    assert file_store.load(KEY) is None


def test_a_folder_in_place_of_the_token_is_unavailable(file_store: FileTokenStore) -> None:
    file_store.check()
    place(file_store).mkdir()
    for name in ("load", "save", "delete"):
        with pytest.raises(BitbucketUnavailable, match="can't be used"):
            USES[name](file_store)
    assert [path.suffix for path in file_store.folder.iterdir()] == [".token"]


@pytest.mark.parametrize("text", [b"", b"1.", b"1.AAAAAAAA.AAAA", b"\xff\xfe", b"{}", b"x" * 100_000])
def test_what_is_not_ours_is_no_token_and_one_log_line(
    file_store: FileTokenStore, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file_store.check()
    place(file_store).write_bytes(text)
    assert file_store.load(KEY) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_file_under_anothers_name_is_no_token(file_store: FileTokenStore) -> None:
    file_store.save("mallory", PLAIN)
    place(file_store, key="mallory").rename(place(file_store, key="jane"))
    assert file_store.load("jane") is None


def test_a_socket_in_place_of_the_token_is_unavailable(file_store: FileTokenStore) -> None:
    file_store.check()
    os.mknod(place(file_store), 0o600 | stat.S_IFSOCK)
    with pytest.raises(BitbucketUnavailable, match="can't be used"):
        file_store.load(KEY)


# -- what a crash leaves -----------------------------------------------------------------------------------------------

#: A program that saves another pair and doesn't get to its end.
CRASH = """
import os, resource, signal, sys
import django
django.setup()
from stores.keeping import KEY, RECORD, newer
from django_bitbucket_auth.stores import FileTokenStore

def die(event, args):
    if event == "os.rename":
        os.kill(os.getpid(), signal.SIGKILL)

store = FileTokenStore(sys.argv[1])
record = newer(RECORD)
if sys.argv[2] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
else:
    sys.addaudithook(die)
try:
    store.save(KEY, record)
except Exception as error:
    print(type(error).__name__)
"""


def crash(store: FileTokenStore, how: str) -> subprocess.CompletedProcess[str]:
    # Without coverage, which would be at its end, too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.run(
        [sys.executable, "-c", CRASH, str(store.folder), how],
        cwd=TESTS,
        env={**environment, "DJANGO_SETTINGS_MODULE": "settings"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_leaves_the_old_token_and_nothing_else(file_store: FileTokenStore) -> None:
    file_store.save(KEY, RECORD)
    ran = crash(file_store, "full")
    assert ran.stdout == "BitbucketUnavailable\n", ran.stderr
    assert file_store.load(KEY) == RECORD
    assert [path.suffix for path in file_store.folder.iterdir()] == [".token"]


def test_a_process_that_is_killed_leaves_the_old_token_and_what_it_wrote_is_swept(file_store: FileTokenStore) -> None:
    file_store.save(KEY, RECORD)
    assert crash(file_store, "killed").returncode == -signal.SIGKILL
    assert file_store.load(KEY) == RECORD
    [left] = file_store.folder.glob("*.new")
    assert mode(left) == 0o600
    # It might be somebody's who is about to put it in place.
    file_store.save(KEY, RECORD)
    file_store.save("another key", RECORD)
    assert left.exists()
    os.utime(left, (0, 0))
    file_store.save("another key", RECORD)
    assert left.exists()
    file_store.save(KEY, RECORD)
    assert [path.suffix for path in file_store.folder.iterdir()] == [".token", ".token"]


def test_those_who_save_and_sweep_at_the_same_time_are_not_in_each_others_way(file_store: FileTokenStore) -> None:
    file_store.check()
    for number in range(20):
        left = place(file_store, f"{number}.new")
        left.touch()
        os.utime(left, (0, 0))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: file_store.save(KEY, newer(RECORD, str(number))), range(40)))
    assert loaded(file_store).token.access_token.endswith("-access")
    assert [path.suffix for path in file_store.folder.iterdir()] == [".token"]


# -- the lock ----------------------------------------------------------------------------------------------------------


def test_one_gets_the_lock_and_uses_the_store(file_store: FileTokenStore) -> None:
    with file_store.lock(KEY) as held:
        assert held is file_store
        held.save(KEY, RECORD)
        assert not held_by(FileTokenStore(file_store.folder))
        assert not elsewhere(lambda: held_by(file_store))
        assert held_by(file_store, "another key")
    assert held_by(file_store)


def test_the_lock_ends_with_its_block_even_if_that_fails_in_its_own_way(file_store: FileTokenStore) -> None:
    with pytest.raises(PermissionError, match="theirs"), file_store.lock(KEY):
        raise PermissionError("theirs")
    assert held_by(file_store)


def test_of_many_threads_one_gets_the_lock(file_store: FileTokenStore) -> None:
    assert sorted(at_once(8, file_store)) == [False] * 7 + [True]


def test_of_two_processes_one_gets_the_lock(file_store: FileTokenStore) -> None:
    with another_process("file", str(file_store.folder)) as process:
        assert heard(process) == "held"
        assert not held_by(file_store)
        with another_process("file", str(file_store.folder)) as second:
            assert heard(second) == "taken"
            let_go(second)
        let_go(process)
    assert held_by(file_store)


def test_the_lock_of_a_process_that_was_killed_is_free(file_store: FileTokenStore) -> None:
    with another_process("file", str(file_store.folder)) as process:
        assert heard(process) == "held"
        assert not held_by(file_store)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
        assert held_by(file_store)


def test_a_lock_is_free_after_its_block_though_a_forked_child_has_its_file_open(file_store: FileTokenStore) -> None:
    here, there = os.pipe(), os.pipe()

    def wait() -> bool:
        os.close(there[1])
        os.write(here[1], b"x")
        return os.read(there[0], 1) == b""

    with ThreadPoolExecutor(1) as pool:
        with file_store.lock(KEY):
            child = pool.submit(in_a_child, wait)
            assert os.read(here[0], 1) == b"x"
            assert not held_by(file_store)
        assert held_by(file_store)
        os.close(there[1])
        assert child.result()
    for handle in (*here, there[0]):
        os.close(handle)
