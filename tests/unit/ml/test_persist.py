"""What is saved comes back equal, byte for byte the same; what is not allowed is never built."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import skops.io
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no types

from refit.core.errors import ArtifactError
from refit.ml.outliers import ThreeSigmaClipper
from refit.ml.persist import BrokenModel, CannotSave, ForbiddenType, dump, load, read_back, types_beyond
from refit.ml.trust import BUILT_IN
from tests.unit.ml import zoo

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def body() -> bytes:
    return dump(LogisticRegression().fit(zoo.X, zoo.LABELS))


def rewritten(body: bytes, change: Callable[[Schema], object]) -> bytes:
    """The file with its schema changed."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                change(schema)
                content = json.dumps(schema).encode()
            new.writestr(name, content)
    return target.getvalue()


# --- saved and loaded ---------------------------------------------------------


def test_every_estimator_that_a_file_can_name_comes_back_equal() -> None:
    loaded, needed = 0, set()
    for name, estimator in _one_thread(zoo.fitted()):
        body = dump(estimator)
        assert types_beyond(body) == (), name
        needed |= set(skops.io.get_untrusted_types(data=body))
        said, before = load(body).predict(zoo.X), estimator.predict(zoo.X)
        same = np.allclose(said, before, rtol=1e-12) if said.dtype.kind == "f" else (said == before).all()
        assert same, name
        loaded += 1
    assert loaded > 100
    assert needed >= {"sklearn.tree._tree.Tree", "sklearn.neighbors._kd_tree.KDTree", "functools.partial"}


def _one_thread(items: Iterator[Any]) -> Iterator[Any]:
    """Small fits on many threads mostly wait for each other, the more so beside other tests."""
    with threadpool_limits(1):
        yield from items


def test_every_type_of_the_built_in_list_exists() -> None:
    for name in BUILT_IN:
        module, _, attribute = name.rpartition(".")
        try:
            assert hasattr(import_module(module), attribute), name
        except OSError:  # its shared library needs libgomp, which not every machine has
            assert module.startswith("lightgbm.")


def test_our_own_transformer_is_saved_and_loaded() -> None:
    model = make_pipeline(ThreeSigmaClipper(), LogisticRegression()).fit(zoo.X, zoo.LABELS)
    np.testing.assert_array_equal(load(dump(model)).predict_proba(zoo.X), model.predict_proba(zoo.X))


def test_a_loaded_model_dumps_to_the_same_bytes(body: bytes) -> None:
    assert dump(load(body)) == body


def test_equal_models_of_other_processes_have_equal_bytes(tmp_path: Path) -> None:
    script = """
import hashlib, numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import OneHotEncoder
from sklearn.pipeline import make_pipeline
from refit.ml.persist import dump
X = np.array(list("abcd") * 50, dtype=object)[:, None]
model = make_pipeline(OneHotEncoder(sparse_output=False), HistGradientBoostingClassifier(max_iter=5, random_state=1))
model.names_ = set("abcdefghijk")
print(hashlib.sha256(dump(model.fit(X, X[:, 0] == "a"))).hexdigest())
"""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 64


def test_an_altered_weight_is_another_file(body: bytes) -> None:
    model = load(body)
    model.coef_ = np.nextafter(model.coef_, 1.0)
    assert hashlib.sha256(dump(model)).digest() != hashlib.sha256(body).digest()


# --- what cannot be saved -----------------------------------------------------


def named(X: Any) -> Any:
    return X


def test_a_lambda_is_refused_with_a_sentence() -> None:
    model = make_pipeline(FunctionTransformer(lambda X: X), DummyClassifier()).fit(zoo.X, zoo.LABELS)
    with pytest.raises(CannotSave, match="<lambda> is a lambda or a local function") as caught:
        dump(model)
    assert caught.value.exit_code == 64


def test_what_skops_cannot_save_is_refused_with_a_sentence() -> None:
    model = DummyClassifier().fit(zoo.X, zoo.LABELS)
    model.generator_ = (number for number in range(3))
    with pytest.raises(CannotSave, match="the model cannot be saved"):
        dump(model)


# --- what is not loaded -------------------------------------------------------


def test_a_function_of_another_package_is_refused_unless_the_manifest_names_it() -> None:
    model = make_pipeline(FunctionTransformer(named), DummyClassifier()).fit(zoo.X, zoo.LABELS)
    body = dump(model)
    (name,) = types_beyond(body)
    assert name.endswith("test_persist.named")
    with pytest.raises(ForbiddenType, match="named") as caught:
        load(body)
    assert caught.value.types == (name,)
    assert load(body, trusted=[name]).predict(zoo.X).shape == (150,)


def forge(module: str, name: str, arguments: list[Any]) -> Callable[[Schema], object]:
    """The model's first attribute becomes the result of calling module.name."""

    def change(schema: Schema) -> None:
        values = [
            {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(argument)}
            for argument in arguments
        ]
        schema["content"]["content"]["C"] = {
            "__class__": name,
            "__module__": module,
            "__loader__": "ConstructorFromReduceNode",
            "content": {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": values},
        }

    return change


FORGERIES = [("subprocess", "Popen"), ("os", "system"), ("builtins", "eval"), ("refit.core.store", "open_store")]


@pytest.mark.parametrize(
    "trusted", [(), ("os.system", "subprocess.Popen", "builtins.eval", "refit.core.store.open_store")]
)
@pytest.mark.parametrize(("module", "name"), FORGERIES)
def test_a_forged_file_is_refused_before_anything_is_built(
    body: bytes, tmp_path: Path, module: str, name: str, trusted: tuple[str, ...]
) -> None:
    trace = tmp_path / "trace"
    argument: Any = ["touch", str(trace)] if name == "Popen" else f"touch {trace}"
    with pytest.raises(ForbiddenType, match=f"not allowed: {module}.{name}") as caught:
        load(rewritten(body, forge(module, name, [argument])), trusted)
    assert caught.value.exit_code == 66
    assert not trace.exists()


def test_trust_never_widens_to_the_libraries_themselves(body: bytes) -> None:
    forged = rewritten(body, forge("sklearn.datasets._base", "load_files", ["/"]))
    with pytest.raises(ForbiddenType, match="load_files"):
        load(forged, ("sklearn.datasets._base.load_files",))


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_pickle_is_refused_unopened(tmp_path: Path) -> None:
    with pytest.raises(BrokenModel):
        load(pickle.dumps(Trap(tmp_path / "trace")))
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("kept", [0, 1, 22, 0.3, 0.7, 0.99], ids=str)
def test_a_cut_file_is_refused(body: bytes, kept: float) -> None:
    with pytest.raises(BrokenModel, match="cannot be loaded"):
        load(body[: int(kept if kept >= 1 else kept * len(body))])


def test_flipped_bytes_never_end_in_another_error(body: bytes) -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(0, len(body), 150):
        damaged = bytearray(body)
        damaged[place] ^= 0xFF
        try:
            load(bytes(damaged))
        except ArtifactError:
            refused += 1
    assert refused > 100


CHANGES = [
    pytest.param(lambda s: s.pop("content"), id="no content"),
    pytest.param(lambda s: s.update(protocol="x"), id="protocol"),
    pytest.param(lambda s: s.update(__loader__="Magic"), id="unknown loader"),
    pytest.param(lambda s: s["content"]["content"]["coef_"].update(file="gone.npy"), id="member gone"),
    pytest.param(lambda s: s.update(__class__="NotThere"), id="unknown class"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_malformed_schema_is_an_artifact_error(body: bytes, change: Callable[[Schema], object]) -> None:
    with pytest.raises(ArtifactError):
        load(rewritten(body, change))


def test_a_model_of_a_package_that_is_gone_names_it(body: bytes) -> None:
    def change(schema: Schema) -> None:
        schema.update(__module__="gone_package.models", __class__="Model")

    with pytest.raises(BrokenModel, match="it needs gone_package, which is not installed here"):
        load(rewritten(body, change), trusted=["gone_package.models.Model"])


def test_something_else_than_a_model_is_refused() -> None:
    with pytest.raises(BrokenModel, match="it holds a dict, not a model"):
        load(dump({"a": 1}))


def test_an_unfitted_model_is_refused() -> None:
    with pytest.raises(BrokenModel, match="not fitted"):
        load(dump(LogisticRegression()))


def test_what_libraries_warn_of_while_they_load_is_told_and_not_raised(body: bytes) -> None:
    def older(schema: Schema) -> None:
        text = json.dumps(schema).replace(sklearn.__version__, "1.5.0")
        schema |= json.loads(text)

    found = read_back(rewritten(body, older))
    assert found.warnings == (f"scikit-learn 1.5.0 saved it, and here is {sklearn.__version__}",)
    assert read_back(body).warnings == ()
