"""Where the holdout begins, and which entities it holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from refit.data import split
from refit.data.hashing import hash_rows
from tests.fixtures.shelf import pipeline

AS_OF = datetime(2020, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


ROLLING = {"kind": "rolling", "length": "56d"}


@pytest.mark.parametrize(
    ("sections", "first_cursor", "expected"),
    [
        pytest.param({"split": {"holdout": "14d"}}, None, AS_OF - 14 * DAY, id="duration"),
        pytest.param(
            {"split": {"holdout": 0.25}, "window": ROLLING}, None, AS_OF - 14 * DAY, id="fraction of a window"
        ),
        pytest.param(
            {"split": {"holdout": 0.25}, "window": ROLLING}, AS_OF - 90 * DAY, AS_OF - 14 * DAY, id="window is full"
        ),
        pytest.param(
            {"split": {"holdout": 0.25}, "window": ROLLING}, AS_OF - 20 * DAY, AS_OF - 5 * DAY, id="window fills up"
        ),
        pytest.param({"split": {"holdout": 0.2}}, AS_OF - 100 * DAY, AS_OF - 20 * DAY, id="fraction of all"),
        pytest.param({}, None, AS_OF, id="no rows at all"),
    ],
)
def test_cut(sections: dict[str, Any], first_cursor: datetime | None, expected: datetime) -> None:
    assert split.cut(pipeline(**sections), AS_OF, first_cursor) == expected


def test_lag_ends_the_window_and_not_the_training_rows() -> None:
    lagging = pipeline(
        source={"query": "SELECT 1", "key": ["id"], "cursor": "at", "lag": "1d"},
        split={"holdout": "14d"},
        window=ROLLING,
    )
    assert split.window_end(lagging, AS_OF) == AS_OF - DAY
    assert split.window_start(lagging, AS_OF) == AS_OF - 56 * DAY
    assert split.cut(lagging, AS_OF, None) == AS_OF - 14 * DAY


def test_hash_split_has_no_cut() -> None:
    with pytest.raises(TypeError, match="no cut"):
        split.cut(pipeline(split={"kind": "hash"}), AS_OF, None)


def test_hash_split_holds_out_its_fraction_and_grows_with_it() -> None:
    hashes = hash_rows([pa.array(np.arange(100_000))], "loans")
    shares = [split.is_held_out(hashes, fraction) for fraction in (0.1, 0.2, 0.5)]
    assert [round(float(held.mean()), 2) for held in shares] == [0.1, 0.2, 0.5]
    assert (shares[0] <= shares[1]).all() and (shares[1] <= shares[2]).all()


def test_held_out_entities_are_pinned() -> None:
    hashes = hash_rows([pa.array(np.arange(40))], "loans")
    assert np.flatnonzero(split.is_held_out(hashes, 0.2)).tolist() == PINNED


def test_another_salt_holds_out_others() -> None:
    whole = pa.array(np.arange(10_000))
    one, other = (split.is_held_out(hash_rows([whole], salt), 0.2) for salt in ("loans", "pepper"))
    assert float((one & other).mean()) == pytest.approx(0.04, abs=0.008)


def test_each_class_is_held_out_with_one_probability() -> None:
    hashes = hash_rows([pa.array(np.arange(200_000))], "loans")
    held, rare = split.is_held_out(hashes, 0.2), np.arange(200_000) % 100 == 7
    assert float(held[rare].mean()) == pytest.approx(0.2, abs=4 * (0.16 / 2000) ** 0.5)


def test_entity_and_salt_are_those_of_the_file() -> None:
    asked = pipeline(split={"kind": "hash", "by": ["customer", "region"], "salt": "pepper"})
    assert split.entity(asked) == (("customer", "region"), "pepper")
    assert split.entities(asked) == ("customer", "region")


@pytest.mark.parametrize("by", [None, ["id"]], ids=["default", "the key"])
def test_keys_are_entities_of_their_own(by: list[str] | None) -> None:
    assert split.entities(pipeline(split={"by": by})) is None


def test_entity_defaults_to_the_key_and_the_name() -> None:
    assert split.entity(pipeline()) == (("id",), "loans")
    assert split.hash_fraction(pipeline(split={"kind": "hash", "holdout": 0.3})) == 0.3
    assert split.hash_fraction(pipeline()) is None


PINNED = [4, 18, 25, 32, 36]
