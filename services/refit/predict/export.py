"""A version as a folder of its own: the model file, what it is, and a script that uses it without refit."""

import json
import secrets
import shutil
from pathlib import Path
from typing import Any, Final

from refit.core.disk import disk
from refit.core.effects import effect
from refit.core.errors import ConfigError
from refit.ml.own import named
from refit.ml.persist import types_held
from refit.ml.trust import package_of
from refit.predict.champion import Model

FILES: Final = ("manifest.json", "model.skops", "predict.py", "requirements.txt")
_PACKAGES: Final = ("scikit-learn", "numpy", "scipy", "pandas", "skops", "joblib")
_AT_NEED: Final = ("lightgbm", "xgboost-cpu", "xgboost", "refit")

SCRIPT: Final = '''\
"""Predictions for a CSV file of rows: python predict.py ROWS.csv > PREDICTIONS.csv"""
import hashlib, json, pathlib, sys  # noqa: E401
here = pathlib.Path(__file__).resolve().parent
manifest, body = json.loads((here / "manifest.json").read_text()), (here / "model.skops").read_bytes()
if hashlib.sha256(body).hexdigest() != manifest["model"]["sha256"]:
    sys.exit("model.skops is not the file that manifest.json names")
import pandas, skops.io  # noqa: E401, E402
model = skops.io.loads(body, trusted=manifest["model"]["types"])
how = {"keep_default_na": False, "na_values": [""], "true_values": ["t"], "false_values": ["f"]}
rows = pandas.read_csv(sys.argv[1], dtype=manifest["read_as"], **how)
X = rows[list(manifest["columns"])].astype(manifest["score_as"])
answers = rows[[name for name in manifest["key"] if name in rows]].assign(prediction=model.predict(X))
if hasattr(model, "predict_proba"):
    answers[manifest["probabilities"]] = model.predict_proba(X)
answers.to_csv(sys.stdout, index=False)
'''


class BadFolder(ConfigError):
    """The folder to export to is taken."""


def export_model(model: Model, folder: Path) -> tuple[Path, ...]:
    """`folder` holds model.skops, manifest.json, predict.py and requirements.txt; all of them, or it is as before.

    Raises:
        BadFolder: it is a file, or holds something already.
        DiskError, AccessError: the disk.
    """
    if folder.exists() and not folder.is_dir():
        raise BadFolder(f"{folder} is a file", next="name a new folder")
    with disk("export", str(folder)):
        if folder.is_dir() and any(folder.iterdir()):
            raise BadFolder(f"{folder} is not empty", next="name a new folder, or empty this one")
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        staged = folder.absolute().with_name(f".{folder.absolute().name}.{secrets.token_hex(6)}.tmp")
        try:
            staged.mkdir()
            for name, body in contents(model).items():
                (staged / name).write_bytes(body)
            with effect(f"export {folder.name}"):
                staged.replace(folder.absolute())
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return tuple(folder / name for name in FILES)


def contents(model: Model) -> dict[str, bytes]:
    """Name and bytes of each exported file."""
    manifest = describe(model)
    own = [f"# {name}: the pipeline's own code; it must be on the Python path" for name in manifest["own_packages"]]
    return {
        "manifest.json": json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n",
        "model.skops": model.body,
        "predict.py": SCRIPT.encode(),
        "requirements.txt": "".join(f"{line}\n" for line in [*manifest["requirements"], *own]).encode(),
    }


def describe(model: Model) -> dict[str, Any]:
    """What a user of the model file needs to know, as manifest.json says it."""
    from refit.predict.score import probability_columns

    version, train = model.version, model.train
    types = types_held(model.body)
    read_as = {"number": "float64", "bool": "boolean", "text": "object"}
    score_as = {"number": "float64", "bool": "float64", "text": "object"}
    return {
        "format": 1,
        "pipeline": model.name,
        "version": version.version,
        "as_of": version.as_of.isoformat(),
        "fit_on": model.fit_on,
        "trained_until": train.trained_until.isoformat(),
        "rows": train.rows,
        "estimator": train.estimator,
        "params": train.params,
        "task": train.task,
        "target": train.target,
        "classes": list(train.classes),
        "probabilities": probability_columns(train.classes),
        "scores": version.scores,
        "key": list(model.pipeline.source.key),
        "columns": model.kinds,
        "read_as": {name: read_as[kind] for name, kind in model.kinds.items()},
        "score_as": {name: score_as[kind] for name, kind in model.kinds.items()},
        "model": {
            "file": "model.skops",
            "size": train.model.size,
            "sha256": train.model.sha256,
            "types": list(types),
        },
        "requirements": requirements(train.environment, types),
        "own_packages": sorted({package_of(name) for name in named(model.pipeline, train.trusted)}),
    }


def requirements(environment: dict[str, str], types: tuple[str, ...]) -> list[str]:
    """The packages that load the model, as they were in training; those of _AT_NEED only where it holds their types."""
    held = {package_of(name) for name in types}
    packages: list[str] = [name for name in _PACKAGES if name in environment]
    packages += [name for name in _AT_NEED if name.removesuffix("-cpu") in held]
    return [f"{name}=={environment[name]}" for name in packages if name in environment]
