"""Where a fit over batches keeps its states: an attempt goes on from what an earlier one of the same run has kept.

Checkpoints are numbered without gaps, and written once: a state first, then the document that names it. The newest is
found by its number and not by a listing. Of two attempts that come to the same number, one that was thought dead among
them, both go on with the state of the first. A checkpoint whose state is gone, or that another file, snapshot or
version of a library has made, is no ground to go on: the one before it is, or the fit starts anew.
"""

import hashlib
import json
from functools import partial

from refit.core import environment, keys
from refit.core.artifacts import describe
from refit.core.context import Context
from refit.core.domain import Checkpoint, ExtractManifest
from refit.core.errors import ArtifactError
from refit.core.logs import logger
from refit.core.store import Conflict, NotFound
from refit.ml import own
from refit.ml.incremental import Keeper, State


def keeper(context: Context, extract: ExtractManifest) -> Keeper:
    """The place for the states of this run's fit, with the newest one that can be used."""
    if context.pipeline.model.batches is None:
        return Keeper()
    basis = _basis(context, extract)
    return Keeper(partial(_keep, context, basis), _newest(context, basis))


def _basis(context: Context, extract: ExtractManifest) -> str:
    parts = {
        "file": context.run.file.sha256,
        "extract": describe("extract", extract.to_json()).sha256,
        "environment": environment.versions(),
        "code": own.digests(own.packages(context.pipeline)),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _keep(context: Context, basis: str, state: State) -> State:
    """The state is kept; returns the one that stands under its number."""
    checkpoint = Checkpoint(
        run_id=context.run.run_id,
        number=state.number,
        attempt=context.attempt,
        basis=basis,
        batches=state.batches,
        rows=state.rows,
        dropped=state.dropped,
        warnings=state.warnings,
        state=context.write(f"checkpoint-{state.number}.skops", state.body),
    )
    try:
        context.store.create(keys.checkpoint(context.run.run_id, state.number), checkpoint.to_json())
    except Conflict:
        return _state(context, basis, state.number) or state
    return state


def _newest(context: Context, basis: str) -> State | None:
    for number in range(_count(context), 0, -1):
        if (state := _state(context, basis, number)) is not None:
            return state
    return None


def _count(context: Context) -> int:
    """How many checkpoints stand: they have no gaps, so that doubling and halving finds the last one."""

    def stands(number: int) -> bool:
        return context.store.exists(keys.checkpoint(context.run.run_id, number))

    beyond = 1
    while stands(beyond):
        beyond *= 2
    low = beyond // 2
    while beyond - low > 1:
        middle = (low + beyond) // 2
        low, beyond = (middle, beyond) if stands(middle) else (low, middle)
    return low


def _state(context: Context, basis: str, number: int) -> State | None:
    """The state that stands under the number; None where it is not one to go on from."""
    key = keys.checkpoint(context.run.run_id, number)
    try:
        found = Checkpoint.from_json(context.store.get(key), key)
        if (found.run_id, found.number, found.basis) != (context.run.run_id, number, basis):
            return None
        body = context.read(found.state)
    except NotFound:
        return None
    except ArtifactError as error:
        logger().warning("checkpoint left aside", number=number, message=error.message)
        return None
    return State(body, number, found.batches, found.rows, found.dropped, found.warnings)
