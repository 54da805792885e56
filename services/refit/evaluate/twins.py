"""publish.fit_on: all (gate.md section 5): two models of one definition, of which the gate has judged one.

The *evaluated* model is fitted on the training rows, and it alone is compared with others. Once accepted, its
definition is fitted again on all rows of the window, and this *refit* goes out instead. It is fresher by the length of
the holdout and was never judged on rows that it has not seen, hence two guards: it goes out only if it scores no lower
than the evaluated model on the held-out rows, which it has seen; and the next runs hold it against its twin on rows
newer than both, and fall back if it is proven worse.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

from refit.core.context import Context
from refit.core.domain import Check, FitOn, Line, Move, Refit, TrainManifest
from refit.core.errors import DataError
from refit.data.reader import SnapshotReader
from refit.evaluate import reasons
from refit.evaluate.bench import UnscorableModel
from refit.evaluate.compared import Compared
from refit.evaluate.contender import Unusable, answer_of, clean_rows, find_clean_rows
from refit.evaluate.decision import Decision
from refit.evaluate.rebuild import LAST_TRY
from refit.evaluate.rows import CleanRows
from refit.evaluate.rule import Settings, judge
from refit.evaluate.version import stored_version
from refit.ml import estimator, predictions
from refit.ml.combinations import chosen
from refit.ml.fitting import Among, fitted, saved
from refit.ml.partial_fit import with_passes
from refit.ml.scores import Responses, UnusableScore, values
from refit.ml.settled import settled

BOTH: Final[tuple[FitOn, ...]] = ("all", "evaluated")
_UNTOLD: Final = "the champion's model fitted on all rows is not held against its evaluated one: "


class CannotFitAgain(DataError):
    """The estimator takes the training rows and refuses all rows."""

    def __init__(self, why: DataError, run_id: str) -> None:
        super().__init__(
            f"the candidate is accepted and cannot be fitted again on all rows (publish.fit_on): {why.message}",
            next=f"{why.next}; or let what was evaluated go out, with publish.fit_on: evaluated in the file:  "
            f"refit rerun NAME {run_id} --file FILE",
        )


@dataclass(frozen=True)
class NotWorse:
    """The line that a refit must not fail: its loss against its twin is not proven to be above 0."""

    score: str
    line: Line = "max_loss"
    limit: float = 0.0


def fit_again(
    context: Context, reader: SnapshotReader, train: TrainManifest, compared: Compared, decision: Decision
) -> tuple[Refit | None, tuple[str, ...]]:
    """The accepted candidate's definition is fitted on all rows and stored, where the file asks for it; None where the
    candidate itself goes out. With warnings, which also say why.

    Rows of classes that the candidate does not know are left out: the refit answers the question that was judged.

    Raises:
        CannotFitAgain: the rows do not allow it.
        OwnCodeFails and its kin: the file does not allow it (ConfigError).
    """
    if context.pipeline.publish.fit_on != "all" or decision.verdict.result != "accepted":
        return None, ()
    if context.number >= LAST_TRY:
        return None, (f"in try {context.number} of evaluate nothing is fitted again: what was evaluated goes out",)
    candidate, rows, score = compared.candidate, compared.rows, decision.score
    model = with_passes(chosen(reader.pipeline.model, train.search), train.batches)
    columns = reader.snapshot.columns
    same = replace(reader, pipeline=reader.pipeline.model_copy(update={"model": model}))
    params = settled(candidate.estimator[-1], estimator.build(same.pipeline, columns)[-1])
    among = Among("window", train.classes)
    try:
        made = fitted(same, columns, context.report, among, params=params, folder=context.folder)
    except DataError as error:
        raise CannotFitAgain(error, context.run.run_id) from error
    except MemoryError:
        return None, ("evaluate has too little memory to fit on all rows: what was evaluated goes out",)
    if made.classes != train.classes:
        return None, (f"fitted on all rows it knows the classes {made.classes!r} alone: what was evaluated goes out",)
    body, trusted = saved(made, candidate.packages)
    again = replace(candidate, estimator=made.steps)
    try:
        value = _score(score, answer_of(again, reader, compared.trained), rows)
    except Unusable:
        value = math.nan
    evaluated = _score(score, compared.heard.candidate, rows)
    if not value >= evaluated:  # also where it says NaN
        return None, (reasons.refit_scores_lower(score, value, evaluated, made.rows),)
    clean = clean_rows(reader, again.columns, compared.trained)
    with again.own_code:
        table = predictions.sample(clean, rows.keys, made.steps, context.pipeline.sensitive)
    refit = Refit(
        model=context.write("refit.skops", body),
        rows=made.rows,
        rows_there=made.there,
        trained_from=made.first,
        trained_until=made.last,
        params=params,
        trusted=trusted,
        score=score,
        value=value,
        predictions=context.write("refit-predictions.parquet", table),
    )
    return refit, tuple(f"fitted on all rows: {text}" for text in made.warnings if text not in train.warnings)


def _score(score: str, said: Responses, rows: CleanRows) -> float:
    """NaN where what is said has no such score."""
    if said.not_finite():
        return math.nan
    try:
        found = values([score], said, rows.y)[score]
    except UnusableScore:
        return math.nan
    return math.nan if found is None else found


def hold_against_twin(
    context: Context, reader: SnapshotReader, champion: Move | None, decision: Decision
) -> tuple[Check | None, tuple[str, ...]]:
    """The champion's refit beside its evaluated model, on rows newer than both; rejected: it is proven worse.

    None where the champion is no refit, or without a look. It shares the look's doubt and spends none of the budget of
    promotions: what comes back was proven. A refit that cannot be used is told in words.
    """
    if champion is None or champion.fit_on != "all" or decision.look is None:
        return None, ()
    line, settings = NotWorse(decision.score), decision.settings
    how = Settings(settings.block, settings.min_clean_rows)
    try:
        refit, evaluated = (stored_version(context, champion.version, fit_on) for fit_on in BOTH)
        seen, newer_than = (*refit.seen, *evaluated.seen), max(refit.until, evaluated.until)
        rows = find_clean_rows(reader, seen, newer_than)
        if not len(rows):
            return None, ()
        said = [answer_of(twin, reader, seen, newer_than) for twin in (refit, evaluated)]
        both = judge([line], rows, candidate=said[0], champion=said[1], look=decision.look, settings=how)
    except (Unusable, UnscorableModel, UnusableScore) as error:
        return None, (_UNTOLD + str(error),)
    found = both.verdict.checks[0]
    told = {"name": f"{line.score} on all rows against evaluated", "against": "evaluated", "hints": ()}
    return found.model_copy(update=told | {"reason": reasons.of_twins(champion.version, found)}), ()
