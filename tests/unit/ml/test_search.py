"""The course of a search: rounds, what is chosen, and what the end of the time leaves."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from refit.core.config_search import Search
from refit.ml.combinations import draw
from refit.ml.estimator import BadParameter, UnfitRows
from refit.ml.search import Found, Resources, Time, rounds, run, usable_folds
from refit.ml.trial import Answer, Ground, Trial
from tests.fixtures.searches import answered, at_once, ground
from tests.fixtures.trained import START, loans

FOLDS = [0, 1, 2]


def many(combinations: int) -> Ground:
    """Combinations whose names are their numbers; 0 is the file's own params."""
    return ground([{}, *({"C": float(number)} for number in range(1, combinations))])


def play(
    of: Ground,
    answer: Callable[[Trial], Answer | None],
    limits: tuple[int, ...] = (1200,),
    **how: Any,
) -> Found:
    return run(of, FOLDS, limits, Resources(answered(answer), how.pop("at_once", 2), **how))


def by_number(best: int) -> Callable[[Trial], Answer]:
    """The nearer to the best, the better; folds differ."""
    return lambda trial: Answer(-abs(trial.combination - best) + trial.fold / 8, seconds=1.0)


def test_the_best_mean_is_chosen() -> None:
    found = play(many(9), by_number(6))
    assert (found.chosen, found.chosen_in, found.is_cut, found.tried) == (6, 0, False, 9)
    measured = found.rounds[0].measured[6]
    assert (measured.mean, measured.seconds) == (0.125, 3.0)
    assert measured.std == pytest.approx(np.std([0.0, 0.125, 0.25]))


def test_of_equal_ones_the_files_own_params_are_taken() -> None:
    assert play(many(5), lambda trial: Answer(1.0)).chosen == 0


def test_the_order_of_answers_changes_nothing() -> None:
    of, waiting = many(9), list[tuple[Future[Answer], Answer]]()

    def late(trial: Trial) -> Future[Answer]:
        future: Future[Answer] = Future()
        waiting.append((future, by_number(4)(trial)))
        if len(waiting) == 5 or trial == Trial(8, 2, 1200):
            while waiting:
                one, answer = waiting.pop()
                one.set_result(answer)
        return future

    backwards = run(of, FOLDS, (1200,), Resources(late, 5))
    assert backwards.rounds[0].measured == play(of, by_number(4)).rounds[0].measured
    assert backwards.chosen == 4


def test_a_failing_combination_is_kept_and_not_tried_further() -> None:
    tried: list[Trial] = []

    def answer(trial: Trial) -> Answer:
        tried.append(trial)
        return Answer(None, "no such solver") if trial.combination == 3 else by_number(3)(trial)

    found = play(many(6), answer, at_once=1)
    assert found.chosen == 2
    assert found.rounds[0].failed[3].failure == "no such solver"
    assert (found.tried, found.is_cut) == (6, False)
    assert sum(trial.combination == 3 for trial in tried) == 1


@pytest.mark.parametrize(("blames", "kind"), [("file", BadParameter), ("rows", UnfitRows)])
def test_where_nothing_works_the_files_own_params_say_why(blames: Any, kind: type[Exception]) -> None:
    def answer(trial: Trial) -> Answer:
        return Answer(None, f"reason {trial.combination}", blames)

    with pytest.raises(kind, match=r"none of 4 combinations could be .* the file's own params: reason 0"):
        play(many(4), answer)


# --- rounds -------------------------------------------------------------------


def test_each_round_keeps_the_best_third_and_the_files_own_params() -> None:
    tried: list[Trial] = []

    def answer(trial: Trial) -> Answer:
        tried.append(trial)
        return by_number(12)(trial)

    found = play(many(19), answer, (100, 300, 900))
    in_rounds = [sorted({trial.combination for trial in tried if trial.rows == rows}) for rows in (100, 300, 900)]
    assert in_rounds[0] == list(range(19))
    assert in_rounds[1] == [0, 9, 10, 11, 12, 13, 14, 15]
    assert in_rounds[2] == [0, 11, 12, 13]
    assert (found.chosen, found.chosen_in, found.tried) == (12, 2, 19)


def test_the_last_round_decides_though_an_earlier_one_said_otherwise() -> None:
    found = play(many(9), lambda trial: by_number(6 if trial.rows == 100 else 5)(trial), (100, 300))
    assert (found.chosen, found.chosen_in) == (5, 1)


def test_the_files_own_params_win_where_more_rows_speak_for_them() -> None:
    found = play(many(9), lambda trial: by_number(6 if trial.rows == 100 else 0)(trial), (100, 300))
    assert (found.chosen, found.chosen_in) == (0, 1)


def large(rows: int, of_class: int | None = None) -> Ground:
    """A ground of so many rows, with so many of the rarer class; its combinations do not matter."""
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "loan_id": np.arange(rows),
            "applied_at": pa.array(np.datetime64(START.replace(tzinfo=None), "us") + np.arange(rows)).cast(
                pa.timestamp("us", "UTC")
            ),
            "amount": rng.normal(size=rows),
            "defaulted": rng.permutation(np.arange(rows) < (rows // 2 if of_class is None else of_class)),
        }
    )
    return ground([{}] * 21, rows=table)


@pytest.mark.parametrize(
    ("rows", "combinations", "expected"),
    [
        (90_000, 21, (10_000, 30_000, 90_000)),
        (89_990, 21, (29_997, 89_990)),
        (29_000, 21, (29_000,)),
        (90_000, 6, (30_000, 90_000)),
        (90_000, 5, (90_000,)),
    ],
    ids=["three rounds", "too few rows for three", "too few rows", "few combinations", "too few combinations"],
)
def test_halving_goes_where_it_fits(rows: int, combinations: int, expected: tuple[int, ...]) -> None:
    of = large(rows)
    smaller = Ground(of.pipeline, of.columns, of.X, of.y, of.folds, of.scoring, of.combinations[:combinations])
    assert rounds(smaller, FOLDS) == expected


def test_halving_does_not_fit_where_a_class_would_be_missing() -> None:
    of = large(90_000, of_class=8)
    assert usable_folds(of, 90_000) == FOLDS
    assert rounds(of, FOLDS) == (90_000,)


# --- the time -----------------------------------------------------------------


class Stuck:
    """Combination `number` never answers in the round of so many rows, and with it the time is over."""

    def __init__(self, number: int, rows: int, best: dict[int, int]) -> None:
        self._number, self._rows, self._best = number, rows, best
        self._is_over = False
        self.time = Time(1.0, lambda: float(self._is_over))

    def __call__(self, trial: Trial) -> Answer | None:
        if (trial.combination, trial.rows) == (self._number, self._rows):
            self._is_over = True
            return None
        return by_number(self._best[trial.rows])(trial)


def test_what_is_begun_when_the_time_is_over_counts_for_nothing() -> None:
    stuck = Stuck(4, 1200, {1200: 8})
    found = play(many(9), stuck, time=stuck.time, at_once=1)
    assert (found.chosen, found.chosen_in, found.is_cut, found.tried) == (3, 0, True, 4)


def test_a_round_that_is_not_whole_does_not_decide() -> None:
    stuck = Stuck(7, 300, {100: 6, 300: 0})
    found = play(many(9), stuck, (100, 300), time=stuck.time, at_once=1)
    assert len(found.rounds[1].measured) == 3
    assert (found.chosen, found.chosen_in, found.is_cut, found.tried) == (6, 0, True, 9)


def test_without_any_answer_in_time_the_files_own_params_are_taken() -> None:
    stuck = Stuck(0, 1200, {1200: 3})
    found = play(many(9), stuck, time=stuck.time)
    assert (found.chosen, found.chosen_in, found.is_cut, found.tried) == (0, None, True, 0)
    assert play(many(9), by_number(3), time=Time(0.0, lambda: 0.0)).tried == 0


def test_progress_tells_how_far_it_is_the_best_score_and_the_time_left() -> None:
    lines: list[str] = []
    now = iter(range(0, 10_000, 10))
    play(many(3), by_number(2), (100, 300), time=Time(500.0, lambda: float(next(now))), tell=lines.append)
    assert lines[0].startswith("search, round 1 of 2: 1/3, best neg_log_loss -1.875, ")
    assert lines[0].endswith(" min left")
    assert lines[2].startswith("search, round 1 of 2: 3/3, best neg_log_loss 0.125, ")
    assert lines[3].startswith("search, round 2 of 2: 1/3")
    plain: list[str] = []
    play(many(2), by_number(1), tell=plain.append)
    assert plain == ["search 1/2, best neg_log_loss -0.875", "search 2/2, best neg_log_loss 0.125"]


# --- real trials --------------------------------------------------------------


def test_a_planted_optimum_is_found_and_never_a_worse_than_the_files_own() -> None:
    """The odds follow the square of a number, so that a tree needs a depth of at least 2, and more learns noise."""
    rng = np.random.default_rng(1)
    rows = loans(1200)
    amount = rng.uniform(-2, 2, 1200)
    table = rows.set_column(2, "amount", pa.array(amount)).set_column(
        rows.schema.get_field_index("defaulted"),
        "defaulted",
        pa.array(rng.random(1200) < np.where(abs(amount) < 1, 0.9, 0.1)),
    )
    model = {"estimator": "sklearn.tree.DecisionTreeClassifier"}
    drawn = draw(Search.model_validate({"n_iter": 12, "space": {"max_depth": {"log_integer": [1, 60]}}}), 0)
    of = ground(drawn, rows=table, model=model, features={"numeric": {"columns": ["amount", "age"]}})
    found = run(of, FOLDS, (1200,), Resources(at_once(of), 1))
    assert of.combinations[found.chosen]["max_depth"] in (2, 3, 4)
    measured = found.rounds[0].measured
    assert measured[found.chosen].mean >= max(one.mean for one in measured.values())
    assert measured[found.chosen].mean > measured[0].mean + 0.5
