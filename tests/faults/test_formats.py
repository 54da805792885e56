"""Stores that earlier versions of refit wrote are read and gone on with; what a later one wrote is refused."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import refit
from refit.core import hand, keys
from refit.core.domain import FORMAT
from refit.core.runs import run_ids
from tests.faults.case import THIRD, Case, failed_as
from tests.fixtures import invariants
from tests.fixtures.calls import call

STORES = sorted((Path(__file__).parents[1] / "data").glob("format-*"))


@pytest.fixture(params=STORES, ids=[store.name for store in STORES])
def old(request: pytest.FixtureRequest, empty: Case) -> Case:
    """A store as it was written then: two runs, the second champion in production."""
    shutil.copytree(request.param / "loans", empty.folder)
    return empty


def test_there_is_a_store_of_every_format() -> None:
    assert [store.name for store in STORES] == [f"format-{number}" for number in range(1, FORMAT + 1)]


def test_an_old_store_is_shown_predicts_and_goes_on(old: Case) -> None:
    invariants.check(old.store)
    first, second = sorted(run_ids(old.store))
    for words in (("status", "loans"), ("runs", "loans"), ("show", "loans", first), ("history", "loans")):
        called = call(*words, "--store", old.url, "--json")
        assert (called.code, called.err) == (0, "")
    model = refit.load("loans", store=old.url)
    assert model.version == second
    rows = pd.DataFrame({"income": [0.0, 2.0], "amount": [1.0, -1.0], "region": ["N", None]})
    assert model.predict_proba(rows)[0, 1] > 0.5 > model.predict_proba(rows)[1, 1]

    outcome = old.run(days=THIRD).outcome
    assert outcome is not None
    assert outcome.outcome in ("promoted", "rejected")
    assert outcome.rows.new is not None
    assert 0 < outcome.rows.new < 400  # it went on from the old snapshot
    assert outcome.verdict is not None
    assert all(check.against != "dummy" for check in outcome.verdict.checks)
    invariants.check(old.store)
    assert hand.rollback(old.store, first, who="me", why="x", now=outcome.finished_at).version == first


def test_what_a_later_version_wrote_is_refused_with_the_version_that_knows_it(case: Case) -> None:
    path = case.folder / keys.ref("champion")
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps(document | {"format": FORMAT + 1}))
    done = case.run()
    failed_as(done, 66, "artifact UnknownFormat", f"format {FORMAT + 1}", "newer")
    assert json.loads(path.read_bytes())["format"] == FORMAT + 1
