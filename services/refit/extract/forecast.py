"""What an extract would read now, without reading it."""

from dataclasses import dataclass

from refit.core.context import Context
from refit.core.domain import Snapshot, SnapshotRef
from refit.core.exclusions import standing
from refit.core.quarantine import releases
from refit.core.refs import read_ref
from refit.data.split import window_start
from refit.extract import volume
from refit.extract.database import open_database, read_dsn
from refit.extract.describe import cursor_type, describe
from refit.extract.estimate import estimated_rows
from refit.extract.plan import Plan, plan
from refit.extract.query import reading
from refit.extract.statement import statement
from refit.extract.step import refuse_unfit, standing_snapshot


@dataclass(frozen=True)
class Forecast:
    """What an extract would do.

    Attributes:
        todo: What it reads, and what it adds that to.
        goes_on: The run whose snapshot goes on; None on a fresh start.
        rows: How many rows the bounds hold, as PostgreSQL's planner thinks, which never says less than 1.
        standing: About how many rows in the window stand already, replaced and excluded ones included.
        new: Rows new since the last verdict that stand already.
        unchanged: File and environment are those of the last verdict, so that too few new rows skip the run.
    """

    todo: Plan
    goes_on: str | None
    rows: int
    standing: int
    new: int
    unchanged: bool


def forecast(context: Context) -> Forecast:
    """What the run of `context` would extract; nothing is written.

    Raises:
        RefitError: as extract would before it reads a row.
    """
    pipeline, store, source = context.pipeline, context.store, context.pipeline.source
    ref = read_ref(store, "snapshot", SnapshotRef)
    before = standing_snapshot(store, ref[0].run_id) if ref and not context.run.full_refresh else None
    query, excluded = statement(source.query), standing(store)
    with open_database(read_dsn(), f"refit/{pipeline.name}/plan", source.statement_timeout) as database:
        columns = describe(database, query, pipeline)
        known = tuple(column.column for column in columns)
        refuse_unfit(excluded, known)
        todo = plan(pipeline, context.run, before, known, releases(store))
        rows = 0
        if todo.bounds is not None:
            guards = [(column.name, column.guard) for column in columns]
            cursor = (source.cursor, cursor_type(columns, source.cursor))
            rows = estimated_rows(database, reading(query, guards, cursor, todo.bounds, source.max_row_bytes))
    older = Snapshot(batches=todo.older, source_digest="", refreshed_at=todo.refreshed_at, exclusions=excluded)
    new, unchanged = volume.since_verdict(context, older)
    return Forecast(
        todo=todo,
        goes_on=ref[0].run_id if ref and not todo.fresh else None,
        rows=rows,
        standing=_standing(context, todo),
        new=new,
        unchanged=unchanged,
    )


def _standing(context: Context, todo: Plan) -> int:
    """As if the rows of a part were spread evenly over the time from its first to its last cursor."""
    start = window_start(context.pipeline, context.run.as_of)
    rows = 0.0
    for part in (part for batch in todo.older for part in batch.parts):
        length = part.cursor_max - part.cursor_min
        inside = min(length, part.cursor_max - start) if start is not None else length
        share = inside / length if length else float(inside >= length)
        rows += part.rows * max(0.0, share)
    return round(rows)
