"""Columns of which no value leaves the parts: canaries are planted, and every other object is searched for them."""

import io
import re
import struct
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from refit.core.logs import WITHHELD
from refit.core.store import ObjectStore
from tests.faults.case import FIRST, Case, edited
from tests.fixtures.forked import Done
from tests.fixtures.own_package import put_on_path, write_package

WORDS = ("canary", "CANARY")
KEPT, BROKEN = 61234567.125, 71234567.125
QUERY = """\
SELECT *, 'canary-' || loan_id || '@example.org' AS email,
  CASE WHEN loan_id % 400 = 3 THEN 'canary! ' ELSE 'CANARY ' END || loan_id AS note
FROM loans"""
COLUMNS: dict[str, Any] = {
    "email": {"sensitive": True},
    "note": {"sensitive": True, "pattern": "CANARY [0-9]+"},
    "income": {"sensitive": True, "max": 70_000_000},
}
FILE = edited(
    source={"query": QUERY, "key": ["loan_id", "email"]},
    columns=COLUMNS,
    split={"by": ["email"]},
    features={"numeric": {"columns": ["income", "amount"]}, "categorical": {"columns": ["region"]}},
)
IN_PARTS = re.compile(r"data/.*/(part-\d+|updates)\.parquet")


def unpacked(key: str, body: bytes) -> Iterator[bytes]:
    """The body, and what is compressed in it."""
    yield body
    if key.endswith(".parquet"):
        yield repr(pq.read_table(io.BytesIO(body)).to_pylist()).encode()
    if key.endswith(".skops"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            yield from (archive.read(member) for member in archive.namelist())


def leaks(store: ObjectStore) -> list[str]:
    """The keys of all objects outside the parts that hold a canary, but for the file, which its author wrote."""
    marks = [word.encode() for word in (*WORDS, "71234567", "61234567", "7.1234567", "6.1234567")]
    marks += [struct.pack(order, number) for order in ("<d", ">d") for number in (KEPT, BROKEN)]
    found = []
    for listed in store.list(""):
        if not IN_PARTS.fullmatch(listed.key) and not listed.key.endswith("/refit.yaml"):
            pieces = unpacked(listed.key, store.get(listed.key))
            found += [listed.key for piece in pieces if any(mark in piece for mark in marks)]
    return found


def keeps_quiet(case: Case, done: Done) -> None:
    assert leaks(case.store) == []
    assert not any(word in repr(done) for word in (*WORDS, "71234567", "61234567"))


def test_the_parts_hold_the_canaries_and_nothing_else_does(empty: Case) -> None:
    empty.sql(
        f"UPDATE loans SET income = {BROKEN} WHERE loan_id = 1500",
        f"UPDATE loans SET income = {KEPT} WHERE loan_id % 10 = 1 AND loan_id > 1120",
        "UPDATE loans SET applied_at = NULL WHERE loan_id = 20",
    )
    done = empty.run(days=FIRST, file=FILE)
    assert done.outcome is not None
    assert done.code == 0, done
    assert done.outcome.rows.quarantined == 5 + 2
    keeps_quiet(empty, done)
    rows = empty.rows(done.outcome, "email", "note", "income", file=FILE)
    assert {f"canary-{number}@example.org" for number in (700, 1131)} <= {email for email, _, _ in rows}
    assert sum(income == KEPT for _, _, income in rows) == 56
    assert leaks_with_parts(empty.store)


def leaks_with_parts(store: ObjectStore) -> bool:
    """Whether the search finds what is there: the parts are searched as all else."""
    parts = [listed.key for listed in store.list("data/") if IN_PARTS.fullmatch(listed.key)]
    return any(struct.pack("<d", KEPT) in piece for key in parts for piece in unpacked(key, store.get(key))) or any(
        b"canary-700@" in piece for key in parts for piece in unpacked(key, store.get(key))
    )


def test_what_a_model_said_is_kept_without_the_sensitive_column_that_it_takes(empty: Case) -> None:
    done = empty.run(days=FIRST, file=FILE)
    assert done.outcome is not None
    train, evaluate = empty.train_of(done.outcome), empty.evaluate_of(done.outcome)
    assert evaluate.predictions is not None
    assert train.columns == ("income", "amount", "region")
    kept = pq.read_table(io.BytesIO(empty.store.get(evaluate.predictions.key)))
    assert kept.schema.names == ["amount", "region", "prediction", "probability_0", "probability_1"]


CASE = "CASE WHEN loan_id = 700 THEN 'canary' ELSE '1' END"
NAN = "SELECT *, CASE WHEN loan_id % 100 = 7 THEN 'NaN' ELSE amount END AS loss FROM (" + QUERY + ") AS canaries"
RAISES = (
    "CREATE FUNCTION said(words text) RETURNS int AS $$ BEGIN RAISE EXCEPTION 'no %', words; END $$ LANGUAGE plpgsql"
)
FAILURES: dict[str, tuple[str, dict[str, Any]]] = {
    "a bad row ends the run": ("data BadRowFound", {"on_bad_row": {"action": "fail"}}),
    "too many bad rows": ("data TooManyBadRows", {"on_bad_row": {"max_fraction": 0.0}}),
    "an infinite target": (
        "data TargetNotFinite",
        {
            "source": {"query": NAN},
            "target": "loss",
            "task": "regression",
            "model": {"estimator": "sklearn.linear_model.Ridge"},
        },
    ),
    "a cast": ("data RowsUnreadable", {"source": {"query": QUERY.replace("*,", f"*, ({CASE})::int AS number,")}}),
    "a function that raises": ("config QueryRefused", {"source": {"query": QUERY.replace("*,", "*, said('CANARY'),")}}),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_tells_no_value(empty: Case, name: str) -> None:
    kind, changes = FAILURES[name]
    empty.sql(RAISES)
    code = 65 if kind.startswith("data") else 64
    keeps_quiet(empty, empty.refused(code, kind, file=edited(FILE, **changes), days=FIRST))


def test_what_a_pipeline_without_sensitive_columns_says_is_not_cut(empty: Case) -> None:
    empty.sql(RAISES)
    file = edited(source={"query": QUERY.replace("*,", "*, said('CANARY'),")})
    empty.refused(64, "config QueryRefused", "no CANARY", file=file, days=FIRST)
    assert leaks(empty.store)


NAMED = {"numeric": {"columns": ["income", "amount"], "scale": "none"}}


def talker(**model: Any) -> bytes:
    """Always promoted: what its model tells is what matters."""
    return edited(
        columns={"income": {"sensitive": True}},
        features=NAMED,
        model={"estimator": "acmebank.models.Talker"} | model,
        evaluate={"gate": [{"score": "roc_auc", "min": 0.5}]},
    )


@pytest.fixture
def own(tmp_path: Path, empty: Case) -> partial[None]:
    """Its package is on the path; incomes of training rows, held-out rows and of all that follow are canaries."""
    empty.sql(f"UPDATE loans SET income = {KEPT} WHERE loan_id % 100 = 1")
    return partial(put_on_path, str(write_package(tmp_path / "packages")))


def logged(case: Case, step: str) -> str:
    keys = [listed.key for listed in case.store.list("runs/") if f"/{step}-" in listed.key]
    return "".join(case.store.get(key).decode() for key in keys)


def test_warnings_of_own_code_are_told_without_their_words(empty: Case, own: partial[None]) -> None:
    search = {"n_iter": 2, "cv": 2, "space": {"C": [0.5, 1.0]}}
    done = empty.run(days=FIRST, file=talker(search=search), begin=own)
    assert done.code == 0, done
    keeps_quiet(empty, done)
    for step in ("train", "evaluate"):  # in a worker's trials, and on held-out rows
        assert re.search(r"models\.py:\d+: UserWarning: " + re.escape(WITHHELD), logged(empty, step))


def test_what_a_file_called_sensitive_once_is_withheld_where_its_model_is_compared(
    empty: Case, own: partial[None]
) -> None:
    empty.good(days=FIRST, file=talker(), begin=own)
    assert empty.run(days=FIRST + 7, file=edited(talker(), columns=None), begin=own).code == 0
    assert "it is asked about np.float64" in logged(empty, "train")
    assert "it is asked about np.float64" not in logged(empty, "evaluate")


def test_own_code_that_fails_on_held_out_rows_quotes_no_value(empty: Case, own: partial[None]) -> None:
    empty.sql(f"UPDATE loans SET income = income * 2 WHERE loan_id > {40 * (FIRST - 5)} AND loan_id % 100 = 1")
    file = talker(params={"limit": KEPT + 1})
    done = empty.refused(64, "config OwnCodeFails", "models.py", "LookupError", days=FIRST, file=file, begin=own)
    keeps_quiet(empty, done)
