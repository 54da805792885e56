"""Score values equal scikit-learn's; influence equals the delete-one jackknife (gate.md section 10.1)."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from refit.evaluate import means, ranking
from refit.evaluate.influence import closed_form, difference, influence, jackknife
from refit.evaluate.interval import spread
from refit.evaluate.rows import Sample
from refit.ml import scores
from refit.ml.scores import Responses, UnknownScore, UnusableScore
from tests.unit.evaluate.samples import binary, classifier, counted, regressor, tied_binary

CLASSIFIED = [
    "neg_log_loss",
    "neg_brier_score",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "jaccard",
    "balanced_accuracy",
    "matthews_corrcoef",
    "roc_auc",
    "average_precision",
]
COUNTED = [
    "neg_mean_absolute_error",
    "neg_mean_squared_error",
    "neg_mean_absolute_percentage_error",
    "neg_mean_squared_log_error",
    "neg_mean_poisson_deviance",
    "neg_mean_gamma_deviance",
    "neg_root_mean_squared_error",
    "neg_root_mean_squared_log_error",
    "r2",
    "explained_variance",
]


def example(name: str) -> tuple[Sample, Responses]:
    return tied_binary() if name in CLASSIFIED else counted()


def delete_one(name: str, sample: Sample, responses: Responses) -> npt.NDArray[np.float64]:
    """The score without each row in turn; the closed form's value, which a test here holds equal to scikit-learn's."""
    assert sample.weights is not None
    without = []
    for row in range(len(sample)):
        rows = np.delete(np.arange(len(sample)), row)
        rest = replace(sample, y=sample.y[rows], weights=sample.weights[rows])
        found = closed_form(name, rest, responses.take(rows))
        assert found is not None
        without.append(found[0])
    return np.array(without)


def test_every_closed_form_is_tested_here() -> None:
    assert {*CLASSIFIED, *COUNTED} == {*means.ROW_SCORES, *means.SMOOTH, "roc_auc", "average_precision"}


@pytest.mark.parametrize("name", CLASSIFIED + COUNTED)
def test_a_score_equals_scikit_learns_with_weights_and_ties(name: str) -> None:
    sample, responses = example(name)
    found = closed_form(name, sample, responses)
    assert found is not None
    assert found[0] == pytest.approx(scores.value(name, responses, sample.y, sample.weights), rel=1e-12)


@pytest.mark.parametrize("name", CLASSIFIED + COUNTED)
def test_influence_is_the_delete_one_jackknifes(name: str) -> None:
    sample, responses = example(name)
    found = closed_form(name, sample, responses)
    assert found is not None
    _, psi = found
    without = delete_one(name, sample, responses)
    n = len(sample)
    assert np.corrcoef(psi, -without)[0, 1] > 0.999
    se_jackknife = np.sqrt((n - 1) / n * np.sum(np.square(without - without.mean())))
    assert np.sqrt(n / (n - 1) * np.sum(np.square(psi))) / n == pytest.approx(se_jackknife, rel=0.03)


@pytest.mark.parametrize("name", CLASSIFIED + COUNTED)
def test_influence_sums_to_nothing(name: str) -> None:
    found = closed_form(name, *example(name))
    assert found is not None
    assert abs(found[1].sum()) < 1e-9 * np.abs(found[1]).sum()


def test_roc_auc_and_its_components_equal_the_count_of_all_pairs() -> None:
    sample, responses = tied_binary()
    ranks, w = responses.ranking(), sample.weights
    assert ranks is not None
    assert w is not None
    positive = sample.y == 1
    above = np.sign(ranks[positive][:, None] - ranks[~positive][None, :]) / 2 + 0.5
    v = above @ w[~positive] / w[~positive].sum()
    area = float(v @ w[positive] / w[positive].sum())
    value, psi = ranking.roc_auc(positive, ranks, sample.scale)
    assert value == pytest.approx(area, rel=1e-12)
    expected = len(w) * w[positive] * (v - area) / w[positive].sum()
    assert psi[positive] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "name", ["neg_log_loss", "neg_brier_score", "accuracy", "balanced_accuracy", "matthews_corrcoef", "roc_auc_ovr"]
)
def test_several_classes_have_the_same_closed_forms(name: str) -> None:
    rng = np.random.default_rng(5)
    sample, _ = tied_binary()
    y = rng.choice(np.array(["a", "b", "c"]), len(sample), p=[0.2, 0.3, 0.5])
    logits = (y[:, None] == np.array(["a", "b", "c"])) + rng.normal(size=(len(y), 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    responses = Responses(np.array(["a", "b", "c"]), np.array(["a", "b", "c"])[p.argmax(axis=1)], p)
    sample = replace(sample, y=y)
    found = closed_form(name, sample, responses)
    assert found is not None
    assert found[0] == pytest.approx(scores.value(name, responses, y, sample.weights), rel=1e-12)
    without = delete_one(name, sample, responses)
    assert np.corrcoef(found[1], -without)[0, 1] > 0.999


def test_one_vs_rest_equals_scikit_learns_mean_of_areas() -> None:
    rng = np.random.default_rng(6)
    codes = rng.integers(0, 3, 400)
    logits = np.eye(3)[codes] + rng.normal(size=(400, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    value, psi = ranking.roc_auc_one_vs_rest(codes, p, np.ones(400))
    assert value == pytest.approx(scores.value("roc_auc_ovr", Responses(np.arange(3), p.argmax(1), p), codes))
    assert abs(psi.sum()) < 1e-9


@pytest.mark.parametrize("name", ["f1_macro", "positive_likelihood_ratio", "d2_log_loss_score"])
def test_any_other_scorer_goes_through_the_jackknife(name: str) -> None:
    """Groups of 10 rows carry about the SE of single rows: 200 groups tell it within about 10 %."""
    sample, responses, _ = binary(2000).sample()
    found = influence(name, sample, responses)
    assert len(found.units) == 200
    assert found.blocks is not None
    assert len(found.blocks) == 14
    assert found.value == pytest.approx(scores.value(name, responses, sample.y))
    assert spread(found).se > 0


@pytest.mark.parametrize("name", ["roc_auc", "f1"])
def test_the_jackknife_agrees_with_the_closed_form(name: str) -> None:
    world = binary(3000)
    sample, better, worse = world.sample()
    exact = difference(influence(name, sample, better), influence(name, sample, worse))
    grouped = difference(jackknife(name, sample, better), jackknife(name, sample, worse))
    assert grouped.value == pytest.approx(exact.value)
    assert spread(grouped).se == pytest.approx(spread(exact).se, rel=0.15)
    assert exact.blocks is not None
    assert grouped.blocks == pytest.approx(exact.blocks, rel=0.1, abs=0.02 * np.abs(exact.blocks).max())


def test_an_own_scorer_is_judged_too() -> None:
    def cost(estimator: Any, X: Any, y: Any, /, **_: Any) -> float:
        said = estimator.predict(X)
        return -float(np.mean(np.where(y == 1, 5.0 * (said != y), said != y)))

    sample, better, _ = binary(500).sample()
    found = jackknife("cost", sample, better, scorer=cost)
    row_costs = -np.where(sample.y == 1, 5.0, 1.0) * (better.predict != sample.y)
    assert found.value == pytest.approx(row_costs.mean())
    assert spread(found).se == pytest.approx(row_costs.std() / np.sqrt(500), rel=0.2)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("f1", np.array(["no", "yes"])),
        ("average_precision", np.array(["no", "yes"])),
        ("f1", np.array([1, 2])),
        ("roc_auc", np.array(["no", "yes"])),
        ("neg_log_loss", np.array(["no", "yes"])),
        ("neg_log_loss", np.array([False, True])),
        ("f1", np.array([False, True])),
        ("average_precision", np.array([-1, 1])),
        ("neg_brier_score", np.array([-1, 1])),
        ("roc_auc", np.array([1, 2])),
        ("neg_brier_score", np.array([1, 2])),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, np.ndarray) else value,
)
def test_labels_mean_what_scikit_learn_makes_of_them(name: str, classes: npt.NDArray[np.str_]) -> None:
    """Where scikit-learn scores these labels the value is equal, where it refuses them so does the gate."""
    sample, responses = tied_binary()
    logit = responses.decision_function
    assert logit is not None
    renamed = classifier(logit, classes)
    sample = replace(sample, y=classes[sample.y])
    try:
        expected = scores.value(name, renamed, sample.y, sample.weights)
    except UnusableScore:
        with pytest.raises(UnusableScore):
            influence(name, sample, renamed)
    else:
        assert influence(name, sample, renamed).value == pytest.approx(expected, rel=1e-9)


def test_probabilities_in_single_precision_are_clipped_as_scikit_learn_does() -> None:
    sample, responses = tied_binary()
    p = np.asarray(responses.predict_proba, dtype=np.float32)
    p[:5] = [[0.0, 1.0]] * 5
    single = Responses(responses.classes, responses.predict, p)
    found = influence("neg_log_loss", sample, single)
    assert found.value == pytest.approx(scores.value("neg_log_loss", single, sample.y, sample.weights), rel=1e-5)


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "jaccard", "matthews_corrcoef"])
def test_nothing_over_nothing_is_zero_as_in_scikit_learn(name: str) -> None:
    sample, _ = tied_binary()
    never = classifier(np.full(len(sample), -1.0))
    found = influence(name, sample, never)
    assert found.value == scores.value(name, never, sample.y) == 0.0
    assert np.isfinite(found.units).all()


def test_a_perfect_regression_has_no_influence() -> None:
    sample, _ = counted()
    perfect = regressor(sample.y)
    assert influence("r2", sample, perfect).value == 1.0
    found = influence("neg_root_mean_squared_error", sample, perfect)
    assert (found.value, spread(found).se) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_ranking_one_class_is_not_a_number(name: str) -> None:
    sample, responses = tied_binary()
    zeros = replace(sample, y=np.zeros_like(sample.y))
    assert np.isnan(influence(name, zeros, responses).value)


@pytest.mark.parametrize(
    ("name", "error"), [("roc_acu", UnknownScore), ("r2", UnusableScore), ("neg_mean_poisson_deviance", UnusableScore)]
)
def test_a_score_that_does_not_fit_is_refused(name: str, error: type[Exception]) -> None:
    world = binary(300)
    sample, better, _ = world.with_rows(y=np.where(world.rows.y == 1, "yes", "no")).sample()
    with pytest.raises(error):
        influence(name, sample, better)
