"""Makes tests/data/scikit-learn-N: model files as another scikit-learn writes them, fitted on the loans of FIRST.

Install that version into a folder (pip install --target FOLDER --no-deps scikit-learn==N), then:
PYTHONPATH=FOLDER:services python -m tests.data.older
"""

import tempfile
from pathlib import Path

import sklearn

from refit.core import registry
from refit.core.addresses import file_url
from refit.demo.postgres import on_database, temporary_server
from tests.faults.case import FIRST, Case, edited
from tests.fixtures import loans
from tests.fixtures.postgres import execute

FOLDER = Path(__file__).parent / f"scikit-learn-{sklearn.__version__}"
FILES = {
    "logistic": loans.FILE,
    "boosted": edited(
        model={"estimator": "sklearn.ensemble.GradientBoostingClassifier", "params": {"n_estimators": 3}}
    ),
}


def main() -> None:
    """A model file for each of FILES."""
    FOLDER.mkdir(exist_ok=True)
    with temporary_server() as server, tempfile.TemporaryDirectory() as scratch:
        execute(server, "CREATE DATABASE bank")
        dsn = on_database(server, "bank")
        loans.load(dsn)
        for name, file in FILES.items():
            case = Case(dsn, file_url(Path(scratch, name)), Path(scratch))
            model = registry.read_version(case.store, str(case.good(days=FIRST, file=file).version)).model
            (FOLDER / f"{name}.skops").write_bytes(case.store.get(model.key))


if __name__ == "__main__":
    main()
