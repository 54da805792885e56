"""evaluate: the candidate is held against the champion on rows that neither has seen.

The order is: look back at the last promotion, hear all models (compared.py), judge (decision.py), fit an accepted
candidate again where the file asks for it (twins.py), write the report. A champion that cannot be used never fails
the run: a stand-in is rebuilt from its snapshot, and where that cannot be, the verdict is inconclusive and a person
decides.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from refit.core.context import Context
from refit.core.domain import (
    Artifact,
    EvaluateManifest,
    ExtractManifest,
    SearchTable,
    TrainManifest,
    VerdictRef,
)
from refit.core.errors import ArtifactError
from refit.core.refs import read_ref
from refit.core.step import Step
from refit.data.reader import SnapshotReader
from refit.evaluate.compared import Compared, compare
from refit.evaluate.contender import clean_rows
from refit.evaluate.decision import decide
from refit.evaluate.hearing import Heard
from refit.evaluate.promise import look_back
from refit.evaluate.report import ClassFacts, Facts, render
from refit.evaluate.rows import CleanRows
from refit.evaluate.rule import Judgement
from refit.evaluate.shift import reference
from refit.evaluate.twins import fit_again, hold_against_twin
from refit.ml import predictions
from refit.ml.scores import values


def evaluate(context: Context) -> EvaluateManifest:
    """The candidate is judged, and the report written.

    Raises:
        NoCleanRows, UnscorableModel: the candidate cannot be judged at all (DataError).
        UnknownScore, UnusableScore: a score of the file does not fit (ConfigError).
        ArtifactError: the candidate or its snapshot is gone or altered.
    """
    extract, train = context.manifest_of("extract", ExtractManifest), context.manifest_of("train", TrainManifest)
    assert extract.snapshot is not None
    reader = SnapshotReader(extract.snapshot, context.pipeline, context.run.as_of, context.fetch)
    last = read_ref(context.store, "verdict", VerdictRef)
    context.report("looks back at the last promotion")
    promise = look_back(context, reader)  # first, so that its two models are gone when the others are loaded
    compared = compare(context, reader, train)
    context.report("judges the candidate")
    decision = decide(context, reader, compared, last[0] if last else None)
    twins, untold = hold_against_twin(context, reader, compared.move, decision)
    refit, of_refit = fit_again(context, reader, train, compared, decision)
    table, no_table = _search_table(context, train)
    told = (*compared.known, *compared.opponents.told(), *untold, *of_refit, *no_table)
    found: dict[str, Any] = {
        "verdict": decision.verdict,
        "baseline": compared.baseline,
        "scores": _scores(decision.settings.scores, compared.rows, compared.heard, decision.judgement),
        "intervals": decision.judgement.intervals,
        "rows_holdout": compared.rows_holdout,
        "rows_clean": len(compared.rows),
        "shift": compared.shift,
        "promise": promise,
        "opponents": compared.opponents.records,
        "refit": refit,
        "twins": twins,
    }
    context.report("writes the report")
    facts = Facts(
        run=context.run,
        extract=extract,
        train=train,
        classes=tuple(_classes(compared.rows, compared.heard)),
        search=table,
        warnings=(*extract.warnings, *train.warnings, *told),
        **found,
    )
    return context.manifest(
        EvaluateManifest,
        candidate=compared.candidate.name,
        champion_generation=compared.move.generation if compared.move else 0,
        verdict_generation=last[0].generation if last else 0,
        look=decision.look if decision.judgement.looked and compared.opponents.unusable is None else None,
        reference=reference(compared.rows, compared.heard.candidate),
        anchor=_next_anchor(compared, decision.judgement),
        predictions=_keep_predictions(context, reader, compared),
        report=context.write("report.html", render(facts)),
        warnings=told,
        **found,
    )


def _search_table(context: Context, train: TrainManifest) -> tuple[SearchTable | None, tuple[str, ...]]:
    """What the search tried, for the report alone; a warning where it is gone, for nothing else hangs on it."""
    if train.search is None:
        return None, ()
    key = train.search.table.key
    try:
        return SearchTable.from_json(context.read(train.search.table), key), ()
    except ArtifactError as error:
        return None, (f"the report does not show what the search tried: {error.message}",)


def _scores(
    names: Sequence[str], rows: CleanRows, heard: Heard, judgement: Judgement
) -> dict[str, dict[str, float | None]]:
    """The report's scores and the gate's, per model."""
    models = {"candidate": heard.candidate, "baseline": heard.champion or heard.dummy, "anchor": heard.anchor}
    scores = {model: dict(of_model) for model, of_model in judgement.scores.items()}
    for model, responses in models.items():
        if responses is not None:
            known = scores.setdefault(model, {})
            known |= values([name for name in names if name not in known], responses, rows.y)
    return scores


def _classes(rows: CleanRows, heard: Heard) -> Iterator[ClassFacts]:
    """Each class of the candidate on the clean rows; none for regression."""
    baseline = heard.champion or heard.dummy
    for label in () if heard.candidate.classes is None else heard.candidate.classes.tolist():
        of_class = rows.y == label
        count = int(of_class.sum())
        found = [
            None if said is None or not count else float((said.predict[of_class] == label).mean())
            for said in (heard.candidate, baseline)
        ]
        yield ClassFacts(str(label), count, *found)


def _next_anchor(compared: Compared, judgement: Judgement) -> str:
    """The anchor if the candidate is promoted: the last version proven better."""
    if compared.move is None or judgement.becomes_anchor:
        return compared.candidate.name
    return compared.move.anchor


def _keep_predictions(context: Context, reader: SnapshotReader, compared: Compared) -> Artifact:
    """What the candidate says of a few clean rows, kept with their features to check the model by later."""
    candidate = compared.candidate
    kept = clean_rows(reader, candidate.columns, compared.trained)
    with candidate.own_code:
        table = predictions.sample(kept, compared.rows.keys, candidate.estimator, context.pipeline.sensitive)
    return context.write("predictions.parquet", table)


STEP = Step("evaluate", evaluate, EvaluateManifest)
