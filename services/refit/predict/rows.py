"""Rows to score, from a Parquet or CSV file, batch by batch with flat memory.

In a CSV file an empty cell is NULL and a quoted one ("") is the empty string, as PostgreSQL's COPY writes them; the
types are those of the rows that the model was trained on, never guessed.
"""

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from refit.core.disk import disk
from refit.core.errors import ConfigError, DataError
from refit.core.logs import are_withheld, foreign
from refit.ml.frame import ColumnsMissing, Kind, kind_of

BATCH_ROWS: Final = 65_536
BLOCK_BYTES: Final = 2 << 20  # the longest row of a CSV file; Arrow reads up to 32 blocks ahead

Format = Literal["parquet", "csv"]

_TYPES: Final[dict[Kind, pa.DataType]] = {"number": pa.float64(), "bool": pa.bool_(), "text": pa.string()}
_TRUE: Final = ["t", "true", "True", "TRUE", "1"]
_FALSE: Final = ["f", "false", "False", "FALSE", "0"]
_BEFORE_A_VALUE: Final = re.compile(
    r"In CSV column #\d+: (Row #\d+: )?CSV conversion error to [^:]+"
    r"|CSV parse error: (Row #\d+: )?Expected \d+ columns, got \d+"
)


class NoInput(ConfigError):
    """There is no such file of rows, or it is of a kind that is not read."""


class BadRows(DataError):
    """The file's content cannot be read as the rows that the model takes."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}"[:1000], next="correct the file; see the columns with refit export")


@dataclass(frozen=True)
class Source:
    """A file of rows.

    Attributes:
        kinds: The features to read and their kinds.
        keys: The key columns to read and their types in the rows trained on.
    """

    path: Path
    format: Format
    kinds: dict[str, Kind]
    keys: dict[str, pa.DataType]

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys([*self.keys, *self.kinds]))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows in the order of the file, with exactly `columns`; at most 65,536 at a time.

        Raises:
            ColumnsMissing: some columns are not in the file.
            BadRows: a value has another type, or the file is broken.
            DiskError, AccessError: the file cannot be read.
        """
        batches = _parquet(self) if self.format == "parquet" else _csv(self)
        for batch in batches:
            for start in range(0, len(batch), BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)

    def schema(self) -> pa.Schema:
        """Names and types of the key columns as `batches` gives them. Raises as `batches` does."""
        if self.format == "parquet":
            with _readable(self.path), pq.ParquetFile(self.path) as file:
                found = file.schema_arrow
            _complete(self, found.names)
            return pa.schema([found.field(name).with_nullable(True) for name in self.keys])
        return pa.schema([(name, _cell_type(type_)) for name, type_ in self.keys.items()])


def format_of(path: Path) -> Format:
    """How the file is written, by its name.

    Raises:
        NoInput: it is not there, no file, or named otherwise.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise NoInput(f"the input {path} {what}", next="name a Parquet or CSV file")
    if path.name.endswith((".parquet", ".pq")):
        return "parquet"
    if path.name.endswith((".csv", ".csv.gz")):
        return "csv"
    raise NoInput(f"{path} is named neither .parquet nor .csv", next="rename it, or convert it")


def type_named(name: str) -> pa.DataType:
    """The Arrow type of that name, as a snapshot's columns tell it; text for those of no use here."""
    if found := re.fullmatch(r"decimal128\((\d+), (-?\d+)\)", name):
        return pa.decimal128(int(found[1]), int(found[2]))
    if found := re.fullmatch(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]", name):
        return pa.timestamp(found[1], found[2])
    try:
        return pa.type_for_alias(name)
    except ValueError:
        return pa.string()


def _parquet(source: Source) -> Iterator[pa.RecordBatch]:
    with _readable(source.path), pq.ParquetFile(source.path, pre_buffer=False) as file:
        _complete(source, file.schema_arrow.names)
        for name, kind in source.kinds.items():
            _check_kind(source.path, name, kind, file.schema_arrow.field(name).type)
        for batch in file.iter_batches(BATCH_ROWS, columns=source.columns):
            yield _typed(batch.select(source.columns), source.kinds)


def _check_kind(path: Path, name: str, kind: Kind, found: pa.DataType) -> None:
    fits = {"number": ("number", "bool"), "bool": ("bool", "number"), "text": ("text",)}[kind]
    if not pa.types.is_null(found) and kind_of(found) not in fits:
        raise BadRows(path, f'column "{name}" is {found}; the model takes a {kind}')


def _typed(batch: pa.RecordBatch, kinds: dict[str, Kind]) -> pa.RecordBatch:
    """A column that never had a value has no type in Parquet files of some writers: it gets the model's."""
    arrays = [
        column.cast(_TYPES[kinds[name]]) if name in kinds and pa.types.is_null(column.type) else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _csv(source: Source) -> Iterator[pa.RecordBatch]:
    names = _header(source.path)
    _complete(source, names)
    types = {name: _TYPES[kind] for name, kind in source.kinds.items()}
    types |= {name: _cell_type(type_) for name, type_ in source.keys.items()}
    convert = pa_csv.ConvertOptions(
        column_types=types,
        include_columns=source.columns,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        true_values=_TRUE,
        false_values=_FALSE,
    )
    with _readable(source.path, names):
        yield from pa_csv.open_csv(
            str(source.path),
            read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )


def _cell_type(type_: pa.DataType) -> pa.DataType:
    """The type that a key's cells are read as: the one trained on where CSV can hold it, else text."""
    kind = kind_of(type_)
    plain = kind in ("number", "bool") or pa.types.is_date(type_) or pa.types.is_timestamp(type_)
    return type_ if plain else pa.string()


def _header(path: Path) -> list[str]:
    opened = gzip.open if path.name.endswith(".gz") else open
    with disk("read", str(path)):
        try:
            with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
                names = next(csv.reader(file), [])
        except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
            raise BadRows(path, f"it is no CSV file in UTF-8: {foreign(error)}") from error
    if not names:
        raise BadRows(path, "it is empty: a CSV file begins with the names of its columns")
    return names


def _complete(source: Source, found: Sequence[str]) -> None:
    if missing := [name for name in source.columns if name not in found]:
        named = [name for name in found if name in source.columns] if are_withheld() else found
        raise ColumnsMissing(missing, named)  # the first line of a CSV file without names is a row
    if doubled := [name for name in source.columns if found.count(name) > 1]:
        raise BadRows(source.path, f"it has two columns named {doubled[0]}")


@contextmanager
def _readable(path: Path, names: Sequence[str] = ()) -> Iterator[None]:
    with disk("read", str(path)):
        try:
            yield
        except pa.ArrowInvalid as error:
            raise BadRows(path, _sentence(error, names)) from error
        except pa.ArrowException as error:
            raise BadRows(path, foreign(error)) from error
        except OSError as error:
            if error.errno is None:  # Arrow's word for bytes that are no Parquet
                raise BadRows(path, foreign(error)) from error
            raise


def _sentence(error: pa.ArrowInvalid, names: Sequence[str]) -> str:
    """Arrow's words, with a column's name for its number; where words are withheld, those before a value."""

    def name(found: re.Match[str]) -> str:
        index = int(found[1])
        return f'column "{names[index]}"' if index < len(names) else found[0]

    lines = str(error).splitlines()
    first = lines[0] if lines else "it is broken"
    if "straddling" in first:
        return f"a row is longer than {BLOCK_BYTES >> 20} MiB"
    if are_withheld():
        place = _BEFORE_A_VALUE.match(first)
        first = f"{place[0]} {foreign(error)}" if place else foreign(error)
    return re.sub(r"CSV column #(\d+)", name, first)
