"""A store in a folder, and the command line called in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from refit.core.store import ObjectStore, open_store
from tests.fixtures.calls import Call
from tests.fixtures.calls import call as call_refit


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The store that calls use; the working directory is a folder beside it."""
    url = f"file://{tmp_path}/store"
    monkeypatch.setenv("REFIT_STORE", url)
    monkeypatch.setenv("REFIT_CREATED_BY", "tests")
    for name in ("REFIT_SOURCE_DSN", "REFIT_SOURCE_DSN_FILE", "REFIT_RUN_ID", "REFIT_PIPELINE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return open_store(url)


@pytest.fixture
def store(root: ObjectStore) -> ObjectStore:
    """The place of the pipeline `loans`."""
    return root.under("loans/")


@pytest.fixture
def call(root: ObjectStore) -> Iterator[Call]:
    """Calls `refit` with the words given, on that store."""
    yield call_refit
    structlog.reset_defaults()
