"""What is the folder store's own: its files, its lock, its clock. The rest is in the contract of all stores."""

import fcntl
import os
import shutil
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest

from refit.core import atomic_folder, effects
from refit.core.addresses import BadKey
from refit.core.atomic_folder import AtomicFolder, LockStuck
from refit.core.errors import ConfigError
from refit.core.local_store import LocalStore
from refit.core.store import Conflict


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "deep" / "store")


def test_the_folder_is_made_by_the_first_write_and_by_no_read(store: LocalStore, tmp_path: Path) -> None:
    assert not store.exists("a")
    assert list(store.list("")) == []
    assert store.sweep(timedelta(0)) == 0
    store.delete("a")
    assert list(tmp_path.iterdir()) == []
    store.put("a", b"1")
    assert (tmp_path / "deep" / "store" / "a").read_bytes() == b"1"


def test_objects_are_files_where_local_path_says(store: LocalStore) -> None:
    store.under("flights/").put("runs/r/run.json", b"1")
    assert store.under("flights/").local_path("runs/r/run.json").read_bytes() == b"1"
    assert store.local_path("flights/runs/r/run.json").read_bytes() == b"1"


def test_what_the_store_keeps_for_itself_is_no_object(store: LocalStore) -> None:
    with store.writer("a") as writer:
        writer.write(b"1")
        assert list(store.list("")) == []
        assert list(store.list(".t")) == []
        assert list(store.list(".tmp/")) == []
        assert list(store.list_folders("")) == []
    for key in (".tmp/x", ".lock", ".lock/x"):
        with pytest.raises(BadKey, match="for itself"):
            store.put(key, b"")
    store.under("flights/").put(".tmp/x", b"an ordinary name there")
    assert [found.key for found in store.list("")] == ["a", "flights/.tmp/x"]


def test_age_is_that_of_the_file_by_the_same_clock(tmp_path: Path) -> None:
    now = time.time()
    store = LocalStore(tmp_path, clock=lambda: now + 100)
    store.put("a", b"1")
    assert 99 < store.under("").entry("a").age_seconds < 101


def test_a_clock_that_was_put_back_makes_nothing_younger_than_new(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, clock=lambda: time.time() - 86_400)
    store.put("a", b"1")
    assert store.entry("a").age_seconds == 0


def test_a_swap_makes_the_object_new(store: LocalStore) -> None:
    tag = store.swap("a", b"1", None)
    os.utime(store.local_path("a"), (1, 1))
    assert store.entry("a").age_seconds > 1e9
    store.swap("a", b"1", tag)
    assert store.entry("a").age_seconds < 60


def test_a_stopped_process_with_the_lock_is_named_in_the_end(tmp_path: Path) -> None:
    folder = AtomicFolder(tmp_path, lock_seconds=0.05)
    with (tmp_path / ".lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LockStuck, match=r"another process has held .*\.lock") as caught, folder.locked():
            pytest.fail("two hold the lock")
    assert caught.value.exit_code == 75
    with folder.locked():
        pass


def test_a_lock_file_that_was_removed_meanwhile_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = atomic_folder._flock
    with ExitStack() as other:

        def removed_before_it_is_locked(file: IO[bytes]) -> bool:
            monkeypatch.setattr(atomic_folder, "_flock", flock)
            (tmp_path / ".lock").unlink()
            other.enter_context(AtomicFolder(tmp_path).locked())  # a new file: the old one counts for nobody
            return flock(file)

        monkeypatch.setattr(atomic_folder, "_flock", removed_before_it_is_locked)
        with pytest.raises(LockStuck), AtomicFolder(tmp_path, lock_seconds=0.05).locked():
            pytest.fail("two hold the lock")
    with AtomicFolder(tmp_path).locked():
        pass


def test_a_store_that_was_removed_starts_anew(store: LocalStore, tmp_path: Path) -> None:
    store.swap("a", b"1", None)
    shutil.rmtree(tmp_path / "deep")
    store.swap("a", b"2", None)
    assert store.get("a") == b"2"


def test_a_folder_that_a_deletion_empties_does_not_stop_a_creator(store: LocalStore) -> None:
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            store.put("a/b/c/other", b"")
            store.delete("a/b/c/other")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for number in range(100):
            store.create(f"a/b/c/{number}", b"1")
            store.delete(f"a/b/c/{number}")
    finally:
        stop.set()
        thread.join()
    assert list(store.list("")) == []


def test_a_folder_that_is_taken_away_while_it_is_made_is_made_again(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("other", b"")
    sync = atomic_folder.sync_folder

    def taken_away(folder: Path) -> None:
        monkeypatch.setattr(atomic_folder, "sync_folder", sync)
        shutil.rmtree(folder)
        sync(folder)

    monkeypatch.setattr(atomic_folder, "sync_folder", lambda folder: taken_away(folder) if folder.name == "b" else None)
    store.create("a/b/c/d", b"1")
    assert store.get("a/b/c/d") == b"1"


def test_sweep_removes_what_killed_writers_left_and_nothing_that_is_written_to(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with store.writer("a") as writer:
        writer.write(b"1")
        left = tmp_path / ".tmp" / "left"
        left.write_bytes(b"x")
        os.utime(left, (1, 1))
        assert store.sweep(timedelta(days=1)) == 1
        assert not left.exists()
    assert store.get("a") == b"1"


@pytest.mark.parametrize("key", ["a/b", "a/b/c"])
def test_an_object_below_an_object_is_refused(store: LocalStore, key: str) -> None:
    store.put("a", b"1")
    assert not store.exists(key)
    for write in (
        lambda: store.put(key, b"2"),
        lambda: store.create(key, b"2"),
        lambda: store.swap(key, b"2", None),
    ):
        with pytest.raises(ConfigError, match="Not a directory"):
            write()
    assert [found.key for found in store.list("")] == ["a"]


def test_an_object_in_place_of_a_folder_is_refused(store: LocalStore) -> None:
    store.put("a/b", b"1")
    assert not store.exists("a")
    for write in (lambda: store.put("a", b"2"), lambda: store.create("a", b"2"), lambda: store.swap("a", b"2", None)):
        with pytest.raises(ConfigError, match="Is a directory"):
            write()


def test_every_change_passes_the_hook_before_it_shows(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str, bool]] = []
    monkeypatch.setattr(
        effects, "hook", lambda moment, name: seen.append((moment, name, store.exists(name.split()[1])))
    )
    tag = store.create("a", b"1")
    store.swap("b", b"1", None)
    store.put("c", b"1")
    with store.writer("d") as writer:
        writer.write(b"1")
    store.delete("c")
    with pytest.raises(Conflict):
        store.swap("a", b"2", "not " + tag)
    assert seen == [
        ("before", "create a", False),
        ("after", "create a", True),
        ("before", "swap b", False),
        ("after", "swap b", True),
        ("before", "put c", False),
        ("after", "put c", True),
        ("before", "put d", False),
        ("after", "put d", True),
        ("before", "delete c", True),
        ("after", "delete c", False),
        ("before", "swap a", True),
    ]


def test_links_in_the_folder_are_read_but_never_followed_into_folders(store: LocalStore, tmp_path: Path) -> None:
    store.put("a/b", b"1")
    (tmp_path / "deep/store/a/up").symlink_to(tmp_path / "deep/store")
    (tmp_path / "deep/store/a/file").symlink_to(tmp_path / "deep/store/a/b")
    assert [found.key for found in store.list("")] == ["a/b", "a/file"]
