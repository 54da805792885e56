"""New labels that contradict the old are seen, extract by extract; noise and prior shift are not."""

from dataclasses import replace

import numpy as np
import pytest

from refit.core.domain import Reference
from refit.evaluate.bench import UnscorableModel
from refit.evaluate.rows import CleanRows
from refit.evaluate.shift import ExtractRows, check_shift, reference
from refit.ml.scores import Responses
from tests.unit.evaluate.samples import binary, classifier, instants, keys, regressor

HELD = reference(binary(3000, seed=1).rows, binary(3000, seed=1).better)


def extract(n: int = 500, seed: int = 2, *, flipped: float = 0.0) -> ExtractRows:
    world = binary(n, days=7, seed=seed)
    flips = np.random.default_rng(seed).random(n) < flipped
    return ExtractRows(
        f"run{seed}", replace(world.rows, y=np.where(flips, 1 - world.rows.y, world.rows.y)), world.better
    )


def check(*extracts: ExtractRows, max_shift: float = 0.10) -> list[bool]:
    assert HELD is not None
    return [found.shifted for found in check_shift(HELD, extracts, max_shift)]


def test_a_reference_is_the_ranking_score_with_its_error() -> None:
    assert HELD is not None
    assert HELD.score == "roc_auc"
    assert HELD.value == pytest.approx(0.8, abs=0.03)
    assert HELD.rows == 3000
    assert 0.004 < HELD.se < 0.02


def test_ordinary_extracts_are_not_shifted() -> None:
    assert check(*[extract(seed=seed) for seed in range(10, 20)]) == [False] * 10


def test_one_extract_with_flipped_labels_is_named_among_good_ones() -> None:
    assert check(extract(seed=3), extract(seed=4, flipped=1.0), extract(seed=5)) == [False, True, False]


def test_a_drop_within_the_limit_is_let_pass() -> None:
    assert check(extract(5000, flipped=0.12)) == [False]
    assert check(extract(5000, flipped=0.12), max_shift=0.03) == [True]


def test_a_drop_that_noise_explains_is_let_pass() -> None:
    """AUC .65 on 60 rows: below the limit, yet within three of its own SEs."""
    assert HELD is not None
    found = check_shift(HELD, [extract(60, flipped=0.25, seed=s) for s in range(40)], 0.10)
    dropped = [one for one in found if one.drop is not None and one.drop > 0.10]
    assert len(dropped) > 10
    assert sum(one.shifted for one in dropped) < len(dropped) / 3


@pytest.mark.parametrize(
    "rows",
    [
        extract(12),
        ExtractRows("empty", extract().rows.take(np.array([], dtype=int)), extract().responses.take(np.array([], int))),
        replace(extract(), rows=replace(extract().rows, y=np.zeros(500, dtype=int))),
        replace(extract(), rows=replace(extract().rows, y=(np.arange(500) < 3).astype(int))),
    ],
    ids=["twelve rows", "no rows", "one class", "three positives"],
)
def test_rows_that_cannot_tell_have_no_value_and_are_not_shifted(rows: ExtractRows) -> None:
    assert HELD is not None
    (found,) = check_shift(HELD, [rows], 0.10)
    assert (found.value, found.drop, found.shifted) == (None, None, False)


def test_a_perfect_ranking_turned_round_is_shifted() -> None:
    world = binary(400)
    perfect = classifier(np.where(world.rows.y == 1, 2.0, -2.0) + np.linspace(0, 1, 400))
    held = reference(world.rows, perfect)
    assert held == Reference(score="roc_auc", value=1.0, se=0.0, rows=400)
    turned = ExtractRows("bad", replace(world.rows, y=1 - world.rows.y), perfect)
    assert held is not None
    assert [found.shifted for found in check_shift(held, [turned], 0.10)] == [True]


def test_numbers_are_held_by_r2() -> None:
    rng = np.random.default_rng(9)
    z = rng.normal(size=1000)
    rows = CleanRows(z + rng.normal(size=1000), keys(1000, rng), None, instants(1000, 14, rng))
    held = reference(rows, regressor(z))
    assert held is not None
    assert held.score == "r2"
    assert held.value == pytest.approx(0.5, abs=0.06)
    wrong = replace(rows, y=rng.permutation(rows.y))
    good, bad = check_shift(held, [ExtractRows("a", rows, regressor(z)), ExtractRows("b", wrong, regressor(z))], 0.2)
    assert (good.shifted, bad.shifted) == (False, True)


def test_a_target_that_does_not_vary_cannot_tell() -> None:
    world = binary(400)
    assert reference(replace(world.rows, y=np.full(400, 3.0)), regressor(np.full(400, 2.0))) is None


def test_several_classes_are_held_by_the_mean_of_one_against_the_rest() -> None:
    rng = np.random.default_rng(10)
    codes = rng.integers(0, 3, 900)
    logits = 1.5 * np.eye(3)[codes] + rng.normal(size=(900, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    said = Responses(np.arange(3), p.argmax(axis=1), p)
    rows = CleanRows(codes, keys(900, rng), None, instants(900, 14, rng))
    held = reference(rows, said)
    assert held is not None
    (found,) = check_shift(held, [ExtractRows("a", replace(rows, y=(codes + 1) % 3), said)], 0.10)
    assert found.shifted


def test_a_model_without_a_ranking_has_no_reference() -> None:
    world = binary(400)
    assert reference(world.rows, Responses(world.better.classes, world.better.predict)) is None


def test_a_champion_that_says_nan_cannot_be_held() -> None:
    world = binary(400)
    with pytest.raises(UnscorableModel, match="NaN"):
        reference(world.rows, classifier(np.full(400, np.nan)))
