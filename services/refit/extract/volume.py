"""Whether enough rows came: for a run to go on, and to be trusted."""

from collections.abc import Iterator
from statistics import median
from typing import Final

from refit.core import environment
from refit.core.config import Pipeline
from refit.core.context import Context, read_manifest
from refit.core.domain import ExtractManifest, Snapshot, VerdictRef
from refit.core.errors import DataError
from refit.core.exclusions import are_equal
from refit.core.refs import read_ref
from refit.extract.plan import Plan

LOW_VOLUME: Final = 0.1
RECENT_BATCHES: Final = 5
LEAST_BATCHES: Final = 3  # fewer say nothing about what is usual


class LowVolume(DataError):
    """The run read far fewer rows than those before it, and `source.low_volume` is fail."""


def since_verdict(context: Context, snapshot: Snapshot) -> tuple[int, bool]:
    """New rows since the last verdict, and whether the run is skipped: too few of them, and nothing else changed.

    Without a verdict all rows are new and no run is skipped. The same holds when the manifest of the snapshot that
    the verdict used is gone.
    """
    found = read_ref(context.store, "verdict", VerdictRef)
    if found is None:
        return sum(batch.new for batch in snapshot.batches), False
    verdict = found[0]
    judged = read_manifest(context.store, verdict.snapshot_run_id, "extract", ExtractManifest)
    known = {batch.run_id for batch in judged.snapshot.batches} if judged and judged.snapshot else set()
    new = sum(batch.new for batch in snapshot.batches if batch.run_id not in known)
    excluded = judged.snapshot.exclusions if judged and judged.snapshot else ()
    unchanged = context.run.file.sha256 == verdict.file_sha256 and are_equal(snapshot.exclusions, excluded)
    unchanged = unchanged and environment.digest(context.run.environment) == verdict.environment_digest
    return new, unchanged and new < context.pipeline.source.min_new_rows


def warnings(pipeline: Pipeline, todo: Plan, read: int) -> Iterator[str]:
    """What is strange about how many rows came.

    Raises:
        LowVolume: it is a failure by the file.
    """
    usual = median(reads) if len(reads := [batch.read for batch in todo.older[1:]][-RECENT_BATCHES:]) else 0
    if todo.bounds is not None and len(reads) >= LEAST_BATCHES and read < LOW_VOLUME * usual:
        text = f"read {read:,} rows, less than a tenth of what is usual: {usual:,.0f} (median of the last {len(reads)})"
        if pipeline.source.low_volume == "fail":
            raise LowVolume(text, next="look at what fills the table; or set source.low_volume to warn")
        yield text
