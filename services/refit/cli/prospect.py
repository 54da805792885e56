"""A run that has not begun: what it would read and meet, what its gate could show, what it would take."""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Final

from refit.cli.past import Held
from refit.core import environment
from refit.core.config import GateLine, Pipeline
from refit.core.context import read_manifest
from refit.core.domain import STEPS, EvaluateManifest, ExtractManifest, Line, Move, RunRecord, StepName, VerdictRef
from refit.core.errors import ArtifactError, ConfigError
from refit.core.objective import Patience
from refit.core.refs import read_ref
from refit.core.registry import read_champion
from refit.core.runs import read_outcome, recorded_runs
from refit.core.step import read_run
from refit.core.store import ObjectStore
from refit.extract.forecast import Forecast

RECENT_RUNS: Final = 10
MEASURED_RUNS: Final = 5


@dataclass(frozen=True)
class Evidence:
    """The newest comparison by an interval: how many rows it had, and what it could find on them.

    Attributes:
        rows: Clean rows.
        share: Clean rows among those in the window.
        detectable: The gain found 4 times in 5, by score, line and limit.
    """

    run_id: str
    rows: int
    share: float
    detectable: dict[tuple[str, Line, float], float]

    def on(self, line: GateLine, rows: int) -> float | None:
        """The gain that so many rows would find 4 times in 5 (gate.md section 6: D − line goes with 1/√n)."""
        known = self.detectable.get((line.score, line.line, line.limit))
        if known is None or not rows:
            return None
        bar = line.limit if line.line == "min_gain" else -line.limit
        return bar + (known - bar) * math.sqrt(self.rows / rows)


@dataclass(frozen=True)
class Cost:
    """What a step took, in the median of the last runs that did it."""

    seconds: float
    max_rss_bytes: int


@dataclass(frozen=True)
class Prospect:
    """What a run would meet.

    Attributes:
        measured: How many runs the costs are from.
    """

    champion: Move | None
    evidence: Evidence | None
    costs: dict[StepName, Cost]
    measured: int


@dataclass(frozen=True)
class Planned:
    """A run that has not begun, and what is known of it.

    Attributes:
        owner: Who runs the pipeline.
        patience: How long it would go on trying.
        warnings: What is not as the file supposes, here.
    """

    pipeline: Pipeline
    run: RunRecord
    read: Forecast
    prospect: Prospect
    held: Held | None
    owner: str
    patience: Patience
    warnings: tuple[str, ...] = ()

    @property
    def window_rows(self) -> int:
        """About how many rows the window would hold."""
        return self.read.standing + self.read.rows

    @property
    def clean_rows(self) -> int | None:
        """About how many rows the comparison would have, by the share of the last one; None before that."""
        known = self.prospect.evidence
        return round(known.share * self.window_rows) if known else None

    @property
    def assumes_images(self) -> bool:
        """Its steps are taken to run in the images of the last verdict's run, which the cluster alone knows by now."""
        return environment.tells_images(self.run.environment)

    @property
    def is_of_a_cluster(self) -> bool:
        """Its steps are Jobs: those of the last verdict were, or its owner has a name as the chart gives it."""
        return self.assumes_images or self.owner.count("/") == 2

    @property
    def may_be_skipped(self) -> bool:
        """The planner never says less than 1, so that 1 row may be none."""
        expected = self.read.new + (self.read.rows if self.read.rows > 1 else 0)
        return self.read.unchanged and not self.read.todo.fresh and expected < self.pipeline.source.min_new_rows


def read_environment(store: ObjectStore) -> dict[str, str]:
    """What a run's steps will run, as far as it is known here.

    That is what is installed here; but where the last verdict came from a cluster, the images of that run.
    """
    verdict = read_ref(store, "verdict", VerdictRef)
    with suppress(ArtifactError, ConfigError):  # its record may be gone or damaged
        if verdict and environment.tells_images(known := read_run(store, verdict[0].run_id).environment):
            return known
    return environment.installed()


def read_prospect(store: ObjectStore, pipeline: Pipeline) -> Prospect:
    """What a run of the pipeline would meet now.

    Raises:
        ArtifactError: champion.json or a recent document is lost or malformed.
    """
    champion = read_champion(store)
    costs, measured = _costs(store)
    return Prospect(champion[0] if champion else None, _evidence(store), costs, measured)


def _evidence(store: ObjectStore) -> Evidence | None:
    for run in islice(recorded_runs(store), RECENT_RUNS):
        evaluate = read_manifest(store, run.run_id, "evaluate", EvaluateManifest)
        extract = read_manifest(store, run.run_id, "extract", ExtractManifest)
        if evaluate is None or extract is None or not extract.rows.snapshot or not evaluate.rows_clean:
            continue
        found = {
            (check.score, check.line, check.limit): check.detectable
            for check in evaluate.verdict.checks
            if check.detectable is not None and check.against != "dummy"
        }
        return Evidence(run.run_id, evaluate.rows_clean, evaluate.rows_clean / extract.rows.snapshot, found)
    return None


def _costs(store: ObjectStore) -> tuple[dict[StepName, Cost], int]:
    outcomes = (read_outcome(store, run.run_id) for run in islice(recorded_runs(store), RECENT_RUNS))
    whole = [one.steps for one in outcomes if one and one.steps.keys() == set(STEPS) and one.error is None]
    found: dict[StepName, Cost] = {}
    for step in STEPS:
        took = [steps[step] for steps in whole[:MEASURED_RUNS] if not steps[step].reused_from]
        if took:
            seconds = median(one.seconds for one in took)
            found[step] = Cost(round(seconds, 3), max(one.max_rss_bytes for one in took))
    return found, len(whole[:MEASURED_RUNS])


def gains(prospect: Prospect, lines: Sequence[GateLine], rows: int | None) -> Iterator[tuple[GateLine, float | None]]:
    """Each line of the gate with the gain that so many clean rows would find; None where that is not known."""
    for line in lines:
        yield line, prospect.evidence.on(line, rows) if prospect.evidence and rows else None


def approval(planned: Planned) -> str:
    champion = planned.prospect.champion
    if champion is not None and champion.hold is not None:
        return f"an accepted candidate waits: promotions are on hold since {champion.hold.since:%Y-%m-%d}"
    manual = planned.pipeline.publish.approval == "manual"
    return "an accepted candidate waits for refit promote" if manual else "an accepted candidate is promoted"
