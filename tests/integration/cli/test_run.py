"""`refit run` as a user starts it: a process of its own, real steps, a real database."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from refit.core.domain import STEPS
from refit.core.runs import read_outcome, run_ids
from refit.core.store import open_store
from refit.demo.postgres import on_database
from tests.fixtures.postgres import execute

FILE = """\
apiVersion: refit/v1
name: loans
source:
  query: SELECT loan_id, applied_at, income, age, defaulted FROM loans
  key: [loan_id]
  cursor: applied_at
target: defaulted
task: binary
model: {estimator: sklearn.linear_model.LogisticRegression}
"""
# 3,000 loans over 60 days; who earns less defaults more often
TABLE = """
CREATE TABLE loans AS
SELECT n AS loan_id,
       timestamptz '2026-01-01 00:00Z' + n * interval '28 minutes' AS applied_at,
       (n * 7919) % 1000 AS income,
       20 + (n * 104729) % 50 AS age,
       ((n * 7919) % 1000) + ((n * 15485863) % 400) < 500 AS defaulted
FROM generate_series(1::bigint, 3000) AS n
"""
AS_OF = "2026-03-01T12:00Z"


class Line:
    """The command line in a folder of its own."""

    def __init__(self, folder: Path, dsn: str | None) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REFIT_")}
        self.settings = kept | ({"REFIT_SOURCE_DSN": dsn} if dsn else {})

    def start(self, *words: str, **pipes: Any) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | pipes
        command = [sys.executable, "-m", "refit.cli", *words]
        return subprocess.Popen(command, cwd=self.folder, env=self.settings, text=True, **pipes)

    def call(self, *words: str) -> tuple[int, str, str]:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=120)
        return process.returncode, out, err


@pytest.fixture
def line(tmp_path: Path, database: str) -> Line:
    """A folder with the file, and a database with the table."""
    execute(database, TABLE)
    (tmp_path / "refit.yaml").write_text(FILE)
    return Line(tmp_path, database)


@dataclass(frozen=True)
class FirstRun:
    """A folder where a first run was made, and what it said."""

    line: Line
    code: int
    out: str
    err: str

    @property
    def run_id(self) -> str:
        return self.err.partition("  run ")[2].split()[0]


@pytest.fixture(scope="module")
def first(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstRun]:
    """Shared, as a run takes seconds; its tests may add runs, but none that reaches a verdict."""
    folder = tmp_path_factory.mktemp("first")
    name = f"first_{secrets.token_hex(6)}"
    execute(postgres, f"CREATE DATABASE {name}")
    dsn = on_database(postgres, name)
    execute(dsn, TABLE)
    (folder / "refit.yaml").write_text(FILE)
    line = Line(folder, dsn)
    yield FirstRun(line, *line.call("run", "refit.yaml", "--as-of", AS_OF))
    execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def test_a_first_run_promotes_tells_its_steps_and_names_a_report_on_disk(first: FirstRun) -> None:
    assert (first.code, first.out.split(" in ")[0]) == (0, "promoted"), first.err
    report = first.out.partition("report: ")[2].strip()
    assert report.startswith(".refit/store/loans/runs/") and (first.line.folder / report).is_file()
    steps = [word for text in first.err.splitlines() if (word := text.split()[0]) in STEPS]
    assert steps == list(STEPS)
    for text in ("3,000 new rows, 3,000 in the window", "LogisticRegression on", "dummy", "the first"):
        assert text in first.err


def test_status_names_the_champion_and_no_lock(first: FirstRun) -> None:
    status = json.loads(first.line.call("status", "loans", "--json")[1])
    assert (status["champion"]["version"], status["champion"]["generation"]) == (first.run_id, 1)
    assert status["lock"] is None and status["watermark"].startswith("2026-02-28")
    assert first.run_id in first.line.call("status")[1]


def test_show_logs_and_history_tell_of_the_run(first: FirstRun) -> None:
    code, out, _ = first.line.call("show", "refit.yaml", first.run_id)
    assert code == 0 and "verdict    accepted" in out and "model.skops" in out and "part-" in out
    code, out, _ = first.line.call("logs", "loans", first.run_id, "train")
    assert code == 0 and out.startswith("-- train, attempt 1")
    code, out, _ = first.line.call("history", "loans")
    assert code == 0 and first.run_id in out.splitlines()[1]


def test_a_second_run_is_skipped_also_when_nobody_reads_what_it_says(first: FirstRun) -> None:
    with first.line.start("run", "refit.yaml", "--as-of", AS_OF) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        process.stderr.close()
        assert process.wait(120) == 0
    assert json.loads(first.line.call("runs", "loans", "--json")[1])["runs"][0]["outcome"] == "skipped"


def test_a_column_that_is_gone_is_65_and_the_champion_stays(first: FirstRun) -> None:
    (first.line.folder / "other.yaml").write_text(FILE.replace("income, age", "income, wealth"))
    code, out, err = first.line.call("run", "other.yaml", "--as-of", AS_OF)
    assert (code, out) == (65, "")
    block = err[err.index("failed in extract") :]
    assert "wealth" in block
    assert f"champion  {first.run_id} stays in production" in block
    advised = re.search(r"then:  refit (rerun loans \S+ --file other\.yaml)", block)
    assert advised is not None
    (first.line.folder / "other.yaml").write_text(f"{FILE}evaluate: {{min_clean_rows: 100}}\n")
    code, out, err = first.line.call(*advised[1].split(), "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["parent"] == advised[1].split()[2]
    assert (document["outcome"], document["champion"]) == ("rejected", first.run_id)  # no time has passed to look again


def test_a_run_without_a_dsn_fails_in_extract_with_64_and_says_what_to_set(line: Line) -> None:
    del line.settings["REFIT_SOURCE_DSN"]
    code, out, err = line.call("run", "refit.yaml", "--json")
    assert code == 64
    document = json.loads(out)
    assert (document["outcome"], document["error"]["step"]) == ("failed", "extract")
    assert "REFIT_SOURCE_DSN" in document["error"]["message"] + document["error"]["next"]
    assert err.splitlines()[-1].startswith("exit 64 (")


@pytest.fixture
def slow(line: Line) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a run whose query takes long, and waits until its extract is under way."""
    (line.folder / "refit.yaml").write_text(FILE.replace("FROM loans", "FROM loans, pg_sleep(60)"))
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = line.start("run", "refit.yaml", "--json", start_new_session=True)
        started.append(process)
        deadline = time.monotonic() + 60
        while not _extracting(process.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _extracting(run: int) -> bool:
    """True when the process of extract is there: a fork of what the run has started."""
    return any(child.children() for child in psutil.Process(run).children())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_run_that_is_asked_to_end_takes_its_step_along_and_leaves_an_outcome(
    slow: Callable[[], subprocess.Popen[str]], line: Line, number: signal.Signals
) -> None:
    process = slow()
    time.sleep(1.0)
    children = psutil.Process(process.pid).children(recursive=True)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # a terminal sends it to all of its processes
    else:
        process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    document = json.loads(out)
    assert (document["outcome"], document["error"]["class"], document["error"]["step"]) == (
        "failed",
        "killed",
        "extract",
    )
    assert len(children) > 1
    assert not any(child.is_running() for child in children)
    store = open_store(f"file://{line.folder}/.refit/store").under("loans/")
    (run_id,) = run_ids(store)
    outcome = read_outcome(store, run_id)
    assert outcome is not None and outcome.outcome == "failed"


def test_a_second_run_waits_for_the_first_and_says_so(slow: Callable[[], subprocess.Popen[str]], line: Line) -> None:
    slow()
    code, out, err = line.call("run", "refit.yaml", "--wait", "1", "--json")
    assert code == 79
    assert json.loads(out)["run_id"] is None
    assert "is going on; waiting up to 1.0 s" in err
    code, out, _ = line.call("status", "--json")
    (status,) = json.loads(out)["pipelines"]
    assert status["last_run"]["outcome"] == "running" and status["lock"]["run_id"] == status["last_run"]["run_id"]
