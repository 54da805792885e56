"""Whatever a table holds, a run ends with a told outcome: never by a fault of refit, never with a broken champion."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from refit.core.addresses import file_url
from refit.core.store import open_store
from refit.demo.postgres import on_database
from tests.faults import tables
from tests.faults.case import trust
from tests.fixtures import invariants, loans
from tests.fixtures.forked import Job, start
from tests.fixtures.fuzz import examples
from tests.fixtures.postgres import execute

SEEDS = examples(24, 1000)
GROUPS = 4


@pytest.fixture(scope="module")
def odd(postgres: str) -> Iterator[str]:
    """DSN of a database for odd tables."""
    execute(postgres, "CREATE DATABASE odd_tables")
    yield on_database(postgres, "odd_tables")
    execute(postgres, "DROP DATABASE odd_tables WITH (FORCE)")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("group", range(GROUPS))
def test_any_table_ends_in_an_outcome_that_is_told(group: int, odd: str, tmp_path: Path) -> None:
    for seed in range(group, SEEDS, GROUPS):
        file = tables.make(odd, seed)
        url = file_url(tmp_path / f"store-{seed}")
        trust(url)
        for days in (50, 65):
            done = start(Job(url, odd, file, loans.at(days), tmp_path / "passed")).done()
            assert done.code in (0, 64, 65), f"seed {seed}: {done}\n{file.decode()}"
            if done.failure is not None:
                assert done.failure.message.isprintable() or "\n" in done.failure.message
                assert done.failure.next
        invariants.check(open_store(url).under("fuzz/"))
