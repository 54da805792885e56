"""The folder store when its process is killed, its disk is full, or it may not write (faults 24, 29 and 32)."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from refit.core.local_store import LocalStore
from tests.fixtures import broken_disk, endless_writer, killed_at_each_line


def run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, input=stdin)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had: a sync to disk costs nothing there, and nobody cuts the power."""
    memory = "/dev/shm"  # noqa: S108, a folder with a random name in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield Path(name)


@pytest.mark.timeout(120)
def test_sigkill_at_any_line_leaves_the_old_state_or_the_new(quick_folder: Path) -> None:
    done = run(sys.executable, killed_at_each_line.__file__, str(quick_folder))
    assert done.returncode == 0, done.stderr
    lines = json.loads(done.stdout)
    assert set(lines) == set(killed_at_each_line.OPERATIONS)
    assert min(lines.values()) >= 20


def test_sigkill_among_writers_leaves_no_torn_object_and_no_lock(folder_store: LocalStore) -> None:
    generations: list[int] = []
    for seconds in (0.1, 0.3, 0.2):
        writers = [
            subprocess.Popen(
                [sys.executable, endless_writer.__file__, folder_store.url, f"{seconds}-{name}"],
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in "ab"
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        time.sleep(seconds)
        for writer in writers:
            writer.kill()
        for writer in writers:
            output, _ = writer.communicate(timeout=30)
            generations += [int(line) for line in output.splitlines()]
        entry = folder_store.entry("refs/count")
        generations.append(int(entry.body.split()[0]) + 1)
        folder_store.swap("refs/count", f"{generations[-1]} test".encode(), entry.tag)
    assert len(set(generations)) == len(generations)
    assert max(generations) == generations[-1]  # one may be missing: killed before it said so
    assert folder_store.get("refs/count") == f"{generations[-1]} test".encode()
    objects = [found.key for found in folder_store.list("") if not found.key.startswith("refs/")]
    assert len(objects) > 6
    for key in objects:
        body = folder_store.get(key)
        assert hashlib.sha256(body[64:]).hexdigest().encode() == body[:64], f"{key} is torn"


CAN_MOUNT = shutil.which("unshare") and run("unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt").returncode == 0
KINDS = [*(("full disk", "read-only disk") if CAN_MOUNT else ()), "size limit", "no permission"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_takes_nothing_more_keeps_what_it_has(kind: str, open_folder: Path) -> None:
    python = [sys.executable, broken_disk.__file__, kind, str(open_folder)]
    done = run(*(["unshare", "-rm", *python] if kind.endswith("disk") else python))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    denied = kind in ("read-only disk", "no permission")
    expected = ["AccessError", 77] if denied else ["DiskError", 74]
    assert found["failed"] == dict.fromkeys(("create", "swap", "put", "stream", "download"), expected)
    words = {
        "full disk": "No space left on device",
        "read-only disk": "Read-only file system",
        "size limit": "File too large",
        "no permission": "Permission denied",
    }
    assert words[kind] in found["message"]
    assert found["standing"] == "whole"
    assert found["listed"] == ["standing"]
    assert found["left"] == 0
    assert not found["copied"]
