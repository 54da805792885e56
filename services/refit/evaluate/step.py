"""evaluate: the candidate is held against the champion on rows that neither has seen.

The order is: look back at the last promotion, load the models, find the clean rows, hear each model once, look for
shifted labels, judge, write the report. A champion that cannot be used never fails the run: a stand-in is rebuilt from
its snapshot, and where that cannot be, the verdict is inconclusive and a person decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from refit.core.config import Evaluate, evaluation
from refit.core.context import Context
from refit.core.domain import (
    Artifact,
    EvaluateManifest,
    ExtractManifest,
    Look,
    Move,
    Refit,
    SearchTable,
    ShiftCheck,
    SliceCheck,
    TrainManifest,
    Verdict,
    VerdictRef,
)
from refit.core.errors import DataError
from refit.core.refs import read_ref
from refit.core.registry import known_moves, read_champion
from refit.core.step import Step
from refit.data.reader import SnapshotReader
from refit.evaluate import looks
from refit.evaluate.contender import Contender, Trained, Unusable, clean_rows, find_clean_rows, the_candidate
from refit.evaluate.hearing import DUMMY, Heard, find_opponents, hear, known_entities, strangers
from refit.evaluate.newcomers import new_rows
from refit.evaluate.promise import look_back
from refit.evaluate.report import ClassFacts, Facts, render
from refit.evaluate.rows import CleanRows
from refit.evaluate.rule import Judgement, Settings, first_score, judge
from refit.evaluate.shift import check_shift, reference
from refit.evaluate.slices import SliceSettings, judge_slices, with_slices
from refit.evaluate.twins import Judged, fit_again, hold_against_twin
from refit.ml import predictions
from refit.ml.scores import values


def evaluate(context: Context) -> EvaluateManifest:
    """The candidate is judged, and the report written.

    Raises:
        NoCleanRows, UnscorableModel: the candidate cannot be judged at all (DataError).
        UnknownScore, UnusableScore: a score of the file does not fit (ConfigError).
        ArtifactError: the candidate or its snapshot is gone or altered.
    """
    extract = context.manifest_of("extract", ExtractManifest)
    train = context.manifest_of("train", TrainManifest)
    assert extract.snapshot is not None
    reader = SnapshotReader(extract.snapshot, context.pipeline, context.run.as_of, context.fetch)
    promise = look_back(context, reader)  # first, so that its two models are gone when the others are loaded
    current, last_verdict = read_champion(context.store), read_ref(context.store, "verdict", VerdictRef)
    champion_move = current[0] if current else None
    candidate = the_candidate(context, reader, train)
    opponents = find_opponents(context, champion_move)
    trained = [seen for contender in (candidate, *opponents.all()) for seen in contender.seen]
    rows, rows_holdout = find_clean_rows(reader, trained), reader.count("holdout")
    context.report(f"{len(rows):,} rows that no model has seen")
    known = (*strangers(reader, candidate), *known_entities(context.pipeline, len(rows), rows_holdout))
    opponents, heard = hear(reader, candidate, opponents, trained, rows)
    try:
        shift = _shift(context, reader, opponents.champion)
    except Unusable as error:
        assert opponents.champion is not None
        lost = opponents.losing(opponents.champion.name, "champion", error).lost
        shift, opponents = (), replace(opponents, lost=lost)  # what it said of the clean rows is shown
    look = _look(context, opponents.champion, last_verdict[0] if last_verdict else None)
    settings = evaluation(context.pipeline, probabilities=heard.candidate.predict_proba is not None)
    judgement = _judge(settings, rows, heard, look)
    verdict = with_slices(judgement.verdict, _slices(settings, reader, trained, rows, heard))
    verdict = _with_approval(_naming_stand_in(verdict, opponents.champion), opponents.unusable, shift)
    scores = _scores(settings.scores, rows, heard, judgement)
    twins, untold = hold_against_twin(context, reader, champion_move, settings, look)
    judged = Judged(candidate, rows, trained, heard.candidate)
    refit, of_refit = _fit_again(context, reader, train, judged, verdict, first_score(settings.gate))
    told = (*known, *opponents.told(), *untold, *of_refit)
    baseline = opponents.champion.name if opponents.champion else DUMMY
    facts = Facts(
        run=context.run,
        extract=extract,
        train=train,
        verdict=verdict,
        baseline=baseline,
        scores=scores,
        classes=tuple(_classes(rows, heard)),
        rows_holdout=rows_holdout,
        rows_clean=len(rows),
        shift=shift,
        promise=promise,
        refit=refit,
        twins=twins,
        opponents=opponents.records,
        warnings=(*extract.warnings, *train.warnings, *told),
        search=_search_table(context, train),
    )
    return context.manifest(
        EvaluateManifest,
        candidate=candidate.name,
        baseline=baseline,
        champion_generation=champion_move.generation if champion_move else 0,
        verdict_generation=last_verdict[0].generation if last_verdict else 0,
        rows_holdout=rows_holdout,
        rows_clean=len(rows),
        verdict=verdict,
        scores=scores,
        look=look if judgement.looked and opponents.unusable is None else None,
        reference=reference(rows, heard.candidate),
        shift=shift,
        promise=promise,
        opponents=opponents.records,
        anchor=_next_anchor(candidate, champion_move, judgement),
        predictions=_keep_predictions(context, reader, candidate, trained, rows),
        refit=refit,
        twins=twins,
        report=context.write("report.html", render(facts)),
        warnings=told,
    )


def _search_table(context: Context, train: TrainManifest) -> SearchTable | None:
    if train.search is None:
        return None
    return SearchTable.from_json(context.read(train.search.table), train.search.table.key)


def _fit_again(
    context: Context, reader: SnapshotReader, train: TrainManifest, judged: Judged, verdict: Verdict, score: str
) -> tuple[Refit | None, tuple[str, ...]]:
    """The candidate's refit, where the file asks for one and the candidate may go out."""
    if context.pipeline.publish.fit_on != "all" or verdict.result != "accepted":
        return None, ()
    return fit_again(context, reader, train, judged, score)


def _look(context: Context, champion: Contender | None, last: VerdictRef | None) -> Look | None:
    """This run's share of the budget, counted from the latest of the last look, promotions and the champion's as_of.

    None also where refs/verdict.json tells of a newer as_of: it never moves back, so the look would not be recorded.
    """
    settings = context.pipeline.evaluate
    champion_as_of = champion.as_of if champion else None
    since: datetime | None = last.look_as_of if last else None
    if champion_as_of is not None:
        if last is not None and last.as_of > context.run.as_of:
            return None
        # A run that was killed between its promotion and its record in refs/verdict.json had its look too.
        promoted = [move.as_of for move in known_moves(context.store) if move.kind == "publish"]
        since = max([champion_as_of, *promoted, *([since] if since else [])])
    return looks.share(
        context.run.as_of,
        last_look=since,
        champion_as_of=champion_as_of,
        false_promotions_per_year=settings.false_promotions_per_year,
        confidence=settings.confidence,
    )


def _judge(settings: Evaluate, rows: CleanRows, heard: Heard, look: Look | None) -> Judgement:
    return judge(
        settings.gate,
        rows,
        candidate=heard.candidate,
        champion=heard.champion,
        anchor=heard.anchor,
        dummy=heard.dummy,
        look=look,
        settings=Settings(settings.block, settings.min_clean_rows),
    )


def _slices(
    settings: Evaluate, reader: SnapshotReader, trained: Sequence[Trained], rows: CleanRows, heard: Heard
) -> tuple[SliceCheck, ...]:
    """The sub-populations that the file names, where there is a champion to hold the candidate against."""
    if not settings.slices or heard.champion is None:
        return ()
    known = {column.name for column in reader.snapshot.columns}
    if gone := [name for name in settings.slices if name not in known]:
        raise DataError(
            f"evaluate.slices names {', '.join(gone)}, which the rows of this run do not have",
            next="add it to source.query and run anew, or take it out of the file: refit run FILE",
        )
    batches = [batch.select(list(settings.slices)) for batch in clean_rows(reader, settings.slices, trained)]
    table = {name: pa.chunked_array([batch.column(name) for batch in batches]) for name in settings.slices}
    how = SliceSettings(first_score(settings.gate), settings.max_slice_loss, settings.min_slice_rows, settings.block)
    return judge_slices(table, rows, heard.candidate, heard.champion, how)


def _naming_stand_in(verdict: Verdict, champion: Contender | None) -> Verdict:
    """The verdict, which becomes the history's reason, does not pass a stand-in off as the champion."""
    if champion is None or champion.record is None or champion.record.state != "rebuilt":
        return verdict
    less = f" without {', '.join(champion.record.without)}" if champion.record.without else ""
    reason = f"{verdict.reason.rstrip('. ')}; in the champion's place stood a model rebuilt from its snapshot{less}"
    return verdict.model_copy(update={"reason": reason})


def _with_approval(verdict: Verdict, unusable: str | None, shift: tuple[ShiftCheck, ...]) -> Verdict:
    """The verdict, inconclusive and waiting for a person where the comparison itself cannot be trusted."""
    if unusable is not None:
        why = f"{unusable}; restore what is lost, or promote the candidate if it is good, with refit promote"
        return verdict.model_copy(update={"result": "inconclusive", "reason": unusable, "needs_approval": why})
    worst = max((check for check in shift if check.shifted), key=lambda check: check.drop or 0.0, default=None)
    if worst is None:
        return verdict
    why = (
        f"the rows that run {worst.run_id} read contradict the older ones: the champion's score on them is "
        f"{worst.drop:.2f} below what it was when it was judged; look for flipped labels or a broken join, and leave "
        "such rows out with refit exclude, or promote the candidate if the world did change"
    )
    return verdict.model_copy(update={"result": "inconclusive", "reason": why, "needs_approval": why})


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


def _shift(context: Context, reader: SnapshotReader, champion: Contender | None) -> tuple[ShiftCheck, ...]:
    """The champion on the rows of each batch since its own, held against how it ranked when it was judged."""
    limit = context.pipeline.evaluate.max_shift
    if champion is None or champion.reference is None or limit is None:
        return ()
    return check_shift(champion.reference, new_rows(reader, champion), limit)


def _next_anchor(candidate: Contender, champion: Move | None, judgement: Judgement) -> str:
    """The anchor if the candidate is promoted: the last version proven better."""
    return candidate.name if champion is None or judgement.becomes_anchor else champion.anchor


def _keep_predictions(
    context: Context, reader: SnapshotReader, candidate: Contender, trained: Sequence[Trained], rows: CleanRows
) -> Artifact:
    """What the candidate says of a few clean rows, kept with their features to check the model by later."""
    kept = clean_rows(reader, candidate.columns, trained)
    table = predictions.sample(kept, rows.keys, candidate.estimator, context.pipeline.sensitive)
    return context.write("predictions.parquet", table)


STEP = Step("evaluate", evaluate, EvaluateManifest)
