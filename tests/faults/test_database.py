"""PostgreSQL is too slow, cuts the connection, or dies in the middle of a COPY: what was half read is nowhere."""

import os
import signal
from contextlib import closing, suppress
from pathlib import Path

import psycopg2
import pytest

from refit.core import keys
from refit.core.addresses import file_url
from refit.demo.postgres import server
from tests.faults.case import FIRST, SECOND, THIRD, Case, edited, failed_as
from tests.faults.gates import wait_until
from tests.fixtures import invariants, loans
from tests.fixtures.forked import Done
from tests.fixtures.postgres import execute

SLOW = "SELECT loans.* FROM loans WHERE loan_id < 2000 OR NOT EXISTS (TABLE slow) OR pg_sleep(0.1) IS NOT NULL"
"""Its first rows come at once, the others after minutes as long as table slow has a row."""


def make_slow(case: Case) -> None:
    case.sql("CREATE TABLE slow AS SELECT true")


def is_in_mid_copy(case: Case) -> bool:
    with closing(psycopg2.connect(case.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT max(tuples_processed) FROM pg_stat_progress_copy WHERE datname = current_database()")
        found = cursor.fetchone()
    return found is not None and (found[0] or 0) > 100


def nothing_was_read(case: Case, done: Done) -> None:
    """No manifest and no part, so that the next run reads on from where the one before stood."""
    assert done.outcome is not None
    assert done.outcome.run_id is not None
    assert not case.store.exists(keys.manifest(done.outcome.run_id, "extract"))
    assert not list(case.store.list(f"data/{done.outcome.run_id}/"))


def test_a_statement_that_takes_too_long_names_the_limit(case: Case) -> None:
    make_slow(case)
    file = edited(source={"query": SLOW, "statement_timeout": "1s"})
    words = ("statement timeout", "source.statement_timeout is 1 s", "raise source.statement_timeout")
    done = case.refused(75, "dependency StatementTimeout", *words, file=file, retry_seconds=())
    nothing_was_read(case, done)
    case.good()


def test_a_connection_cut_in_mid_copy_costs_an_attempt(case: Case) -> None:
    make_slow(case)
    going_on = case.start(file=edited(source={"query": SLOW}))
    wait_until(lambda: is_in_mid_copy(case), "the first rows have come")
    case.sql("DELETE FROM slow", "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_copy")
    outcome = going_on.done().outcome
    assert outcome is not None
    assert outcome.outcome == "promoted"
    assert outcome.steps["extract"].attempts == 2
    assert outcome.rows.read == (SECOND - 21) * loans.ROWS_PER_DAY
    assert len([found for found in case.store.list(f"data/{outcome.run_id}/") if "part-" in found.key]) == 1
    invariants.check(case.store)


@pytest.mark.timeout(120)
def test_a_server_killed_in_mid_copy_leaves_nothing_and_is_read_again_when_it_is_back(tmp_path: Path) -> None:
    state, scratch = tmp_path / "state", tmp_path / "scratch"
    scratch.mkdir()
    case = Case("", file_url(tmp_path / "store"), scratch)
    with server(state) as case.dsn:
        loans.load(case.dsn)
        case.good(days=FIRST)
        before = case.champion_body
        make_slow(case)
        execute(case.dsn, "CHECKPOINT")  # its own disk is not what this is about
        going_on = case.start(file=edited(source={"query": SLOW}))
        wait_until(lambda: is_in_mid_copy(case), "the first rows have come")
        kill_all(case.dsn)
        done = going_on.done()
    failed_as(done, 75, "dependency DatabaseAway", "the database")
    assert done.outcome is not None
    assert done.outcome.steps["extract"].attempts == 3
    nothing_was_read(case, done)
    assert case.champion_body == before
    invariants.check(case.store)
    with server(state) as case.dsn:
        case.good(days=THIRD)


def kill_all(dsn: str) -> None:
    """SIGKILL for the server and all its processes, at once."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        found = cursor.fetchone()
    assert found is not None
    postmaster = int(Path(found[0], "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for process in (postmaster, *map(int, children)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
