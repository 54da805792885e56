"""The gate's rule, line by line, and a named outcome for every broken world (gate.md sections 2, 4 and 10.4)."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refit.core.config import GateLine as ConfigLine
from refit.core.domain import Check, Line, Result
from refit.evaluate import influence as influences
from refit.evaluate.bench import UnscorableModel
from refit.evaluate.rows import CleanRows, NoCleanRows
from refit.evaluate.rule import Judgement, Settings, judge
from refit.ml.scores import Responses, UnknownScore, UnusableScore
from tests.unit.evaluate.samples import (
    LOOK,
    Binary,
    GateLine,
    binary,
    classifier,
    instants,
    keys,
    regressor,
)

GAIN = GateLine("neg_log_loss", "min_gain", 0.0)
LOSS = GateLine("neg_log_loss", "max_loss", 0.005)
WORLD = binary(2000)
ALIKE = binary(2000, noise=(0.5, 0.5), seed=12)


def decide(world: Binary, *lines: GateLine, swap: bool = False, **options: Any) -> Judgement:
    candidate, champion = (world.worse, world.better) if swap else (world.better, world.worse)
    given = {"candidate": candidate, "champion": champion, "look": LOOK, "settings": Settings(), **options}
    return judge(lines or (GAIN,), world.rows, **given)


def only(found: Judgement) -> Check:
    (check,) = found.verdict.checks
    return check


def nudged(world: Binary, by: float) -> Responses:
    """The first model with its logits moved by half of `by` for every other row: a little worse."""
    assert world.better.decision_function is not None
    return classifier(world.better.decision_function + by * np.where(np.arange(len(world.rows)) % 2, 0.5, -0.5))


@pytest.mark.parametrize(
    ("line", "limit", "swap", "result"),
    [
        ("min_gain", 0.0, False, "accepted"),
        ("min_gain", 0.02, False, "accepted"),
        ("min_gain", 0.2, False, "rejected"),
        ("min_gain", 0.0, True, "rejected"),
        ("max_loss", 0.0, False, "accepted"),
        ("max_loss", 0.3, True, "accepted"),
        ("max_loss", 0.005, True, "rejected"),
    ],
)
def test_a_line_compares_the_gain_with_its_limit(line: Line, limit: float, swap: bool, result: Result) -> None:
    assert only(decide(WORLD, GateLine("neg_log_loss", line, limit), swap=swap)).result == result


@pytest.mark.parametrize("line", [GAIN, GateLine("neg_log_loss", "max_loss", 0.001)], ids=["min_gain", "max_loss"])
def test_models_alike_are_inconclusive(line: GateLine) -> None:
    found = decide(ALIKE, line)
    assert found.verdict.result == "inconclusive"
    assert "not" in found.verdict.reason


def test_a_check_carries_every_figure_of_the_record() -> None:
    check = only(decide(WORLD))
    assert None not in check.model_dump().values()
    assert check.interval is not None
    assert check.gain is not None
    assert check.candidate is not None
    assert check.baseline is not None
    assert check.gain == pytest.approx(check.candidate - check.baseline)
    assert check.interval[0] < check.gain < check.interval[1]
    assert (check.rows, check.entities, check.blocks, check.df, check.alpha) == (2000, 2000, 14, 13.0, 0.05)
    assert check.against == "champion"


@pytest.mark.parametrize(
    ("lines", "swap", "reason"),
    [
        ((GAIN,), False, r"neg_log_loss is 0\.\d+ better than the champion's \[0\.\d+, 0\.\d+\]"),
        ((GAIN,), True, r"neg_log_loss is 0\.\d+ worse than the champion's \[-0\.\d+, -0\.\d+\]"),
        ((LOSS,), True, r"neg_log_loss is 0\.\d+ worse .*\], beyond the loss of 0\.005 allowed"),
        ((GateLine("neg_log_loss", "min_gain", 0.02),), False, r".*\], more than the 0\.02 asked for"),
        ((GateLine("roc_auc", "min", 0.99),), False, r"roc_auc is 0\.\d+, at least 0\.99 is needed"),
        ((GateLine("roc_auc", "max", 0.6),), False, r"roc_auc is 0\.\d+, at most 0\.6 is needed"),
    ],
)
def test_reasons_read_as_plain_words(lines: tuple[GateLine, ...], swap: bool, reason: str) -> None:
    found = decide(WORLD, *lines, swap=swap).verdict.reason
    assert re.fullmatch(reason, found), found


def test_a_verdict_is_accepted_when_all_checks_are() -> None:
    floor = GateLine("roc_auc", "min", 0.6)
    found = decide(WORLD, floor, GAIN).verdict
    assert found.result == "accepted"
    assert [check.result for check in found.checks] == ["accepted", "accepted"]


def test_a_floor_that_fails_rejects_a_proven_gain() -> None:
    found = decide(WORLD, GAIN, GateLine("roc_auc", "min", 0.95)).verdict
    assert found.result == "rejected"
    assert found.reason.startswith("roc_auc is 0.")


def test_a_rejected_check_outweighs_an_inconclusive_one() -> None:
    found = decide(ALIKE, GAIN, GateLine("roc_auc", "min", 0.95)).verdict
    assert {check.result for check in found.checks} == {"inconclusive", "rejected"}
    assert found.result == "rejected"


def test_lines_of_the_pipeline_file_are_lines_of_the_gate() -> None:
    line = ConfigLine(score="roc_auc", max_loss=0.01)
    found = judge((line,), WORLD.rows, candidate=WORLD.better, champion=WORLD.worse, look=LOOK, settings=Settings())
    assert only(found).limit == 0.01


# --- the first model ----------------------------------------------------------


def dummy(world: Binary) -> Responses:
    share = world.rows.y.mean()
    return classifier(np.full(len(world.rows), np.log(share / (1 - share))))


def test_the_first_model_meets_a_dummy_and_the_floors() -> None:
    lines = (GateLine("roc_auc", "min", 0.6), GateLine("neg_log_loss", "max_loss", 0.005), GAIN)
    found = decide(WORLD, *lines, champion=None, dummy=dummy(WORLD))
    assert found.verdict.result == "accepted"
    assert [(check.score, check.line, check.limit, check.against) for check in found.verdict.checks] == [
        ("neg_log_loss", "min_gain", 0.0, "dummy"),
        ("roc_auc", "min", 0.6, None),
    ]
    assert found.becomes_anchor
    assert set(found.scores) == {"candidate", "baseline"}


def test_a_first_model_of_noise_does_not_beat_the_dummy() -> None:
    noise = classifier(np.random.default_rng(1).normal(size=2000))
    found = decide(WORLD, candidate=noise, champion=None, dummy=dummy(WORLD))
    assert found.verdict.result == "rejected"
    assert "a dummy's" in found.verdict.reason
    assert not found.becomes_anchor


def test_a_gate_of_floors_meets_the_dummy_on_its_first_score() -> None:
    found = decide(WORLD, GateLine("roc_auc", "min", 0.6), champion=None, dummy=dummy(WORLD))
    assert [check.name for check in found.verdict.checks] == ["roc_auc min_gain against dummy", "roc_auc min"]
    assert found.verdict.result == "accepted"


def test_a_perfect_ranking_beats_the_dummy_though_nothing_varies() -> None:
    perfect = classifier(np.where(WORLD.rows.y == 1, 2.0, -2.0))
    line = GateLine("roc_auc", "min_gain", 0.0)
    assert decide(WORLD, line, candidate=perfect, champion=None, dummy=dummy(WORLD)).verdict.result == "accepted"


def test_a_perfect_ranking_of_five_positives_is_too_little_data() -> None:
    world = WORLD.with_rows(y=(np.arange(2000) < 5).astype(int))
    perfect = classifier(np.where(world.rows.y == 1, 2.0, -2.0))
    line = GateLine("roc_auc", "min_gain", 0.0)
    found = decide(world, line, candidate=perfect, champion=None, dummy=dummy(world)).verdict
    assert found.result == "inconclusive"
    assert "about 5 of 2,000 clean rows" in found.reason


def test_a_comparison_needs_an_opponent() -> None:
    with pytest.raises(ValueError, match="champion or a dummy"):
        decide(WORLD, champion=None)


# --- the anchor ---------------------------------------------------------------


def test_max_loss_must_hold_against_champion_and_anchor() -> None:
    """The champion slid a little below the anchor, and the candidate a little below the champion: no ratchet."""
    line = GateLine("neg_log_loss", "max_loss", 0.004)
    options: dict[str, Any] = {"candidate": nudged(WORLD, 0.95), "champion": nudged(WORLD, 0.9)}
    assert decide(WORLD, line, **options).verdict.result == "accepted"
    found = decide(WORLD, line, **options, anchor=WORLD.better).verdict
    assert {check.against: check.result for check in found.checks} == {"champion": "accepted", "anchor": "rejected"}
    assert found.result == "rejected"
    assert "the last proven model's" in found.reason


def test_min_gain_is_against_the_champion_alone() -> None:
    found = decide(WORLD, GAIN, anchor=nudged(WORLD, 0.1))
    assert [check.against for check in found.verdict.checks] == ["champion"]
    assert found.verdict.result == "accepted"


def test_an_accepted_candidate_proven_better_than_the_anchor_becomes_it() -> None:
    assert decide(WORLD, LOSS).becomes_anchor
    assert decide(WORLD, LOSS, anchor=WORLD.worse).becomes_anchor


def test_an_accepted_candidate_within_the_loss_leaves_the_anchor() -> None:
    found = decide(WORLD, LOSS, candidate=nudged(WORLD, 0.05), champion=WORLD.worse, anchor=WORLD.better)
    assert found.verdict.result == "accepted"
    assert not found.becomes_anchor
    same = decide(WORLD, LOSS, candidate=WORLD.better, champion=WORLD.better)
    assert same.verdict.result == "accepted"
    assert not same.becomes_anchor


def test_a_rejected_candidate_never_becomes_the_anchor() -> None:
    assert not decide(WORLD, GAIN, GateLine("roc_auc", "min", 0.95)).becomes_anchor


def test_an_anchor_that_cannot_score_gives_way_to_the_champion() -> None:
    found = decide(WORLD, LOSS, anchor=classifier(np.full(2000, np.nan)))
    assert found.anchor_gave_way
    assert [check.against for check in found.verdict.checks] == ["champion"]
    assert not decide(WORLD, LOSS, anchor=WORLD.worse).anchor_gave_way


def test_scores_of_all_models_are_told() -> None:
    found = decide(WORLD, GAIN, GateLine("roc_auc", "min", 0.6), anchor=ALIKE.better)
    assert set(found.scores) == {"candidate", "baseline", "anchor"}
    assert {tuple(scores) for scores in found.scores.values()} == {("neg_log_loss", "roc_auc")}


def test_every_models_score_has_an_interval_of_the_confidence_asked_for() -> None:
    wide, narrow = (decide(WORLD, LOSS, anchor=ALIKE.better, settings=Settings(confidence=c)) for c in (0.99, 0.8))
    assert set(wide.intervals) == {"candidate", "baseline", "anchor"}
    for model, scores in wide.scores.items():
        (low, high), (left, right) = (found.intervals[model]["neg_log_loss"] for found in (wide, narrow))
        value = scores["neg_log_loss"]
        assert value is not None
        assert low < left < value < right < high
        assert (low + high) / 2 == pytest.approx(value)


def test_scores_of_the_report_have_intervals_where_they_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(influences, "jackknife", lambda name, *_: asked.append(name))
    found = decide(WORLD, settings=Settings(scores=("neg_log_loss", "roc_auc", "top_k_accuracy")))
    assert {tuple(of_model) for of_model in found.intervals.values()} == {("neg_log_loss", "roc_auc")}
    assert set(found.scores["candidate"]) == {"neg_log_loss"}
    assert asked == []


def test_a_score_that_is_known_by_few_rows_has_no_interval() -> None:
    rare = np.arange(2000) < 9
    world = WORLD.with_rows(y=rare.astype(int))
    found = decide(world, settings=Settings(scores=("roc_auc", "accuracy")))
    assert "roc_auc" not in found.intervals["candidate"]
    exact = decide(world, candidate=classifier(np.where(rare, 9.0, -9.0)), settings=Settings(scores=("accuracy",)))
    assert "accuracy" not in exact.intervals["candidate"], "it varies by nothing that these rows show"


# --- too little data ----------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "settings", "reason"),
    [
        (binary(199), Settings(), "too little data: 199 clean rows, 200 are needed"),
        (binary(300), Settings(min_clean_rows=1000), "too little data: 300 clean rows, 1,000 are needed"),
        (binary(3), Settings(), "too little data: 3 clean rows, 200 are needed"),
        (binary(1), Settings(), "too little data: 1 clean rows, 200 are needed"),
        (binary(500, days=9), Settings(), "too little data: 9 days of clean rows, 10 are needed"),
        (binary(500, days=21), Settings(block="week"), "too little data: 3 weeks of clean rows, 4 are needed"),
    ],
    ids=["199 rows", "own minimum", "3 rows", "1 row", "9 days", "3 weeks"],
)
def test_too_little_data_is_inconclusive_and_no_look(world: Binary, settings: Settings, reason: str) -> None:
    found = decide(world, settings=settings)
    assert (found.verdict.result, found.verdict.reason, found.looked) == ("inconclusive", reason, False)


def test_enough_weeks_are_judged_by_weeks() -> None:
    check = only(decide(binary(3000, days=28), settings=Settings(block="week")))
    assert (check.blocks, check.df, check.result) == (4, 3.0, "accepted")


def test_few_rows_that_differ_are_too_little_data_however_many_there_are() -> None:
    champion = replace(
        WORLD.better, predict=np.where(np.arange(2000) < 9, 1 - WORLD.better.predict, WORLD.better.predict)
    )
    found = decide(WORLD, GateLine("accuracy", "max_loss", 0.01), champion=champion)
    assert found.verdict.reason == (
        "too little data: the difference in accuracy rests on about 9 of 2,000 clean rows, 20 are needed"
    )
    assert not found.looked


def test_enough_data_is_a_look_whatever_its_result() -> None:
    assert decide(WORLD).looked
    assert decide(ALIKE).looked
    assert decide(WORLD, swap=True).looked


def test_floors_alone_are_no_look() -> None:
    found = decide(WORLD, GateLine("roc_auc", "min", 0.6))
    assert (found.verdict.result, found.looked, found.becomes_anchor) == ("accepted", False, True)


def test_no_time_since_the_last_look_is_inconclusive() -> None:
    found = decide(WORLD, look=None)
    assert found.verdict.result == "inconclusive"
    assert "no time has passed" in found.verdict.reason
    assert not found.looked


def test_a_floor_still_rejects_where_data_are_too_little() -> None:
    assert decide(binary(150), GAIN, GateLine("roc_auc", "min", 0.99)).verdict.result == "rejected"


# --- broken worlds ------------------------------------------------------------


@pytest.mark.parametrize(("line", "result"), [(GAIN, "rejected"), (LOSS, "accepted")], ids=["min_gain", "max_loss"])
def test_equal_predictions_gain_nothing(line: GateLine, result: Result) -> None:
    found = decide(WORLD, line, champion=WORLD.better)
    assert found.verdict.result == result
    assert "equal to the champion's on every row" in found.verdict.reason
    assert only(found).gain == 0.0


def test_equal_predictions_on_few_rows_are_still_too_little_data() -> None:
    world = binary(50)
    assert decide(world, LOSS, champion=world.better).verdict.result == "inconclusive"


def test_a_constant_candidate_loses() -> None:
    assert decide(WORLD, candidate=classifier(np.zeros(2000))).verdict.result == "rejected"


@pytest.mark.parametrize("score", ["roc_auc", "average_precision", "roc_auc_ovr"])
@pytest.mark.parametrize("line", ["min_gain", "min"])
def test_one_class_is_too_little_data_for_a_ranking(score: str, line: Line) -> None:
    world = WORLD.with_rows(y=np.zeros(2000, dtype=int))
    found = decide(world, GateLine(score, line, 0.0))
    assert found.verdict.result == "inconclusive"
    assert f"all 2,000 clean rows have the label 0, {score} needs both" in found.verdict.reason
    assert found.scores["candidate"] == {score: None}


@pytest.mark.parametrize("score", ["neg_log_loss", "accuracy", "f1"])
def test_other_scores_are_judged_on_one_class_too(score: str) -> None:
    world = WORLD.with_rows(y=np.zeros(2000, dtype=int))
    assert only(decide(world, GateLine(score, "min_gain", 0.0))).interval is not None


@pytest.mark.parametrize("who", ["candidate", "champion"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_that_are_no_numbers_never_promote(who: str, value: float) -> None:
    logits = np.append(np.ones(1999), value)
    broken = replace(classifier(np.append(np.ones(1999), 0.0)), decision_function=logits)
    with pytest.raises(UnscorableModel, match=f"the {who} cannot be scored.*1 of 2,000 rows") as caught:
        decide(WORLD, **dict[str, Any]({who: broken}))
    assert caught.value.model == who
    assert caught.value.exit_code == 65


def test_a_score_that_is_no_number_never_promotes(monkeypatch: pytest.MonkeyPatch) -> None:
    from refit.ml import scores

    def silent(name: str) -> Any:
        return lambda estimator, X, y, **_: float("nan")

    monkeypatch.setattr(scores, "find", silent)
    with pytest.raises(UnscorableModel, match="its own_score on 2,000 clean rows is not a number"):
        decide(WORLD, GateLine("own_score", "min_gain", 0.0))


def test_an_empty_evaluation_set_is_a_data_error() -> None:
    nothing = WORLD.take(np.array([], dtype=int))
    with pytest.raises(NoCleanRows) as caught:
        decide(nothing)
    assert caught.value.exit_code == 65
    with pytest.raises(NoCleanRows):
        decide(nothing, champion=None)


@pytest.mark.parametrize(
    ("score", "error"), [("neg_logloss", UnknownScore), ("neg_mean_absolute_error_of_text", UnknownScore)]
)
def test_an_unknown_score_is_a_config_error(score: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="did you mean"):
        decide(WORLD, GateLine(score, "min_gain", 0.0))


def test_a_score_of_probabilities_needs_probabilities() -> None:
    hard = replace(WORLD.better, predict_proba=None)
    with pytest.raises(UnusableScore, match="neg_log_loss"):
        decide(WORLD, candidate=hard, champion=hard)


# --- regression, entities, order ----------------------------------------------


def test_regression_is_judged_too() -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(size=1000)
    rows = CleanRows(z + rng.normal(size=1000), keys(1000, rng), None, instants(1000, 14, rng))
    lines = (GateLine("neg_root_mean_squared_error", "min_gain", 0.0), GateLine("r2", "min", 0.3))
    found = judge(
        lines,
        rows,
        candidate=regressor(z),
        champion=regressor(z + rng.normal(size=1000)),
        look=LOOK,
        settings=Settings(),
    )
    assert found.verdict.result == "accepted"


def test_rows_that_share_an_entity_widen_the_interval() -> None:
    rng = np.random.default_rng(4)
    world = binary(2000)
    twice = world.take(np.repeat(np.arange(1000), 2))
    doubled = twice.with_rows(keys=keys(2000, rng))
    owned = doubled.with_rows(entities=np.repeat(world.rows.keys[:1000], 2))
    as_rows, as_entities = only(decide(doubled)), only(decide(owned))
    assert as_rows.se is not None
    assert as_entities.se is not None
    assert (as_rows.entities, as_entities.entities) == (2000, 1000)
    assert as_entities.effective_rows == pytest.approx((as_rows.effective_rows or 0) / 2)


@pytest.mark.parametrize(
    ("score", "owned"),
    [
        ("neg_log_loss", False),
        ("roc_auc", False),
        ("roc_auc", True),
        ("f1", True),
        ("average_precision", True),
        ("f1_macro", True),
    ],
)
def test_the_same_rows_in_any_order_give_the_same_bytes(score: str, owned: bool) -> None:
    rng = np.random.default_rng(5)
    world = binary(400).with_rows(weights=rng.uniform(0.5, 2.0, 400))
    if owned:
        world = world.with_rows(entities=world.rows.keys[rng.integers(0, 60, 400)])
    lines = (GateLine(score, "max_loss", 0.01), GateLine(score, "min", 0.1))

    def body(of: Binary) -> str:
        found = decide(of, *lines)
        return found.verdict.model_dump_json() + repr(found.scores)

    assert body(world.take(rng.permutation(400))) == body(world)


def test_monotone_changes_of_a_ranking_are_equal_predictions() -> None:
    assert WORLD.better.decision_function is not None
    stretched = classifier(3 * WORLD.better.decision_function + 1)
    assert decide(
        WORLD, GateLine("roc_auc", "min_gain", 0.0), candidate=stretched, champion=WORLD.better
    ).verdict.reason == ("roc_auc is equal to the champion's on every row: no gain")


def test_days_that_follow_each_other_are_hinted_at() -> None:
    """In the first week the candidate knows more, in the second the champion: days are not independent there."""
    assert WORLD.rows.cursor is not None
    first = WORLD.rows.cursor < np.datetime64("2026-01-12T00:00:00", "us")
    a, b = WORLD.better.decision_function, WORLD.worse.decision_function
    assert a is not None
    assert b is not None
    found = decide(WORLD, candidate=classifier(np.where(first, a, b)), champion=classifier(np.where(first, b, a)))
    assert any("block: week" in hint for hint in only(found).hints)
    assert not any("block: week" in hint for hint in only(decide(WORLD)).hints)


def test_what_no_test_can_see_is_said_with_every_acceptance() -> None:
    assert only(decide(WORLD)).hints == ("mistakes rarer than 1 row in 666 cannot be seen in 2,000 clean rows",)


def test_counts_are_of_rows_that_weigh_something() -> None:
    weights = np.ones(2000)
    weights[:1900] = 0
    assert decide(WORLD.with_rows(weights=weights)).verdict.reason.startswith("too little data: 100 clean rows")
