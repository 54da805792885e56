"""What a rerun may take over: the parts of the file that each step reads, and manifests made its own."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import refit
from refit.core import keys
from refit.core.artifacts import WrongDigest, describe
from refit.core.config import Pipeline, parse_pipeline
from refit.core.domain import STEPS, EvaluateManifest, Manifest, StepName
from refit.core.reuse import PARTS, first_changed, own, take
from refit.core.runs import doer
from refit.core.store import ObjectStore, open_store
from tests.fixtures.records import (
    artifact,
    evaluate_manifest,
    extract_manifest,
    file,
    put_manifest,
    run_record,
    train_manifest,
)

PARENT, RUN = "20261120t070000-aaaa", "20261120t080000-bbbb"
READ_BY_NO_STEP = {"api_version", "name", "schedule", "predict", "slo", "retention", "notify"}
OF_STEPS: dict[StepName, tuple[str, ...]] = {
    "extract": ("extract",),
    "train": ("train", "ml", "data"),
    "evaluate": ("evaluate", "ml", "data"),
    "publish": ("publish",),
}
PROPERTIES = {"sensitive": "columns"}
"""What the pipeline's own properties are made of."""
ONLY_LOOKED_FOR = {"split", "features", "evaluate"}
"""extract looks whether the columns that these name are there; what it leaves does not depend on them."""


def pipeline(**sections: Any) -> Pipeline:
    return parse_pipeline(file(**sections), "refit.yaml")


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}")


def test_every_part_of_the_file_is_read_by_one_step_first_or_by_none() -> None:
    told = [part for parts in PARTS.values() for part in parts]
    assert list(PARTS) == list(STEPS)
    assert len(told) == len(set(told))
    sections = {part for part in told if "." not in part}
    by_key = {part.split(".")[0] for part in told} - sections
    assert sections | by_key | READ_BY_NO_STEP == set(Pipeline.model_fields)
    assert not (sections | by_key) & READ_BY_NO_STEP
    for section in by_key:
        keys_told = {part.partition(".")[2] for part in told if part.startswith(f"{section}.")}
        assert keys_told == set(type(getattr(pipeline(), section)).model_fields)


@pytest.mark.parametrize("step", STEPS)
def test_the_code_of_a_step_reads_no_part_that_is_not_told(step: StepName) -> None:
    told = {part for one in STEPS[: STEPS.index(step) + 1] for part in PARTS[one]}
    read = {part for package in OF_STEPS[step] for part in parts_read(Path(refit.__file__).parent / package)}
    read = {PROPERTIES.get(part, part) for part in read} - {"model_dump", "model_copy", "name"}
    assert "publish" not in read, "which of its keys is to be told"
    if step == "extract":
        read -= ONLY_LOOKED_FOR
    assert read <= told | ({"evaluate"} if step == "train" else set()), "core/reuse.py, PARTS"  # ml serves both
    assert read & set(PARTS[step])


def parts_read(package: Path) -> Iterator[str]:
    """The names after `pipeline.` in the code of a package; those of `publish` with their key."""
    for path in package.glob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        keyed = {id(node.value): node.attr for node in nodes}
        for node in nodes:
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if name == "pipeline":
                yield f"publish.{keyed[id(node)]}" if node.attr == "publish" and id(node) in keyed else node.attr


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"schedule": {"cron": "0 5 * * 1"}}, None),
        ({"slo": {"on_failure": "retry"}}, None),
        ({"window": {"kind": "rolling", "length": "9d"}}, ("extract", ("window",))),
        ({"model": {"estimator": "sklearn.svm.SVC"}}, ("train", ("model",))),
        ({"split": {"kind": "hash"}, "evaluate": {"confidence": 0.9}}, ("train", ("split",))),
        ({"evaluate": {"confidence": 0.9}}, ("evaluate", ("evaluate",))),
        ({"evaluate": {"confidence": 0.95}}, None),
        ({"publish": {"approval": "manual"}}, ("publish", ("publish.approval",))),
        ({"publish": {"approval": "manual", "fit_on": "all"}}, ("evaluate", ("publish.fit_on",))),
    ],
    ids=["schedule", "default", "window", "model", "first", "evaluate", "a-default-written-out", "publish", "fit_on"],
)
def test_the_first_step_that_finds_another_file(sections: dict[str, Any], expected: object) -> None:
    assert first_changed(pipeline(), pipeline(**sections)) == expected


@pytest.mark.parametrize(("before", "now"), [(1, 1.0), (1, True), ([1, 3], [1.0, 3])], ids=["1.0", "true", "listed"])
def test_equal_values_of_other_types_are_another_file(before: object, now: object) -> None:
    files = [pipeline(model={"estimator": "a.B", "params": {"max_features": value}}) for value in (before, now)]
    assert first_changed(*files) == ("train", ("model",))


@pytest.mark.parametrize(
    "manifest", [extract_manifest(PARENT), train_manifest(PARENT), evaluate_manifest(PARENT)], ids=lambda one: one.step
)
def test_a_manifest_made_ones_own_names_the_same_artifacts_and_who_did_it(manifest: Manifest) -> None:
    source = describe(keys.manifest(PARENT, manifest.step), manifest.to_json())
    mine = own(manifest, RUN, source)
    assert (mine.run_id, mine.reused, doer(mine)) == (RUN, source, PARENT)
    changed = {name for name, value in mine if value != getattr(manifest, name)}
    assert changed == {"run_id", "reused"} | ({"candidate"} if manifest.step == "evaluate" else set())
    third = own(mine, "20261120t090000-cccc", artifact("elsewhere"))
    assert (third.reused, doer(third)) == (source, PARENT)


@pytest.mark.parametrize(("anchor", "expected"), [(PARENT, RUN), ("older", "older"), (None, None)])
def test_a_candidate_that_would_be_the_anchor_still_would(anchor: str | None, expected: str | None) -> None:
    mine = own(evaluate_manifest(PARENT, anchor=anchor), RUN, artifact("x"))
    assert isinstance(mine, EvaluateManifest)
    assert (mine.candidate, mine.anchor) == (RUN, expected)


def test_a_manifest_is_taken_once_and_only_as_the_record_names_it(store: ObjectStore) -> None:
    manifest = train_manifest(PARENT)
    put_manifest(store, manifest)
    source = describe(keys.manifest(PARENT, "train"), manifest.to_json())
    run = run_record(RUN, parent=PARENT, reused={"train": source})
    assert take(store, run, "train") == take(store, run, "train")
    other = run_record("20261120t090000-cccc", parent=PARENT, reused={"train": artifact(source.key, b"other")})
    with pytest.raises(WrongDigest):
        take(store, other, "train")
