"""What a step's process leaves in its termination message, whatever ends it."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from refit.core.domain import Failure, Termination
from refit.core.last_words import MESSAGE_BYTES, LastWords, message_file
from refit.core.store import open_store
from tests.fixtures.records import put_run, run_record

RUN_ID = "20261120t070000-aaaa"
ATTEMPT = """
import os, signal, sys
from refit.core import step
from refit.core.domain import TrainManifest
from refit.core.errors import DataError
from tests.fixtures.records import train_manifest

def work(context):
    context.report("reads its rows")
    context.report(os.environ["PROGRESS"])
    {ends}

sys.exit(step.attempt(step.Step("train", work, TrainManifest), os.environ))
"""


def attempt(folder: Path, ends: str, progress: str = "fits on 12 rows", **more: str) -> tuple[int, Termination | None]:
    """Exit code and message of a real attempt of a step, whose last statement is `ends`."""
    put_run(open_store(f"file://{folder}/store").under("loans/"), run_record(RUN_ID))
    words = folder / "words"
    words.touch()
    settings = {
        "REFIT_STORE": f"file://{folder}/store",
        "REFIT_PIPELINE": "loans",
        "REFIT_RUN_ID": RUN_ID,
        "REFIT_TERMINATION": str(words),
        "PROGRESS": progress,
    }
    code = ATTEMPT.replace("{ends}", ends)
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | settings | more, check=False, timeout=30)
    body = words.read_bytes()
    return done.returncode, Termination.from_json(body, "words") if body else None


def test_a_step_that_is_killed_has_said_how_far_it_was(tmp_path: Path) -> None:
    code, said = attempt(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert code == -signal.SIGKILL
    assert said is not None
    assert (said.step, said.run_id, said.number) == ("train", RUN_ID, 1)
    assert (said.failure, said.progress) == (None, "fits on 12 rows")
    assert said.max_rss_bytes > 1 << 20


@pytest.mark.parametrize(
    ("ends", "code", "kind"),
    [
        ("raise MemoryError", 137, "oom"),
        ("os.kill(os.getpid(), signal.SIGTERM); signal.pause()", 143, "killed"),
        ("raise DataError('one class')", 65, "data"),
    ],
    ids=["out of memory", "asked to end", "bad rows"],
)
def test_the_last_words_of_a_step_that_failed_keep_how_far_it_was(
    tmp_path: Path, ends: str, code: int, kind: str
) -> None:
    ended, said = attempt(tmp_path, ends)
    assert said is not None
    assert said.failure is not None
    assert (ended, said.failure.error_class, said.progress) == (code, kind, "fits on 12 rows")


def test_the_last_words_of_a_step_that_ended_well_tell_no_progress(tmp_path: Path) -> None:
    code, said = attempt(tmp_path, f"return train_manifest({RUN_ID!r})")
    assert said is not None
    assert (code, said.failure, said.progress) == (0, None, "")


def test_progress_holds_no_secret(tmp_path: Path) -> None:
    progress = "asks postgresql://reader:pw1234@warehouse/db with hunter22"
    _, said = attempt(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", progress, REFIT_SOURCE_TOKEN="hunter22")
    assert said is not None
    assert said.progress == "asks postgresql://reader:***@warehouse/db with ***"


def test_a_message_that_cannot_be_written_fails_no_step(tmp_path: Path) -> None:
    code, said = attempt(tmp_path, f"return train_manifest({RUN_ID!r})", REFIT_TERMINATION=str(tmp_path))
    assert (code, said) == (0, None)


def failure(text: str) -> Failure:
    return Failure(error_class="data", type="X", exit_code=65, message=text * 5000, next=text * 5000)


@pytest.mark.parametrize("character", ["x", "\U0001f600", "\x01"], ids=["plain", "four bytes", "escaped"])
@pytest.mark.parametrize("fails", [True, False], ids=["at the end", "on the way"])
def test_a_message_is_one_that_kubernetes_keeps_whole(tmp_path: Path, character: str, *, fails: bool) -> None:
    file = tmp_path / "words"
    file.touch()
    words = LastWords(file, "train", RUN_ID, "token")
    words.tell(character * 5000)
    if fails:
        words.end(failure(character))
    body = file.read_bytes()
    said = Termination.from_json(body, "words")
    assert len(body) <= MESSAGE_BYTES
    assert said.progress.startswith(character * 100)
    assert (said.failure is not None) == fails


def test_nothing_is_made_where_nobody_waits_for_a_message(tmp_path: Path) -> None:
    words = LastWords(tmp_path / "words", "train", RUN_ID, "token")
    words.tell("reads its rows")
    words.keep(words.end(None), None)
    assert not (tmp_path / "words").exists()


@pytest.mark.parametrize(
    ("environment", "file"),
    [({}, "/dev/termination-log"), ({"REFIT_TERMINATION": "/x/words"}, "/x/words")],
    ids=["in a pod", "elsewhere"],
)
def test_the_message_goes_where_kubernetes_looks_unless_told_otherwise(
    environment: Mapping[str, str], file: str
) -> None:
    assert message_file(environment) == Path(file)
