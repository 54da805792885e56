"""The store's folder takes nothing more: the disk is full at any step, a limit on files, or no right to write."""

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from refit.core.addresses import file_url
from refit.core.domain import StepName
from refit.core.effects import Moment
from refit.core.probe import probe
from refit.core.runs import read_outcome
from refit.core.store import open_store
from tests.faults.case import THIRD, Case, failed_as
from tests.faults.conftest import Bank
from tests.fixtures import invariants

NOBODY = 65534
BALLAST = "ballast"
MEGABYTE = bytes(1 << 20)


def mount(folder: Path) -> bool:
    """A disk of 2 MiB stands at the folder; False where that is not allowed."""
    if os.geteuid() != 0:
        return False
    return (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], capture_output=True).returncode == 0
    )


def unmount(folder: Path) -> None:
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> None:
    """No room is left on the folder's disk."""
    with suppress(OSError), (folder / BALLAST).open("ab", buffering=0) as file:
        while True:
            file.write(MEGABYTE)
    with suppress(OSError), (folder / BALLAST).open("ab", buffering=0) as file:
        while True:
            file.write(b"0")


def fill_at(effect: str, folder: Path, moment: Moment, name: str) -> None:
    if effect in f"{moment} {name}":
        fill(folder)


def limit(n_bytes: int) -> None:
    """No file of this process and its children may be larger."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def limit_after(effect: str, n_bytes: int, moment: Moment, name: str) -> None:
    if moment == "after" and name.endswith(effect):
        limit(n_bytes)


@pytest.fixture
def disk(case: Case, bank: Bank) -> Iterator[Path]:
    """The folder of the case's store, which is a small disk of its own."""
    folder = case.folder.parent
    shutil.rmtree(folder)
    folder.mkdir()
    if not mount(folder):
        pytest.skip("only root may mount a disk, and not everywhere")
    try:
        shutil.copytree(bank.folder / "loans", folder / "loans")
        probe(open_store(case.url), now=datetime.now(UTC))
        yield folder
    finally:
        unmount(folder)


EFFECTS = {
    "at the start": "before swap refs/lock.json",
    "before the part": "after sql copy",
    "before the model": "logs/extract-1.txt",
    "before the version": "before create versions/",
    "before the champion": "after create versions/",
    "before the history": "after swap refs/champion.json",
    "before the outcome": "logs/publish-1.txt",
}


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
def test_a_full_disk_ends_the_run_and_room_mends_it(case: Case, disk: Path, effect: str) -> None:
    before = case.champion.version
    done = case.run(inject=partial(fill_at, effect, disk))
    failed_as(done, 74, "disk DiskError", "No space left on device", "make room")
    (disk / BALLAST).unlink()
    invariants.champion_is_complete(case.store)
    moved = effect in (EFFECTS["before the history"], EFFECTS["before the outcome"])
    assert (case.champion.version != before) == moved
    dead = case.runs[-1]
    case.good(days=THIRD)
    outcome = read_outcome(case.store, dead)
    assert outcome is None or outcome.outcome == ("promoted" if moved else "failed")
    assert not list((disk / ".tmp").iterdir())


@pytest.mark.parametrize(
    ("effect", "n_bytes", "step"),
    [
        pytest.param("refs/lock.json", 16_000, "extract", id="extract"),
        pytest.param("logs/extract-1.txt", 4_400, "train", id="train"),
        pytest.param("logs/train-1.txt", 8_000, "evaluate", id="evaluate"),
    ],
)
def test_a_limit_on_files_fails_the_step_that_meets_it(case: Case, effect: str, n_bytes: int, step: StepName) -> None:
    done = case.refused(74, "disk DiskError", "File too large", inject=partial(limit_after, effect, n_bytes))
    assert done.failure is not None
    assert done.failure.step == step
    assert done.outcome is not None
    assert done.outcome.steps[step].attempts == 3
    case.good()


def test_a_temporary_folder_that_takes_nothing_more_fails_the_extract(case: Case) -> None:
    done = case.refused(74, "disk DiskError", "File too large", begin=partial(limit, 4_000))
    assert done.failure is not None
    assert done.failure.step == "extract"
    case.good()


def become_nobody() -> None:
    if os.geteuid() == 0:
        os.setuid(NOBODY)


def test_a_store_that_may_only_be_read_starts_no_run(case: Case) -> None:
    with tempfile.TemporaryDirectory() as place:  # others cannot enter pytest's own
        folder = Path(place, "store")
        shutil.copytree(case.folder, folder / "loans")
        denied = Case(case.dsn, file_url(folder), Path(place, "scratch"))
        denied.scratch.mkdir(mode=0o777)
        probe(open_store(denied.url), now=datetime.now(UTC))
        runs = denied.runs
        for path in (Path(place), *Path(place).rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        denied.scratch.chmod(0o777)
        done = denied.run(begin=become_nobody)
        failed_as(done, 77, "permission AccessError", "Permission denied", "access")
        assert done.outcome is None
        assert denied.runs == runs
        for path in (Path(place), *Path(place).rglob("*")):
            path.chmod(0o755)
        denied.good()
