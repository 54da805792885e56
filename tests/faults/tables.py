"""Tables that no one would make on purpose, and files that may or may not fit them. Everything follows from a seed."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg2
import yaml

from tests.fixtures import loans

Draw = np.random.Generator
DAYS = 70
WORDS = (
    "",
    " ",
    "N",
    "S",
    "NULL",
    "\\N",
    'say "x"',
    "naïve ☃",
    "a\nb",
    "'; DROP TABLE x; --",
    "x" * 3000,
    "1e5",
    "\u202eabc",
)
NUMBERS = (0.0, 1.0, -1.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf"))


@dataclass(frozen=True)
class Kind:
    """A type of PostgreSQL and how its values are drawn."""

    sql: str
    value: Callable[[Draw], Any]


def _odd(draw: Draw, usual: Callable[[Draw], Any], odd: tuple[Any, ...], share: float = 0.02) -> Any:
    return odd[int(draw.integers(len(odd)))] if draw.random() < share else usual(draw)


def _instant(draw: Draw) -> datetime:
    return loans.START + timedelta(days=float(draw.uniform(0, DAYS)))


KINDS = (
    Kind("integer", lambda draw: int(draw.integers(-5, 50))),
    Kind("bigint", lambda draw: _odd(draw, lambda d: int(d.integers(0, 9)), (2**63 - 1, -(2**63)))),
    Kind("double precision", lambda draw: _odd(draw, lambda d: float(d.normal()), NUMBERS)),
    Kind("real", lambda draw: float(np.float32(draw.normal()))),
    Kind("numeric(12,2)", lambda draw: round(float(draw.normal()) * 100, 2)),
    Kind("numeric", lambda draw: _odd(draw, lambda d: int(d.integers(9)), ("NaN", "1e30", "0.1234567890123456789"))),
    Kind("boolean", lambda draw: bool(draw.random() < 0.4)),
    Kind("text", lambda draw: _odd(draw, lambda d: "abcd"[int(d.integers(4))], WORDS, 0.1)),
    Kind("date", lambda draw: _odd(draw, lambda d: _instant(d).date(), ("infinity", "0001-01-01 BC", "20000-01-01"))),
    Kind("timestamptz", lambda draw: _odd(draw, _instant, ("-infinity", "infinity"))),
    Kind("timestamp", lambda draw: _instant(draw).replace(tzinfo=None)),
    Kind("uuid", lambda draw: f"00000000-0000-0000-0000-{int(draw.integers(10**6)):012d}"),
    Kind("jsonb", lambda draw: '{"a": [1, null]}'),
    Kind("integer[]", lambda draw: "{1,NULL,3}"),
    Kind("bytea", lambda draw: b"\x00\xff"),
)
CURSORS = (KINDS[9], KINDS[10], KINDS[8])
ESTIMATORS = {
    "binary": ("sklearn.linear_model.LogisticRegression", "sklearn.tree.DecisionTreeClassifier"),
    "multiclass": ("sklearn.linear_model.LogisticRegression", "sklearn.naive_bayes.GaussianNB"),
    "regression": ("sklearn.linear_model.Ridge", "sklearn.tree.DecisionTreeRegressor"),
}


def pick(draw: Draw, of: tuple[Any, ...]) -> Any:
    return of[int(draw.integers(len(of)))]


def make(dsn: str, seed: int) -> bytes:
    """Table `fuzz` stands anew; returns a file about it."""
    draw = np.random.default_rng(seed)
    cursor, features = pick(draw, CURSORS), [pick(draw, KINDS) for _ in range(int(draw.integers(0, 5)))]
    target, rows = pick(draw, KINDS[:8]), int(pick(draw, (0, 30, 300, 1200, 1200, 1200)))
    columns = [("id", Kind("bigint", lambda d: 0)), ("at", cursor), ("y", target)]
    columns += [(f"f{number}", kind) for number, kind in enumerate(features)]
    shares = (0.0, 0.0, 0.0, 0.05, 0.05)
    nulls = {name: float(pick(draw, (*shares, 1.0 if name[0] == "f" else 0.3))) for name, _ in columns[1:]}
    signal = int(pick(draw, (0, 0, 1, 2)))  # a feature that the target follows, so that some models are promoted
    if signal:
        columns.append(("signal", Kind("double precision", lambda d: float(d.normal()))))
        nulls["signal"] = 0.0
    doubled = float(pick(draw, (0.0, 0.0, 0.2)))
    body = []
    for number in range(rows):
        key = number if draw.random() >= doubled else int(draw.integers(number + 1))
        cells = [None if draw.random() < nulls[name] else kind.value(draw) for name, kind in columns[1:]]
        if signal and cells[1] is not None:
            cells[1] = _following(target, float(cells[-1] or 0) * signal + float(draw.normal()) * 0.5)
        body.append((key, *cells))
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as sql:
        sql.execute("DROP TABLE IF EXISTS fuzz")
        sql.execute(f"CREATE TABLE fuzz ({', '.join(f'{name} {kind.sql}' for name, kind in columns)})")
        if body:
            sql.executemany(f"INSERT INTO fuzz VALUES ({', '.join(['%s'] * len(columns))})", body)
    return _file(draw, columns)


def _following(target: Kind, level: float) -> Any:
    """A value of the target's type that rises with the level."""
    match target.sql:
        case "boolean":
            return level > 0
        case "text":
            return "low" if level < 0 else "high"
        case "integer" | "bigint":
            return int(level > 0)
        case _:
            return round(level, 2)


def _file(draw: Draw, columns: list[tuple[str, Kind]]) -> bytes:
    features, target = [name for name, _ in columns[3:]], columns[2][1].sql
    fits = "regression" if target in ("double precision", "real", "numeric(12,2)", "numeric") else "binary"
    task = fits if draw.random() < 0.7 else pick(draw, tuple(ESTIMATORS))
    sections: dict[str, Any] = {
        "apiVersion": "refit/v1",
        "name": "fuzz",
        "source": {"query": "SELECT * FROM fuzz", "key": ["id"], "cursor": "at", "min_new_rows": 1},
        "target": "y",
        "task": task,
        "model": {"estimator": pick(draw, ESTIMATORS[task])},
        "evaluate": {"min_clean_rows": 50},
        "on_bad_row": {"max_fraction": float(pick(draw, (0.01, 0.5, 0.5)))},
    }
    loose = [name for name, kind in columns if kind.sql == "numeric" and draw.random() < 0.8]
    sections["columns"] = {name: {"type": "float"} for name in loose}
    if draw.random() < 0.3:
        sections["split"] = {"kind": "hash", "holdout": 0.3}
    if draw.random() < 0.3:
        sections["window"] = {"kind": "rolling", "length": "30d"}
    if features and draw.random() < 0.3:
        declared = str(pick(draw, ("string", "float", "integer")))
        sections["columns"][features[0]] = {"type": declared, "nullable": False}
    if features and draw.random() < 0.3:
        sections["features"] = {"categorical": {"columns": [features[-1]], "min_frequency": 1}}
    return yaml.safe_dump(sections).encode()
