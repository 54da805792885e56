"""refit.load gives the verified champion, which takes a user's own rows."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import refit
from refit.core import keys
from refit.core.artifacts import WrongDigest
from refit.core.errors import ConfigError, DataError
from refit.core.registry import NoSuchVersion
from refit.core.store import NotFound, ObjectStore, open_store
from refit.ml.frame import ColumnsMissing, to_frame
from refit.ml.own import OwnCodeFails
from refit.ml.persist import ForbiddenType, load
from refit.predict.champion import NothingPromoted, open_model
from refit.predict.export import contents
from tests.fixtures.records import file
from tests.fixtures.trained import extracted, loans

FIRST, SECOND = "20260301t000000-aaaa", "20260308t000000-bbbb"
TREES = {"model": {"estimator": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 5}}}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/store"


@pytest.fixture
def store(url: str) -> ObjectStore:
    return open_store(url).under("loans/")


def test_the_champion_is_loaded_with_its_version(store: ObjectStore, url: str, tmp_path: Path) -> None:
    extracted(store, tmp_path, loans(), file(), FIRST).promoted()
    extracted(store, tmp_path, loans(), file(**TREES), SECOND).promoted()
    model = refit.load("loans", store=url)
    assert model.version == SECOND
    assert type(model[-1]).__name__ == "RandomForestClassifier"
    assert model.feature_names_in_.tolist() == ["amount", "age", "city", "owner"]
    assert model.n_features_in_ == 4


def test_own_code_that_exits_when_its_model_is_loaded_is_told_as_its_failure(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packages" / "laterexits.py"
    package.parent.mkdir()
    package.write_text("from sklearn.linear_model import LogisticRegression\nclass Model(LogisticRegression): pass\n")
    monkeypatch.syspath_prepend(str(package.parent))
    extracted(store, tmp_path, loans(), file(model={"estimator": "laterexits.Model"}), FIRST).promoted()
    package.write_text("import sys\nsys.exit(0)\n")
    monkeypatch.delitem(sys.modules, "laterexits")
    importlib.invalidate_caches()
    with pytest.raises(OwnCodeFails, match=r"code of laterexits fails at laterexits.py line 2: SystemExit"):
        open_model(store, "loans")


def test_own_rows_of_any_dtype_score_as_training_rows_do(store: ObjectStore, url: str, tmp_path: Path) -> None:
    rows = loans()
    extracted(store, tmp_path, rows, file(), FIRST).promoted()
    exact = open_model(store, "loans")
    expected = exact.estimator.predict_proba(to_frame(rows, exact.train.columns))
    own = rows.to_pandas()
    model = refit.load("loans", store=url)
    np.testing.assert_array_equal(model.predict_proba(own), expected)
    odd = own.astype({"age": "Int64", "city": "category", "owner": "boolean"}).iloc[:, ::-1]
    np.testing.assert_array_equal(model.predict_proba(odd), expected)
    objects = own[["amount", "age", "city", "owner"]].astype(object).where(own.notna(), None)
    np.testing.assert_array_equal(model.predict_proba(objects), expected)
    assert model.predict(own).dtype == bool


def test_one_row_is_scored(store: ObjectStore, url: str, tmp_path: Path) -> None:
    extracted(store, tmp_path, loans(), file(), FIRST).promoted()
    row = pd.DataFrame([{"amount": 1, "age": None, "city": "Paris", "owner": True}])
    (probabilities,) = refit.load("loans", store=url).predict_proba(row)
    assert probabilities.sum() == pytest.approx(1)


def test_rows_without_columns_are_refused_by_name(store: ObjectStore, url: str, tmp_path: Path) -> None:
    extracted(store, tmp_path, loans(), file(), FIRST).promoted()
    model = refit.load("loans", store=url)
    with pytest.raises(ColumnsMissing, match="lack columns amount, owner that the model takes"):
        model.predict(pd.DataFrame({"age": [1], "city": ["Rome"]}))
    with pytest.raises(DataError, match='column "city" is integer; the model takes text'):
        model.predict(pd.DataFrame({"amount": [1], "age": [1], "city": [1], "owner": [1]}))
    with pytest.raises(DataError, match="as a DataFrame with named columns, not a list"):
        model.predict([[1, 2, 3, 4]])


def test_the_default_store_is_that_of_the_command_line(
    store: ObjectStore, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted(store, tmp_path, loans(), file(), FIRST).promoted()
    monkeypatch.setenv("REFIT_STORE", url)
    assert refit.load("loans").version == FIRST
    monkeypatch.delenv("REFIT_STORE")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".refit").mkdir()
    (tmp_path / "store").rename(tmp_path / ".refit" / "store")
    assert refit.load("loans").version == FIRST


def test_a_version_is_opened_by_name(store: ObjectStore, tmp_path: Path) -> None:
    extracted(store, tmp_path, loans(), file(), FIRST).promoted()
    extracted(store, tmp_path, loans(), file(**TREES), SECOND).promoted()
    assert open_model(store, "loans", FIRST).version.version == FIRST
    with pytest.raises(NoSuchVersion):
        open_model(store, "loans", "20200101t000000-zzzz")


def test_an_unknown_pipeline_and_one_without_a_champion_are_config_errors(
    store: ObjectStore, url: str, tmp_path: Path
) -> None:
    with pytest.raises(NothingPromoted, match="no run of pipeline 'loans' is in"):
        refit.load("loans", store=url)
    extracted(store, tmp_path, loans(), file(), FIRST).trained()
    with pytest.raises(NothingPromoted, match="nothing of loans was promoted yet") as caught:
        refit.load("loans", store=url)
    assert caught.value.exit_code == 64
    with pytest.raises(ConfigError):
        refit.load("loans", store="ftp://example")


def _path(url: str, key: str) -> Path:
    return Path(url.removeprefix("file://")) / "loans" / key


def test_an_altered_model_is_never_loaded(store: ObjectStore, url: str, tmp_path: Path) -> None:
    manifest = extracted(store, tmp_path, loans(), file(), FIRST).promoted()
    path = _path(url, manifest.model.key)
    body = path.read_bytes()
    path.chmod(0o644)
    for altered in (body[:-1], body[:-1] + b"x", b""):
        path.write_bytes(altered)
        with pytest.raises(WrongDigest) as caught:
            refit.load("loans", store=url)
        assert caught.value.exit_code == 66
    path.unlink()
    with pytest.raises(NotFound):
        refit.load("loans", store=url)


@pytest.mark.parametrize("step", ["train", "extract"])
def test_an_altered_manifest_is_never_followed(store: ObjectStore, url: str, tmp_path: Path, step: Any) -> None:
    extracted(store, tmp_path, loans(), file(), FIRST).promoted()
    path = _path(url, keys.manifest(FIRST, step))
    document = json.loads(path.read_bytes())
    path.chmod(0o644)
    path.write_text(json.dumps(document | {"warnings": ["altered"]}))
    with pytest.raises(WrongDigest, match=f"{step}.json"):
        refit.load("loans", store=url)


def test_a_model_of_an_own_package_needs_the_manifests_trust(
    store: ObjectStore, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ownlearner.py").write_text(
        "from sklearn.linear_model import LogisticRegression\n\nclass Learner(LogisticRegression):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    run = extracted(store, tmp_path, loans(), file(model={"estimator": "ownlearner.Learner"}), FIRST)
    assert run.promoted().trusted == ("ownlearner.Learner",)
    model = open_model(store, "loans")
    assert type(model.estimator[-1]).__name__ == "Learner"
    with pytest.raises(ForbiddenType, match="ownlearner"):
        load(model.body)
    exported = contents(model)
    assert json.loads(exported["manifest.json"])["own_packages"] == ["ownlearner"]
    assert b"# ownlearner: the pipeline's own code" in exported["requirements.txt"]
