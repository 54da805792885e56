"""Requests are counted, whoever sends them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from refit.core.local_store import LocalStore
from refit.core.traffic import TRAFFIC, Requests, Traffic


def test_threads_count_together() -> None:
    traffic = Traffic()

    def work(_: int) -> None:
        for _ in range(200):
            traffic.count(sent=1, repeated=2)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert traffic.so_far == Requests(1600, 3200)
    assert traffic.so_far.since(Requests(600, 200)) == Requests(1000, 3000)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda store, path: store.get("a"), id="get"),
        pytest.param(lambda store, path: store.entry("a"), id="entry"),
        pytest.param(lambda store, path: store.exists("a"), id="exists"),
        pytest.param(lambda store, path: store.download("a", path / "copy"), id="download"),
        pytest.param(lambda store, path: list(store.list("")), id="list"),
        pytest.param(lambda store, path: list(store.list_folders("")), id="list_folders"),
        pytest.param(lambda store, path: store.put("b", b"1"), id="put"),
        pytest.param(lambda store, path: store.create("b", b"1"), id="create"),
        pytest.param(lambda store, path: store.swap("b", b"1", None), id="swap"),
        pytest.param(lambda store, path: store.delete("a"), id="delete"),
        pytest.param(lambda store, path: store.sweep(timedelta(0)), id="sweep"),
    ],
)
def test_an_operation_on_a_folder_counts_as_a_request(
    tmp_path: Path, use: Callable[[LocalStore, Path], object]
) -> None:
    store = LocalStore(tmp_path / "store")
    store.put("a", b"whole")
    before = TRAFFIC.so_far
    use(store, tmp_path)
    assert TRAFFIC.so_far.since(before) == Requests(sent=1)
