"""Worlds for the tests of this folder: each is made once, and each test gets a copy."""

import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from refit.core.addresses import file_url
from refit.demo.postgres import on_database
from tests.faults.case import FIRST, SECOND, Case, edited, trust
from tests.faults.test_killed import INSIDE, signalled
from tests.faults.test_retention import age
from tests.fixtures import loans
from tests.fixtures.postgres import execute


@dataclass(frozen=True)
class Bank:
    """A database with loans, and a store whose champion is of FIRST."""

    server: str
    database: str
    folder: Path


@pytest.fixture(scope="session")
def bank(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    execute(postgres, "CREATE DATABASE bank")
    dsn = on_database(postgres, "bank")
    loans.load(dsn)
    scratch = tmp_path_factory.mktemp("bank")
    Case(dsn, file_url(scratch / "store"), scratch).good(days=FIRST)
    return Bank(postgres, "bank", scratch / "store")


def _copied(bank: Bank, folder: Path) -> Iterator[Case]:
    """A database and a store as the bank's; copies that keep when each object was written."""
    with _database(bank) as dsn:
        shutil.copytree(bank.folder, folder / "store")
        trust(file_url(folder / "store"))
        yield Case(dsn, file_url(folder / "store"), folder)


@contextmanager
def _database(bank: Bank) -> Iterator[str]:
    name = f"case_{secrets.token_hex(6)}"
    execute(bank.server, f"CREATE DATABASE {name} TEMPLATE {bank.database} STRATEGY file_copy")
    yield on_database(bank.server, name)
    execute(bank.server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty(bank: Bank, tmp_path: Path) -> Iterator[Case]:
    """The database, and a store in which nothing has run yet."""
    store = tmp_path / "store"
    trust(file_url(store))
    with _database(bank) as dsn:
        yield Case(dsn, file_url(store), tmp_path)


@pytest.fixture
def case(empty: Case, bank: Bank) -> Case:
    """The database, and a store whose champion is of FIRST."""
    shutil.copytree(bank.folder / "loans", empty.folder)
    return empty


LIVED = edited(columns={"amount": {"max": 50}}, retention={"runs": "30d", "versions": 1})
"""The file of the runs of `lived`."""


@pytest.fixture(scope="session")
def lived_bank(postgres: str, bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    execute(postgres, f"CREATE DATABASE lived TEMPLATE {bank.database} STRATEGY file_copy")
    scratch = tmp_path_factory.mktemp("lived")
    shutil.copytree(bank.folder, scratch / "store")
    case = Case(on_database(postgres, "lived"), file_url(scratch / "store"), scratch)
    case.sql("UPDATE loans SET amount = 99 WHERE loan_id IN (1601, 1603)")
    manual = edited(LIVED, publish={"approval": "manual"})
    case.good("awaiting_approval", days=FIRST + 7, file=manual)
    case.good(days=SECOND - 7, file=LIVED)
    case.good("awaiting_approval", days=SECOND, file=manual)
    killed = partial(signalled, INSIDE["evaluate"], signal.SIGKILL, None)
    assert case.run(days=SECOND + 1, file=LIVED, inject=killed, retry_seconds=()).code == 75
    age(case, 365)
    return Bank(postgres, "lived", scratch / "store")


@pytest.fixture
def lived(lived_bank: Bank, tmp_path: Path) -> Iterator[Case]:
    """A champion that followed another, two versions that wait, a run after them that failed, bad rows; a year ago."""
    yield from _copied(lived_bank, tmp_path)
