"""A version's objects rewritten, with every digest that leads to them right: what another writer would have left."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sklearn

from refit.core import artifacts, keys
from refit.ml.persist import dump, load
from tests.faults.case import Case


def rewrite(
    case: Case,
    *,
    model: Callable[[bytes], bytes] | None = None,
    predictions: Callable[[bytes], bytes] | None = None,
    train: Callable[[dict[str, Any]], None] | None = None,
    version: str | None = None,
) -> None:
    """The version (default: the champion) has other objects, and its documents name them.

    Args:
        train: Changes the train manifest in place.
    """
    key = keys.version(version or case.champion.version)
    document = json.loads(case.store.get(key))
    manifests = {step: json.loads(case.store.get(document[step]["key"])) for step in ("train", "evaluate")}
    if model is not None:
        old = document["model"]["key"]
        document["model"] = manifests["train"]["model"] = replace(case, old, model(case.store.get(old)))
    if predictions is not None:
        old = document["predictions"]["key"]
        body = predictions(case.store.get(old))
        document["predictions"] = manifests["evaluate"]["predictions"] = replace(case, old, body)
    if train is not None:
        train(manifests["train"])
    for step, manifest in manifests.items():
        document[step] = replace(case, document[step]["key"], json.dumps(manifest).encode())
    replace(case, key, json.dumps(document).encode())


def replace(case: Case, key: str, body: bytes) -> dict[str, Any]:
    (case.folder / key).write_bytes(body)
    return artifacts.describe(key, body).model_dump()


def of_libraries(**versions: str) -> Callable[[dict[str, Any]], None]:
    """Changes a train manifest to tell of these versions."""
    return lambda train: train["environment"].update({name.replace("_", "-"): told for name, told in versions.items()})


def saved_by(version: str) -> Callable[[bytes], bytes]:
    """The model file, as that version of scikit-learn would have marked it."""

    def change(body: bytes) -> bytes:
        old, new = io.BytesIO(body), io.BytesIO()
        with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w") as target:
            for name in source.namelist():
                member = source.read(name)
                if name == "schema.json":
                    assert sklearn.__version__.encode() in member
                    member = member.replace(sklearn.__version__.encode(), version.encode())
                target.writestr(name, member)
        return new.getvalue()

    return change


def other_answers(body: bytes) -> bytes:
    """The model file with coefficients a tenth larger."""
    estimator = load(body)
    estimator[-1].coef_ = estimator[-1].coef_ * 1.1
    return dump(estimator)


def flip(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])
