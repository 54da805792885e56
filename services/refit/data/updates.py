"""Finding the rows that replace others, with memory that does not grow with the window.

The rule. All rows under one key are ordered by (cursor, order in which they were read). The last one stands:

- a row with a newer cursor replaces the one that stood;
- of equal cursors the row read last stands: a row that an overlap reads again replaces its own copy, and a
  correction that did not move the cursor is taken over, but neither counts as new;
- a row with an older cursor than the one that stands arrives too late: it is kept in its part and never stands;
- rows with one key within one extract are doubles: the same rule, each one but the last is counted.

`updates.parquet` names each pair of neighbours in that order in which at least one row was read now. A reader that
looks from an earlier instant follows the pairs up to that instant (data/standing.py). `first_cursor` is the least
cursor that ever stood under the key, also where that row's part has left the window: it is passed on from pair to
pair.

The way. Keys are compared by hash in slices of at most SLICE_ROWS rows read now: each slice passes once over the key
columns of the older parts in the window. Rows with equal hashes are compared by their keys, unless the hash of
such keys is injective. More rows mean more passes, not more memory.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from refit.core.domain import Part
from refit.data.hashing import Words
from refit.data.keylog import KeyLog, Slice, within
from refit.data.parts import ParquetStream
from refit.data.search import ROW_BITS, ROW_MASK, Search, exact_groups, first_cursors, place
from refit.data.standing import INSTANT, UPDATES_SCHEMA, Mask, Rows, microseconds_of

BATCH_ROWS: Final = 131_072
_LATEST: Final = np.int64(2**63 - 1)


@dataclass(frozen=True)
class Counts:
    """What the rows read now mean for the snapshot.

    Attributes:
        new: Keys that no part in the window held before, and keys with a newer cursor.
        doubled: Rows read now that another row read now replaces.
        replaced: Keys of which an older row stood, and now one read now stands.
    """

    new: int = 0
    doubled: int = 0
    replaced: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.new + other.new, self.doubled + other.doubled, self.replaced + other.replaced)


def find_updates(
    search: Search, log: KeyLog, open_stream: Callable[[], ParquetStream] | None
) -> tuple[Counts, ParquetStream | None]:
    """Counts of the rows read now, and the stream of the updates; None when there are none, or only counts are asked.

    Raises:
        ArtifactError: a part is missing or altered.
    """
    counts, stream = Counts(), None
    pieces = max(-(-log.rows // search.slice_rows), 1)
    edges = [piece * 2**64 // pieces for piece in range(pieces + 1)]
    waiting = list(itertools.pairwise(edges))[::-1] if log.rows else []
    with ExitStack() as stack:
        while waiting:
            low, high = waiting.pop()
            now = search.placed(log.slice(low, high))
            before = _older(search, now, low, high)
            if before is None:
                waiting += [((low + high) // 2, high), (low, (low + high) // 2)]
                continue
            found, pairs = _compare(search, now, before)
            counts += found
            if len(pairs) and open_stream is not None:
                stream = stream or stack.enter_context(open_stream())
                stream.write(pairs)
    return counts, stream


def _older(search: Search, now: Slice, low: int, high: int) -> Slice | None:
    """Older rows whose keys have hashes of `now`; None when they are too many for one slice."""
    found: list[Slice] = []
    count = 0
    for number, part in enumerate(search.parts[: search.first_written]):
        for batch, start in _key_batches(search, part):
            hashes = search.hasher(batch, search.key)
            chosen = np.flatnonzero(within(hashes, low, high))
            chosen = chosen[_holds(now.hashes, hashes[chosen])]
            if len(chosen):
                cursors = microseconds_of(batch.column(search.cursor))[chosen]
                found.append(Slice(hashes[chosen], cursors, place(number, chosen + start)))
                count += len(chosen)
        if count > search.match_rows and high - low > 1:
            return None
    return Slice.joined(found)


def _key_batches(search: Search, part: Part) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Keys and cursors of a part, and the number of the first row of each batch."""
    start = 0
    with pq.ParquetFile(search.fetch(part.artifact), pre_buffer=False) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=sorted({*search.key, search.cursor})):
            yield batch, start
            start += len(batch)


def _holds(known: Words, hashes: Words) -> Mask:
    """Which of the hashes are among `known`, which are sorted."""
    if not len(known):
        return np.zeros(len(hashes), dtype=bool)
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    found: Mask = known[places] == hashes
    return found


def _compare(search: Search, now: Slice, before: Slice) -> tuple[Counts, pa.Table]:
    """What one slice's rows mean, and their pairs as a table of UPDATES_SCHEMA."""
    doubled = np.zeros(len(now), dtype=bool)
    doubled[1:] = now.hashes[1:] == now.hashes[:-1]
    doubled[:-1] |= doubled[1:]
    involved = doubled | _holds(np.unique(before.hashes), now.hashes)
    rows = Slice.joined([before, now.take(involved)])
    counts = Counts(new=int(len(now) - involved.sum()))
    if not len(rows):
        return counts, UPDATES_SCHEMA.empty_table()
    groups = exact_groups(search, rows)
    order = np.lexsort((rows.rows, rows.cursors, groups))
    found, pairs = _pairs(search, rows.take(order), groups[order])
    return counts + found, pairs


def _pairs(search: Search, rows: Slice, groups: Rows) -> tuple[Counts, pa.Table]:
    """Rows and groups are in the order of the rule."""
    is_now = rows.rows >= place(search.first_written, 0)
    starts = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))
    sizes = np.diff(np.append(starts, len(rows)))
    firsts = np.minimum(rows.cursors, first_cursors(search, rows.rows))
    earliest_old = np.minimum.reduceat(np.where(is_now, _LATEST, firsts), starts)
    earliest = np.minimum.reduceat(firsts, starts)
    newest_old = np.maximum.reduceat(np.where(is_now, -_LATEST, rows.cursors), starts)
    newest_now = np.maximum.reduceat(np.where(is_now, rows.cursors, -_LATEST), starts)
    count_now = np.add.reduceat(is_now.astype(np.int64), starts)
    ends_now = is_now[starts + sizes - 1]
    has_old = count_now < sizes
    counts = Counts(
        new=int((newest_now > newest_old).sum()),
        doubled=int((count_now - 1)[count_now > 0].sum()),
        replaced=int((has_old & ends_now).sum()),
    )
    same = np.flatnonzero(groups[1:] == groups[:-1])  # each is paired with its successor
    spread = np.repeat(earliest < earliest_old, sizes)
    chosen = same[is_now[same] | is_now[same + 1] | spread[same]]
    return counts, _table(search, rows.rows[chosen], rows.take(chosen + 1), np.repeat(earliest, sizes)[chosen])


def _table(search: Search, old: Rows, new: Slice, first: Rows) -> pa.Table:
    keys = pa.array([part.artifact.key for part in search.parts], pa.string())
    columns = []
    for places in (old, new.rows):
        numbers = pa.array((places >> ROW_BITS).astype(np.int32))
        columns += [pa.DictionaryArray.from_arrays(numbers, keys), pa.array(places & ROW_MASK)]
    columns += [pa.array(cursors, pa.int64()).cast(INSTANT) for cursors in (new.cursors, first)]
    return pa.Table.from_arrays(columns, schema=UPDATES_SCHEMA)
