"""Functions and classes of a user's own: found, called, checked, and told when they fail."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from refit.core import logs
from refit.core.config import Pipeline, parse_pipeline
from refit.core.errors import ConfigError, DataError, Sigint, Sigterm
from refit.ml import own
from refit.ml.estimator import build, fit, make
from refit.ml.features import plan
from refit.ml.persist import CannotSave
from refit.ml.probe import findings
from tests.fixtures.own_package import importable, line_of
from tests.fixtures.records import file
from tests.unit.core.pipeline_files import SECTIONS
from tests.unit.ml.files import COLUMNS, pipeline


@pytest.fixture(autouse=True)
def package(tmp_path: Path) -> Iterator[None]:
    with importable(tmp_path):
        yield


def with_model(name: str, **keys: Any) -> Pipeline:
    return pipeline(model={"estimator": f"acmebank.{name}", **keys})


def made(name: str, **keys: Any) -> Any:
    return make(with_model(name, **keys).model, "binary")


def test_a_function_gets_the_params_and_what_it_gives_gets_the_seed() -> None:
    estimator = made("models:careful", params={"strength": 0.5}, seed=7)
    assert (type(estimator).__name__, estimator.C, estimator.random_state) == ("Careful", 0.5, 7)


def test_class_weights_reach_an_estimator_whose_function_does_not_take_them() -> None:
    assert made("models:plain").class_weight is None
    assert made("models:plain", class_weight="balanced").class_weight == "balanced"


def test_class_weights_need_an_own_estimator_that_can_weigh() -> None:
    ((path, message),) = findings(with_model("models:careful", class_weight="balanced"))
    assert path == ("model", "class_weight")
    assert message == "Careful has no way to weigh rows; leave it out"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("models:missing", "acmebank.models has no missing"),
        ("models:NUMBER", "acmebank.models has no function NUMBER"),
        ("nowhere:model", "there is no module acmebank.nowhere here"),
        ("broken:model", "there is no module no_such_package here"),
        (
            "unfinished:model",
            "importing acmebank.unfinished fails: SyntaxError: invalid syntax (unfinished.py, line 1)",
        ),
        (
            "models:raises",
            f"models:raises fails at {line_of('undefined_name')}: NameError: name 'undefined_name' is not",
        ),
        ("models:gives_up", f"models:gives_up fails at {line_of('not today')}: OwnError: not today"),
        ("models:nothing", "acmebank.models:nothing gives a NoneType, no estimator: it has no fit"),
        ("models:a_class", "acmebank.models:a_class gives the class LogisticRegression, no estimator"),
        ("models:Forgetful", "gives an estimator that scikit-learn cannot copy"),
        ("models.Shares", "acmebank.models.Shares is no estimator: a class with fit and predict"),
    ],
    ids=lambda value: value if ":" in value and " " not in value else "",
)
def test_what_gives_no_estimator_is_a_config_error_that_says_why(name: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(name)
    assert words in caught.value.message
    ((path, message),) = findings(with_model(name))
    assert path == ("model", "estimator")
    assert words.partition("fails")[2] in message


@pytest.mark.parametrize("name", ["subprocess:run", "os:system", "sklearn.pipeline:make_pipeline", "refit:load"])
def test_a_function_of_python_or_of_scikit_learn_is_never_called(name: str) -> None:
    with pytest.raises(ConfigError, match="is no code of your own"):
        make(pipeline(model={"estimator": name, "params": {"args": "false"}}).model, "binary")


def test_params_that_a_function_does_not_take_are_named() -> None:
    ((path, message),) = findings(with_model("models:careful", params={"stregth": 1.0}))
    assert path == ("model", "params", "stregth")
    assert message == "careful takes no stregth; did you mean strength?"
    assert list(findings(with_model("models:logged", params={"C": 0.5}))) == []


# --- transformers -------------------------------------------------------------


def with_transformer(name: str) -> Pipeline:
    return parse_pipeline(json.dumps(SECTIONS | {"features": {"transformer": f"acmebank.{name}"}}), "refit.yaml")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("features:missing", "acmebank.features has no missing"),
        ("features:needs", "is called without arguments: missing a required argument: 'argument'"),
        ("features:no_transformer", "acmebank.features:no_transformer returns a str, no transformer"),
        ("models:gives_up", "OwnError: not today"),
        ("features:trapped", "acmebank.features.<lambda> is a lambda"),
    ],
    ids=lambda value: value if ":" in value and " " not in value else "",
)
def test_what_gives_no_transformer_is_found_before_a_run(name: str, words: str) -> None:
    ((path, message),) = findings(with_transformer(name))
    assert path == ("features", "transformer")
    assert words in message


def test_a_transformer_gets_all_columns_that_auto_would_take_in_their_order() -> None:
    chosen = plan(pipeline(features={"transformer": "acmebank.features:spread"}), COLUMNS)
    assert chosen.columns == ("amount", "age", "owner", "city")
    assert chosen.warnings == ('features: transformer leaves out "opened_on", a date: derive a number in the query',)


# --- what can be saved, and what fails later ----------------------------------


def test_a_lambda_is_found_before_a_run_and_before_the_fit() -> None:
    ((path, message),) = findings(with_model("models:trapped"))
    assert path == ("model", "estimator")
    assert "lambda" in message
    trapped = with_model("models:trapped")
    with pytest.raises(CannotSave, match="lambda"):
        own.check_can_be_saved(build(trapped, COLUMNS), own.packages(trapped))


def test_types_of_a_package_that_the_file_does_not_name_cannot_be_saved() -> None:
    steps = build(with_model("models:careful"), COLUMNS)
    own.check_can_be_saved(steps, {"acmebank"})
    with pytest.raises(CannotSave, match=r"acmebank\.models\.Careful, which the loader does not build"):
        own.check_can_be_saved(steps, {"otherbank"})


def test_a_manifest_widens_nothing_beyond_the_packages_of_the_file() -> None:
    listed = ("acmebank.models.Careful", "otherbank.Evil", "os.system")
    assert own.named(with_model("models:careful"), listed) == ("acmebank.models.Careful",)
    assert own.named(parse_pipeline(file(), "f"), listed) == ()


@pytest.mark.parametrize(
    ("fails", "kind", "words"),
    [
        ("fit", own.OwnCodeFails, f"code of acmebank fails at {line_of('no such key')}: KeyError: 'no such key'"),
        ("exit", own.OwnCodeFails, f"code of acmebank fails at {line_of('sys.exit(')}: SystemExit: no licence"),
        (
            "rows",
            ConfigError,
            f"Careful (at {line_of('these rows')}) cannot be fitted with these: these rows are no good",
        ),
    ],
)
def test_what_own_code_raises_in_a_fit_is_told_with_its_place(fails: str, kind: type[ConfigError], words: str) -> None:
    chosen = with_model("models:careful", params={"fails": fails})
    X = pd.DataFrame({"amount": np.arange(50.0), "age": 1.0, "owner": 0.0, "city": "Rome"})
    with pytest.raises(kind) as caught:
        fit(build(chosen, COLUMNS), X, np.arange(50) % 2, chosen.model, own.packages(chosen))
    assert words in caught.value.message


def test_a_class_that_exits_when_it_is_made_is_told_with_its_place() -> None:
    with pytest.raises(own.OwnCodeFails, match=r"acmebank fails at models.py line \d+: SystemExit: no licence"):
        made("models.Licensed")
    assert made("models.Licensed", params={"licence": "paid"}).licence == "paid"


def test_what_a_signal_raises_in_own_code_passes_and_what_it_raises_by_itself_does_not() -> None:
    for asked in (Sigterm, Sigint):
        with pytest.raises(asked), own.OwnCode({"acmebank"}, called="x"):
            raise asked
    with pytest.raises(KeyboardInterrupt), own.OwnCode({"acmebank"}, called="x"):
        raise KeyboardInterrupt  # as Ctrl-C does where nobody listens for it
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(own.OwnCodeFails, match="x fails: KeyboardInterrupt"), own.OwnCode({"a"}, called="x"):
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_of_other_code_passes_as_it_is() -> None:
    with pytest.raises(LookupError), own.OwnCode({"acmebank"}):
        raise LookupError
    with pytest.raises(DataError), own.OwnCode({"acmebank"}, called="x"):
        raise DataError("rows")
    with pytest.raises(MemoryError), own.OwnCode({"acmebank"}, called="x"):
        raise MemoryError


def test_words_that_may_quote_a_sensitive_value_are_withheld() -> None:
    error = ValueError("no rule for 71234567")
    assert "71234567" in own.OwnCodeFails("the own code", error, "acmebank.py:3").message
    with logs.one_call():
        logs.withhold()
        told = own.OwnCodeFails("the own code", error, "acmebank.py:3").message
    assert told == f"the own code fails at acmebank.py:3: ValueError: {logs.WITHHELD}"


def test_a_digest_follows_the_sources_of_a_package_and_nothing_else(tmp_path: Path) -> None:
    before = own.digests({"acmebank", "sklearn", "lightgbm", "no_such_package"})
    assert list(before) == ["acmebank"]
    (tmp_path / "acmebank" / "notes.txt").write_text("no code")
    assert own.digests({"acmebank"}) == before
    assert own.changes(before, {"acmebank"}) == ()
    (tmp_path / "acmebank" / "features.py").rename(tmp_path / "acmebank" / "traits.py")
    assert own.changes(before, {"acmebank"}) == ("the code of acmebank is not what it was",)
    assert own.changes({}, {"acmebank"}) == ("nothing tells what the code of acmebank was",)


def test_a_package_may_be_one_file(tmp_path: Path) -> None:
    (tmp_path / "onefile.py").write_text("ONE = 1\n")
    (tmp_path / "other.py").write_text("")
    before = own.digests({"onefile"})
    (tmp_path / "other.py").write_text("OTHER = 1\n")
    assert own.changes(before, {"onefile"}) == ()
    (tmp_path / "onefile.py").write_text("ONE = 2\n")
    assert own.changes(before, {"onefile"}) == ("the code of onefile is not what it was",)
