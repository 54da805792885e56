"""A version of the registry, verified and loaded: the champion, or one that is named."""

import os
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline as Steps

from refit.core import artifacts, logs, registry
from refit.core.config import Pipeline, parse_pipeline
from refit.core.domain import Column, ExtractManifest, FitOn, Move, TrainManifest, Version
from refit.core.errors import ArtifactError, ConfigError
from refit.core.step import read_run
from refit.core.store import ObjectStore, default_url, open_store
from refit.ml.frame import Kind, kind_of
from refit.ml.raw import RawRows
from refit.ml.stored import StoredModel, stored_model


class VersionsDiffer(UserWarning):
    """A model is used with other libraries than those that fitted it."""


class NothingPromoted(ConfigError):
    """The pipeline has no champion."""

    def __init__(self, name: str, url: str, *, known: bool) -> None:
        what = f"nothing of {name} was promoted yet" if known else f"no run of pipeline {name!r} is in {url}"
        hint = f"look at refit runs {name}" if known else "start one with refit run FILE, or name another store"
        super().__init__(what, next=hint)


@dataclass(frozen=True, eq=False)
class Model:
    """A version with all that scoring rows needs.

    Attributes:
        name: The pipeline's name.
        pipeline: The file that the version was made with.
        train: Its train manifest.
        columns: The columns of the rows that it was trained on.
        body: The model file; its digest is that of the manifest.
        estimator: The fitted scikit-learn Pipeline; takes rows as frame.to_frame gives them.
        notes: What differs from where it was fitted, and whether that is known to matter, in words.
        fit_on: Which of the version's models it is.
    """

    name: str
    version: Version
    pipeline: Pipeline
    train: TrainManifest
    columns: tuple[Column, ...]
    body: bytes
    estimator: Any
    notes: tuple[str, ...] = ()
    fit_on: FitOn = "evaluated"

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """The model's columns and their kinds, in its order."""
        types = {column.name: column.type for column in self.columns}
        return {name: kind_of(types[name]) for name in self.train.columns}


def load(name: str, store: str | None = None) -> Any:
    """The verified champion as a fitted scikit-learn Pipeline that takes raw rows as a DataFrame.

    Args:
        store: `s3://bucket/prefix` or `file:///dir`; default REFIT_STORE, else `.refit/store` in this folder.

    Returns:
        The Pipeline; `.version` names the version it is.

    Raises:
        ConfigError: no such pipeline or store, or nothing was promoted yet.
        ArtifactError: the model is gone, altered, holds a type that is not allowed, or does not say what it said.

    Warns:
        VersionsDiffer: libraries or code are not those that fitted it.
    """
    root = open_store(store or default_url(os.environ, Path.cwd()))
    with logs.one_call():
        model = open_model(root.under(f"{name}/"), name)
    for note in model.notes:
        warnings.warn(note, VersionsDiffer, stacklevel=3)  # where refit.load was called
    steps = Steps([("rows", RawRows(model.kinds)), *model.estimator.steps])
    steps.version = model.version.version
    return steps


def open_model(store: ObjectStore, name: str, version: str | None = None) -> Model:
    """The champion, or the version that is named, with every digest compared on the way.

    Args:
        store: The pipeline's own store.

    Raises:
        NothingPromoted: there is no champion, and no version is named.
        NoSuchVersion: the one that is named was never made.
        ArtifactError: an object is gone or altered, the model file is refused, or the model does not say any more
            what it said when it was judged.
        OwnCodeFails: code of the user's own fails on rows that it could take then.
    """
    chosen, fit_on = _chosen(store, name, version)
    train = TrainManifest.from_json(artifacts.read(store, chosen.train), chosen.train.key)
    train = chosen.trained(train, fit_on)
    extract = ExtractManifest.from_json(artifacts.read(store, chosen.extract), chosen.extract.key)
    run = read_run(store, chosen.version)
    pipeline = parse_pipeline(artifacts.read(store, run.file), run.file.key)
    if pipeline.sensitive:
        logs.withhold()  # what libraries say of it, and of rows that it is asked about, may quote a value
    columns = extract.snapshot.columns if extract.snapshot else ()
    if missing := set(train.columns) - {column.name for column in columns}:
        raise ArtifactError(f"{chosen.extract.key} does not tell the type of {', '.join(sorted(missing))}")
    found = stored_model(train, chosen.said(fit_on), pipeline, partial(artifacts.read, store))
    notes = _notes(chosen.version, found)
    return Model(name, chosen, pipeline, train, columns, found.body, found.estimator, notes, fit_on)


def _notes(version: str, found: StoredModel) -> tuple[str, ...]:
    if not found.changes:
        return ()
    changed = "; ".join(found.changes)
    if found.asked_rows is None:
        return (f"version {version}: {changed}; it cannot be asked whether that matters: {found.unasked}",)
    return (f"version {version}: {changed}; asked again about {found.asked_rows:,} rows, it says what it said",)


def _chosen(store: ObjectStore, name: str, version: str | None) -> tuple[Version, FitOn]:
    """The version, and which of its models: of the champion the one in production, else what a promotion would take."""
    found = registry.read_champion(store) if version is None else _readable_champion(store)
    if found is not None and version in (None, found[0].version):
        return registry.read_version(store, found[0].version), found[0].fit_on
    if version is None:
        raise NothingPromoted(name, store.url, known=any(store.list_folders("runs/")))
    chosen = registry.read_version(store, version)
    return chosen, chosen.fit_on


def _readable_champion(store: ObjectStore) -> tuple[Move, str] | None:
    """As it stands; one that is lost or malformed hinders no one who names a version."""
    with suppress(ArtifactError):
        return registry.read_champion(store)
    return None
