"""Training rows for a fit by partial_fit: dealt to disk in a random order, and what one pass over them tells."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from refit.data.reader import Side, SnapshotReader
from refit.data.shuffle import Shuffled, deal
from refit.ml.frame import Array, to_frame, to_target
from refit.ml.rows import MOST_CLASSES, NoTrainingRows, check_labels, labelled, why_none

FILE: Final = "shuffled-rows"


class Turn(NamedTuple):
    """One call of partial_fit.

    Attributes:
        number: From 1 on, over all passes.
        passing: The pass, from 0 on.
        block, start, stop: Which rows, by their places in the pass's order of the block.
        seen: Rows that have had a turn when it ends, over all passes.
        checkpoint: The number of the checkpoint that follows; 0: none does.
    """

    number: int
    passing: int
    block: int
    start: int
    stop: int
    seen: int
    checkpoint: int


@dataclass(frozen=True, eq=False)
class DealtRows:
    """All labelled training rows of a snapshot, on disk.

    Attributes:
        columns: Raw features, as the model takes them.
        classes: Class → rows, in the order of classes; empty for a regression.
        first, last: Cursors of the oldest and the newest row.
        empty: Columns that have no value in any row.
    """

    shuffled: Shuffled
    columns: tuple[str, ...]
    task: str
    target: str
    classes: dict[Any, int]
    first: datetime
    last: datetime
    empty: tuple[str, ...]

    def xy(self, table: pa.Table) -> tuple[pd.DataFrame, Array]:
        """Rows as the estimator takes them."""
        return to_frame(table, self.columns), to_target(table.column(self.target), self.task, self.target)

    def batches(self, batch_rows: int) -> int:
        """How many there are in each pass."""
        return sum(batches_in(size, batch_rows) for size in self.shuffled.sizes)

    def turns(self, passes: int, batch_rows: int, checkpoint_rows: int) -> Iterator[Turn]:
        """All turns in their order. Pure: a fit that is taken up again has the same ones.

        A block is cut into batches of equal size, within one row, so that no small rest is learned from by itself.
        """
        number = seen = checkpoint = 0
        last = passes * self.batches(batch_rows)
        for passing in range(passes):
            for block in self.shuffled.order(passing):
                size = self.shuffled.sizes[block]
                count = batches_in(size, batch_rows)
                for part in range(count):
                    start, stop = part * size // count, (part + 1) * size // count
                    number, before, seen = number + 1, seen, seen + stop - start
                    due = seen // checkpoint_rows > before // checkpoint_rows and number < last
                    checkpoint += due
                    yield Turn(number, passing, block, start, stop, seen, checkpoint if due else 0)


def batches_in(rows: int, batch_rows: int) -> int:
    """How many batches of at most `batch_rows` rows a block of so many rows is cut into."""
    return -(-rows // batch_rows)


@dataclass
class _Facts:
    """What is learned of the rows while they pass."""

    reader: SnapshotReader
    columns: Sequence[str]
    rows: int = 0
    classes: Counter[Any] = field(default_factory=Counter)
    span: list[datetime] = field(default_factory=list)
    without_value: set[str] = field(default_factory=set)

    def passing(self, tables: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        self.without_value |= set(self.columns)
        for table in tables:
            self._note(table)
            yield table

    def _note(self, table: pa.RecordBatch) -> None:
        pipeline = self.reader.pipeline
        self.rows += len(table)
        if pipeline.task == "regression":
            to_target(table.column(pipeline.target), pipeline.task, pipeline.target)  # refuses what is no number
        else:
            found = table.column(pipeline.target).value_counts()
            labels = to_target(found.field(0), pipeline.task, pipeline.target).tolist()
            for label, count in zip(labels, found.field(1).to_pylist(), strict=True):
                self.classes[label] += count
            if len(self.classes) > MOST_CLASSES:  # numbers in disguise have as many as there are rows
                check_labels(sorted(self.classes), self.rows, pipeline.task, pipeline.target)
        span = pc.min_max(table.column(pipeline.source.cursor))
        self.span += [span["min"].as_py(), span["max"].as_py()]
        self.span = [min(self.span), max(self.span)]
        self.without_value -= {name for name in self.without_value if _has_a_value(table.column(name))}


def deal_rows(
    reader: SnapshotReader, columns: Sequence[str], folder: Path, side: Side = "train", classes: Sequence[Any] = ()
) -> DealtRows:
    """All labelled rows on one side of the snapshot lie in a file in `folder`.

    Args:
        classes: Rows of other classes are left out; empty: none are.

    Raises:
        NoTrainingRows: there is none.
        BadTarget: the target does not suit the task.
        DiskError: the folder does not take the file, which is as large as the values.
    """
    pipeline = reader.pipeline
    known = (len(table) for table in labelled(reader, [pipeline.target], side, classes))
    rows = sum(known) if classes else reader.count(side)
    if not rows:
        raise NoTrainingRows(*why_none(reader))
    kept = tuple(dict.fromkeys([*columns, pipeline.target]))
    facts = _Facts(reader, columns)
    wanted = list(dict.fromkeys([*kept, pipeline.source.cursor, *pipeline.source.key]))
    tables = facts.passing(labelled(reader, wanted, side, classes))
    shuffled = deal(tables, kept, pipeline.source.key, pipeline.model.seed, rows, folder / FILE)
    found = {label: facts.classes[label] for label in sorted(facts.classes)}
    if pipeline.task != "regression":
        check_labels(list(found), facts.rows, pipeline.task, pipeline.target)
    first, last = facts.span
    empty = tuple(name for name in columns if name in facts.without_value)
    return DealtRows(shuffled, tuple(columns), pipeline.task, pipeline.target, found, first, last, empty)


def _has_a_value(column: pa.Array) -> bool:
    if column.null_count == len(column):
        return False
    return not pa.types.is_floating(column.type) or not pc.all(pc.is_nan(column), min_count=0).as_py()
