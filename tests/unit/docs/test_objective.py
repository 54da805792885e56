"""What docs/objective.md says is what the code does, and its table what the benchmark prints."""

import importlib.util
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from refit.cli.faults import TAIL_LINES
from refit.core import objective
from refit.core.config import Slo
from refit.core.freshness import WHOLE_RUNS, WINDOW
from refit.core.webhook import TIMEOUT_SECONDS

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "objective.md").read_text()


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slo_benchmark", ROOT / "benchmarks" / "slo.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_table_is_what_the_benchmark_prints(benchmark: ModuleType) -> None:
    assert benchmark.table(benchmark.measured(40)) in TEXT


def test_the_benchmark_reserves_what_refit_reserves(benchmark: ModuleType) -> None:
    assert objective.reserve(benchmark.RUN) == benchmark.TAKES


def test_what_the_text_says_of_the_figures_holds(benchmark: ModuleType) -> None:
    rows = {(row["policy"], row["attended"]): row for row in benchmark.measured(40)}
    derived, none = rows["derived", True], rows["0 retries", True]
    assert max(abs(row["breaches"] - derived["breaches"]) for (_, attended), row in rows.items() if attended) < 0.05
    assert derived["runs_by_hand"] == pytest.approx(none["runs_by_hand"] / 5, rel=0.1)
    assert rows["derived", False]["breaches"] == pytest.approx(rows["0 retries", False]["breaches"] / 4, rel=0.15)
    assert 364 / derived["failed_attempts"] == pytest.approx(10, rel=0.1)


def test_the_figures_are_those_of_the_code() -> None:
    assert "after 5 and 20 s" in TEXT and objective.USUAL_PAUSES == (5.0, 20.0)
    assert "four times as long each time" in TEXT and objective.FACTOR == 4
    assert "a twelfth of the time that there is, or an\n  hour" in TEXT
    assert (objective.PART, objective.SHORTEST_LIMIT) == (12, 3600.0)
    assert "once more, after 20 s" in TEXT and objective.ONCE_MORE == (20.0,)
    assert "half as long again as the longest of the last five whole runs, and two\n  minutes" in TEXT
    assert (1.5, 5, timedelta(minutes=2)) == (objective.MARGIN, WHOLE_RUNS, objective.STARTING)
    assert "an hour before a first whole run" in TEXT and timedelta(hours=1) == objective.FIRST_RUN
    assert "the last 28 days" in TEXT and timedelta(days=28) == WINDOW
    assert "five seconds in all" in TEXT and TIMEOUT_SECONDS == 5.0
    assert "the last ten lines" in TEXT and TAIL_LINES == 10
    assert all(f"class `{name}`" in TEXT or f"(`{name}`)" in TEXT for name in objective.PATIENT_CLASSES)


def test_every_way_of_failing_is_in_the_table() -> None:
    assert all(f"| `{choice}` |" in TEXT for choice in get_args(Slo.model_fields["on_failure"].annotation))
