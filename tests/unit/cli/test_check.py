import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from refit.cli.main import refit
from tests.unit.core.pipeline_files import DEMO, LEAST


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refit.yaml").write_text(DEMO)
    return Path("refit.yaml")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(refit, list(arguments))


def document(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_good_file_is_told_in_words(file: Path) -> None:
    result = call("check", str(file), "--fast")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "flight-delays  no faults in refit.yaml"
    assert "  window     the last 56d before each run" in lines
    assert "  holds out  the newest 14d" in lines
    assert "  gate       roc_auc is at least 0.6" in lines
    assert "             neg_log_loss gains more than 0 on the champion, proven" in lines
    assert "  schedule   0 5 * * 1 in Etc/UTC" in lines
    assert "refit plan refit.yaml" in result.stderr


def test_the_estimator_and_scores_are_tried_in_a_process_of_their_own(file: Path) -> None:
    assert call("check", str(file)).exit_code == 0
    file.write_text(DEMO.replace("early_stopping", "earl_stopping").replace("[neg_log_loss, roc_auc]", "[rocauc]"))
    result = call("check", str(file))
    assert result.exit_code == 64
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "refit.yaml:32:27: model.params.earl_stopping: HistGradientBoostingClassifier takes no earl_stopping; "
        "did you mean early_stopping?",
        "refit.yaml:35:12: evaluate.scores[0]: scikit-learn has no scorer named 'rocauc'; did you mean roc_auc?",
        "2 faults in refit.yaml",
    ]


def test_every_fault_of_structure_is_a_line_on_stderr(file: Path) -> None:
    file.write_text(DEMO.replace("overlap:", "overlp:").replace("holdout: 14d", "holdout: 56d"))
    result = call("check", str(file))
    assert result.exit_code == 64
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "refit.yaml:10:3: source.overlp: unknown key; did you mean overlap?",
        "refit.yaml:25:30: split.holdout: is not shorter than window.length: no row would be left to train on",
        "2 faults in refit.yaml",
    ]


def test_names_without_room_for_those_of_jobs_are_refused_with_the_limit(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(DEMO.replace("name: flight-delays", f"name: {'n' * 29}"))
    result = call("check", str(file), "--fast")
    assert result.exit_code == 64
    assert "name: has 29 characters; a name has at most 28" in result.stderr
    file.write_text(DEMO)
    monkeypatch.setenv("REFIT_RELEASE", "r" * 29)
    result = call("check", str(file), "--fast")
    assert result.exit_code == 64
    assert "has 29 characters, and at most 28 leave room" in result.stderr


def test_fast_tries_nothing(file: Path) -> None:
    file.write_text(DEMO.replace("early_stopping", "earl_stopping"))
    result = call("check", str(file), "--fast")
    assert result.exit_code == 0
    assert "nothing: --fast looks at structure only" in result.stdout


def test_json_tells_a_good_file(file: Path) -> None:
    result = call("check", str(file), "--fast", "--json")
    assert result.exit_code == 0
    assert document(result) == {
        "format": 1,
        "file": "refit.yaml",
        "pipeline": "flight-delays",
        "valid": True,
        "faults": [],
        "warnings": [],
        "error": None,
    }


def test_json_tells_every_fault(file: Path) -> None:
    file.write_text(DEMO.replace("overlap:", "overlp:"))
    result = call("check", str(file), "--json")
    assert result.exit_code == 64
    told = document(result)
    assert told["valid"] is False
    assert told["faults"] == [
        {"line": 10, "column": 3, "key": "source.overlp", "message": "unknown key; did you mean overlap?"}
    ]
    assert (told["error"]["class"], told["error"]["exit_code"]) == ("config", 64)


@pytest.mark.parametrize("name", ["nosuch.yaml", "folder", "refit.yaml/below"])
def test_a_file_that_is_not_there_is_64_with_the_same_document(file: Path, name: str) -> None:
    Path("folder").mkdir()
    result = call("check", name, "--json")
    assert result.exit_code == 64
    told = document(result)
    assert (told["file"], told["valid"], told["faults"]) == (name, False, [])
    assert told["error"]["exit_code"] == 64
    assert "failed" in result.stderr


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe\x00", b"[" * 5000, b"a: *b"], ids=["empty", "binary", "deep", "alias"]
)
def test_a_file_that_is_no_pipeline_at_all_has_one_fault(file: Path, body: bytes) -> None:
    file.write_bytes(body)
    result = call("check", str(file), "--fast")
    assert result.exit_code == 64
    assert result.stderr.splitlines()[0].startswith("refit.yaml:1:")
    assert result.stderr.splitlines()[-1] == "1 fault in refit.yaml"


def test_a_doubtful_file_is_good_with_a_warning(file: Path) -> None:
    file.write_text(LEAST + "split: {holdout: 3d}\n")
    result = call("check", str(file), "--fast")
    assert result.exit_code == 0
    assert "warning  split.holdout: rows of one day" in result.stderr
    told = document(call("check", str(file), "--fast", "--json"))
    assert len(told["warnings"]) == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('no licence')", "importing broken fails at broken.py line 1: RuntimeError: no licence"),
        ("raise SystemExit('no licence')", "importing broken fails at broken.py line 1: SystemExit: no licence"),
        ("import os; os._exit(7)", "cannot be tried here: its process ended with 7\n"),
    ],
    ids=["raises", "exits", "dies"],
)
def test_a_package_that_breaks_on_import_is_a_fault_of_the_estimator(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, words: str
) -> None:
    Path("broken.py").write_text(code + "\n")
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path), *sys.path]))
    file.write_text(LEAST.replace("sklearn.linear_model.LogisticRegression", "broken.Model"))
    result = call("check", str(file))
    assert result.exit_code == 64
    assert result.stderr.startswith(f"refit.yaml:6:20: model.estimator: {words}")


def test_the_schema_is_printed_as_json() -> None:
    result = call("schema")
    assert result.exit_code == 0
    assert document(result)["required"] == ["apiVersion", "name", "source", "target", "task", "model"]
    assert call("schema", "--json").stdout == result.stdout


def test_fast_imports_nothing_heavy(file: Path) -> None:
    program = (
        "import sys\nfrom refit.cli.main import refit\n"
        "code = refit.main(['check', 'refit.yaml', '--fast'], standalone_mode=False)\n"
        "heavy = {'sklearn', 'pandas', 'scipy', 'numpy', 'pyarrow', 'boto3', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(code or ','.join(sorted(heavy)) or 0)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "next     refit plan refit.yaml\n")
