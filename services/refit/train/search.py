"""model.search in a run: folds of its training rows, workers within the cores, and a table of what was tried."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from refit.core.config import Model, Pipeline, default_score
from refit.core.config_search import Search
from refit.core.config_types import duration_text
from refit.core.context import Context, max_rss_bytes
from refit.core.cores import cores
from refit.core.domain import Column, Combination, Searched, SearchTable, Trial
from refit.ml import combinations, estimator, folds, own, scores
from refit.ml.rows import TrainingRows, check_classes, columns_to_drop_by
from refit.ml.search import OWN, Found, NoFolds, Resources, Time, rounds, run, usable_folds
from refit.ml.trial import Ground
from refit.ml.workers import Workers

TABLE: Final = "search.json"
TOLD_SECONDS: Final = 2.0
AHEAD: Final = 2  # trials begun for each worker: one runs, one waits


def tune(context: Context, columns: Sequence[Column], rows: TrainingRows) -> tuple[Model, Searched | None]:
    """The section `model` that is fitted by, and the search that chose its params, where the file asks for one.

    Raises:
        As `search`, and BadTarget: the rows have not the classes that the task needs.
    """
    pipeline = context.pipeline
    if pipeline.model.search is None:
        return pipeline.model, None
    check_classes(rows.y, pipeline.task, pipeline.target)
    searched = search(context, columns, rows)
    return combinations.chosen(pipeline.model, searched), searched


def search(context: Context, columns: Sequence[Column], rows: TrainingRows) -> Searched:
    """What was chosen; the table of all that was tried stands in the store.

    Raises:
        NoFolds: the rows cannot be cut into folds.
        UnknownScore: no scorer has the name.
        BadParameter, UnfitRows: no combination could be fitted and scored.
        WorkerKilled: retried, with half as many workers.
    """
    begun, wanted = time.monotonic(), context.pipeline.model.search
    assert wanted is not None
    ground = _ground(context.pipeline, wanted, columns, rows)
    whole = len(rows.y)
    usable = usable_folds(ground, whole)
    if not usable:
        raise _no_folds(context.pipeline, ground)
    limits = rounds(ground, usable)
    count = min(max(cores() >> (context.number - 1), 1), len(usable) * len(ground.combinations))
    budget = Time(None if wanted.time_budget is None else begun + wanted.time_budget.total_seconds())
    context.report(f"tries {len(ground.combinations):,} combinations on {len(usable)} folds of {whole:,} rows")
    with Workers(ground, count, context.folder) as workers:
        resources = Resources(workers.submit, AHEAD * count, budget, _now_and_then(context.report))
        found = run(ground, usable, limits, resources)
    table = _table(ground, found, len(usable))
    deciding = found.rounds[found.chosen_in].measured if found.chosen_in is not None else {}
    return Searched(
        params=ground.combinations[found.chosen],
        scoring=ground.scoring,
        score=deciding[found.chosen].mean if deciding else None,
        own_score=deciding[OWN].mean if OWN in deciding else None,
        tried=found.tried,
        combinations=len(ground.combinations),
        folds=len(usable),
        seconds=round(time.monotonic() - begun, 3),
        workers=count,
        memory_bytes=count * max_rss_bytes(of_children=True),
        is_cut=found.is_cut,
        table=context.write(TABLE, table.to_json()),
    )


def search_warnings(pipeline: Pipeline, searched: Searched | None) -> tuple[str, ...]:
    """What a reader of the run must know of its search."""
    wanted = pipeline.model.search
    if searched is None or wanted is None:
        return ()
    said = []
    if searched.is_cut:
        budget = duration_text(wanted.time_budget or timedelta(0))
        with_what = "the file's own params" if not searched.params else "the best of these"
        said.append(
            f"model.search: the time budget of {budget} ended it after {searched.tried} of "
            f"{searched.combinations} combinations; {with_what} were taken"
        )
    if searched.folds < wanted.cv:
        said.append(f"model.search: {searched.folds} of {wanted.cv} folds could be learned from and scored")
    return tuple(said)


def _ground(pipeline: Pipeline, wanted: Search, columns: Sequence[Column], rows: TrainingRows) -> Ground:
    model = estimator.make(pipeline.model, pipeline.task)
    scoring = wanted.scoring or default_score(pipeline, probabilities=hasattr(model, "predict_proba"))
    scores.find(scoring)
    assert rows.cursors is not None
    cut = (
        folds.by_time(rows.cursors, rows.entities, wanted.cv, pipeline.model.seed)
        if pipeline.split.kind == "time"
        else folds.by_entity(rows.y, rows.entities, wanted.cv, pipeline.model.seed)
    )
    return Ground(
        pipeline=pipeline,
        columns=tuple(columns),
        X=rows.X,
        y=rows.y,
        folds=cut,
        scoring=scoring,
        combinations=combinations.draw(wanted, pipeline.model.seed),
        drop=tuple(columns_to_drop_by(pipeline)),
        packages=own.packages(pipeline),
    )


def _no_folds(pipeline: Pipeline, ground: Ground) -> NoFolds:
    by = ", ".join(pipeline.split.by or ())
    if pipeline.split.kind == "time":
        why = "in no stretch of time are there rows that earlier ones say something of"
        next = f"write split: {{kind: hash, by: [{by}]}}" if by else "train on more days, or leave model.search out"
    else:
        why, next = "none can be learned from and scored", "train on more rows, or leave model.search out"
    return NoFolds(f"model.search: {len(ground.y):,} training rows make no folds: {why}", next=next)


def _now_and_then(report: Callable[[str], None]) -> Callable[[str], None]:
    """A line of progress at most every two seconds."""
    last = time.monotonic() - TOLD_SECONDS

    def tell(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= TOLD_SECONDS:
            last = time.monotonic()
            report(text)

    return tell


def _table(ground: Ground, found: Found, count: int) -> SearchTable:
    return SearchTable(
        scoring=ground.scoring,
        folds=count,
        rows=tuple(one.rows for one in found.rounds),
        chosen=found.chosen,
        chosen_in=None if found.chosen_in is None else found.chosen_in + 1,
        combinations=tuple(
            Combination(
                number=number,
                params=params,
                trials=tuple(
                    Trial(round=index, mean=done.mean, std=done.std, seconds=round(done.seconds, 3))
                    for index, one in enumerate(found.rounds, 1)
                    if (done := one.measured.get(number))
                ),
                failure=next((one.failed[number].failure for one in found.rounds if number in one.failed), ""),
            )
            for number, params in enumerate(ground.combinations)
        ),
    )
