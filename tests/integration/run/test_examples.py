"""Every file of examples/ runs as it stands on the flights that the demo loads, and its second week is judged."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from refit.core.addresses import file_url
from refit.core.config import parse_pipeline
from refit.core.context import read_manifest
from refit.core.domain import EvaluateManifest, Outcome, TrainManifest
from refit.core.store import ObjectStore, open_store
from tests.fixtures import invariants
from tests.fixtures.forked import Job, start
from tests.fixtures.own_package import put_on_path

EXAMPLES = sorted(Path(__file__).parents[3].glob("examples/*/refit.yaml"))
FIRST, SECOND = datetime(2013, 2, 8, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC)


def run(url: str, dsn: str, example: Path, as_of: datetime, passed: Path) -> Outcome:
    """Its folder stands in the Python path, where the example has code of its own."""
    begin = partial(put_on_path, str(example.parent)) if any(example.parent.glob("*/__init__.py")) else None
    done = start(Job(url, dsn, example.read_bytes(), as_of, passed, begin=begin))
    ended = done.done()
    assert ended.outcome is not None, ended
    assert ended.code == 0, ended.failure
    return ended.outcome


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.parent.name for example in EXAMPLES])
def test_an_example_runs_as_it_stands(example: Path, flights: str, tmp_path: Path) -> None:
    file, url = example.read_bytes(), file_url(tmp_path / "store")
    pipeline = parse_pipeline(file, str(example))
    store: ObjectStore = open_store(url).under(f"{pipeline.name}/")
    first = run(url, flights, example, FIRST, tmp_path / "passed")
    assert first.outcome == "promoted"
    assert first.rows.quarantined == 0
    second = run(url, flights, example, SECOND, tmp_path / "passed")
    assert second.outcome in ("promoted", "rejected")
    assert second.rows.new is not None
    assert 4_000 < second.rows.new < 8_000
    assert second.run_id is not None
    train = read_manifest(store, second.run_id, "train", TrainManifest)
    evaluate = read_manifest(store, second.run_id, "evaluate", EvaluateManifest)
    assert train is not None
    assert evaluate is not None
    assert len(train.classes) == {"regression": 0, "binary": 2, "multiclass": 4}[pipeline.task]
    assert evaluate.baseline == first.version
    assert all(check.interval for check in evaluate.verdict.checks if check.against)
    invariants.check(store)
