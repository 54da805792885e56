"""The files that the README shows run as they stand, on a table of loans."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from refit.core.addresses import file_url
from refit.core.store import open_store
from tests.fixtures import invariants, loans
from tests.fixtures.forked import Job, start

README = (Path(__file__).parents[3] / "README.md").read_text()
FILES = [dedent(text) for text in re.findall(r"```yaml\n(.*?) *```", README, re.DOTALL)]


@pytest.mark.parametrize(
    ("name", "outcomes"),
    [
        pytest.param("loans", ["promoted", "promoted"], id="the least file"),
        pytest.param("loans-textbook", ["promoted", "rejected"], id="textbook batch learning"),
    ],
)
def test_a_file_of_the_readme_runs_as_it_stands(name: str, outcomes: list[str], database: str, tmp_path: Path) -> None:
    """The default rate rises: log loss sees it; roc_auc, which the textbook gates on, cannot, and rightly refuses."""
    loans.load(database)
    [body] = [text for text in FILES if f"name: {name}\n" in text]
    url = file_url(tmp_path / "store")
    for week, (at, expected) in enumerate(zip((42, 63), outcomes, strict=True)):
        done = start(Job(url, database, body.encode(), loans.at(at), tmp_path / f"passed-{week}")).done()
        assert done.code == 0, done
        assert done.outcome is not None
        assert done.outcome.outcome == expected, done.outcome.verdict
        assert not done.outcome.warnings
    invariants.check(open_store(url).under(f"{name}/"))
