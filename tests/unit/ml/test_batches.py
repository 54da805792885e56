"""Rows dealt for a fit in batches: their turns, and what one pass over them tells."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refit.data.shuffle import Piece, Shuffled
from refit.ml.batches import DealtRows, Turn, batches_in
from tests.fixtures.trained import START


def turns(sizes: list[int], passes: int = 1, batch_rows: int = 10, checkpoint_rows: int = 100) -> list[Turn]:
    blocks: tuple[tuple[Piece, ...], ...] = ((),) * len(sizes)
    shuffled = Shuffled(Path("none"), pa.schema([]), 0, blocks, tuple(sizes))
    rows = DealtRows(shuffled, (), "binary", "y", {}, START, START, ())
    return list(rows.turns(passes, batch_rows, checkpoint_rows))


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=6),
    st.integers(1, 3),
    st.integers(1, 20),
    st.integers(1, 90),
)
def test_each_pass_gives_every_row_one_turn_and_checkpoints_are_numbered_without_gaps(
    sizes: list[int], passes: int, batch_rows: int, checkpoint_rows: int
) -> None:
    found = turns(sizes, passes, batch_rows, checkpoint_rows)
    assert [turn.number for turn in found] == list(range(1, len(found) + 1))
    for passing in range(passes):
        for block, size in enumerate(sizes):
            own = [turn for turn in found if (turn.passing, turn.block) == (passing, block)]
            assert [row for turn in own for row in range(turn.start, turn.stop)] == list(range(size))
            lengths = [turn.stop - turn.start for turn in own]
            assert max(lengths, default=0) <= batch_rows
            assert max(lengths, default=0) - min(lengths, default=0) <= 1
    seen = 0
    for turn in found:
        seen += turn.stop - turn.start
        assert turn.seen == seen
    kept = [turn for turn in found if turn.checkpoint]
    assert [turn.checkpoint for turn in kept] == list(range(1, len(kept) + 1))
    assert all(turn.number < len(found) for turn in kept)
    gaps = [turn.seen // checkpoint_rows for turn in kept]
    assert len(set(gaps)) == len(gaps)


def test_a_checkpoint_follows_the_batch_that_completes_its_rows() -> None:
    found = turns([25, 25], batch_rows=10, checkpoint_rows=20)
    assert [(turn.seen, turn.checkpoint) for turn in found if turn.checkpoint] == [(25, 1), (41, 2)]


@pytest.mark.parametrize(("rows", "batches"), [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2)])
def test_a_block_is_cut_into_as_few_batches_as_hold_it(rows: int, batches: int) -> None:
    assert batches_in(rows, 10) == batches
