"""Champions that cannot be used as they are stored: asked again, rebuilt for the comparison, or left to a person."""

import importlib
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

import refit
from refit.core import keys, registry
from refit.core.domain import Opponent, Outcome, Verdict, Version
from refit.ml.predictions import SaysOtherwise
from refit.predict.champion import VersionsDiffer
from tests.faults.case import FIRST, SECOND, THIRD, Case, edited
from tests.faults.forgery import flip, of_libraries, other_answers, rewrite, saved_by
from tests.faults.test_retention import FEW, age, gc
from tests.fixtures import loans
from tests.fixtures.calls import call
from tests.fixtures.own_package import put_on_path, write_package

OLDER = "1.5.0"
OLDER_FILES = Path(__file__).parents[1] / "data" / "scikit-learn-1.8.0"  # tests/data/older.py has written them
BOOSTED = edited(model={"estimator": "sklearn.ensemble.GradientBoostingClassifier", "params": {"n_estimators": 3}})
FOREIGN = f"scikit-learn was {OLDER} and is {sklearn.__version__}"


def version_of(case: Case) -> Version:
    """The champion's document."""
    return registry.read_version(case.store, case.champion.version)


def model_path(case: Case) -> Path:
    """The champion's model file; the test may break it."""
    key = version_of(case).model.key
    case.harmed.add(key)
    return case.folder / key


def predictions_path(case: Case) -> Path:
    """The rows that were stored with the champion; the test may break them."""
    found = version_of(case).predictions
    assert found is not None
    case.harmed.add(found.key)
    return case.folder / found.key


def opponents(case: Case, outcome: Outcome) -> list[Opponent]:
    return list(case.evaluate_of(outcome).opponents)


def judged(verdict: Verdict | None) -> Any:
    """All that was computed."""
    assert verdict is not None
    return verdict.result, verdict.checks, verdict.slices


def verdict_without_harm(case: Case, **how: Any) -> Verdict:
    """What a run on a copy of the store says, as it stands now."""
    outcome = case.copied().good(**how)
    assert outcome.verdict is not None
    return outcome.verdict


def written_by_older(case: Case, name: str) -> None:
    """The champion's model file is the one that an older scikit-learn has fitted on the same rows."""
    body = (OLDER_FILES / f"{name}.skops").read_bytes()
    rewrite(case, model=lambda _: body, train=of_libraries(scikit_learn=OLDER_FILES.name.rpartition("-")[2]))


@pytest.mark.parametrize("harm", [flip, Path.unlink], ids=["bit flipped", "gone"])
def test_a_champion_whose_file_is_lost_is_rebuilt_and_compared_as_itself(
    case: Case, harm: Callable[[Path], None]
) -> None:
    expected, champion = verdict_without_harm(case), case.champion.version
    harm(model_path(case))
    outcome = case.good()
    assert judged(outcome.verdict) == judged(expected)  # the stand-in is the champion, to the last digit
    assert "in the champion's place stood a model rebuilt from its snapshot" in case.champion.why
    assert outcome.previous_champion == champion
    (record,) = opponents(case, outcome)
    assert (record.version, record.role, record.state) == (champion, "champion", "rebuilt")
    assert "model.skops" in record.reason
    assert any("rebuilt from its snapshot" in text and "model.skops" in text for text in outcome.warnings)
    shown = call("show", "loans", str(outcome.run_id), "--store", case.url).out
    assert f"champion   {champion}, by a stand-in rebuilt from its snapshot" in shown
    assert "a stand-in rebuilt from its snapshot" in case.store.get(str(outcome.report)).decode()


SAMPLED = edited(
    model={"sample": {"rows": 700}},
    features={"numeric": {"columns": ["income", "amount"], "outliers": "drop_3sigma"}},
    split={"kind": "hash", "holdout": 0.5},
)


def test_a_champion_is_rebuilt_on_the_rows_of_then_whatever_was_corrected_or_excluded_since(empty: Case) -> None:
    empty.sql("ALTER TABLE loans ADD seen timestamptz; UPDATE loans SET seen = applied_at")
    file = edited(SAMPLED, source={"cursor": "seen"})
    empty.good(days=FIRST, file=file)
    again = empty.again(run_id=empty.champion.version, start="evaluate").outcome  # its train is that of another run
    assert again is not None
    empty.promote(again.version)
    empty.sql(f"UPDATE loans SET amount = -amount, seen = '{loans.at(FIRST + 1)}' WHERE loan_id % 7 = 1")
    where = f"seen between '{loans.at(5)}' and '{loans.at(9)}'"
    assert call("exclude", "loans", "--where", where, "--reason", "x", "--store", empty.url).code == 0
    unharmed = empty.copied().run(days=SECOND, file=file).outcome
    model_path(empty).unlink()
    harmed = empty.run(days=SECOND, file=file).outcome
    assert unharmed is not None
    assert harmed is not None
    assert judged(harmed.verdict) == judged(unharmed.verdict)
    assert [one.state for one in opponents(empty, harmed)] == ["rebuilt"] * 2  # the anchor has the same model file


@pytest.mark.parametrize(
    ("how", "now"),
    [
        pytest.param({"model": {"search": {"n_iter": 2, "cv": 2, "space": {"C": [1e-5, 1.0]}}}}, {}, id="search"),
        pytest.param(
            {"publish": {"fit_on": "all"}}, {"publish": {"fit_on": "evaluated"}}, id="the model fitted on all rows"
        ),
    ],
)
def test_a_champion_is_rebuilt_as_its_run_chose(empty: Case, how: dict[str, Any], now: dict[str, Any]) -> None:
    empty.good(days=FIRST, file=edited(**how))
    file = edited(edited(**how), **now)
    unharmed = empty.copied().run(file=file).outcome
    version = version_of(empty)
    key = version.model_of(empty.champion.fit_on).key
    empty.harmed.add(key)
    (empty.folder / key).unlink()
    harmed = empty.run(file=file).outcome
    assert unharmed is not None
    assert harmed is not None
    assert judged(harmed.verdict) == judged(unharmed.verdict)
    assert [one.state for one in opponents(empty, harmed)][:1] == ["rebuilt"]


def test_the_pointer_names_the_lost_version_until_a_candidate_is_accepted(case: Case) -> None:
    model_path(case).unlink()
    before = case.champion_body
    stricter = edited(evaluate={"gate": [{"score": "neg_log_loss", "min_gain": 5.0}]})
    for days in (SECOND, SECOND + 1):
        outcome = case.good("rejected", days=days, file=stricter)
        assert outcome.champion == case.champion.version
    assert case.champion_body == before


def test_a_champion_of_another_scikit_learn_that_says_what_it_said_is_compared_as_it_is(case: Case) -> None:
    rewrite(case, model=saved_by(OLDER), train=of_libraries(scikit_learn=OLDER, numpy="1.26.4"))
    outcome = case.good()
    (record,) = opponents(case, outcome)
    assert (record.state, record.asked_rows, record.reason) == ("stored", 200, "")
    assert FOREIGN in record.changes
    assert any("numpy was 1.26.4" in change for change in record.changes)
    assert f"scikit-learn {OLDER} saved it, and here is {sklearn.__version__}" in record.changes
    assert not outcome.warnings
    shown = call("show", "loans", str(outcome.run_id), "--store", case.url).out
    assert FOREIGN in shown
    assert "of 200 rows it says what it said" in shown
    assert FOREIGN in case.store.get(str(outcome.report)).decode()


def test_a_model_that_another_scikit_learn_has_written_is_asked_again(case: Case) -> None:
    written_by_older(case, "logistic")
    (record,) = opponents(case, case.good())
    assert (record.state, record.asked_rows) == ("stored", 200)
    assert any("saved it, and here is" in change for change in record.changes)


def test_a_model_that_another_scikit_learn_has_written_and_this_one_does_not_load_is_rebuilt(empty: Case) -> None:
    empty.good(days=FIRST, file=BOOSTED)
    expected = verdict_without_harm(empty, file=BOOSTED)
    written_by_older(empty, "boosted")
    outcome = empty.good(file=BOOSTED)
    assert judged(outcome.verdict) == judged(expected)
    (record,) = opponents(empty, outcome)
    assert record.state == "rebuilt"
    assert "ForbiddenType" in record.reason  # it has moved a class of its losses since


def test_a_champion_of_another_scikit_learn_that_says_something_else_is_rebuilt(case: Case) -> None:
    expected = verdict_without_harm(case)
    rewrite(case, model=other_answers, train=of_libraries(scikit_learn=OLDER))
    outcome = case.good()
    assert judged(outcome.verdict) == judged(expected)
    (record,) = opponents(case, outcome)
    assert record.state == "rebuilt"
    assert "says something else of " in record.reason
    assert "of 200" in record.reason
    assert FOREIGN in record.reason


def test_lost_predictions_matter_only_where_something_changed(case: Case) -> None:
    predictions_path(case).unlink()
    copy = case.copied()
    copy.harmed = case.harmed
    (record,) = opponents(copy, copy.good())
    assert (record.state, record.asked_rows) == ("stored", None)
    rewrite(case, train=of_libraries(scikit_learn=OLDER))
    (record,) = opponents(case, case.good())
    assert record.state == "rebuilt"
    assert FOREIGN in record.reason
    assert "predictions.parquet" in record.reason


def test_a_model_that_takes_a_sensitive_column_cannot_be_asked_and_is_rebuilt(empty: Case) -> None:
    file = edited(columns={"income": {"sensitive": True}}, features={"numeric": {"columns": ["income", "amount"]}})
    empty.good(days=FIRST, file=file)
    rewrite(empty, train=of_libraries(scikit_learn=OLDER))
    (record,) = opponents(empty, empty.good(file=file))
    assert record.state == "rebuilt"
    assert "not of the columns that it takes" in record.reason


def test_the_anchor_is_rebuilt_as_the_champion_is(case: Case) -> None:
    lost = case.champion.version
    waiting = case.good("awaiting_approval", file=edited(publish={"approval": "manual"}))
    case.promote(waiting.version)
    assert case.champion.anchor == lost
    key = registry.read_version(case.store, lost).model.key
    case.harmed.add(key)
    (case.folder / key).unlink()
    outcome = case.good("rejected", days=SECOND + 1)
    assert [(one.version, one.role, one.state) for one in opponents(case, outcome)] == [
        (waiting.version, "champion", "stored"),
        (lost, "anchor", "rebuilt"),
    ]


def test_a_column_that_the_champion_does_without_is_left_out_of_the_stand_in(case: Case) -> None:
    case.sql("ALTER TABLE loans DROP COLUMN region")  # says nothing of a default
    outcome = case.good()
    (record,) = opponents(case, outcome)
    assert (record.state, record.without) == ("rebuilt", ("region",))
    assert any("without region" in text for text in outcome.warnings)


@pytest.mark.parametrize(
    "change",
    ["DROP COLUMN amount", "ALTER amount TYPE text"],
    ids=["gone", "of another type"],
)
def test_a_column_that_the_champion_leans_on_makes_a_person_decide(case: Case, change: str) -> None:
    case.sql(f"ALTER TABLE loans {change}")
    waiting = case.awaits("amount", "its neg_log_loss falls from", "refit promote")
    assert [one.state for one in opponents(case, waiting)] == ["unusable"]


def test_a_named_feature_that_is_gone_is_left_out_too(empty: Case) -> None:
    named = {"numeric": {"columns": ["income", "amount"]}, "categorical": {"columns": ["region"]}}
    empty.good(days=FIRST, file=edited(features=named))
    fewer = edited(source={"query": "SELECT loan_id, applied_at, income, amount, defaulted FROM loans"})
    (record,) = opponents(empty, empty.good(file=fewer))
    assert (record.state, record.without) == ("rebuilt", ("region",))


def test_a_lost_champion_that_needs_a_lost_column_makes_a_person_decide(case: Case) -> None:
    model_path(case).unlink()
    case.sql("ALTER TABLE loans DROP COLUMN region")
    case.awaits("model.skops", "region", "nobody can tell")


def test_a_lost_champion_whose_rows_are_lost_too_makes_a_person_decide_until_one_has(case: Case) -> None:
    model_path(case).unlink()
    (part,) = case.folder.glob(f"data/{case.champion.version}/*/part-00000.parquet")
    case.harmed.add(str(part.relative_to(case.folder)))
    flip(part)
    for days in (SECOND, SECOND + 1):
        words = ("model.skops", "part-00000.parquet", "refit promote")
        waiting = case.awaits(*words, days=days, full_refresh=days == SECOND)
        assert [one.state for one in opponents(case, waiting)] == ["unusable"]
    case.promote(waiting.version)
    champion, anchor = opponents(case, case.good(days=THIRD))
    assert (champion.state, anchor.state) == ("stored", "unusable")


def forget_run(case: Case) -> None:
    (case.folder / keys.run_record(case.champion.version)).unlink()


def claim_more_rows(case: Case) -> None:
    rewrite(case, train=lambda train: train.update(rows_there=train["rows_there"] + 1))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        pytest.param(forget_run, "there is no run", id="record of its run"),
        pytest.param(claim_more_rows, "training rows now, and gave", id="number of its rows"),
    ],
)
def test_what_a_rebuild_needs_is_verified(case: Case, harm: Callable[[Case], None], words: str) -> None:
    model_path(case).unlink()
    harm(case)
    case.awaits(words)


def fails_to_fit(error: BaseException) -> None:
    """Each fit of evaluate ends so, where scikit-learn calls the estimator."""
    rebuilding = importlib.import_module("refit.evaluate.rebuild")
    real = rebuilding.fitted

    def fitted(*given: Any, **named: Any) -> Any:
        with patch.object(LogisticRegression, "fit", side_effect=error):
            return real(*given, **named)

    vars(rebuilding)["fitted"] = fitted


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError(), "memory"), (RuntimeError("no such solver any more"), "RuntimeError: no such solver any more")],
    ids=["memory", "library"],
)
def test_a_fit_that_fails_makes_a_person_decide(case: Case, error: BaseException, words: str) -> None:
    model_path(case).unlink()
    waiting = case.awaits(words, begin=partial(fails_to_fit, error))
    assert waiting.steps["evaluate"].attempts == 1


def is_called_wrongly(name: str) -> None:
    """refit itself has a fault at this place of the rebuild."""

    def wrong() -> None:
        """Takes none of what it is given."""

    vars(importlib.import_module("refit.evaluate.rebuild"))[name] = wrong


@pytest.mark.parametrize("name", ["fitted", "reference"])
def test_a_fault_of_refit_in_a_rebuild_is_told_as_one(case: Case, name: str) -> None:
    model_path(case).unlink()
    case.refused(70, "bug TypeError", begin=partial(is_called_wrongly, name))


def killed_in_the_fit(times: int) -> None:
    """So many processes of evaluate are killed while they fit, half-way."""
    rebuilding, flag = importlib.import_module("refit.evaluate.rebuild"), Path(os.environ["TESTS_FLAG"])
    real = rebuilding.fitted

    def fitted(*given: Any, **named: Any) -> Any:
        made = real(*given, **named)
        with flag.open("a+") as file:
            file.write("x")
        if flag.stat().st_size <= times:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    vars(rebuilding)["fitted"] = fitted


def test_an_evaluate_killed_while_it_rebuilds_is_repeated_and_ends_as_if_it_had_not_been(case: Case) -> None:
    model_path(case).unlink()
    copy = case.copied()
    copy.harmed = case.harmed
    expected = copy.good().verdict
    outcome = case.good(begin=partial(killed_in_the_fit, 1), settings={"TESTS_FLAG": str(case.scratch / "flag")})
    assert outcome.steps["evaluate"].attempts == 2
    assert judged(outcome.verdict) == judged(expected)


def test_a_rebuild_that_kills_each_process_does_not_fail_the_run(case: Case) -> None:
    model_path(case).unlink()
    flag = {"TESTS_FLAG": str(case.scratch / "flag")}
    waiting = case.awaits("this is try 3 of evaluate", begin=partial(killed_in_the_fit, 9), settings=flag)
    assert waiting.steps["evaluate"].attempts == 3
    case.promote(waiting.version)
    case.good("rejected", days=SECOND + 1)


def test_what_gc_leaves_is_enough_to_rebuild_the_champion(case: Case) -> None:
    case.good("awaiting_approval", file=FEW, full_refresh=True)
    for past in (365.0, 366.0):
        age(case, past)
        assert gc(case).code == 0
    expected = verdict_without_harm(case, days=THIRD)
    model_path(case).unlink()
    outcome = case.good(days=THIRD)
    assert judged(outcome.verdict) == judged(expected)
    assert [one.state for one in opponents(case, outcome)] == ["rebuilt"]


# --- code of one's own --------------------------------------------------------


OWN = edited(
    model={"estimator": "acmebank.models:careful", "params": {"strength": 0.5}},
    features={"transformer": "acmebank.features:spread"},
)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_package(tmp_path / "packages")


def edit(package: Path, old: str, new: str) -> None:
    path = package / "acmebank" / "models.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_own_code_that_was_edited_and_says_the_same_is_compared_as_it_is(empty: Case, package: Path) -> None:
    on_path: dict[str, Any] = {"begin": partial(put_on_path, str(package)), "file": OWN}
    empty.good(days=FIRST, **on_path)
    edit(package, "NUMBER = 5", "NUMBER = 6")
    (record,) = opponents(empty, empty.good(**on_path))
    assert (record.state, record.asked_rows) == ("stored", 200)
    assert "the code of acmebank is not what it was" in record.changes


def test_own_code_that_says_something_else_now_makes_a_person_decide(empty: Case, package: Path) -> None:
    on_path: dict[str, Any] = {"begin": partial(put_on_path, str(package)), "file": OWN}
    empty.good(days=FIRST, **on_path)
    edit(package, "0.99 * self.inner_.predict_proba(X) + 0.01", "0.9 * self.inner_.predict_proba(X) + 0.1")
    waiting = empty.awaits("says something else", "the code of acmebank is not what it was", **on_path)
    empty.promote(waiting.version)
    champion, anchor = opponents(empty, empty.good("rejected", days=SECOND + 1, **on_path))
    assert (champion.state, champion.changes, anchor.state) == ("stored", (), "unusable")


def test_a_lost_champion_of_own_code_that_is_as_it_was_is_rebuilt(empty: Case, package: Path) -> None:
    on_path: dict[str, Any] = {"begin": partial(put_on_path, str(package)), "file": OWN}
    empty.good(days=FIRST, **on_path)
    model_path(empty).unlink()
    assert [one.state for one in opponents(empty, empty.good(**on_path))] == ["rebuilt"]


# --- by hand ------------------------------------------------------------------


@pytest.fixture
def rows(case: Case) -> Path:
    path = case.scratch / "rows.parquet"
    pq.write_table(pa.table({"loan_id": [1], "income": [0.5], "amount": [1.5], "region": ["N"]}), path)
    return path


def predict(case: Case, rows: Path) -> Any:
    words = ("predict", "loans", "--input", str(rows), "--output", str(rows.with_name("out.parquet")))
    return call(*words, "--store", case.url)


def test_a_model_of_another_scikit_learn_predicts_with_a_note_where_it_says_what_it_said(
    case: Case, rows: Path
) -> None:
    rewrite(case, model=saved_by(OLDER), train=of_libraries(scikit_learn=OLDER))
    called = predict(case, rows)
    assert called.code == 0
    assert f"{FOREIGN}" in called.err
    assert "asked again about 200 rows, it says what it said" in called.err
    with pytest.warns(VersionsDiffer, match=OLDER) as caught:
        model = refit.load("loans", store=case.url)
    assert [warning.filename for warning in caught] == [__file__]
    assert len(model.predict(pd.DataFrame({"income": [0.5], "amount": [1.5], "region": ["N"]}))) == 1


def test_a_model_that_says_something_else_than_it_did_does_not_predict(case: Case, rows: Path) -> None:
    rewrite(case, model=other_answers)
    called = predict(case, rows)
    assert called.code == 66
    assert "says something else of" in called.err
    assert not rows.with_name("out.parquet").exists()
    with pytest.raises(SaysOtherwise, match="stored with it"):
        refit.load("loans", store=case.url)


def test_a_version_of_another_scikit_learn_is_promoted_and_rolled_back_to_with_a_note(case: Case) -> None:
    first = case.champion.version
    rewrite(case, train=of_libraries(scikit_learn=OLDER))
    case.good()
    for words in (("rollback", "loans"), ("promote", "loans", first)):
        called = call(*words, "--reason", "x", "--store", case.url)
        assert called.code == 0, called.err
        assert f"since it was fitted, {FOREIGN} here" in called.err
    assert case.champion.version == first
    case.good("promoted", days=THIRD)


def test_a_version_that_lost_its_file_is_neither_promoted_nor_rolled_back_to(case: Case) -> None:
    first, lost = case.champion.version, model_path(case)
    case.good()
    lost.unlink()
    before = case.champion_body
    for words in (("rollback", "loans"), ("rollback", "loans", "--to", first), ("promote", "loans", first)):
        called = call(*words, "--reason", "x", "--store", case.url)
        assert called.code == 66
        assert f"version {first} cannot be used" in called.err
    assert case.champion_body == before
