"""The command line as a whole: which commands there are, how they end, what they import."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from refit import __version__
from refit.cli.main import COMMANDS, refit
from refit.core import errors
from refit.core.errors import RefitError
from refit.core.store import ObjectStore
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import FIRST, put_promoted
from tests.fixtures.records import FILE

HEAVY = ("pandas", "sklearn", "scipy", "pyarrow", "numpy", "matplotlib", "psycopg2", "boto3")
BUILT = [
    *("init", "check", "schema", "plan", "run", "rerun", "step", "status", "runs", "show", "logs", "diff", "history"),
    *("metrics", "promote", "rollback", "release", "exclude", "quarantine", "predict", "export", "gc", "delete"),
    *("demo", "completion"),
]

# architecture.md, section 6
EXIT_CODES = {
    "ConfigError": (64, "config", False),
    "DataError": (65, "data", False),
    "ArtifactError": (66, "artifact", False),
    "RefitError": (70, "bug", False),
    "DiskError": (74, "disk", True),
    "DependencyError": (75, "dependency", True),
    "AccessError": (77, "permission", False),
    "SupersededError": (79, "superseded", False),
    "TerminatedError": (143, "killed", True),
}


@pytest.mark.parametrize("name", EXIT_CODES)
def test_each_error_class_has_its_exit_code_class_and_retry(name: str) -> None:
    kind: type[RefitError] = getattr(errors, name)
    assert (kind.exit_code, kind.error_class, kind.retried) == EXIT_CODES[name]


def test_the_help_names_the_commands_that_are_built_and_no_other(call: Call) -> None:
    assert list(COMMANDS) == BUILT
    shown = call("--help")
    assert shown.code == 0
    for name, lazy in COMMANDS.items():
        assert f"  {name} " in shown.out and lazy.does in shown.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_answers_in_json(name: str, call: Call) -> None:
    shown = call(name, "--help")
    assert shown.code == 0
    assert "Example" in shown.out and f"refit {name}" in shown.out
    assert "--json" in shown.out or name == "schema"  # its answer is JSON already


@pytest.mark.parametrize("name", COMMANDS)
def test_what_the_list_says_of_a_command_is_short_and_a_sentence(name: str) -> None:
    assert COMMANDS[name].does.endswith(".") and len(COMMANDS[name].does) <= 70


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["stauts"], "did you mean refit status?"),
        (["reran", "loans"], "did you mean refit rerun?"),
        (["xyzzy"], "there is no command 'xyzzy'"),
        (["run"], "Missing argument 'FILE'"),
        (["runs", "loans", "--fialed"], "--failed"),
        (["promote", "loans", "v"], "Missing option '--reason'"),
        (["promote", "loans", "v", "--reason", " "], "say why"),
        (["run", "refit.yaml", "--wait", "-1"], "--wait"),
        (["run", "refit.yaml", "--as-of", "soon"], "no ISO date or time"),
        (["step", "bake"], "bake"),
        (["--fast"], "--fast"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_ends_with_64_and_says_where_help_is(words: list[str], hint: str, call: Call) -> None:
    called = call(*words)
    assert called.code == 64
    assert called.out == ""
    assert hint in called.err and "--help" in called.err
    assert called.err.rstrip().splitlines()[-1].startswith("exit 64 (")


def test_no_command_at_all_shows_the_help(call: Call) -> None:
    called = call()
    assert "Commands:" in called.out + called.err
    assert called.code == 64


def test_the_version_is_told(call: Call) -> None:
    assert call("--version").out == f"refit {__version__}\n"


def test_a_failure_in_json_is_exactly_one_document(call: Call) -> None:
    called = call("status", "loasn", "--json")
    assert called.code == 64
    assert set(called.document) == {"format", "error"}
    assert called.document["format"] == 1
    assert set(called.document["error"]) == {"class", "type", "step", "exit_code", "message", "next"}
    assert called.document["error"]["class"] == "config"
    assert called.document["error"]["exit_code"] == 64
    assert called.document["error"]["type"] == "UnknownPipeline"


def test_wrong_usage_in_json_is_one_document_too(call: Call) -> None:
    called = call("runs", "--json")
    assert (called.code, called.document["error"]["type"]) == (64, "Usage")


@pytest.mark.parametrize("words", [["--traceback", "status", "nix"], ["status", "nix", "--traceback"]], ids=str)
def test_a_traceback_is_shown_only_when_asked_for_anywhere_on_the_line(words: list[str], call: Call) -> None:
    asked, plain = call(*words), call("status", "nix")
    assert "Traceback (most recent call last)" in asked.err
    assert "Traceback" not in plain.err
    assert asked.code == plain.code == 64


@pytest.fixture
def broken() -> click.Command:
    """The group with one more command, which has a fault."""

    @click.command()
    @click.option("--json", is_flag=True)
    def fault(json: bool) -> None:
        raise ZeroDivisionError("of postgresql://me:geheim99@db/x")

    return fault


def test_a_fault_of_ours_ends_with_70_without_a_traceback_or_a_password(
    broken: click.Command, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.setattr(refit, "get_command", lambda _context, _name: broken)
    called = call("run", "--json")
    assert called.code == 70
    assert called.document["error"]["class"] == "bug"
    assert "ZeroDivisionError" in called.document["error"]["message"]
    assert "--traceback" in called.document["error"]["next"]
    assert "Traceback" not in called.err and "geheim99" not in called.err + called.out


def test_a_missing_package_is_told_as_such(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    monkeypatch.setitem(sys.modules, "refit.cli.predict", None)
    monkeypatch.setitem(sys.modules, "refit.core.registry", None)
    # a package of others that is gone, not a module of ours
    monkeypatch.setattr(refit, "get_command", _needs_pandas)
    called = call("predict")
    assert called.code == 64
    assert "needs the package pandas" in called.err


def _needs_pandas(_context: click.Context, _name: str) -> click.Command:
    raise ModuleNotFoundError("No module named 'pandas'", name="pandas")


def test_the_console_script_is_this_main() -> None:
    project = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"refit": "refit.cli.main:main"}


# --- in a process of its own --------------------------------------------------


def command_line(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "refit.cli", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        timeout=60,
    )


def test_light_commands_import_nothing_heavy(store: ObjectStore) -> None:
    put_promoted(store, FIRST)
    Path("refit.yaml").write_bytes(FILE)
    light = ["--help", "run --help", "status", "status loans", "runs loans", "check --fast refit.yaml"]
    probe = (
        "import sys\n"
        "from refit.cli.main import refit\n"
        f"for words in {light!r}:\n"
        "    code = refit.main(words.split(), standalone_mode=False)\n"
        f"    print(words, code, sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60)
    assert [line for line in ended.stderr.splitlines() if line.endswith("]")] == [f"{words} 0 []" for words in light]


def test_the_help_imports_no_part_of_refit_but_the_command_line() -> None:
    probe = (
        "import sys\n"
        "from refit.cli.main import refit\n"
        "refit.main(['--help'], standalone_mode=False)\n"
        "found = [name for name in sys.modules if name.startswith('refit.') and not name.startswith('refit.cli')]\n"
        "print(found, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60)
    assert ended.stderr.splitlines()[-1] == "['refit.core', 'refit.core.about']"  # the version alone


@pytest.mark.parametrize(
    "words", [["history", "loans", "--json"], ["--help"], ["runs", "--help"]], ids=lambda words: " ".join(words)
)
def test_a_reader_that_goes_away_is_no_fault(words: list[str], store: ObjectStore) -> None:
    put_promoted(store, FIRST)
    command = [sys.executable, "-m", "refit.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()  # before anything is written
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_completion_knows_commands_and_the_pipelines_of_the_store(store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    assert "_REFIT_COMPLETE=bash_complete" in call("completion", "bash").out
    asked = command_line(_REFIT_COMPLETE="bash_complete", COMP_WORDS="refit hist", COMP_CWORD="1")
    assert asked.stdout == "plain,history\n"
    named = command_line(_REFIT_COMPLETE="bash_complete", COMP_WORDS="refit runs lo", COMP_CWORD="2")
    assert named.stdout == "plain,loans\n"
    assert json.loads(call("completion", "zsh", "--json").out)["shell"] == "zsh"
