"""One attempt of a step as its own process ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from refit.core.domain import Termination
from refit.core.last_words import MESSAGE_BYTES

ATTEMPT = """
import os, sys
from refit.core import step

sys.exit(step.attempt(step.Step("train", None, None), os.environ))
"""
TERMINATED = """
import os, signal, sys
from refit.core import logs, step

class Terminating:
    def error(self, *words, **more):
        os.kill(os.getpid(), signal.SIGTERM)

def terminated(environment, *more):
    os.kill(os.getpid(), signal.SIGTERM)

logs.logger = Terminating
step._required = {first}
sys.exit(step.attempt(step.Step("train", None, None), os.environ))
"""


def ended_by(first: str, folder: Path) -> tuple[int, Termination]:
    """How an attempt ends that is terminated while it tells its failure."""
    return ended(TERMINATED.replace("{first}", first), folder)


def ended(code: str, folder: Path) -> tuple[int, Termination]:
    """Exit code and last words of the attempt that `code` makes."""
    words = folder / "words"
    words.touch()
    environment = {"REFIT_TERMINATION": str(words), "REFIT_STORE": f"file://{folder}/store", "REFIT_RUN_ID": "r"}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, check=False, timeout=30)
    return done.returncode, Termination.from_json(words.read_bytes(), "words")


def test_a_second_sigterm_does_not_end_what_the_first_one_closes(tmp_path: Path) -> None:
    code, last_words = ended_by("terminated", tmp_path)
    assert code == 143
    assert last_words.failure is not None
    assert last_words.failure.error_class == "killed"


def test_a_sigterm_that_meets_a_failing_step_leaves_it_its_last_words(tmp_path: Path) -> None:
    code, last_words = ended_by("step._required", tmp_path)
    assert code == 64
    assert last_words.failure is not None
    assert last_words.failure.type == "RunUnknown"


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "second"])
def test_an_attempt_without_a_number_of_its_own_is_refused(number: str, tmp_path: Path) -> None:
    code = f"import os; os.environ['REFIT_ATTEMPT'] = {number!r}\n" + ATTEMPT
    exit_code, last_words = ended(code, tmp_path)
    assert exit_code == 64
    assert last_words.failure is not None
    assert last_words.failure.type == "BadAttempt"
    assert repr(number) in last_words.failure.message


@pytest.mark.parametrize(("number", "read"), [("", 1), ("3", 3)], ids=["none", "the third"])
def test_an_attempt_is_the_first_unless_it_says_otherwise(number: str, read: int, tmp_path: Path) -> None:
    code = f"import os; os.environ['REFIT_ATTEMPT'] = {number!r}\n" + ATTEMPT
    _, last_words = ended(code, tmp_path)
    assert last_words.number == read


ELSEWHERE = """
import os, queue, signal, sys, threading
from refit.core import step

def waiting(*given):
    threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.{signal}), daemon=True).start()
    queue.Queue().get()

step._required = waiting
step.GRACE_SECONDS = 60
sys.exit(step.attempt(step.Step("train", None, None), os.environ))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_that_another_thread_was_given_ends_the_step_at_once(name: str, tmp_path: Path) -> None:
    code, last_words = ended(ELSEWHERE.replace("{signal}", name), tmp_path)
    assert code == 143
    assert last_words.failure is not None
    assert last_words.failure.error_class == "killed"


LONG = """
import os, sys
from refit.core import step
from refit.core.errors import DataError

def failing(*given):
    raise DataError({character!r} * 9000, next="y" * 9000)

step._required = failing
sys.exit(step.attempt(step.Step("train", None, None), os.environ))
"""


@pytest.mark.parametrize("character", ["x", "\U0001f600", "\x01"], ids=["plain", "four bytes", "escaped"])
def test_last_words_fit_into_a_termination_message(tmp_path: Path, character: str) -> None:
    code, last_words = ended(LONG.replace("{character!r}", ascii(character)), tmp_path)
    assert code == 65
    assert last_words.failure is not None
    assert last_words.failure.message.startswith(character * 50)
    assert (tmp_path / "words").stat().st_size <= MESSAGE_BYTES


CRASH = """
import os
from refit.core import step

def crash(*given):
    os.abort()

step.attempt = crash
step.main(None)
"""


def test_a_crash_in_native_code_leaves_its_place_in_the_log() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REFIT_")}
    done = subprocess.run([sys.executable, "-c", CRASH], env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGABRT
    assert "Aborted" in done.stderr
    assert "line 6 in crash" in done.stderr
