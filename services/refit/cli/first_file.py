"""The first pipeline file for a table: what its columns suggest, with the doubts as comments. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import yaml

from refit.core.config import Task
from refit.core.errors import ConfigError
from refit.extract.survey import Table, TableColumn

MOST_CLASSES: Final = 20
WIDE: Final = 200
_INSTANTS: Final = ("timestamp with time zone", "timestamp without time zone", "date")
_CHANGED: Final = re.compile(r"(updat|modif|chang|load|ingest|arriv|land)")
_BORN: Final = re.compile(r"(creat|insert|_at$|_on$|time|date)")
_ESTIMATORS: Final[dict[Task, str]] = {
    "binary": "sklearn.linear_model.LogisticRegression",
    "multiclass": "sklearn.linear_model.LogisticRegression",
    "regression": "sklearn.linear_model.Ridge",
}


class Unclear(ConfigError):
    """The table does not say what the file must."""


@dataclass(frozen=True)
class Wanted:
    """What the user said; None: to be found."""

    target: str
    key: tuple[str, ...] | None = None
    cursor: str | None = None
    name: str | None = None


def first_file(table: Table, wanted: Wanted) -> str:
    """A commented file that refit accepts.

    Raises:
        Unclear: the target is no column, or key or cursor are neither told nor found.
    """
    columns = {column.name: column for column in table.columns}
    for role, names in (("target", [wanted.target]), ("key", wanted.key or ()), ("cursor", [wanted.cursor or ""])):
        for name in filter(None, names):
            if name not in columns:
                raise Unclear(f"{table.name} has no column {name} for the {role}", next=f"it has {', '.join(columns)}")
    key, cursor = wanted.key or table.key, wanted.cursor or next(iter(cursors(table)), None)
    if not key:
        raise Unclear(
            f"{table.name} has no primary key and no unique index, so nothing says what one row is",
            next="name the columns that identify a row: --key a,b",
        )
    if cursor is None:
        raise Unclear(
            f"{table.name} has no column of type timestamp or date, so nothing says which rows are new",
            next="add one, or use a view that has one; it may be named by --cursor",
        )
    return "\n".join(_lines(table, wanted, columns, key, cursor)) + "\n"


def cursors(table: Table) -> list[str]:
    """The columns that may tell which rows are new, the likeliest first."""

    def place(column: TableColumn) -> tuple[bool, bool, bool, bool]:
        lower = column.name.lower()
        return not _CHANGED.search(lower), not _BORN.search(lower), not column.indexed, column.nullable

    return [column.name for column in sorted(filter(_is_instant, table.columns), key=place)]


def task_of(column: TableColumn) -> Task:
    """What the target's type and values suggest."""
    if column.type == "boolean" or column.distinct == 2:
        return "binary"
    if column.most is None or (column.distinct <= MOST_CLASSES and not column.type.startswith(("real", "double"))):
        return "multiclass"
    return "regression"


def _lines(
    table: Table, wanted: Wanted, columns: dict[str, TableColumn], key: Sequence[str], cursor: str
) -> Iterator[str]:
    others, target = [name for name in cursors(table) if name != cursor], columns[wanted.target]
    task = task_of(target)
    rows = "" if table.rows is None else f", about {table.rows:,} rows"
    yield f"# Made by refit init from {table.name}{rows}. refit check {{}} --connect tries it; every key: docs/file.md."
    yield "apiVersion: refit/v1"
    yield f"name: {wanted.name or pipeline_name(table.name)}"
    yield '# schedule: {cron: "0 5 * * 1", timezone: Etc/UTC}'
    yield "source:"
    yield "  query: |"
    yield f"    SELECT {', '.join(column.quoted for column in table.columns)}"
    yield f"    FROM {table.name}"
    yield f"  key: {_flow(list(key))}"
    yield f"  cursor: {_flow(cursor)}{_hint('a row is new when this is; could also be ', others)}"
    if columns[cursor].nullable:
        yield f"  # {cursor} may be NULL: rows without it go to quarantine, and are seen on a fresh start only"
    if not columns[cursor].indexed:
        yield f"  # no index begins with {cursor}: each run scans the table"
    if columns[cursor].type == "date":
        yield "  lag: 1d                        # a date: the rest of a day's rows comes after its midnight"
    yield "columns:                         # a row that breaks this goes to quarantine"
    for name, column in columns.items():
        yield f"  {_flow(name)}: {_flow(_contract(column, name in (*key, cursor)))}  # {column.type}{_range(column)}"
    yield f"target: {_flow(wanted.target)}"
    found = f"{target.distinct:,} values in {table.sampled:,} rows"
    yield f"task: {task}  # {target.type} with {found}"
    if target.nullable:
        yield f"# rows where {wanted.target} is NULL are unlabelled: kept, counted, and not trained on"
    yield "# features: auto                # numbers: median, standard; strings: one-hot; or a block of your own"
    yield "model:"
    yield f"  estimator: {_ESTIMATORS[task]}"
    if task != "regression":
        yield "  params: {max_iter: 1000}"


def pipeline_name(table: str) -> str:
    """A DNS label of at most 28 characters after the table's name."""
    last = table.rpartition(".")[2].strip('"').lower()
    return re.sub(r"[^a-z0-9]+", "-", last).strip("-")[:28].strip("-") or "model"


def _is_instant(column: TableColumn) -> bool:
    return re.sub(r"\(\d\)", "", column.type) in _INSTANTS


def _contract(column: TableColumn, required: bool) -> dict[str, object]:
    contract: dict[str, object] = {}
    if column.type == "numeric":
        contract["type"] = "float"
    if required or not column.nullable:
        contract["nullable"] = False
    return contract


def _range(column: TableColumn) -> str:
    if column.least is not None and column.most is not None:
        return f", {column.least:g} to {column.most:g}"
    return f", {column.distinct:,} values" if column.distinct <= WIDE else ""


def _hint(text: str, names: Sequence[str]) -> str:
    return f"  # {text}{', '.join(names)}" if names else ""


def _flow(value: object) -> str:
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True).removesuffix("\n...\n").strip()
    )
