"""How the last promotion kept its promise: what was promoted beside what it was held against, on rows newer than both.

The gate let it pass for a gain on rows of then; rows that came since tell whether that lasted. It decides nothing.
A row whose key either run met in its window is not new: an older form of it trained or judged.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from refit.core import artifacts, registry
from refit.core.config import parse_pipeline
from refit.core.context import Context
from refit.core.domain import Check, EvaluateManifest, FitOn, Look, Move, Promise
from refit.core.errors import ArtifactError, ConfigError, DataError
from refit.core.step import read_run
from refit.data.reader import SnapshotReader
from refit.evaluate import reasons
from refit.evaluate.bench import Bench
from refit.evaluate.contender import Contender, Unusable, answer_of, find_clean_rows, sentence
from refit.evaluate.hearing import held_against
from refit.evaluate.rows import BlockKind, arrange, least_spans
from refit.evaluate.rule import check_line
from refit.evaluate.version import stored_version


def look_back(context: Context, reader: SnapshotReader) -> Promise | None:
    """What the last promotion promised, with what the newer rows say of it, or why they say nothing.

    It loads two models. None where no version was promoted over another one.
    """
    kind, moves = context.pipeline.evaluate.block, registry.known_moves(context.store)
    move = promotion([move for move in moves if move.kind in ("publish", "promote")], context.run.as_of, kind)
    if move is None or (made := _made(context, move)) is None:
        return None
    promise, generation = made
    champion = next((one for one in moves if one.generation == generation), None)
    try:
        promoted = stored_version(context, promise.version, judged_too=True)
        over = stored_version(context, promise.over, _model_of(context, promise, champion), judged_too=True)
        found = _judged(reader, promise, promoted, over)
    except Unusable as error:
        return promise.model_copy(update={"reason": f"it cannot be told whether that holds: {error}"})
    except (ArtifactError, ConfigError, DataError) as error:
        return promise.model_copy(update={"reason": f"it cannot be told whether that holds: {sentence(error)}"})
    if found is None:
        return promise
    return promise.model_copy(update={"found": found, "reason": reasons.of_promise(found)})


def promotion(moves: Sequence[Move], as_of: datetime, kind: BlockKind) -> Move | None:
    """The newest promotion over another version since which the days (or weeks) that an interval needs went by.

    Where all are younger it is the newest: with a promotion every week, the last one can never tell anything yet.
    """
    replacing = [move for move in moves if move.previous is not None and move.as_of <= as_of]
    needed = timedelta(days=1 if kind == "day" else 7) * least_spans(kind)
    old = [move for move in replacing if as_of - move.as_of >= needed]
    return next(reversed(old or replacing), None)


def _made(context: Context, move: Move) -> tuple[Promise, int] | None:
    """The gain for which the version was let pass, and the generation of the champion that it was held against.

    None where it met a dummy, or nothing could be compared.
    """
    try:
        document = registry.read_version(context.store, move.version)
        evaluated = EvaluateManifest.from_json(artifacts.read(context.store, document.evaluate), document.evaluate.key)
    except (ArtifactError, registry.NoSuchVersion):  # gc let go of it
        return None
    made = (check for check in evaluated.verdict.checks if check.against == "champion" and check.gain is not None)
    if (check := next(made, None)) is None:
        return None
    promise = Promise(version=move.version, over=evaluated.baseline, promised=check, reason="no newer row is there yet")
    return promise, evaluated.champion_generation


def _model_of(context: Context, promise: Promise, champion: Move | None) -> FitOn:
    """Which of the champion's models of then the promoted version was held against, by the file of its run.

    Raises:
        ArtifactError, ConfigError: the file is gone or altered.
    """
    if champion is None or champion.version != promise.over:  # a history with a gap
        return "evaluated"
    run = read_run(context.store, promise.version)
    return held_against(parse_pipeline(artifacts.read(context.store, run.file), run.file.key), champion)


def _judged(reader: SnapshotReader, promise: Promise, promoted: Contender, over: Contender) -> Check | None:
    """The same line of the gate on rows that neither run read, in no older form either; None without any.

    Raises:
        Unusable, ConfigError, DataError: one of the models cannot be asked or scored.
    """
    since, trained = max(promoted.until, over.until), [*promoted.seen, *over.seen]
    rows = find_clean_rows(reader, trained, since)
    if not len(rows):
        return None
    settings = reader.pipeline.evaluate
    sample, order = arrange(rows, settings.block)
    models = {
        role: answer_of(model, reader, trained, since).take(order)
        for role, model in (("candidate", promoted), ("over", over))
    }
    look = Look(as_of=reader.as_of, days=None, alpha=1.0 - settings.confidence)
    return check_line(Bench(sample, models, look, settings.min_clean_rows), promise.promised, "over")
