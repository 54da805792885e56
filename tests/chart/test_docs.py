"""docs/kubernetes.md shows values that the chart takes, users that policies are made for, and commands that exist."""

import re
from pathlib import Path

import pytest

from refit.cli.main import COMMANDS
from refit.core.rights import RIGHTS
from tests.fixtures.chart import ROOT, SCHEMA, STEPS, render, secrets_of, walk

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
SHOWN = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def rows(header: str) -> list[list[str]]:
    lines = PAGE[PAGE.index(f"| {header} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("text", SHOWN, ids=["least", "roles", "users"])
def test_the_values_that_are_shown_can_be_used(tmp_path: Path, text: str) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(text)
    least = {"store.url": "s3://models/team", "source.dsn.secret": "warehouse"}
    rendered = render(*(f"{key}={value}" for key, value in least.items()), values=path, needed=False)
    assert len(rendered.of_kind("CronJob")) == 6


def test_users_of_their_own_are_shown_for_each_component(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(SHOWN[2])
    pods = dict(render("store.url=s3://models", "source.dsn.secret=warehouse", values=path, needed=False).pods())
    for component in STEPS:
        assert f"store-{component}" in secrets_of(pods[f"fd-{component}"])


def test_the_values_that_the_table_names_exist() -> None:
    known = {path for path, _ in walk(SCHEMA)}
    named = [name for row in rows("value") for name in re.findall(r"`([^`]+)`", row[0])]
    for name in named:
        path = name.partition(":")[0].replace("steps.*", "steps.train")
        assert path in known or f"steps.train.{path}" in known, name
    assert len(named) > 15


def test_the_table_of_users_is_that_of_the_policies() -> None:
    assert [row[0] for row in rows("user")] == list(RIGHTS)


def test_the_commands_that_are_shown_exist() -> None:
    code = " ".join(re.findall(r"`[^`\n]+`", PAGE) + re.findall(r"^ {4,}.*$", PAGE, re.MULTILINE))
    called = set(re.findall(r"\brefit ([a-z]+)\b", code))
    assert {"run", "rerun", "gc"} <= called <= set(COMMANDS)
