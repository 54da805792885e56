"""What a run is asked to do, and the record that it begins with."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from refit.core import artifacts, keys
from refit.core.config import Pipeline, parse_pipeline
from refit.core.domain import RunRecord
from refit.core.errors import ConfigError, RefitError, SupersededError
from refit.core.freshness import read_patience
from refit.core.objective import Patience
from refit.core.store import ObjectStore
from refit.run.rerun import Rerun, repetition


@dataclass(frozen=True)
class Request:
    """What a run is asked to do.

    Attributes:
        pipeline: The parsed file.
        file: The file's bytes, kept with the run; its steps read this copy.
        as_of: The run's now for window and watermark; None: when it starts.
        wait_seconds: How long to wait for another run of the pipeline.
        retry_seconds: Pauses between the attempts of a step; None: as the file's `slo` has it.
        adopt: Take the pipeline over from another owner.
        is_wanted: Asked once no other run goes on; a run that was waited for may have done what this one is for.
    """

    pipeline: Pipeline
    file: bytes
    as_of: datetime | None = None
    full_refresh: bool = False
    why: str = ""
    wait_seconds: float = 120.0
    retry_seconds: tuple[float, ...] | None = None
    adopt: bool = False
    is_wanted: Callable[[], bool] = lambda: True


class NoLongerWanted(SupersededError):
    """Another run did meanwhile what this one was for."""

    def __init__(self) -> None:
        super().__init__("another run came first; no run was started", next="nothing: that run stands")


def refuse_future(as_of: datetime | None) -> None:
    """Raises ConfigError for an as_of that has not come."""
    if as_of and as_of > datetime.now(UTC):
        raise ConfigError(f"--as-of {as_of.isoformat()} lies in the future", next="name a past time")


@dataclass(frozen=True)
class Maker:
    """Who makes a run, and with what, for the run's record.

    Attributes:
        environment: What the steps of the run of this pipeline and id will run, by name; from then on it stays so.
        why: Where the call gives no reason.
    """

    created_by: str
    environment: Callable[[str, str], dict[str, str]]
    why: str = ""


def new_run(request: Request, run_id: str, maker: Maker) -> tuple[RunRecord, bytes]:
    """The record and the file of a run. Raises NoLongerWanted."""
    if not request.is_wanted():
        raise NoLongerWanted
    now = datetime.now(UTC)
    run = RunRecord(
        run_id=run_id,
        pipeline=request.pipeline.name,
        as_of=request.as_of or now,
        created_at=now,
        created_by=maker.created_by,
        why=request.why or maker.why,
        full_refresh=request.full_refresh,
        file=artifacts.describe(keys.pipeline_file(run_id), request.file),
        environment=maker.environment(request.pipeline.name, run_id),
    )
    return run, request.file


def repeated_run(store: ObjectStore, request: Rerun, run_id: str, maker: Maker) -> tuple[RunRecord, bytes]:
    """The record and the file of a run that repeats another."""
    now = datetime.now(UTC)
    found = repetition(store, request, now)
    run = RunRecord(
        run_id=run_id,
        pipeline=found.parent.pipeline,
        as_of=found.parent.as_of,
        created_at=now,
        created_by=maker.created_by,
        why=request.why or f"{found.parent.run_id} again from {found.start}",
        parent=found.parent.run_id,
        reused=found.reused,
        notes=found.notes,
        full_refresh=found.parent.full_refresh,
        file=artifacts.describe(keys.pipeline_file(run_id), found.file),
        environment=maker.environment(found.parent.pipeline, run_id),
    )
    return run, found.file


def patience_of(store: ObjectStore, run: RunRecord, asked: Request | Rerun) -> Patience:
    """How long the run goes on trying: the same whoever asks, and when; the usual where records cannot be read."""
    if asked.retry_seconds is not None:
        return Patience(asked.retry_seconds)
    with suppress(RefitError):
        return read_patience(store, parse_pipeline(artifacts.read(store, run.file), run.file.key), run.created_at)
    return Patience()
