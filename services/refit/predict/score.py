"""Predictions for a file of rows, written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from refit.core.disk import disk
from refit.core.effects import effect
from refit.core.errors import ConfigError, DataError, RefitError
from refit.core.logs import foreign
from refit.ml.frame import to_frame
from refit.ml.own import OwnCode, OwnCodeFails, packages
from refit.ml.predictions import MODEL_FAILS
from refit.predict.champion import Model
from refit.predict.rows import Source, format_of, type_named

PREDICTION: Final = "prediction"
VERSION: Final = "version"


class BadOutput(ConfigError):
    """The predictions cannot be written where they should."""


class UnscorableRows(DataError):
    """The model refuses the rows."""


@dataclass(frozen=True)
class Scored:
    """What was written."""

    rows: int
    version: str
    columns: tuple[str, ...]


def predict_file(model: Model, source: Path, target: Path) -> Scored:
    """The file `target` holds key, prediction, probability of each class and version for each row of `source`.

    Memory stays flat. Whatever goes wrong, `target` is as it was before.

    Raises:
        NoInput, BadOutput: the names of the files (ConfigError).
        ColumnsMissing, BadRows, UnscorableRows: the rows (DataError).
        DiskError, AccessError: the disk.
    """
    rows = _source(model, source)
    _check_target(source, target)
    keys = rows.schema()
    schema = pa.schema([*keys, *_answer_fields(model), pa.field(VERSION, pa.string())])
    if len(set(schema.names)) < len(schema):
        raise BadOutput(f"the key has a column named like one of {', '.join(schema.names[len(keys) :])}")
    count = 0
    with _replacing(target) as path, _writer(path, schema, csv=target.suffix == ".csv") as writer:
        for batch in rows.batches():
            writer.write_batch(_scored(model, batch, schema, len(keys), count))
            count += len(batch)
    return Scored(count, model.version.version, tuple(schema.names))


def probability_columns(classes: tuple[Any, ...]) -> list[str]:
    """Name of each class's probability column: probability_true, probability_1, probability_late."""
    return [f"probability_{str(label).lower() if isinstance(label, bool) else label}" for label in classes]


def _source(model: Model, path: Path) -> Source:
    types = {column.name: column.type for column in model.columns}
    keys = {name: type_named(types.get(name, "string")) for name in model.pipeline.source.key}
    return Source(path, format_of(path), model.kinds, keys)


def _answer_fields(model: Model) -> list[pa.Field]:
    classes = model.train.classes
    if not classes:
        return [pa.field(PREDICTION, pa.float64())]
    fields = [pa.field(PREDICTION, pa.infer_type(classes))]
    if hasattr(model.estimator, "predict_proba"):
        fields += [pa.field(name, pa.float64()) for name in probability_columns(classes)]
    return fields


def _scored(model: Model, batch: pa.RecordBatch, schema: pa.Schema, n_keys: int, before: int) -> pa.RecordBatch:
    predicted, probabilities = _answers(model, batch, before)
    kind = schema.field(PREDICTION).type
    columns = [batch.column(name).cast(schema.field(name).type) for name in schema.names[:n_keys]]
    columns.append(pa.array(predicted.tolist() if predicted.dtype == object else predicted, kind))
    columns += [pa.array(probabilities[:, index]) for index in range(probabilities.shape[1])]
    columns.append(pa.repeat(pa.scalar(model.version.version), len(batch)))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _answers(model: Model, batch: pa.RecordBatch, before: int) -> tuple[Any, Any]:
    """Predictions, shape (rows,), and probabilities, shape (rows, classes or 0); features are computed once."""
    features, final = model.estimator[:-1], model.estimator[-1]
    try:
        with OwnCode(packages(model.pipeline)):
            X = features.transform(to_frame(batch, list(model.kinds)))
            predicted = np.asarray(final.predict(X)).reshape(len(batch))
            says = hasattr(final, "predict_proba")
            return predicted, np.asarray(final.predict_proba(X)) if says else np.empty((len(batch), 0))
    except (*MODEL_FAILS, OwnCodeFails) as error:
        told = error.message if isinstance(error, RefitError) else foreign(error)
        lines = told.strip().splitlines()
        raise UnscorableRows(
            f"version {model.version.version} cannot score rows {before + 1:,} to {before + len(batch):,}: "
            f"{lines[0][:400] if lines else type(error).__name__}",
            next="look at these rows for gaps and infinities that training rows did not have",
        ) from error


def _check_target(source: Path, target: Path) -> None:
    if target.is_dir():
        raise BadOutput(f"the output {target} is a folder", next="name a file, like predictions.parquet")
    if target.exists() and target.samefile(source):
        raise BadOutput(f"the output {target} is the input", next="name another file")
    if target.suffix not in (".parquet", ".pq", ".csv"):
        raise BadOutput(
            f"the output {target} is named neither .parquet nor .csv", next="predictions are written as Parquet or CSV"
        )
    if not target.absolute().parent.is_dir():
        raise BadOutput(f"there is no folder {target.absolute().parent}", next="make it first")


def _writer(path: Path, schema: pa.Schema, *, csv: bool) -> pq.ParquetWriter | pa_csv.CSVWriter:
    """In CSV, text is quoted and NULL is an empty cell, as in what is read."""
    return pa_csv.CSVWriter(path, schema) if csv else pq.ParquetWriter(path, schema, compression="zstd")


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A new file beside `target`, which takes its place when the block ends well."""
    path = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with disk("write", str(target)):
            yield path
            with path.open("rb") as written:
                os.fsync(written.fileno())
            with effect(f"write {target.name}"):
                path.replace(target)
    finally:
        path.unlink(missing_ok=True)
