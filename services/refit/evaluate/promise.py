"""How the last promotion kept its promise: the champion beside what it replaced, on rows newer than both.

The gate let it pass for a gain on rows of then; rows that came since tell whether that lasted. It decides nothing.
"""

from refit.core import artifacts, registry
from refit.core.context import Context
from refit.core.domain import Check, EvaluateManifest, Look, Promise
from refit.core.errors import ArtifactError, ConfigError, DataError
from refit.data.reader import SnapshotReader
from refit.evaluate import reasons
from refit.evaluate.bench import Bench
from refit.evaluate.contender import Contender, Unusable, answer_of, of_version, sentence
from refit.evaluate.hearing import Opponents, find_clean_rows
from refit.evaluate.rows import arrange
from refit.evaluate.rule import check_line


def look_back(context: Context, reader: SnapshotReader, opponents: Opponents) -> Promise | None:
    """What the champion promised, with what the newer rows say of it, or why they say nothing.

    None without a champion that can be asked, and for one that was never held against a model.
    """
    champion = opponents.champion
    if champion is None or (promise := _made(context, champion)) is None:
        return None
    try:
        known = {model.name: model for model in opponents.all()}
        replaced = known.get(promise.over) or of_version(context, promise.over)
        found = _judged(reader, promise.promised, champion, replaced)
    except Unusable as error:
        return promise.model_copy(update={"reason": f"it cannot be told whether that holds: {error}"})
    except (ConfigError, DataError) as error:
        return promise.model_copy(update={"reason": f"it cannot be told whether that holds: {sentence(error)}"})
    if found is None:
        return promise
    return promise.model_copy(update={"found": found, "reason": reasons.of_promise(found)})


def _made(context: Context, champion: Contender) -> Promise | None:
    """The gain for which the champion was let pass; None where it met a dummy, or nothing could be compared."""
    try:
        document = registry.read_version(context.store, champion.name)
        key = document.evaluate.key
        evaluated = EvaluateManifest.from_json(artifacts.read(context.store, document.evaluate), key)
    except (ArtifactError, registry.NoSuchVersion):  # gone since it was loaded
        return None
    made = (check for check in evaluated.verdict.checks if check.against == "champion" and check.gain is not None)
    if (check := next(made, None)) is None:
        return None
    return Promise(version=champion.name, over=evaluated.baseline, promised=check, reason="no newer row is there yet")


def _judged(reader: SnapshotReader, promised: Check, champion: Contender, replaced: Contender) -> Check | None:
    """The same line of the gate on rows that neither run read, nor trained on by an older form; None without any.

    Raises:
        Unusable, ConfigError, DataError: one of the models cannot be asked or scored.
    """
    since, trained = max(champion.until, replaced.until), [*champion.seen, *replaced.seen]
    rows = find_clean_rows(reader, trained, since)
    if not len(rows):
        return None
    settings = reader.pipeline.evaluate
    sample, order = arrange(rows, settings.block)
    models = {
        role: answer_of(model, reader, trained, since).take(order)
        for role, model in (("candidate", champion), ("replaced", replaced))
    }
    look = Look(as_of=reader.as_of, days=None, alpha=1.0 - settings.confidence)
    return check_line(Bench(sample, models, look, settings.min_clean_rows), promised, "replaced")
