"""What is drawn while a run goes on."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from refit.cli.progress import Progress
from refit.core.domain import Failure, Outcome
from refit.run.events import Event, RunEnded, RunStarted, StepDone, StepFailed, StepStarted, StepTold
from tests.fixtures.records import NOW, extract_manifest, run_record

RUN = "20261120t070000-aaaa"
FAILURE = Failure(error_class="dependency", type="X", step="extract", exit_code=75, message="no answer")
OUTCOME = Outcome(pipeline="loans", run_id=RUN, outcome="promoted", as_of=NOW, finished_at=NOW)
EVENTS: tuple[Event, ...] = (
    RunStarted(run_record()),
    StepStarted("extract", 1),
    StepTold("extract", None, {"event": "x"}),
    StepTold("extract", "10,000 rows", {"event": "progress"}),
    StepFailed("extract", 1, FAILURE, 5.0),
    StepStarted("extract", 2),
    StepDone("extract", extract_manifest(RUN)),
    RunEnded(OUTCOME),
)


def test_a_pipe_gets_finished_lines_without_colour(capsys: pytest.CaptureFixture[str]) -> None:
    now = 10.0
    with Progress(lambda: now) as progress:
        for event in EVENTS:
            progress(event)
        now = 15.9
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert [line.split()[0] for line in lines] == ["loans", "extract", "extract"]
    assert "no answer; again in 5.0 s" in lines[1]
    assert "\x1b" not in said.err
    assert progress.outcome == OUTCOME
    assert round(progress.seconds, 3) == 5.9


def test_a_pipe_hears_now_and_then_of_a_step_that_takes_long(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with Progress(lambda: now) as progress:
        progress(StepStarted("train", 1))
        for second in range(100):
            now = float(second)
            progress(StepTold("train", f"tree {second}", {"event": "progress"}))
        progress(StepStarted("evaluate", 1))
        progress(StepTold("evaluate", "soon done", {"event": "progress"}))
    assert [line.split() for line in capsys.readouterr().err.splitlines()] == [
        ["train", "tree", "30"],
        ["train", "tree", "60"],
        ["train", "tree", "90"],
    ]


def test_a_reader_of_the_talk_that_goes_away_does_not_end_the_run() -> None:
    script = (
        "from tests.unit.cli.test_progress import EVENTS\n"
        "from refit.cli.progress import Progress\n"
        "with Progress() as progress:\n"
        "    for event in EVENTS * 50: progress(event)\n"
        "print('whole')"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", script], stdout=-1, stderr=-1, text=True, cwd=root) as process:
        assert process.stdout and process.stderr
        process.stderr.close()
        assert process.stdout.read() == "whole\n"
        assert process.wait(60) == 0


@pytest.mark.parametrize("colour", [True, False], ids=["colour", "NO_COLOR"])
def test_a_terminal_gets_a_spinner_and_the_same_lines(colour: bool) -> None:
    drawn = _on_terminal({"NO_COLOR": "" if colour else "1"})
    assert "10,000 rows" in drawn  # the spinner's text
    assert "10 new rows, 10 in the window" in drawn
    assert ("\x1b[33mretry" in drawn) is colour
    assert drawn.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in drawn  # the cursor is back


def _on_terminal(settings: dict[str, str]) -> str:
    """What a run draws on a terminal of its own."""
    script = (
        "import time\n"
        "from tests.unit.cli.test_progress import EVENTS\n"
        "from refit.cli.progress import Progress\n"
        "with Progress() as progress:\n"
        "    for event in EVENTS: progress(event); time.sleep(0.05)\n"
    )
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "PYTHONPATH": os.pathsep.join(sys.path), **settings}
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=follower, stderr=follower, env=environment, cwd=root
    ) as process:
        os.close(follower)
        drawn = io.BytesIO()
        while True:
            try:
                chunk = os.read(leader, 4096)
            except OSError:  # the terminal's last user has gone
                break
            if not chunk:
                break
            drawn.write(chunk)
        os.close(leader)
        assert process.wait(60) == 0
    return drawn.getvalue().decode(errors="replace")
