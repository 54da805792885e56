"""One order of rows whatever order they come in; units, blocks and groups as gate.md section 1 cuts them."""

import numpy as np
import pytest

from refit.evaluate.rows import CleanRows, NoCleanRows, arrange
from tests.unit.evaluate.samples import binary, instants, keys

RNG = np.random.default_rng(3)


def rows(n: int, days: float | None, entities: int | None = None) -> CleanRows:
    owners = None if entities is None else keys(entities, RNG)[RNG.integers(0, entities, n)]
    return CleanRows(RNG.integers(0, 2, n), keys(n, RNG), owners, None if days is None else instants(n, days, RNG))


def test_any_order_of_the_same_rows_makes_the_same_sample() -> None:
    world = rows(500, 14, entities=60)
    shuffled = world.take(RNG.permutation(500))
    one, order = arrange(world, "day")
    other, order_of_shuffled = arrange(shuffled, "day")
    assert (world.keys[order] == shuffled.keys[order_of_shuffled]).all()
    assert (one.y == other.y).all()
    for mine, theirs in ((one.units, other.units), (one.blocks, other.blocks), (one.groups, other.groups)):
        assert mine is not None
        assert theirs is not None
        assert mine.codes is not None
        assert theirs.codes is not None
        assert (mine.codes == theirs.codes).all()


def test_rows_are_units_unless_entities_repeat() -> None:
    assert arrange(rows(300, 14), "day")[0].units.codes is None
    assert arrange(rows(300, 14, entities=40), "day")[0].units.count == 40


def test_entities_that_do_not_repeat_are_rows() -> None:
    world = rows(300, 14)
    owned = CleanRows(world.y, world.keys, world.keys, world.cursor)
    assert arrange(owned, "day")[0].units.codes is None


def test_blocks_are_days_in_utc() -> None:
    world = rows(1400, 14)
    sample, order = arrange(world, "day")
    assert world.cursor is not None
    assert sample.blocks is not None
    assert sample.blocks.codes is not None
    days = world.cursor[order].astype("datetime64[D]")
    assert sample.spans == sample.blocks.count == 14
    assert len(set(zip(days.tolist(), sample.blocks.codes.tolist(), strict=True))) == 14


@pytest.mark.parametrize(
    ("days", "kind", "blocks", "spans", "enough"),
    [
        (10, "day", 10, 10, True),
        (9, "day", 20, 9, False),
        (28, "week", 4, 4, True),
        (27.5, "week", 4, 4, True),
        (20.9, "week", 20, 3, False),
        (56, "week", 8, 8, True),
        (None, "day", 20, None, True),
        (None, "week", 20, None, True),
    ],
)
def test_blocks_by_what_time_the_rows_cover(
    days: float | None, kind: str, blocks: int, spans: int | None, enough: bool
) -> None:
    sample, _ = arrange(rows(2000, days), "week" if kind == "week" else "day")
    assert sample.blocks is not None
    assert (sample.blocks.count, sample.spans, sample.enough_time) == (blocks, spans, enough)


def test_weeks_are_counted_back_from_the_newest_row() -> None:
    world = rows(2800, 28)
    sample, _ = arrange(world, "week")
    assert sample.blocks is not None
    assert sample.blocks.sums(np.ones(2800)).tolist() == [700.0] * 4


def test_without_days_twenty_runs_of_rows_follow_the_cursor() -> None:
    world = rows(200, 5)
    sample, order = arrange(world, "day")
    assert world.cursor is not None
    assert sample.blocks is not None
    assert sample.blocks.codes is not None
    in_time = sample.blocks.codes[np.argsort(world.cursor[order])]
    assert (np.diff(in_time) >= 0).all()
    assert np.bincount(in_time).tolist() == [10] * 20


def test_groups_of_the_jackknife_hold_whole_units() -> None:
    sample, _ = arrange(rows(3000, 14, entities=450), "day")
    assert sample.groups.count == 200
    assert sample.groups.codes is not None
    assert sample.units.codes is not None
    pairs = set(zip(sample.units.codes.tolist(), sample.groups.codes.tolist(), strict=True))
    assert len(pairs) == sample.units.count > 440
    sizes = np.bincount([group for _, group in pairs])
    assert (sizes.min(), sizes.max()) == (2, 3)


def test_rows_without_weight_are_left_out() -> None:
    world = binary(300).with_rows(weights=np.repeat([0.0, 2.0], 150))
    sample, order = arrange(world.rows, "day")
    assert len(sample) == 150
    assert sorted(order.tolist()) == list(range(150, 300))
    assert sample.scale.mean() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (binary(300).rows.take(np.array([], dtype=int)), "no clean rows"),
        (binary(300).with_rows(weights=np.zeros(300)).rows, "weights of all clean rows are zero"),
        (binary(300).with_rows(weights=np.full(300, np.nan)).rows, "not a number"),
        (binary(300).with_rows(weights=np.full(300, -1.0)).rows, "negative"),
        (binary(300).with_rows(y=np.append(np.ones(299), np.nan)).rows, "target is NaN"),
        (binary(300).with_rows(y=np.append(np.ones(299), np.inf)).rows, "target is NaN or infinite"),
    ],
    ids=["empty", "zero-weights", "nan-weights", "negative-weights", "nan-target", "infinite-target"],
)
def test_rows_that_cannot_judge_are_a_data_error(world: CleanRows, message: str) -> None:
    with pytest.raises(NoCleanRows, match=message) as caught:
        arrange(world, "day")
    assert caught.value.exit_code == 65
