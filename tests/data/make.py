"""Makes tests/data/format-N: a small store as this code writes it. Run when FORMAT rises, and keep the older ones.

python -m tests.data.make
"""

import shutil
import tempfile
from pathlib import Path

from refit.core.addresses import file_url
from refit.core.domain import FORMAT
from refit.demo.postgres import on_database, temporary_server
from tests.faults.case import FIRST, SECOND, Case
from tests.fixtures import loans
from tests.fixtures.postgres import execute

FOLDER = Path(__file__).parent / f"format-{FORMAT}"


def main() -> None:
    """A champion of FIRST and a second run; what is no object of the pipeline is left out."""
    with temporary_server() as server, tempfile.TemporaryDirectory() as scratch:
        execute(server, "CREATE DATABASE bank")
        dsn = on_database(server, "bank")
        loans.load(dsn)
        case = Case(dsn, file_url(Path(scratch, "store")), Path(scratch), {"REFIT_CREATED_BY": "tests"})
        case.good(days=FIRST)
        case.good(days=SECOND)
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(case.folder, FOLDER / "loans")


if __name__ == "__main__":
    main()
