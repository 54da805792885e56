"""What a rerun may take over from its parent: which parts of the file each step reads, and a manifest made its own.

A rerun's run.json names the parent's manifests that it takes, with their digests, in one create-once write. The
runner then writes each as a manifest of the new run: it names the same artifacts, wherever they lie, and `reused`
names the manifest of the run that did the step. So all that reads manifests reads a rerun as any other run.
"""

from collections.abc import Mapping
from typing import Any, Final

from refit.core import artifacts
from refit.core.config import Pipeline
from refit.core.domain import STEPS, Artifact, EvaluateManifest, Manifest, RunRecord, StepName
from refit.core.runs import MANIFESTS
from refit.core.step import record
from refit.core.store import ObjectStore

PARTS: Final[Mapping[StepName, tuple[str, ...]]] = {
    "extract": ("source", "window", "columns", "on_bad_row", "target"),
    "train": ("task", "split", "features", "model"),
    "evaluate": ("evaluate", "publish.fit_on"),
    "publish": ("publish.approval",),
}
"""The parts of the file that decide what a step leaves, each beside those of the steps before it.

extract also looks whether the columns of split, features and slices are there; train and evaluate find out by
themselves.
"""


def first_changed(before: Pipeline, now: Pipeline) -> tuple[StepName, tuple[str, ...]] | None:
    """The first step that finds other parts in the file `now`, and which; None where every step finds the same."""
    for step in STEPS:
        changed = tuple(part for part in PARTS[step] if _plain(before, part) != _plain(now, part))
        if changed:
            return step, changed
    return None


def own(manifest: Manifest, run_id: str, source: Artifact) -> Manifest:
    """The manifest as one of the run `run_id`, whose candidate, and anchor if it is that, is the run's own. Pure.

    Args:
        source: The stored manifest that it is made from.
    """
    fields: dict[str, Any] = {"run_id": run_id, "reused": manifest.reused or source}
    if isinstance(manifest, EvaluateManifest):
        fields["candidate"] = run_id
        fields["anchor"] = run_id if manifest.anchor == manifest.candidate else manifest.anchor
    return manifest.model_copy(update=fields)


def take(store: ObjectStore, run: RunRecord, step: StepName) -> Manifest:
    """The run has the manifest of a step that its parent did; one of an earlier attempt is taken as it stands.

    Raises:
        ArtifactError: the parent's manifest is gone or altered.
    """
    source = run.reused[step]
    manifest = MANIFESTS[step].from_json(artifacts.read(store, source), source.key)
    return record(store, own(manifest, run.run_id, source), MANIFESTS[step])


def _plain(pipeline: Pipeline, part: str) -> Any:
    section, _, key = part.partition(".")
    return _typed(pipeline.model_dump(include={section: {key}} if key else {section}))


def _typed(value: Any) -> Any:
    """Equal only to values of the same types: an estimator may take 1 and 1.0 for different things."""
    if isinstance(value, dict):
        return {_typed(key): _typed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(inner) for inner in value]
    return type(value), value
