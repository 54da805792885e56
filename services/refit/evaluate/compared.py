"""The models beside each other: loaded, on the rows that none has seen, each heard once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from refit.core.context import Context
from refit.core.domain import Move, ShiftCheck, TrainManifest
from refit.core.registry import read_champion
from refit.data.reader import SnapshotReader
from refit.evaluate.contender import Contender, Trained, Unusable, find_clean_rows, the_candidate
from refit.evaluate.hearing import DUMMY, Heard, Opponents, find_opponents, hear, known_entities, strangers
from refit.evaluate.newcomers import new_rows
from refit.evaluate.rows import CleanRows
from refit.evaluate.shift import check_shift


@dataclass(frozen=True, eq=False)
class Compared:
    """Candidate and opponents with what they say of the same clean rows.

    Attributes:
        move: The champion's last move; None before the first promotion.
        trained: The rows that make others unclean: what each of the models was trained on.
        shift: The champion on the rows of each batch since its own.
        known: Warnings of what the rows cannot tell.
    """

    move: Move | None
    candidate: Contender
    opponents: Opponents
    trained: Sequence[Trained]
    rows: CleanRows
    rows_holdout: int
    heard: Heard
    shift: tuple[ShiftCheck, ...]
    known: tuple[str, ...]

    @property
    def baseline(self) -> str:
        """A version, or `dummy`."""
        return self.opponents.champion.name if self.opponents.champion else DUMMY


def compare(context: Context, reader: SnapshotReader, train: TrainManifest) -> Compared:
    """What all have said.

    Raises:
        NoCleanRows, UnscorableModel: the candidate cannot be judged at all (DataError).
        UnknownScore, UnusableScore: a score of the file does not fit (ConfigError).
        ArtifactError: the candidate or its snapshot is gone or altered.
    """
    context.report("loads the models, and looks for rows that none has seen")
    current = read_champion(context.store)
    move = current[0] if current else None
    candidate, opponents = the_candidate(context, reader, train), find_opponents(context, move)
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
    return Compared(move, candidate, opponents, trained, rows, rows_holdout, heard, shift, known)


def _shift(context: Context, reader: SnapshotReader, champion: Contender | None) -> tuple[ShiftCheck, ...]:
    """The champion on the rows of each batch since its own, held against how it ranked when it was judged."""
    limit = context.pipeline.evaluate.max_shift
    if champion is None or champion.reference is None or limit is None:
        return ()
    return check_shift(champion.reference, new_rows(reader, champion), limit)
