"""Two runs as they are stored, and what differs between them."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from refit.cli.past import PastRun, read_past
from refit.cli.place import Place
from refit.core import artifacts, environment
from refit.core.context import read_manifest
from refit.core.domain import EvaluateManifest, ExtractManifest, Rows, RunRecord, TrainManifest
from refit.core.errors import ArtifactError
from refit.core.step import read_run
from refit.data.change import ColumnChange, column_changes
from refit.data.profile import Profile


@dataclass(frozen=True)
class Side:
    """One of the two runs.

    Attributes:
        file: Its file's lines; None where the file is gone.
        profile: Of the rows that its extract read; None where it read none, or the profile is gone.
        scores: Of each model that it scored.
        params: What its model was built with; None where it trained none.
        versions: What its steps ran: all that was installed, or images and the main libraries in them.
    """

    past: PastRun
    run: RunRecord
    file: list[str] | None
    profile: Profile | None
    rows: Rows
    scores: Mapping[str, Mapping[str, float | None]]
    params: Mapping[str, Any] | None
    versions: Mapping[str, str]


def read_side(place: Place, run_id: str) -> Side:
    """What is stored of the run. Raises RunUnknown where it was never recorded, ArtifactError for a bad manifest."""
    store = place.store
    run = read_run(store, run_id)
    extract = read_manifest(store, run_id, "extract", ExtractManifest)
    train = read_manifest(store, run_id, "train", TrainManifest)
    evaluate = read_manifest(store, run_id, "evaluate", EvaluateManifest)
    rows = extract.rows if extract else Rows()
    if train is not None:
        rows = rows.model_copy(update={"train": train.rows})
    if evaluate is not None:
        rows = rows.model_copy(update=evaluate.counts)
    return Side(
        past=read_past(store, run_id, datetime.now(UTC)),
        run=run,
        file=_file(place, run),
        profile=_profile(place, extract),
        rows=rows,
        scores=evaluate.scores if evaluate else {},
        params=train.params if train else None,
        versions=_versions(run, train),
    )


def _versions(run: RunRecord, train: TrainManifest | None) -> Mapping[str, str]:
    inside = train.environment if train and environment.tells_images(run.environment) else {}
    return {**inside, **run.environment}


def _file(place: Place, run: RunRecord) -> list[str] | None:
    try:
        return artifacts.read(place.store, run.file).decode().splitlines()
    except ArtifactError:
        return None


def _profile(place: Place, extract: ExtractManifest | None) -> Profile | None:
    if extract is None or extract.profile is None:
        return None
    try:
        return Profile.from_json(artifacts.read(place.store, extract.profile), extract.profile.key)
    except ArtifactError:
        return None


def file_changes(before: Side, after: Side) -> list[str] | None:
    """The unified diff of the two files without its head; empty where they are equal, None where one is gone."""
    if before.file is None or after.file is None:
        return None
    return list(difflib.unified_diff(before.file, after.file, lineterm="", n=2))[2:]


def row_changes(before: Side, after: Side) -> dict[str, tuple[int | None, int | None]]:
    """Each count of rows on both sides."""
    was, is_ = before.rows.model_dump(), after.rows.model_dump()
    return {name: (was[name], is_[name]) for name in was}


def score_changes(before: Side, after: Side) -> dict[str, dict[str, tuple[float | None, float | None]]]:
    """Each score of each model on both sides, on the clean rows of each run."""
    models = dict.fromkeys([*before.scores, *after.scores])
    found = {}
    for model in models:
        was, is_ = before.scores.get(model, {}), after.scores.get(model, {})
        found[model] = {name: (was.get(name), is_.get(name)) for name in dict.fromkeys([*was, *is_])}
    return found


def param_changes(before: Side, after: Side) -> dict[str, tuple[Any, Any]] | None:
    """Each parameter that the two models were built with otherwise; None where there is no such pair of models."""
    if before.params is None or after.params is None:
        return None
    was, is_ = before.params, after.params
    names = dict.fromkeys([*was, *is_])
    return {name: (was.get(name), is_.get(name)) for name in names if was.get(name) != is_.get(name)}


def version_changes(before: Side, after: Side) -> dict[str, tuple[str | None, str | None]]:
    """Python, machine, libraries and images that differ; where a run tells images, of what both runs tell."""
    was, is_ = before.versions, after.versions
    in_images = environment.tells_images(was) or environment.tells_images(is_)
    names = sorted(was.keys() & is_.keys() if in_images else was.keys() | is_.keys())
    return {name: (was.get(name), is_.get(name)) for name in names if was.get(name) != is_.get(name)}


def profile_changes(before: Side, after: Side) -> list[ColumnChange] | None:
    """Each column on both sides, the most changed first; None where a side has no profile."""
    if before.profile is None or after.profile is None:
        return None
    return column_changes(before.profile, after.profile)
