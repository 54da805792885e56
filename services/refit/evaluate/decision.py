"""From what the models say to a verdict: the gate, the slices, and what only a person may decide."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from refit.core.config import Evaluate, evaluation
from refit.core.context import Context
from refit.core.domain import Look, ShiftCheck, SliceCheck, Verdict, VerdictRef
from refit.core.errors import DataError
from refit.core.registry import known_moves
from refit.data.reader import SnapshotReader
from refit.evaluate import looks
from refit.evaluate.compared import Compared
from refit.evaluate.contender import Contender, clean_rows
from refit.evaluate.rule import Judgement, Settings, first_score, judge
from refit.evaluate.slices import SliceSettings, judge_slices, with_slices


@dataclass(frozen=True, eq=False)
class Decision:
    """The verdict on the candidate.

    Attributes:
        settings: The section `evaluate` with its defaults as they are for what the candidate can say.
        look: This run's share of the budget; None: nothing may be proven.
        judgement: What the gate alone found.
    """

    settings: Evaluate
    look: Look | None
    judgement: Judgement
    verdict: Verdict

    @property
    def score(self) -> str:
        """The gate's first comparing score."""
        return first_score(self.settings.gate)


def decide(context: Context, reader: SnapshotReader, compared: Compared, last: VerdictRef | None) -> Decision:
    """The gate's word, less what blocks it.

    Args:
        last: The verdict before this one.

    Raises:
        NoCleanRows, UnscorableModel, UnknownScore, UnusableScore: as `judge`.
        DataError: a column of evaluate.slices is gone.
    """
    heard, opponents = compared.heard, compared.opponents
    settings = evaluation(context.pipeline, probabilities=heard.candidate.predict_proba is not None)
    look = _look(context, opponents.champion, last)
    judgement = judge(
        settings.gate,
        compared.rows,
        candidate=heard.candidate,
        champion=heard.champion,
        anchor=heard.anchor,
        dummy=heard.dummy,
        look=look,
        settings=Settings(settings.block, settings.min_clean_rows, settings.confidence, settings.scores),
    )
    verdict = with_slices(judgement.verdict, _slices(settings, reader, compared))
    verdict = _with_approval(_naming_stand_in(verdict, opponents.champion), opponents.unusable, compared.shift)
    return Decision(settings, look, judgement, verdict)


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


def _slices(settings: Evaluate, reader: SnapshotReader, compared: Compared) -> tuple[SliceCheck, ...]:
    """The sub-populations that the file names, where there is a champion to hold the candidate against."""
    candidate, champion = compared.heard.candidate, compared.heard.champion
    if not settings.slices or champion is None:
        return ()
    known = {column.name for column in reader.snapshot.columns}
    if gone := [name for name in settings.slices if name not in known]:
        raise DataError(
            f"evaluate.slices names {', '.join(gone)}, which the rows of this run do not have",
            next="add it to source.query and run anew, or take it out of the file: refit run FILE",
        )
    batches = [batch.select(list(settings.slices)) for batch in clean_rows(reader, settings.slices, compared.trained)]
    table = {name: pa.chunked_array([batch.column(name) for batch in batches]) for name in settings.slices}
    how = SliceSettings(first_score(settings.gate), settings.max_slice_loss, settings.min_slice_rows, settings.block)
    return judge_slices(table, compared.rows, candidate, champion, how)


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
