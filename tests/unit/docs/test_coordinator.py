"""What docs/coordinator.md says is what the code does."""

import re
from pathlib import Path

from refit.core.objective import USUAL_PAUSES
from refit.run.executor import JITTER
from refit.run.jobs import ATTEMPT, PIPELINE, RELEASE_LIMIT, RUN_ID, STEP
from refit.run.kube import FIRST_SECONDS, LATER_SECONDS
from refit.run.kubernetes import PATIENCE_FOR_NODES

TEXT = (Path(__file__).parents[3] / "docs" / "coordinator.md").read_text()


def test_the_labels_are_those_of_the_jobs() -> None:
    assert set(re.findall(r"^\| `(refit\.dev/[a-z-]+)`", TEXT, re.MULTILINE)) == {RUN_ID, STEP, ATTEMPT, PIPELINE}


def test_the_figures_are_those_of_the_code() -> None:
    assert f"at most {RELEASE_LIMIT} characters" in TEXT
    assert "5 s and 20 s apart and up to a quarter longer" in TEXT
    assert (USUAL_PAUSES, JITTER) == ((5.0, 20.0), 0.25)
    assert "half a minute at the first request, ten minutes later on" in TEXT
    assert (FIRST_SECONDS, LATER_SECONDS) == (30.0, 600.0)
    assert "five times as long" in TEXT
    assert PATIENCE_FOR_NODES == 5
