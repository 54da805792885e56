"""One world for all tests of this folder: it is made once, and each test gets a copy."""

import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from refit.core.addresses import file_url
from refit.core.probe import probe
from refit.core.store import open_store
from refit.demo.postgres import on_database
from tests.faults.case import FIRST, Case
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


@pytest.fixture
def empty(bank: Bank, tmp_path: Path) -> Iterator[Case]:
    """The database, and a store in which nothing has run yet."""
    name = f"case_{secrets.token_hex(6)}"
    execute(bank.server, f"CREATE DATABASE {name} TEMPLATE {bank.database} STRATEGY file_copy")
    store = tmp_path / "store"
    probe(open_store(file_url(store)), now=datetime.now(UTC))  # its races have tests of their own
    yield Case(on_database(bank.server, name), file_url(store), tmp_path)
    execute(bank.server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def case(empty: Case, bank: Bank) -> Case:
    """The database, and a store whose champion is of FIRST."""
    shutil.copytree(bank.folder / "loans", empty.folder)
    return empty
