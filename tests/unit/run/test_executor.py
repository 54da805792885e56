"""Why an attempt failed, as its exit code and its last words tell."""

import signal

import pytest

from refit.core.domain import Failure, Termination
from refit.run.executor import Ended, failure_of, signal_of

SAID = Failure(error_class="data", type="OneClass", step="train", exit_code=65, message="one class", next="wait")


def last_words(failure: Failure | None) -> Termination:
    return Termination(
        step="train", run_id="r", attempt="t", number=1, failure=failure, seconds=1.0, max_rss_bytes=1 << 20
    )


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGSEGV, "Crashed: the process was ended by SIGSEGV, a crash in native code"),
        (signal.SIGABRT, "Crashed: the process was ended by SIGABRT, a crash in native code"),
        (signal.SIGILL, "Crashed: the process was ended by SIGILL, a crash in native code"),
        (signal.SIGKILL, "Killed: the process was ended by SIGKILL from outside"),
        (signal.SIGTERM, "Killed: the process was ended by SIGTERM from outside"),
        (signal.SIGXCPU, "Killed: the process was ended by SIGXCPU from outside"),
        (40, "Killed: the process was ended by signal 40 from outside"),
    ],
)
@pytest.mark.parametrize("said", [None, last_words(None)], ids=["no word", "as it ended well"])
def test_a_process_that_a_signal_ended_was_killed(number: int, told: str, said: Termination | None) -> None:
    failure = failure_of(Ended(128 + number, said, b""), "train")
    assert failure is not None
    assert (failure.error_class, failure.exit_code, failure.step) == ("killed", 128 + number, "train")
    assert f"{failure.type}: {failure.message}" == told
    assert "more memory" in failure.next
    assert ("refit logs NAME @latest train" in failure.next) == (failure.type == "Crashed")


@pytest.mark.parametrize("code", [1, 3, 127, 128, 128 + signal.NSIG, 255])
def test_a_process_that_ended_otherwise_without_a_word_is_a_fault_of_refit(code: int) -> None:
    failure = failure_of(Ended(code, None, b""), "train")
    assert signal_of(code) is None
    assert failure is not None
    assert (failure.error_class, failure.type, failure.exit_code) == ("bug", "Died", 70)
    assert f"code {code}" in failure.message


@pytest.mark.parametrize(
    ("code", "starved", "told"),
    [
        (137, True, "the memory was used up; its last progress: fits on 12 rows"),
        (137, False, "SIGKILL from outside; its last progress: fits on 12 rows"),
        (143, False, "SIGTERM from outside; its last progress: fits on 12 rows"),
    ],
    ids=["out of memory", "killed", "stuck when asked to end"],
)
def test_a_process_that_was_cut_short_is_said_to_have_been_where_it_told(code: int, starved: bool, told: str) -> None:
    going_on = last_words(None).model_copy(update={"progress": "fits on 12 rows"})
    failure = failure_of(Ended(code, going_on, b"", starved), "train")
    assert failure is not None
    assert failure.message.endswith(told)


def test_what_a_process_told_on_its_way_is_not_why_it_failed_and_no_failure() -> None:
    going_on = last_words(None).model_copy(update={"progress": "fits on 12 rows"})
    died = failure_of(Ended(1, going_on, b""), "train")
    assert died is not None
    assert died.type == "Died"
    assert failure_of(Ended(0, going_on, b""), "train") is None
    failed = last_words(SAID).model_copy(update={"progress": "fits on 12 rows"})
    assert failure_of(Ended(65, failed, b""), "train") == SAID


def test_what_a_process_said_counts_also_when_it_crashed_afterwards() -> None:
    assert failure_of(Ended(139, last_words(SAID), b""), "train") == SAID
