"""From a live table to a promoted model: `refit init`, `refit check --connect`, a run of the file as it was written."""

from pathlib import Path

import pytest

from refit.core.addresses import file_url
from refit.core.config import parse_pipeline
from tests.fixtures import loans
from tests.fixtures.calls import Called, call
from tests.fixtures.forked import Job, start
from tests.fixtures.postgres import execute

ODD = (
    'CREATE TABLE "Odd Table" ("The Key" int, "when" date NOT NULL, updated timestamp, kind text, x numeric, y float8)',
    """INSERT INTO "Odd Table" SELECT i, DATE '2020-01-01' + i % 100, now(), (ARRAY['a', 'b'])[1 + i % 2], i,
       CASE WHEN i = 3 THEN 'NaN'::float8 ELSE i END FROM generate_series(1, 500) AS i""",
)


@pytest.fixture
def bank(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A database with loans and an oddly named table, to which REFIT_SOURCE_DSN leads."""
    loans.load(database)
    execute(database, *ODD, 'CREATE VIEW nokey AS SELECT * FROM "Odd Table"', "CREATE TABLE bare (id int PRIMARY KEY)")
    monkeypatch.setenv("REFIT_SOURCE_DSN", database)
    monkeypatch.setenv("REFIT_STORE", file_url(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return database


def init(table: str, target: str, *words: str) -> Called:
    return call("init", "here", "--table", table, "--target", target, "--json", *words)


def test_a_file_from_a_table_connects_and_its_first_run_promotes(bank: str, tmp_path: Path) -> None:
    made = init("loans", "defaulted").document
    assert (made["pipeline"], made["task"], made["key"], made["cursor"]) == (
        "loans",
        "binary",
        ["loan_id"],
        "applied_at",
    )
    body = Path(made["file"]).read_bytes()
    assert bank.encode() not in body
    assert b"password" not in body
    connections = call("check", made["file"], "--connect", "--fast", "--json").document["connections"]
    assert [(each["name"], each["ok"]) for each in connections] == [("store", True), ("database", True)]
    assert "6 columns" in connections[1]["text"]
    job = Job(file_url(tmp_path / "store"), bank, body, loans.at(42), tmp_path / "passed")
    outcome = start(job).done().outcome
    assert outcome is not None
    assert outcome.outcome == "promoted"


def test_names_that_sql_must_quote_and_columns_of_time_are_told_apart(bank: str) -> None:
    made = init("Odd Table", "y", "--key", "The Key").document
    assert (made["pipeline"], made["task"], made["cursor"]) == ("odd-table", "regression", "updated")
    pipeline = parse_pipeline(Path(made["file"]).read_bytes(), "refit.yaml")
    assert pipeline.columns["x"].type == "float"
    assert pipeline.columns["The Key"].nullable is False
    assert call("check", made["file"], "--connect", "--fast").code == 0


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        pytest.param(("lones", "defaulted"), "no table lones", "loans", id="no such table"),
        pytest.param(("x; DROP TABLE loans", "y"), "no table x; DROP", "loans", id="no name at all"),
        pytest.param(("loans", "nope"), "no column nope for the target", "income", id="no such target"),
        pytest.param(("loans", "defaulted", "--key", "loan"), "no column loan for the key", "loan_id", id="key"),
        pytest.param(("nokey", "y"), "nothing says what one row is", "--key", id="no key"),
        pytest.param(("bare", "id"), "which rows are new", "--cursor", id="no cursor"),
    ],
)
def test_what_the_table_does_not_say_is_asked_for(bank: str, words: tuple[str, ...], message: str, hint: str) -> None:
    called = init(*words)
    error = called.document["error"]
    assert called.code == 64
    assert message in error["message"]
    assert hint in error["next"]
    assert not Path("here").exists()


def test_a_file_that_stands_is_never_overwritten(bank: str) -> None:
    assert init("loans", "defaulted").code == 0
    Path("here/refit.yaml").write_text("mine")
    assert init("loans", "defaulted").document["error"]["type"] == "FileStands"
    assert Path("here/refit.yaml").read_text() == "mine"


def test_check_tells_all_that_cannot_be_used_and_ends_with_the_first_code(
    bank: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path("refit.yaml").write_bytes(loans.FILE.replace(b"defaulted", b"vanished"))
    (tmp_path / "store").write_text("no folder")
    called = call("check", "refit.yaml", "--connect", "--fast", "--json")
    store, database = called.document["connections"]
    assert (store["ok"], database["ok"]) == (False, False)
    assert 'column "vanished" is gone' in database["text"]
    assert called.code == called.document["error"]["exit_code"] == 64
    assert called.document["valid"] is True
    (tmp_path / "store").unlink()
    assert call("check", "refit.yaml", "--connect", "--fast").code == 65
    monkeypatch.delenv("REFIT_SOURCE_DSN")
    assert call("check", "refit.yaml", "--connect", "--fast").code == 64
