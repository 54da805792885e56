"""`refit step`: one attempt, named by the environment or by flags."""

import sys
from types import ModuleType

import pytest

from refit.core.context import Context
from refit.core.domain import ExtractManifest, Rows
from refit.core.errors import DataError
from refit.core.step import Step
from refit.core.store import ObjectStore
from tests.fixtures.calls import Call
from tests.fixtures.records import put_run, run_record

RUN = "20261120t070000-aaaa"
KEYS = {"format", "pipeline", "run_id", "step", "exit_code", "seconds", "max_rss_bytes", "error"}


@pytest.fixture
def extract(monkeypatch: pytest.MonkeyPatch) -> list[Context]:
    """Stands in for the step's package; returns the contexts that it was called with."""
    seen: list[Context] = []

    def work(context: Context) -> ExtractManifest:
        seen.append(context)
        if context.number == 7:
            raise DataError("no row in the whole window", next="look at the query")
        return context.manifest(ExtractManifest, rows=Rows(read=0))

    module = ModuleType("refit.extract.step")
    module.STEP = Step("extract", work, ExtractManifest)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "refit.extract.step", module)
    return seen


def test_flags_name_the_run(extract: list[Context], store: ObjectStore, call: Call) -> None:
    put_run(store, run_record(RUN))
    called = call("step", "extract", "--pipeline", "loans", "--run-id", RUN, "--attempt", "3", "--json")
    assert called.code == 0
    assert set(called.document) == KEYS
    assert (called.document["step"], called.document["run_id"], called.document["error"]) == ("extract", RUN, None)
    assert [(context.run.run_id, context.number) for context in extract] == [(RUN, 3)]
    assert store.exists(f"runs/{RUN}/extract.json")


def test_the_environment_names_it_as_in_a_pod(
    extract: list[Context], store: ObjectStore, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_run(store, run_record(RUN))
    monkeypatch.setenv("REFIT_PIPELINE", "loans")
    monkeypatch.setenv("REFIT_RUN_ID", RUN)
    assert call("step", "extract").code == 0
    assert len(extract) == 1


def test_a_step_that_fails_ends_with_its_code_and_says_why(
    extract: list[Context], store: ObjectStore, call: Call
) -> None:
    put_run(store, run_record(RUN))
    called = call("step", "extract", "--pipeline", "loans", "--run-id", RUN, "--attempt", "7", "--json")
    assert called.code == 65
    assert called.document["error"]["message"] == "no row in the whole window"
    assert called.document["exit_code"] == 65


def test_a_step_without_a_run_is_64(extract: list[Context], call: Call) -> None:
    called = call("step", "extract", "--json")
    assert (called.code, called.document["error"]["class"]) == (64, "config")
    assert "is not set" in called.document["error"]["message"]


def test_an_image_that_lacks_the_steps_packages_says_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "refit.train.step", raising=False)
    monkeypatch.setitem(sys.modules, "refit.train.step", None)
    called = call("step", "train")
    assert called.code == 64
    assert "refit[train]" in called.err
