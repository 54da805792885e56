"""Who stands against the candidate, the rows that none of them has seen, and what each says of these."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from sklearn.dummy import DummyClassifier, DummyRegressor

from refit.core.config import Pipeline, evaluation
from refit.core.context import Context
from refit.core.domain import FitOn, Move, Opponent
from refit.core.errors import RefitError
from refit.data import split
from refit.data.reader import SnapshotReader
from refit.evaluate.bench import UnscorableModel
from refit.evaluate.contender import (
    MODEL_ERRORS,
    Contender,
    Trained,
    Unusable,
    answer_of,
    sentence,
)
from refit.evaluate.rows import CleanRows, NoCleanRows
from refit.evaluate.version import Role, of_version
from refit.ml.frame import to_target, too_many_classes
from refit.ml.rows import is_one_of
from refit.ml.scores import Responses, UnusableScore, collect, values

DUMMY: Final = "dummy"


@dataclass(frozen=True, eq=False)
class Opponents:
    """Who stands against the candidate.

    Attributes:
        lost: Those that stand in the registry and cannot be compared, and why.
        warnings: What favours one of them.
    """

    champion: Contender | None = None
    anchor: Contender | None = None
    lost: tuple[Opponent, ...] = ()
    warnings: tuple[str, ...] = ()

    def all(self) -> tuple[Contender, ...]:
        return tuple(found for found in (self.champion, self.anchor) if found is not None)

    @property
    def unusable(self) -> str | None:
        """Why a champion that stands cannot be compared."""
        return next((f"the champion {one.reason}" for one in self.lost if one.role == "champion"), None)

    @property
    def records(self) -> tuple[Opponent, ...]:
        """How each took part."""
        lost = {one.version for one in self.lost}
        took = [one.record for one in self.all() if one.record is not None and one.name not in lost]
        return (*took, *self.lost)

    def losing(self, version: str, role: Role, error: Unusable) -> "Opponents":
        """Without a version that cannot be compared; without a champion there is no anchor either."""
        lost = (*self.lost, Opponent(version=version, role=role, state="unusable", reason=str(error)))
        return replace(self, champion=None if role == "champion" else self.champion, anchor=None, lost=lost)

    def told(self) -> tuple[str, ...]:
        """The warnings, and what became of each opponent that is not as it was stored."""
        return (*self.warnings, *(words for one in self.records if (words := _told(one))))


@dataclass(frozen=True, eq=False)
class Heard:
    """What each model says of the clean rows."""

    candidate: Responses
    champion: Responses | None = None
    anchor: Responses | None = None
    dummy: Responses | None = None


def find_opponents(context: Context, champion: Move | None) -> Opponents:
    """The champion and the anchor, as far as they can be had; an anchor that cannot gives way to the champion."""
    if champion is None:
        return Opponents()
    try:
        found = of_version(context, champion.version, "champion", held_against(context.pipeline, champion))
    except Unusable as error:
        return Opponents().losing(champion.version, "champion", error)
    opponents = Opponents(found, warnings=_untold(context.pipeline, found))
    if champion.anchor == champion.version:
        return opponents
    try:
        # The anchor was proven better as what was evaluated.
        return replace(opponents, anchor=of_version(context, champion.anchor, "anchor"))
    except Unusable as error:
        return opponents.losing(champion.anchor, "anchor", error)


def held_against(pipeline: Pipeline, champion: Move) -> FitOn:
    """Which of the champion's models a candidate of this file is held against: the one in production.

    A candidate that will be fitted again on all rows is held against what was evaluated (gate.md section 5).
    """
    return "evaluated" if pipeline.publish.fit_on == "all" else champion.fit_on


def _told(one: Opponent) -> str | None:
    """A warning where the stored model of a version is not what was compared."""
    if one.state == "stored":
        return None
    if one.state == "unusable":
        gives_way = "; the champion takes its place" if one.role == "anchor" else ""
        return f"the {one.role} {one.reason}{gives_way}"
    less = f" without {', '.join(one.without)}" if one.without else ""
    return (
        f"in place of the {one.role} {one.version} stands a model that was rebuilt from its snapshot{less}, "
        f"for this comparison only: {one.reason}"
    )


def _untold(pipeline: Pipeline, champion: Contender) -> tuple[str, ...]:
    """A warning where it cannot be told which entities the champion knows: that favours the champion, not luck."""
    by = split.entities(pipeline)
    if by is None or champion.entities is not None:
        return ()
    return (
        f"the rows that {champion.name} was trained on do not tell {', '.join(by)} (split.by): rows of entities that "
        "it knows count as clean, which favours it",
    )


def known_entities(pipeline: Pipeline, clean: int, held_out: int) -> tuple[str, ...]:
    """A warning where most held-out rows judge nothing, because a model was trained on rows of the same entities.

    Raises:
        NoCleanRows: none is left.
    """
    by = split.entities(pipeline)
    if by is None or clean * 2 >= held_out:
        return ()
    share = f"all {held_out:,}" if not clean else f"{held_out - clean:,} of the {held_out:,}"
    why = f"{share} held-out rows share {', '.join(by)} (split.by) with rows that a model was trained on"
    if not clean:
        raise NoCleanRows(f"{why}; split: {{kind: hash}} holds out whole entities")
    return (f"{why} and judge nothing; split: {{kind: hash}} holds out whole entities",)


def strangers(reader: SnapshotReader, candidate: Contender) -> tuple[str, ...]:
    """A warning where held-out rows have classes that no training row has; the comparison leaves such rows out.

    Raises:
        BadTarget: the task is binary.
        NoCleanRows: all held-out rows are such.
    """
    pipeline, classes = reader.pipeline, candidate.trained.classes
    if not classes:
        return ()
    found, known_rows = Counter[Any](), 0
    for batch in reader.rows([pipeline.target], "holdout"):
        labels = to_target(batch.table.column(0), pipeline.task, pipeline.target)
        known = is_one_of(labels, classes)
        found.update(labels[~known].tolist())
        known_rows += int(known.sum())
    if not found:
        return ()
    if pipeline.task == "binary":
        raise too_many_classes(pipeline.target, [*classes, *found])
    shown = ", ".join(f"{label!r} ({rows:,})" for label, rows in found.most_common(5))
    more = ", …" if len(found) > 5 else ""
    if not known_rows:
        raise NoCleanRows(f"no held-out row has a class that a training row has; they have {shown}{more}")
    return (
        f"{found.total():,} held-out rows have classes of {pipeline.target} that no training row has: {shown}{more}; "
        "no model can know them yet, and the comparison leaves them out",
    )


def hear(
    reader: SnapshotReader,
    candidate: Contender,
    opponents: Opponents,
    trained: Sequence[Trained],
    rows: CleanRows,
) -> tuple[Opponents, Heard]:
    """Each model's answers; a champion that cannot answer becomes unusable, an anchor gives way."""
    if not len(rows):
        return opponents, Heard(_silence())
    said = _answer(candidate, reader, trained)
    if opponents.champion is None:
        return opponents, Heard(said, dummy=_dummy(reader, candidate, len(rows)))
    try:
        names = _scores_of(said, reader.pipeline, rows)
        champion = _scored(answer_of(opponents.champion, reader, trained), opponents.champion, names, rows)
    except Unusable as error:
        broken = opponents.losing(opponents.champion.name, "champion", error)
        return broken, Heard(said, dummy=_dummy(reader, candidate, len(rows)))
    if opponents.anchor is None:
        return opponents, Heard(said, champion)
    try:
        anchor = _scored(answer_of(opponents.anchor, reader, trained), opponents.anchor, names, rows)
        return opponents, Heard(said, champion, anchor)
    except Unusable as error:
        return opponents.losing(opponents.anchor.name, "anchor", error), Heard(said, champion)


def _answer(candidate: Contender, reader: SnapshotReader, trained: Sequence[Trained]) -> Responses:
    """What the candidate says. Raises UnscorableModel where it cannot take the rows."""
    try:
        return candidate.answer(reader, trained)
    except RefitError:
        raise
    except MODEL_ERRORS as error:
        raise UnscorableModel("candidate", sentence(error)) from error


def _scores_of(candidate: Responses, pipeline: Pipeline, rows: CleanRows) -> list[str]:
    """The names of the scores that have a meaning for what the candidate says.

    Raises:
        UnknownScore, UnusableScore: one of the file's scores does not fit the candidate.
    """
    if candidate.not_finite():
        return []  # `judge` refuses it
    settings = evaluation(pipeline, probabilities=candidate.predict_proba is not None)
    names = dict.fromkeys((*(line.score for line in settings.gate), *settings.scores))
    return [name for name, value in values(list(names), candidate, rows.y).items() if value is not None]


def _scored(said: Responses, opponent: Contender, names: Sequence[str], rows: CleanRows) -> Responses:
    """The answers as given. Raises Unusable where a score that the candidate has cannot be computed from them."""
    try:
        scores = values(names, said, rows.y)
    except UnusableScore as error:
        raise Unusable(f"{opponent.name} cannot be compared: {error.message}") from error
    if missing := [name for name, value in scores.items() if value is None]:
        raise Unusable(f"{opponent.name} cannot be compared: its {missing[0]} on {len(rows):,} clean rows is no number")
    return said


def _silence() -> Responses:
    return Responses(None, np.empty(0))


def _dummy(reader: SnapshotReader, candidate: Contender, n_rows: int) -> Responses:
    """What a model without features says: the training rows' shares of the candidate's classes, or their mean."""
    pipeline = reader.pipeline
    targets = [batch.table.column(0) for batch in reader.rows([pipeline.target], "train")]
    y = to_target(pa.chunked_array(targets), pipeline.task, pipeline.target)
    if candidate.trained.classes:
        y = y[is_one_of(y, candidate.trained.classes)]
    dummy = DummyRegressor() if pipeline.task == "regression" else DummyClassifier(strategy="prior")
    dummy.fit(np.zeros((len(y), 1)), y)
    return collect(dummy, [np.zeros((n_rows, 1))])
