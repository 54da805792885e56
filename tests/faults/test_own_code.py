"""Estimators and transformers of a user's own package: whole runs, and what they can do wrong."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import refit
from refit.core.errors import ArtifactError
from refit.core.runs import read_outcome
from refit.ml.persist import BrokenModel
from tests.faults.case import FIRST, SECOND, Case, edited
from tests.faults.gates import wait_until
from tests.fixtures import loans
from tests.fixtures.calls import call
from tests.fixtures.own_package import line_of, put_on_path, write_package

CAREFUL = {"estimator": "acmebank.models:careful", "params": {"strength": 0.5}}
FILE = edited(model=CAREFUL, features={"transformer": "acmebank.features:spread"})


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def on_path(package: Path) -> dict[str, Any]:
    return {"begin": partial(put_on_path, str(package))}


def test_own_code_trains_judges_and_replaces_a_champion(empty: Case, on_path: dict[str, Any]) -> None:
    first = empty.good(days=FIRST, file=FILE, **on_path)
    second = empty.good(file=FILE, **on_path)
    assert second.previous_champion == first.version
    manifest = empty.train_of(second)
    assert manifest.columns == ("income", "amount", "region")
    assert set(manifest.trusted) == {
        "acmebank.features.Spread",
        "acmebank.models.Careful",
        "acmebank.models.Shares",
    }
    assert manifest.estimator == "acmebank.models:careful"


def test_the_champion_predicts_where_its_package_is_and_says_so_where_it_is_not(
    empty: Case, on_path: dict[str, Any], package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.good(days=FIRST, file=FILE, **on_path)
    rows = empty.scratch / "rows.parquet"
    pq.write_table(pa.table({"loan_id": [1], "income": [0.5], "amount": [1.5], "region": ["N"]}), rows)
    words = ("predict", "loans", "--input", str(rows), "--output", str(rows.with_name("out.parquet")))
    with pytest.raises(BrokenModel, match="it needs acmebank, which is not installed here"):
        refit.load("loans", store=empty.url)
    assert call(*words, "--store", empty.url).code == ArtifactError.exit_code
    monkeypatch.syspath_prepend(str(package))
    assert call(*words, "--store", empty.url).code == 0
    assert pq.read_table(rows.with_name("out.parquet"))["probability_true"][0].as_py() > 0.5
    model = refit.load("loans", store=empty.url)
    assert model.predict(pd.DataFrame({"income": [3], "amount": [-3], "region": ["S"]})).tolist() == [False]


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        ({"estimator": "acmebank.models:trapped", "params": {}}, "config CannotSave", ["lambda"]),
        (
            {"estimator": "acmebank.models:raises", "params": {}},
            "config OwnCodeFails",
            ["NameError", line_of("undefined_name")],
        ),
        (CAREFUL | {"params": {"fails": "fit"}}, "config OwnCodeFails", ["KeyError", line_of("no such key")]),
        (
            CAREFUL | {"params": {"fails": "exit"}},
            "config OwnCodeFails",
            ["SystemExit: no licence", line_of("sys.exit(")],
        ),
        (
            CAREFUL | {"params": {"fails": "interrupt"}},
            "config OwnCodeFails",
            ["KeyboardInterrupt", line_of("raise KeyboardInterrupt")],
        ),
        (CAREFUL | {"params": {"fails": "saving"}}, "config CannotSave", ["lambda"]),
        (
            CAREFUL | {"params": {"fails": "rows"}},
            "config BadParameter",
            ["these rows are no good", line_of("these rows are no good")],
        ),
        ({"estimator": "acmebank.nowhere:model"}, "config UnknownEstimator", ["no module acmebank.nowhere"]),
    ],
    ids=[
        "lambda",
        "function fails",
        "fit fails",
        "fit exits",
        "fit interrupts",
        "lambda after the fit",
        "refuses rows",
        "gone",
    ],
)
def test_own_code_that_fails_is_told_by_class_and_place(
    empty: Case, on_path: dict[str, Any], model: dict[str, Any], kind: str, words: list[str]
) -> None:
    empty.refused(64, kind, *words, days=FIRST, file=edited(FILE, model=model), **on_path)


@pytest.mark.parametrize(("fails", "told"), [("exit", "SystemExit: no licence"), ("interrupt", "KeyboardInterrupt")])
def test_own_code_that_ends_the_trials_of_a_search_is_told_as_their_failure(
    empty: Case, on_path: dict[str, Any], fails: str, told: str
) -> None:
    search = {"n_iter": 2, "cv": 2, "space": {"strength": [0.5, 1.0]}}
    file = edited(FILE, model=CAREFUL | {"params": {"fails": fails}, "search": search})
    words = ("none of 3 combinations could be fitted", "code of acmebank fails at models.py line", told)
    empty.refused(64, "config BadParameter", *words, days=FIRST, file=file, **on_path)


def test_own_code_that_exits_on_held_out_rows_cannot_be_judged(empty: Case, on_path: dict[str, Any]) -> None:
    file = edited(FILE, model=CAREFUL | {"params": {"fails": "exit later"}})
    empty.refused(64, "config OwnCodeFails", "SystemExit: no licence", days=FIRST, file=file, **on_path)


def test_ctrl_c_ends_a_fit_of_own_code_as_any_other(empty: Case, on_path: dict[str, Any]) -> None:
    began = empty.scratch / "began"
    file = edited(model=CAREFUL | {"params": {"fails": "to end"}})
    settings = {"TESTS_FIT_BEGAN": str(began)}
    endless = empty.start(days=FIRST, file=file, settings=settings, retry_seconds=(), **on_path)
    wait_until(began.exists, "the fit begins")
    (step,) = psutil.Process(endless.process.pid).children()
    step.send_signal(signal.SIGINT)
    failure = endless.done().failure
    assert failure is not None
    assert (failure.error_class, failure.step) == ("killed", "train")
    assert failure.message == "interrupted; its last progress: Careful on 1,120 rows"


def test_words_of_own_code_are_withheld_where_they_may_quote_a_sensitive_value(
    empty: Case, on_path: dict[str, Any]
) -> None:
    file = edited(model=CAREFUL | {"params": {"fails": "fit"}}, columns={"income": {"sensitive": True}})
    done = empty.refused(
        64, "config OwnCodeFails", line_of("no such key"), "KeyError", days=FIRST, file=file, **on_path
    )
    assert "no such key" not in repr(done)


def test_a_transformer_does_not_get_sensitive_columns(empty: Case, on_path: dict[str, Any]) -> None:
    file = edited(FILE, columns={"income": {"sensitive": True}})
    empty.refused(64, "config OwnCodeFails", "features.py", "KeyError", days=FIRST, file=file, **on_path)


def test_a_lambda_is_refused_before_any_row_is_read(empty: Case, on_path: dict[str, Any]) -> None:
    empty.sql("UPDATE loans SET defaulted = NULL")  # would be told first, were the rows read
    file = edited(FILE, model={"estimator": "acmebank.models:trapped", "params": {}})
    empty.refused(64, "config CannotSave", "lambda", days=FIRST, file=file, **on_path)


def test_a_candidate_that_fails_on_held_out_rows_cannot_be_judged(empty: Case, on_path: dict[str, Any]) -> None:
    file = edited(FILE, model=CAREFUL | {"params": {"fails": "later"}})
    words = (f"fails at {line_of('no word for')}", "LookupError: no word for these rows")
    empty.refused(64, "config OwnCodeFails", *words, days=FIRST, file=file, **on_path)


def test_a_champion_that_fails_on_new_rows_makes_a_person_decide(empty: Case, on_path: dict[str, Any]) -> None:
    spoiled = edited(FILE, model=CAREFUL | {"params": {"fails": "on sale"}})
    empty.good(days=FIRST, file=spoiled, **on_path)
    empty.sql(f"UPDATE loans SET region = 'sale' WHERE applied_at > '{loans.at(SECOND - 1)}'")
    waiting = empty.awaits("OwnCodeFails", line_of("not on sale"), file=FILE, **on_path)
    empty.promote(waiting.version)


def test_a_champion_whose_package_is_gone_makes_a_person_decide(empty: Case, on_path: dict[str, Any]) -> None:
    empty.good(days=FIRST, file=FILE, **on_path)
    waiting = empty.awaits("it needs acmebank, which is not installed here", days=SECOND, file=loans.FILE)
    empty.promote(waiting.version)


def test_check_names_a_package_that_is_not_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "refit.yaml").write_bytes(FILE)
    missing = call("check", str(tmp_path / "refit.yaml"))
    assert missing.code == 64
    assert missing.err.count("there is no module acmebank here") == 2


def pooled(**params: str) -> bytes:
    return edited(model={"estimator": "acmebank.models.Pooled", "params": params})


def test_a_killed_worker_of_own_code_costs_an_attempt(empty: Case, on_path: dict[str, Any]) -> None:
    flag = empty.scratch / "flag"
    outcome = empty.good(days=FIRST, file=pooled(flag=str(flag)), **on_path)
    assert outcome.steps["train"].attempts == 2


def test_a_worker_of_own_code_that_is_always_killed_ends_the_run_with_75(empty: Case, on_path: dict[str, Any]) -> None:
    words = ("a worker process of the fit was killed", "more memory")
    empty.refused(75, "dependency WorkerKilled", *words, days=FIRST, file=pooled(), **on_path)


def test_a_fit_that_never_ends_is_ended_by_sigterm_and_blocks_no_later_run(
    empty: Case, on_path: dict[str, Any]
) -> None:
    began = empty.scratch / "began"
    file = edited(model=CAREFUL | {"params": {"fails": "to end"}})
    endless = empty.start(days=FIRST, file=file, settings={"TESTS_FIT_BEGAN": str(began)}, **on_path)
    wait_until(began.exists, "the fit begins")
    assert endless.process.pid is not None
    os.kill(endless.process.pid, signal.SIGTERM)  # as `timeout 2h refit run FILE` does
    assert endless.done().code == 143
    outcome = read_outcome(empty.store, empty.runs[-1])
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.outcome, outcome.error.error_class, outcome.error.step) == ("failed", "killed", "train")
    empty.good(days=FIRST, file=edited(model=CAREFUL), wait_seconds=0.0, **on_path)
