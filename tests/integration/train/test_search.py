"""model.search on real parts in a real store, with real workers."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refit.core.config import parse_pipeline
from refit.core.config_search import Search
from refit.core.domain import ExtractManifest, SearchTable
from refit.core.store import ObjectStore, open_store
from refit.data.reader import SnapshotReader
from refit.ml import combinations
from refit.ml.rows import read
from refit.ml.scores import UnknownScore
from refit.ml.search import NoFolds, Resources, run
from refit.train.search import search_warnings
from refit.train.step import train
from tests.fixtures.records import file, searched
from tests.fixtures.searches import at_once, ground
from tests.fixtures.trained import extracted, loans

SEARCH = {"n_iter": 2, "cv": 2, "space": {"l2_regularization": {"loguniform": [0.1, 1e4]}}}
TREES: dict[str, Any] = {
    "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
    "params": {"max_iter": 5},
    "seed": 3,
    "search": SEARCH,
}


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}/store").under("loans/")


def test_workers_and_their_number_change_nothing(store: ObjectStore, tmp_path: Path) -> None:
    context = extracted(store, tmp_path, loans(), file(model=TREES)).context()
    said, settings = list[str](), dict(os.environ)
    first = train(replace(context, report=said.append))
    again = train(replace(context, number=3))  # a third attempt has a quarter of the workers
    assert first.model.sha256 == again.model.sha256
    assert first.search is not None and again.search is not None
    assert (again.search.workers, first.search.params) == (1, again.search.params)
    assert said[:2] == ["reads its rows", f"tries 3 combinations on 2 folds of {first.rows:,} rows"]
    assert said[2].startswith("search 1/3, best neg_log_loss ")
    tables = [SearchTable.from_json(store.get(one.search.table.key), "x") for one in (first, again) if one.search]
    means = [[trial.mean for one in table.combinations for trial in one.trials] for table in tables]
    assert means[0] == means[1]
    rows = loans().filter(np.array([at <= first.trained_until for at in loans()["applied_at"].to_pylist()]))
    drawn = combinations.draw(Search.model_validate(SEARCH), 3)
    here = ground(drawn, rows=rows, folds=2, model=TREES)
    found = run(here, [0, 1], (len(rows),), Resources(at_once(here), 1))
    assert [found.rounds[0].measured[number].mean for number in range(3)] == means[0]
    assert first.max_rss_bytes > first.search.memory_bytes > 0
    assert not list(tmp_path.glob("search.*"))
    assert not multiprocessing.active_children()
    assert dict(os.environ) == settings


@pytest.mark.parametrize("kind", ["time", "hash"])
def test_rows_of_an_entity_are_known_as_one_to_the_folds(store: ObjectStore, tmp_path: Path, kind: str) -> None:
    split = {"kind": kind, "by": ["city", "owner"]}
    context = extracted(store, tmp_path, loans(), file(split=split, model=TREES)).context()
    extract = context.manifest_of("extract", ExtractManifest)
    assert extract.snapshot is not None
    reader = SnapshotReader(extract.snapshot, context.pipeline, context.run.as_of, context.fetch)
    rows = read(reader, ["city", "owner", "amount"])
    assert rows.entities is not None and rows.cursors is not None
    pairs = [str(pair) for pair in zip(rows.X["city"], rows.X["owner"], strict=True)]
    entities = rows.entities.tolist()
    assert len(set(zip(pairs, entities, strict=True))) == len(set(pairs)) == len(set(entities))
    assert (np.diff(rows.cursors) == 3_600_000_000).all() or kind == "hash"


def test_a_time_split_whose_entities_all_come_again_has_no_folds(store: ObjectStore, tmp_path: Path) -> None:
    split = {"kind": "time", "by": ["city"]}
    context = extracted(store, tmp_path, loans(), file(split=split, model=TREES)).context()
    with pytest.raises(NoFolds, match="training rows make no folds: in no stretch of time") as caught:
        train(context)
    assert caught.value.next == "write split: {kind: hash, by: [city]}"


def test_an_unknown_scorer_is_told_before_anything_is_fitted(store: ObjectStore, tmp_path: Path) -> None:
    model = TREES | {"search": SEARCH | {"scoring": "roc_acu"}}
    with pytest.raises(UnknownScore, match="did you mean roc_auc"):
        train(extracted(store, tmp_path, loans(), file(model=model)).context())


def test_what_a_search_could_not_do_is_warned_of() -> None:
    model = {"estimator": "a.B", "search": {"time_budget": "10m", "space": {"C": [1, 2]}}}
    pipeline = parse_pipeline(file(model=model), "refit.yaml")
    assert search_warnings(pipeline, searched()) == ()
    assert search_warnings(pipeline, searched(is_cut=True, tried=4, folds=3)) == (
        "model.search: the time budget of 10m ended it after 4 of 21 combinations; the best of these were taken",
        "model.search: 3 of 5 folds could be learned from and scored",
    )
    (told,) = search_warnings(pipeline, searched(is_cut=True, params={}))
    assert told.endswith("; the file's own params were taken")
