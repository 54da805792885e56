"""Bad input and broken worlds: the exit code, words that say what, which and what next, and nothing moved."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import stamina

from refit.core import effects, keys
from refit.core.domain import ExtractManifest, SnapshotRef
from refit.core.errors import RefitError
from refit.core.refs import read_ref
from refit.extract import faults
from refit.extract.columns import ColumnRetyped, UndeclaredNumeric
from refit.extract.describe import ColumnGone, DoubledColumn, UnusableCursor
from refit.extract.quarantine import BadRowFound, TooManyBadRows
from refit.extract.read import TargetNotFinite
from refit.extract.statement import UnusableQuery
from refit.extract.step import settle
from tests.integration.extract.conftest import Bench, day


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


def refused(bench: Bench, kind: type[RefitError], code: int, words: str) -> RefitError:
    """The extract fails this way, and nothing moved."""
    with pytest.raises(kind, match=words) as caught:
        bench.extract(day(5))
    assert caught.value.exit_code == code and caught.value.next
    assert read_ref(bench.store, "snapshot", SnapshotRef) is None
    return caught.value


# --- the connection -----------------------------------------------------------


@pytest.mark.parametrize(
    ("dsn", "kind", "code", "words"),
    [
        pytest.param("nonsense hunter2", faults.BadDsn, 64, "not one that PostgreSQL's client can read", id="no DSN"),
        pytest.param("postgresql://u:hunter2%zz@h/d", faults.BadDsn, 64, "not one that PostgreSQL's", id="bad escape"),
        pytest.param(
            "host=h port=many password=hunter2", faults.BadDsn, 64, "connection string is wrong", id="bad port"
        ),
        pytest.param("host=127.0.0.1 port=1 password=hunter2", faults.DatabaseAway, 75, "refused", id="refused"),
        pytest.param(
            "host=nowhere.invalid password=hunter2", faults.DatabaseAway, 75, "nowhere.invalid", id="no such host"
        ),
    ],
)
def test_connection_strings(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, dsn: str, kind: type[RefitError], code: int, words: str
) -> None:
    monkeypatch.setenv("REFIT_SOURCE_DSN", dsn)
    found: BaseException | None = refused(bench, kind, code, words)
    while found is not None:
        assert "hunter2" not in str(found)
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def test_wrong_password_fails_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = psycopg2.extensions.parse_dsn(bench.dsn)
    monkeypatch.setenv("REFIT_SOURCE_DSN", psycopg2.extensions.make_dsn(**parsed | {"password": "hunter2"}))
    assert "hunter2" not in str(refused(bench, faults.LoginRefused, 77, "password authentication failed"))


def test_unknown_database_is_a_fault_of_the_connection_string(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = psycopg2.extensions.parse_dsn(bench.dsn)
    monkeypatch.setenv("REFIT_SOURCE_DSN", psycopg2.extensions.make_dsn(**parsed | {"dbname": "nowhere"}))
    refused(bench, faults.BadDsn, 64, 'database "nowhere" does not exist')


def test_a_file_may_hold_the_connection_string(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REFIT_SOURCE_DSN")
    refused(bench, faults.BadDsn, 64, "neither REFIT_SOURCE_DSN nor REFIT_SOURCE_DSN_FILE is set")
    monkeypatch.setenv("REFIT_SOURCE_DSN_FILE", str(tmp_path / "dsn"))
    refused(bench, faults.BadDsn, 64, "cannot be read")
    (tmp_path / "dsn").write_text("\n")
    refused(bench, faults.BadDsn, 64, "is empty")
    (tmp_path / "dsn").write_text(bench.dsn + "\n")
    bench.insert([(1, day(1), True, 1.0)])
    assert bench.extract(day(5)).rows.read == 1


# --- the query ----------------------------------------------------------------


GONE = 'column "y" is gone.*\n  expected  y: any type \\(target\\)\n  found     id, at$'
QUERIES: dict[str, tuple[str, type[RefitError], int, str]] = {
    "table": ("SELECT * FROM nowhere", faults.UnknownRelation, 65, 'a table is gone: relation "nowhere"'),
    "column": ("SELECT nothing FROM events", faults.UnknownRelation, 65, 'column "nothing" does not exist'),
    "syntax": ("SELECT *\nFORM events", faults.QueryRefused, 64, r"syntax error .*line 2 of source"),
    "function": ("SELECT f(1)", faults.QueryRefused, 64, "function f"),
    "two statements": ("SELECT 1; SELECT 2", UnusableQuery, 64, "more than one statement"),
    "delete": ("DELETE FROM events", UnusableQuery, 64, "only a SELECT"),
    "writes": ("SELECT *, nextval('s') AS n FROM events", faults.QueryRefused, 64, "query writes"),
    "division": ("SELECT *, 1 / (id - 1) AS z FROM events", faults.RowsUnreadable, 65, "division by zero"),
    "doubled column": ("SELECT *, id FROM events", DoubledColumn, 65, "more than one column id"),
    "numeric": ("SELECT id, at, y, 1::numeric AS x FROM events", UndeclaredNumeric, 65, 'column "x" is numeric'),
    "cursor": ("SELECT id, x AS at, y FROM events", UnusableCursor, 64, '"at" is double precision'),
    "target": ("SELECT id, at FROM events", ColumnGone, 65, GONE),
}


@pytest.mark.parametrize("case", QUERIES)
def test_queries(bench: Bench, case: str) -> None:
    query, kind, code, words = QUERIES[case]
    bench.execute("CREATE SEQUENCE s")
    bench.insert([(1, day(1), True, 1.0)])
    bench.file["source"]["query"] = query
    refused(bench, kind, code, words)


def test_forbidden_table(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.execute(
        "DROP ROLE IF EXISTS stranger",
        "CREATE ROLE stranger LOGIN PASSWORD 'hunter2'",
    )
    parsed = psycopg2.extensions.parse_dsn(bench.dsn)
    dsn = psycopg2.extensions.make_dsn(**parsed | {"user": "stranger", "password": "hunter2"})
    monkeypatch.setenv("REFIT_SOURCE_DSN", dsn)
    refused(bench, faults.ReadForbidden, 77, "permission denied for table events")


def test_declared_column_gone_and_retyped(bench: Bench) -> None:
    bench.file["columns"] = {"temp": {"type": "float"}}
    refused(bench, ColumnGone, 65, "\n  expected  temp: float, nullable\n  found     id, at, y, x$")
    bench.execute("ALTER TABLE events ADD temp text")
    refused(bench, ColumnRetyped, 65, 'column "temp" is now text in the query\'s result\n  expected  temp: float\n')


def test_statement_timeout_names_the_limit(bench: Bench) -> None:
    bench.file["source"] |= {"query": "SELECT *, pg_sleep(3) AS s FROM events", "statement_timeout": "1s"}
    bench.insert([(1, day(1), True, 1.0)])
    refused(bench, faults.StatementTimeout, 75, "source.statement_timeout is 1 s")


# --- bad rows -----------------------------------------------------------------


def test_bad_rows_are_kept_with_their_reason(bench: Bench) -> None:
    import pyarrow.parquet as pq

    bench.file |= {"columns": {"x": {"max": 100}}, "on_bad_row": {"max_fraction": 0.5}}
    bench.insert([(n, day(1), True, 1.0) for n in range(10)])
    bench.insert([(None, day(2), True, 1.0), (20, None, True, 1.0), (21, day(3), False, 101.0)])
    manifest = bench.extract(day(5))
    assert (manifest.rows.read, manifest.rows.quarantined, manifest.rows.snapshot) == (13, 3, 10)
    assert manifest.quarantine_reasons == {
        "id: is NULL in the key": 1,
        "at: is NULL, and is the cursor": 1,
        "x: is not at most 100": 1,
    }
    assert manifest.snapshot is not None and manifest.snapshot.watermark == day(3)  # it is not read again
    stored = manifest.snapshot.batches[0].quarantine
    assert stored is not None
    rows = pq.read_table(bench.context(day(5)).fetch(stored)).to_pylist()
    assert rows[2] == {
        "reason": "x: is not at most 100",
        "key": '{"id": "21"}',
        "cursor": day(3),
        "row": '{"id": "21", "at": "2020-01-04T00:00:00+00:00", "y": "False", "x": "101.0"}',
    }
    assert bench.extract(day(6)).rows.read == 0


def test_too_many_bad_rows_name_the_top_reasons(bench: Bench) -> None:
    bench.file["columns"] = {"x": {"max": 2}, "y": {"nullable": False}}
    bench.insert([(n, day(1), None if n < 3 else True, float(n)) for n in range(10)])
    error = refused(bench, TooManyBadRows, 65, r"10 of the 10|of the 10 rows read now break the contract")
    assert "10 of the 10 rows read now" in error.message and "100.00%" in error.message
    assert "\n          7 × x: is not at most 2\n          3 × y: is NULL" in error.message


def test_bad_rows_may_end_the_run_at_once(bench: Bench) -> None:
    bench.file |= {"columns": {"x": {"max": 2}}, "on_bad_row": {"action": "fail"}}
    bench.insert([(7, day(1), True, 3.0)])
    refused(bench, BadRowFound, 65, r'key \{"id": "7"\} breaks the contract: x: is not at most 2')


@pytest.mark.parametrize("value", ["'NaN'", "'Infinity'", "'-Infinity'"])
def test_a_target_that_is_no_truth_is_a_data_error_without_values(bench: Bench, value: str) -> None:
    bench.file |= {"target": "x", "task": "regression"}
    bench.execute(f"INSERT INTO events SELECT i, '2020-01-01', true, {value} FROM generate_series(1, 7) i")
    bench.insert([(8, day(1), True, None), (9, day(1), True, 1.0)])
    error = refused(bench, TargetNotFinite, 65, 'target "x" is NaN or infinite in 7 rows; first keys: 1, 2, 3, 4, 5$')
    assert "NULL" in error.next


def test_unlabelled_rows_are_kept_and_are_not_bad(bench: Bench) -> None:
    bench.insert([(n, day(1), None, 1.0) for n in range(50)] + [(99, day(1), True, 1.0)])
    manifest = bench.extract(day(5))
    assert (manifest.rows.quarantined, manifest.rows.unlabelled, manifest.rows.snapshot) == (0, 50, 51)


# --- broken worlds ------------------------------------------------------------


def backends(bench: Bench, call: str) -> list[Any]:
    with closing(psycopg2.connect(bench.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {call} FROM pg_stat_activity WHERE application_name LIKE 'refit/events/%' AND query LIKE 'COPY%'"
        )
        return cursor.fetchall()


def when_copying(bench: Bench, call: str) -> threading.Thread:
    """Does `call` to the backend once the COPY has run for a moment."""

    def run() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not backends(bench, "pid"):
            time.sleep(0.02)
        time.sleep(0.2)
        backends(bench, call)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("call", "kind"),
    [("pg_terminate_backend(pid)", faults.DatabaseAway), ("pg_cancel_backend(pid)", faults.StatementTimeout)],
    ids=["terminated", "cancelled"],
)
def test_a_database_that_goes_away_in_mid_stream(bench: Bench, call: str, kind: type[RefitError]) -> None:
    bench.execute(
        "INSERT INTO events SELECT i, '2020-01-01', true, 1 FROM generate_series(1, 40000) i",
    )
    bench.file["source"]["query"] = "SELECT *, CASE WHEN id > 30000 THEN pg_sleep(0.01) END AS s FROM events"
    thread = when_copying(bench, call)
    refused(bench, kind, 75, ".")
    thread.join()
    assert list(bench.store.list("runs/")) != [] and not [
        one.key for one in bench.store.list("runs/") if one.key.endswith("extract.json")
    ]


def test_a_replicas_conflict_is_read_again_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.insert([(n, day(1), True, 1.0) for n in range(5)])
    bench.execute(
        "CREATE TABLE calm (yes bool)",
        "CREATE FUNCTION stand() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN IF NOT EXISTS (SELECT FROM calm) THEN"
        " RAISE EXCEPTION 'conflict with recovery' USING ERRCODE = '40001'; END IF; RETURN 1; END $$",
    )
    bench.file["source"]["query"] = "SELECT *, CASE WHEN id = 4 THEN stand() END AS s FROM events"
    connects: list[str] = []

    def hook(moment: str, name: str) -> None:
        if (moment, name) == ("before", "sql connect"):
            connects.append(name)
            if len(connects) == 2:
                bench.execute("INSERT INTO calm VALUES (true)")

    monkeypatch.setattr(effects, "hook", hook)
    assert bench.extract(day(5)).rows.snapshot == 5 and len(connects) == 2


def test_a_replicas_conflict_that_stays_is_a_dependency_error(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0)])
    bench.execute(
        "CREATE FUNCTION stand() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN"
        " RAISE EXCEPTION 'conflict with recovery' USING ERRCODE = '40001'; END $$",
    )
    bench.file["source"]["query"] = "SELECT *, stand() AS s FROM events"
    refused(bench, faults.ReadConflict, 75, "conflict with recovery")


def test_sigterm_ends_the_step_while_the_database_is_silent(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0)])
    bench.file["source"]["query"] = "SELECT *, pg_sleep(60) AS s FROM events"
    context = bench.context(day(5))
    bench.store.create(keys.run_record(context.run.run_id), context.run.to_json())
    names = {
        "REFIT_STORE": bench.store.url.removesuffix("/events"),
        "REFIT_PIPELINE": "events",
        "REFIT_RUN_ID": context.run.run_id,
    }
    process = subprocess.Popen([sys.executable, "-m", "refit.extract"], env=os.environ | names, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not backends(bench, "pid") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    _, log = process.communicate(timeout=30)
    assert process.returncode == 143, log.decode()
    assert time.monotonic() - started < 8
    deadline = time.monotonic() + 5
    while (left := backends(bench, "pid")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []  # the statement was cancelled


def test_what_the_database_sees(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0)])
    bench.file["source"]["query"] = (
        "SELECT *, current_setting('application_name') AS app, current_setting('transaction_read_only') AS ro,"
        " current_setting('transaction_isolation') AS level, current_setting('timezone') AS zone,"
        " current_setting('statement_timeout') AS timeout FROM events"
    )
    manifest: ExtractManifest = bench.extract(day(5))
    assert bench.rows(manifest, day(5), "app", "ro", "level", "zone", "timeout") == [
        (f"refit/events/{manifest.run_id}", "on", "repeatable read", "UTC", "30min")
    ]
    settle(bench.store, manifest)
