"""The database is wrong, away, or changed under the pipeline: the run says so, and production stays."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.faults.case import FIRST, SECOND, Case, edited
from tests.fixtures import loans
from tests.fixtures.forked import CONNECT_ATTEMPTS

WRONG = "not-the-password"
SOCKET_AWAY = "postgresql://refit:secret-word@/bank?host=/nonexistent"
PORT_AWAY = "postgresql://refit:secret-word@127.0.0.1:1/bank"
NAMED = edited(columns={"income": {"type": "float"}})


def with_password(dsn: str) -> str:
    return re.sub(r":[^:/@]+@", f":{WRONG}@", dsn)


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        pytest.param(lambda dsn: "nothing of the kind", ("connection string",), id="no connection string"),
        pytest.param(lambda dsn: None, ("neither REFIT_SOURCE_DSN nor",), id="none at all"),
        pytest.param(lambda dsn: f"{dsn}&sslmode=loud", ("sslmode",), id="an unknown value"),
        pytest.param(lambda dsn: urlsplit(dsn)._replace(path="/gone").geturl(), ('"gone"',), id="no such database"),
    ],
)
def test_a_wrong_connection_string_is_a_fault_of_the_settings(
    case: Case, dsn: Callable[[str], str | None], words: tuple[str, ...]
) -> None:
    case.refused(64, "config BadDsn", *words, "REFIT_SOURCE_DSN", dsn=dsn(case.dsn))
    assert case.passed.count("before sql connect") <= 1
    case.good()


@pytest.mark.parametrize("dsn", [SOCKET_AWAY, PORT_AWAY], ids=["socket", "port"])
def test_a_database_that_is_away_is_tried_again_and_again(case: Case, dsn: str) -> None:
    done = case.refused(75, "dependency DatabaseAway", "cannot be reached", "check host, port", dsn=dsn)
    assert case.passed.count("before sql connect") == 3 * CONNECT_ATTEMPTS
    assert done.outcome is not None
    assert done.outcome.steps["extract"].attempts == 3
    assert "secret-word" not in repr(done)
    case.good()


def test_a_wrong_password_is_tried_once_and_told_nowhere(case: Case) -> None:
    dsn = with_password(case.dsn)
    done = case.refused(77, "permission LoginRefused", "refuses the login", "REFIT_SOURCE_DSN", dsn=dsn)
    assert case.passed.count("before sql connect") == 1
    assert WRONG not in repr(done)
    stored = [path for path in case.folder.parent.rglob("*") if path.is_file()]
    assert any("logs/extract-1.txt" in str(path) for path in stored)
    assert not [path for path in stored if WRONG.encode() in path.read_bytes()]
    case.good()


@pytest.mark.parametrize(
    ("query", "code", "kind", "words"),
    [
        pytest.param("SELECT * FROM lones", 65, "data UnknownRelation", ('"lones"', "table is gone"), id="table"),
        pytest.param("SELECT *, incme FROM loans", 65, "data UnknownRelation", ("incme", "column is"), id="column"),
        pytest.param("SELECT * FROM old.loans", 65, "data UnknownRelation", ('"old', "restore the"), id="schema"),
        pytest.param("SELECT *\nFRM loans", 64, "config QueryRefused", ("syntax error", "line 2"), id="syntax"),
        pytest.param("SELEC * FROM loans", 64, "config UnusableQuery", ("only a SELECT",), id="no select"),
        pytest.param("SELECT * FROM loans; DROP TABLE loans", 64, "config UnusableQuery", ("more than",), id="two"),
        pytest.param("SELECT nosuch(income), * FROM loans", 64, "config QueryRefused", ("nosuch",), id="function"),
        pytest.param("SELECT 1 / (loan_id - 2000), * FROM loans", 65, "data RowsUnreadable", ("zero",), id="division"),
        pytest.param(
            "SELECT *, nextval('counted') FROM loans", 64, "config QueryRefused", ("the query writes",), id="writes"
        ),
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_read_is_told_by_its_fault(
    case: Case, query: str, code: int, kind: str, words: tuple[str, ...]
) -> None:
    case.sql("CREATE SEQUENCE counted")
    case.refused(code, kind, *words, file=edited(source={"query": query}))
    case.good()


def test_a_table_that_the_user_may_not_read_is_named(case: Case) -> None:
    role = f"reader_{urlsplit(case.dsn).path[1:]}"
    case.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'a-long-word'")
    dsn = re.sub(r"//[^@]+@", f"//{role}:a-long-word@", case.dsn)
    case.refused(77, "permission ReadForbidden", "loans", "GRANT SELECT", dsn=dsn)
    case.sql(f"GRANT SELECT ON loans TO {role}")
    case.good(dsn=dsn)
    case.sql(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.parametrize("column", ["loan_id", "applied_at", "defaulted", "income"])
def test_a_column_of_the_file_that_vanished_is_named_with_what_was_found(case: Case, column: str) -> None:
    case.sql(f"ALTER TABLE loans RENAME {column} TO another")
    words = (f'column "{column}" is gone', "expected", "found", "another")
    case.refused(65, "data ColumnGone", *words, file=NAMED)
    case.sql(f"ALTER TABLE loans RENAME another TO {column}")
    case.good(file=NAMED)


def test_a_column_of_another_type_than_the_file_says_is_named_with_both(case: Case) -> None:
    case.sql("ALTER TABLE loans ALTER income TYPE text")
    words = ('column "income" is now text', "income: float", "cast it")
    case.refused(65, "data ColumnRetyped", *words, file=NAMED)
    case.sql("ALTER TABLE loans ALTER income TYPE double precision USING income::double precision")
    case.good(file=NAMED)


RETYPED = "ALTER income TYPE text USING 'EUR ' || income"


@pytest.mark.parametrize("change", ["DROP income", RETYPED], ids=["vanished", "retyped"])
def test_a_change_of_a_feature_that_only_the_champion_names_makes_a_person_decide(case: Case, change: str) -> None:
    case.sql(f"ALTER TABLE loans {change}")
    outcome = case.awaits("do not have income", "without income it is another model")
    assert any('column "income"' in text for text in outcome.warnings)
    case.promote(outcome.version)
    case.good("rejected", days=SECOND + 1)


def test_a_change_of_a_feature_that_is_taken_back_was_none(case: Case) -> None:
    case.sql("ALTER TABLE loans RENAME income TO earnings")
    case.awaits("do not have income")
    case.sql("ALTER TABLE loans RENAME earnings TO income")
    case.good(days=SECOND + 1)


def test_a_new_column_is_told_and_does_no_harm(case: Case) -> None:
    case.sql("ALTER TABLE loans ADD purpose text DEFAULT 'car'")
    assert any('column "purpose" is new' in text for text in case.good().warnings)


def test_a_source_without_a_row_fails_the_first_run(empty: Case) -> None:
    empty.sql("CREATE TABLE kept AS SELECT * FROM loans", "TRUNCATE loans")
    empty.refused(65, "data EmptySource", "no usable row", "applied_at", "check the query")
    empty.sql("INSERT INTO loans SELECT * FROM kept")
    empty.good()


def test_a_source_that_was_emptied_is_no_reason_to_forget_what_was_read(case: Case) -> None:
    case.sql("CREATE TABLE kept AS SELECT * FROM loans", "TRUNCATE loans")
    assert case.good("skipped").champion == case.champion.version
    case.refused(65, "data EmptySource", "no usable row", full_refresh=True)
    case.sql("INSERT INTO loans SELECT * FROM kept")
    case.good()


def test_a_window_that_all_rows_have_left_is_told_with_its_bounds(case: Case) -> None:
    case.refused(65, "data EmptySource", "2026-04-11", "2026-05-23", "--as-of", days=142)
    case.good()


def test_no_new_rows_and_too_few_of_them_are_skipped(case: Case) -> None:
    file = edited(source={"min_new_rows": 200})
    first = case.good("rejected", days=FIRST, file=file)  # another file: the same day is judged again
    for days in (FIRST + 0.5, FIRST + 4):
        skipped = case.good("skipped", days=days, file=file)
        assert skipped.champion == first.champion
        assert skipped.version is None
        assert set(skipped.steps) == {"extract"}
    enough = case.good(days=SECOND, file=file)
    assert case.extract_of(enough).new_since_verdict == (SECOND - FIRST) * loans.ROWS_PER_DAY
