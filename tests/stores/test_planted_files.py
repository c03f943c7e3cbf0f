"""Files as a store: what is put in their place, what a crash leaves, and who has the lock."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stores.keeping import (
    KEY,
    PLAIN,
    RECORD,
    TESTS,
    another_process,
    at_once,
    elsewhere,
    heard,
    held_by,
    in_a_child,
    let_go,
    loaded,
    newer,
)

from django_bitbucket_auth.exceptions import BitbucketUnavailable
from django_bitbucket_auth.stores import FileTokenStore
from django_bitbucket_auth.stores.file import _name


def place(store: FileTokenStore, ending: str = "token", key: str = KEY) -> Path:
    return store.folder / _name(key, ending)


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


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
    uses: list[Callable[[], object]] = [
        lambda: file_store.load(KEY),
        lambda: file_store.save(KEY, RECORD),
        lambda: file_store.delete(KEY),
    ]
    for use in uses:
        with pytest.raises(BitbucketUnavailable, match="can't be used"):
            use()
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
        try:
            with file_store.lock(KEY):
                child = pool.submit(in_a_child, wait)
                assert os.read(here[0], 1) == b"x"
                assert not held_by(file_store)
            assert held_by(file_store)
        finally:
            os.close(there[1])
        assert child.result()
    for handle in (*here, there[0]):
        os.close(handle)
