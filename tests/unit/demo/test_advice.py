import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from refit.cli.main import COMMANDS
from refit.demo import advice
from refit.demo.folder import Folder
from tests.unit.demo.test_weeks import outcome

FOLLOWING = datetime(2013, 3, 29, tzinfo=UTC)


def commands(place: Folder, **fields: object) -> list[str]:
    lines = advice.after_weeks(place, "refit", "", outcome(**fields), FOLLOWING, predictable=True)
    return [command for command, _ in lines]


@pytest.mark.parametrize("ended", ["promoted", "rejected", "awaiting_approval", "failed"])
def test_each_line_is_a_command_that_exists(ended: str) -> None:
    for command in commands(Folder(Path()), outcome=ended, version="20130322t000000-k3fw"):
        words = shlex.split(command)
        assert words[0] == "refit" and words[1] in COMMANDS


def test_what_waits_for_a_person_can_be_settled_by_a_line() -> None:
    lines = commands(Folder(Path()), outcome="awaiting_approval", version="20130322t000000-k3fw")
    assert any(line.startswith("refit promote flight-delays 20130322t000000-k3fw --reason") for line in lines)


def test_after_a_failure_the_log_comes_first_and_nothing_leads_astray() -> None:
    assert [line.split()[1] for line in commands(Folder(Path()), outcome="failed")] == ["logs", "demo"]


def test_another_folder_is_named_in_the_lines(tmp_path: Path) -> None:
    place = Folder(tmp_path / "my demo")
    assert f"refit demo --dir '{tmp_path}/my demo'" in commands(place)


@pytest.mark.parametrize(
    ("root", "environment", "option"),
    [
        pytest.param(".", {}, "", id="here"),
        pytest.param(".", {"REFIT_STORE": "s3://production"}, " --store", id="another store is set"),
        pytest.param("elsewhere", {}, " --store", id="elsewhere"),
    ],
)
def test_store_is_named_where_refit_would_look_elsewhere(
    root: str, environment: dict[str, str], option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert advice.store_option(Folder(Path(root)), environment, Path.cwd())[:8] == option


def test_program_is_called_as_a_shell_here_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = tmp_path / ".venv" / "bin" / "refit"
    monkeypatch.chdir(tmp_path)
    assert advice.program(str(called), None) == ".venv/bin/refit"
    assert advice.program(str(called), str(called)) == "refit"
    assert advice.program(str(called), "/usr/bin/refit") == ".venv/bin/refit"
    monkeypatch.chdir("/")
    assert advice.program(str(called), None) == str(called).lstrip("/")
    assert advice.program("/x/refit/cli/__main__.py", None).endswith(" -m refit.cli")


def test_summary_counts_the_outcomes() -> None:
    done = [outcome(), outcome(outcome="rejected"), outcome(champion="v1")]
    assert advice.summary(done) == "3 weeks: 2 promoted, 1 rejected; in production: v1"


def test_long_command_has_its_explanation_below() -> None:
    lines = advice.columns([("short", "does this"), ("x" * 90, "does that")])
    assert lines == ["  short  does this", "  " + "x" * 90, "  " + " " * 5 + "  does that"]
