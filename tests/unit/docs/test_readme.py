"""What the documents say is what the code does."""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import get_args

import pytest
from click.testing import CliRunner

from refit.cli.main import COMMANDS, refit
from refit.core import errors
from refit.core.config import parse_pipeline
from refit.core.domain import OutcomeName
from refit.core.runs import MANIFESTS
from refit.ml.probe import findings

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
MODELS = (ROOT / "docs" / "models.md").read_text()


def table(header: str) -> list[list[str]]:
    """The rows of the README's table whose header row starts like this, cell by cell."""
    start = README.index(f"| {header} |")
    lines = README[start:].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_command_table_has_every_command_and_no_other() -> None:
    named = [re.match(r"`refit (\w+)", row[0]) for row in table("command")]
    assert [match.group(1) for match in named if match] == list(COMMANDS)


def test_the_options_that_the_command_table_names_exist() -> None:
    for row in table("command"):
        name = row[0].split()[1].strip("`")
        shown = CliRunner().invoke(refit, [name, "--help"])
        for option in re.findall(r"--[a-z-]+", " ".join(row)):
            assert option in shown.output, f"refit {name} has no {option}"


def test_the_exit_code_table_is_that_of_the_errors() -> None:
    classes: list[type[errors.RefitError]] = [errors.RefitError, *errors.RefitError.__subclasses__()]
    code = {
        (found.exit_code, found.error_class, found.retried) for found in classes if found.__module__ == errors.__name__
    }
    documented = {(int(row[0]), row[1], row[3] == "yes") for row in table("code") if row[0] not in ("0", "143")}
    assert documented == {entry for entry in code if entry[0] != 143}


def test_the_outcome_table_has_every_outcome() -> None:
    assert [row[0].strip("`") for row in table("outcome")] == [
        "promoted",
        "rejected",
        "skipped",
        "awaiting_approval",
        "superseded",
        "failed",
    ]
    assert {row[0].strip("`") for row in table("outcome")} == set(get_args(OutcomeName))


def test_the_settings_table_names_each_variable_that_the_code_reads() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "services").rglob("*.py"))
    read = set(re.findall(r"\"(REFIT_[A-Z_]+)\"", source))
    internal = {"REFIT_TERMINATION"}
    documented = set(re.findall(r"REFIT_[A-Z_]+", "\n".join(row[0] for row in table("variable"))))
    assert read - internal == documented


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", README, re.DOTALL), ids=["least", "textbook"])
def test_the_files_that_the_readme_shows_are_valid(text: str) -> None:
    assert parse_pipeline(text, "README.md").name.startswith("loans")


def test_the_reference_of_the_file_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "reference.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_step_has_a_manifest_type() -> None:
    assert list(MANIFESTS) == ["extract", "train", "evaluate", "publish"]


def test_the_search_that_is_shown_can_be_used() -> None:
    section = MODELS.split("## Search for parameters\n")[1].split("\n- ")[0]
    model = dedent("\n".join(line for line in section.splitlines() if line.startswith("    ")))
    least = re.findall(r"```yaml\n(.*?) *```", README, re.DOTALL)[0]
    body = re.sub(r"model:.*\n", "", dedent(least)) + model
    pipeline = parse_pipeline(body, "README.md")
    assert pipeline.model.search is not None
    assert pipeline.model.search.n_iter == 20
    assert list(findings(pipeline)) == []
