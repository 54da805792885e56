"""Models beside each other on the same clean rows: each score, each gain and its interval, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from refit.core.domain import Look
from refit.core.errors import DataError
from refit.evaluate import reasons
from refit.evaluate.influence import Influence, closed_form, difference, influence, summed
from refit.evaluate.interval import Interval, bound, equal
from refit.evaluate.rows import Sample, least_spans
from refit.ml.scores import Responses

LEAST_EFFECTIVE_ROWS = 20


class UnscorableModel(DataError):
    """A model says NaN or infinity, or its score is NaN: it never promotes (faults.md 45).

    Attributes:
        model: `candidate`, `champion` or `dummy`.
    """

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(
            f"the {model} cannot be scored: {reason}",
            next="look for rows that the model cannot take, and at the estimator's parameters",
        )
        self.model = model


@dataclass(frozen=True, eq=False)
class Comparison:
    """The candidate's gain over one opponent by one score.

    Attributes:
        same: Both models earn the same on every row.
        interval: None without a look, or where the score has no influence that is a number.
        effective_rows: k; None without an interval.
        shortage: Why the rows are too little data, in plain words; None when they are enough.
    """

    score: str
    against: str
    candidate: float
    baseline: float
    gain: Influence
    same: bool
    interval: Interval | None
    effective_rows: float | None
    shortage: str | None


@dataclass(frozen=True, eq=False)
class Bench:
    """`models` by role (`candidate`, `champion` or `dummy`, perhaps `anchor`), in the order of `sample`."""

    sample: Sample
    models: dict[str, Responses]
    look: Look | None
    least_rows: int
    _influences: dict[tuple[str, str], Influence] = field(default_factory=dict)
    _comparisons: dict[tuple[str, str], Comparison] = field(default_factory=dict)

    def influence(self, model: str, score: str) -> Influence:
        """The model's score with its influence; NaN where the rows lack a class that the score needs.

        Raises:
            UnscorableModel: the model says NaN, or its score is NaN for any other reason.
            UnknownScore, UnusableScore: as influence does.
        """
        if (model, score) not in self._influences:
            if bad := self.models[model].not_finite():
                raise UnscorableModel(model, f"it predicts NaN or infinity for {bad:,} of {len(self.sample):,} rows")
            found = influence(score, self.sample, self.models[model])
            if not np.isfinite(found.value) and not self.models[model].missing(self.sample.y):
                raise UnscorableModel(model, f"its {score} on {len(self.sample):,} clean rows is not a number")
            self._influences[model, score] = found
        return self._influences[model, score]

    def compare(self, score: str, against: str) -> Comparison:
        """The candidate beside the model in that role. Raises as `influence`."""
        if (score, against) not in self._comparisons:
            self._comparisons[score, against] = self._compare(score, against)
        return self._comparisons[score, against]

    def scores(self, names: Sequence[str], model: str) -> dict[str, float | None]:
        """The model's scores by name; None where the rows give one no meaning."""
        found = {name: self.influence(model, name).value for name in names}
        return {name: value if np.isfinite(value) else None for name, value in found.items()}

    def interval(self, model: str, score: str, alpha: float) -> tuple[float, float] | None:
        """Where the model's score lies on rows like these, each end wrong with probability alpha.

        None where the gate would find too little data, or where only the jackknife could tell and the gate did not
        ask: that is hundreds of scorings.
        """
        found = self._influences.get((model, score))
        if found is None:
            form = closed_form(score, self.sample, self.models[model])
            found = summed(*form, self.sample) if form else None
        if found is None or not np.isfinite(found.value):
            return None
        interval = bound(found, alpha)
        if not interval.spread.se > 0 or interval.spread.effective_rows < LEAST_EFFECTIVE_ROWS:
            return None
        return interval.lower, interval.upper

    def _compare(self, score: str, against: str) -> Comparison:
        candidate, baseline = self.influence("candidate", score), self.influence(against, score)
        gain = difference(candidate, baseline)
        same = equal(gain, candidate, baseline)
        interval = None if self.look is None else bound(gain, self.look.alpha)
        if interval is not None and not np.isfinite(interval.spread.se):
            interval = None
        effective = None
        if interval is not None:
            effective = interval.spread.effective_rows if interval.spread.se > 0 else self._effective_rows_of_target
        shortage = self._shortage(score, gain, same, effective)
        return Comparison(score, against, candidate.value, baseline.value, gain, same, interval, effective, shortage)

    def _shortage(self, score: str, gain: Influence, same: bool, effective: float | None) -> str | None:
        rows, sample = len(self.sample), self.sample
        if rows < self.least_rows:
            return reasons.too_few(rows, self.least_rows, "clean rows")
        if not sample.enough_time and sample.spans is not None:
            return reasons.too_few(sample.spans, least_spans(sample.kind), f"{sample.kind}s of clean rows")
        if not np.isfinite(gain.value):
            return self.without_meaning(score)
        if same:
            return None
        if effective is None:
            return reasons.no_interval(score)
        if effective < LEAST_EFFECTIVE_ROWS:
            return reasons.too_few_effective(score, effective, LEAST_EFFECTIVE_ROWS, rows)
        return None

    def without_meaning(self, score: str) -> str:
        """Why the score of the candidate is no number, in plain words: a class that it knows has no row."""
        y, candidate = self.sample.y, self.models["candidate"]
        if candidate.classes is not None and (y == y[0]).all():
            return reasons.one_class(score, y[0], len(y), "both" if len(candidate.classes) == 2 else "every class")
        return reasons.missing_classes(score, candidate.missing(y), len(y))

    @cached_property
    def _effective_rows_of_target(self) -> float:
        """Stands in for k where a gain does not vary at all: about the number of rows of the rarest label."""
        y = self.sample.y
        numbers = self.models["candidate"].classes is None
        columns = [y.astype(float)] if numbers else [(y == label).astype(float) for label in np.unique(y)]
        found = []
        for column in columns:
            squares = np.square(self.sample.scale * (column - self.sample.scale @ column / len(y)))
            total = float(squares.sum())
            found.append(total**2 / float(squares @ squares) if total > 0 else 0.0)
        return min(found)
