"""`refit demo` from the outside: the weeks, the lines that it advises, and that nothing outlives it.

The eight weeks are run once, in order; the tests of this module look at them and go on from there.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from refit.demo import cluster, flights
from refit.demo.folder import PIPELINE, Folder

REFIT = [sys.executable, "-m", "refit.cli"]
FORKSERVER = "refit.run.forkserver"
pytestmark = pytest.mark.timeout(600)  # eight weeks take a minute on two cores that are ours alone


def environment() -> dict[str, str]:
    """Ours, without what would lead the demo elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REFIT_")} | {"NO_COLOR": "1"}


def refit(place: Folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*REFIT, *arguments],
        cwd=place.root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


@contextmanager
def started(folder: Path, *arguments: str, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """A refit that goes on while the block runs, and that is given a while to end after it."""
    with subprocess.Popen(
        [*REFIT, *arguments], cwd=folder, env=environment() | settings, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
            process.communicate(timeout=60)
        finally:
            process.kill()


def shell(place: Folder, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=place.root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def processes_of(place: Folder) -> list[str]:
    """The command lines of servers and steps that work for this folder."""
    homes = {str(place.root)}
    if known := cluster._recorded(place.kept):
        homes.add(known.folder)
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            about = f"{line} {process.cwd()}"
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(home in about for home in homes):
            found.append(line)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    place = Folder(tmp_path_factory.mktemp("demo"))
    yield place
    cluster.remove(place.kept, cluster.owner())


@pytest.fixture(scope="module")
def eight_weeks(place: Folder) -> dict[str, Any]:
    done = refit(place, "demo", "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def outcomes(answer: dict[str, Any]) -> list[str]:
    return [week["outcome"] for week in answer["weeks"]]


def test_some_weeks_promote_and_some_refuse(eight_weeks: dict[str, Any]) -> None:
    found = outcomes(eight_weeks)
    assert len(found) == 8
    assert set(found) == {"promoted", "rejected"}
    assert found.count("promoted") >= 2
    assert found.count("rejected") >= 1
    assert found[0] == "promoted"


def test_each_refusal_has_a_true_reason(eight_weeks: dict[str, Any]) -> None:
    """The lower end of an interval lies at or below the loss that the file allows."""
    for week in eight_weeks["weeks"]:
        comparing = [check for check in week["verdict"]["checks"] if check["interval"]]
        beyond = [check for check in comparing if check["interval"][0] <= -check["limit"]]
        assert bool(beyond) == (week["outcome"] == "rejected")
        assert week["verdict"]["reason"]


def test_weeks_follow_each_other_and_read_only_what_is_new(eight_weeks: dict[str, Any]) -> None:
    as_of = [week["as_of"][:10] for week in eight_weeks["weeks"]]
    assert as_of[:3] == ["2013-02-01", "2013-02-08", "2013-02-15"]
    assert eight_weeks["following"] == "2013-03-29T00:00:00Z"
    rows = [week["rows"] for week in eight_weeks["weeks"]]
    assert all(4_000 < week["new"] < 8_000 for week in rows[1:])
    assert all(week["snapshot"] == week["train"] + week["holdout"] for week in rows)


def test_nothing_is_left_running(place: Folder, eight_weeks: dict[str, Any]) -> None:
    assert processes_of(place) == []


@pytest.fixture(scope="module")
def ninth_week(place: Folder, eight_weeks: dict[str, Any]) -> str:
    done = refit(place, "demo", "--weeks", "1")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_second_call_goes_on_with_the_week_that_follows(ninth_week: str) -> None:
    lines = [line for line in ninth_week.splitlines() if line.startswith("2013-")]
    assert [line.split()[0] for line in lines] == ["2013-03-29"]


def test_every_line_that_is_advised_works_as_it_stands(place: Folder, ninth_week: str) -> None:
    after = ninth_week.partition("\nnext\n")[2].splitlines()
    commands = [line[2:].partition("  ")[0] for line in after if line[:2] == "  " and line[2] != " "]
    lines = [command for command in commands if " demo" not in command]
    assert {shlex.split(line)[3] for line in lines} >= {"status", "show", "history", "predict"}
    for line in lines:
        done = shell(place, line)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_database_stays_up_for_runs_of_ones_own_until_ctrl_c(place: Folder, ninth_week: str) -> None:
    with started(place.root, "demo", "--database") as process:
        assert process.stdout is not None
        shown = ""
        while "refit.cli run" not in shown:
            line = process.stdout.readline()
            assert line, shown
            shown += line
        export, command = (line.strip() for line in shown.splitlines()[-2:])
        assert place.dsn.stat().st_mode & 0o777 == 0o600
        ran = shell(place, f"{export}; {command.split('  ')[0]} --json")
        process.send_signal(signal.SIGINT)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["as_of"] == "2013-04-05T00:00:00Z"
    assert process.returncode == 0
    assert not place.dsn.exists()
    assert processes_of(place) == []


def test_given_database_is_filled_and_used_in_place_of_an_own_server(database: str, tmp_path: Path) -> None:
    with started(tmp_path, "demo", "--database", "--json", REFIT_DEMO_DSN=database) as process:
        assert process.stdout is not None
        answer = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        assert Path(answer["dsn_file"]).read_text() == database
        assert flights.load(database) == 327_346
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert not list(tmp_path.glob(".refit/demo/cluster.json"))


def test_load_fills_the_given_database_and_ends(database: str, tmp_path: Path) -> None:
    with started(tmp_path, "demo", "--load", REFIT_DEMO_DSN=database) as process:
        told, _ = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "327,346 flights of 2013 stand in PostgreSQL\n")
    assert flights.load(database) == 327_346
    assert list(tmp_path.iterdir()) == []


def test_load_without_a_database_says_what_to_set(tmp_path: Path) -> None:
    done = refit(Folder(tmp_path), "demo", "--load")
    assert done.returncode == 64
    assert "REFIT_DEMO_DSN" in done.stderr


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 143), (signal.SIGKILL, -9)])
def test_a_demo_that_is_ended_leaves_nothing_running(
    place: Folder, ninth_week: str, sent: signal.Signals, code: int
) -> None:
    process = _killed_in_its_first_week(place, sent)
    assert process.returncode == code
    _wait(lambda: processes_of(place) == [])


def test_fresh_starts_with_the_first_week_again(place: Folder, ninth_week: str) -> None:
    _killed_in_its_first_week(place, signal.SIGKILL, "--fresh")
    runs = [json.loads(path.read_bytes())["as_of"] for path in place.store.glob(f"{PIPELINE}/runs/*/run.json")]
    assert runs == ["2013-02-01T00:00:00Z"]


def _killed_in_its_first_week(place: Folder, sent: signal.Signals, *options: str) -> "subprocess.Popen[str]":
    with started(place.root, "demo", *options) as process:
        _wait(lambda: len([line for line in processes_of(place) if FORKSERVER in line and "extract" in line]) > 1)
        process.send_signal(sent)
    return process


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.1)
