"""What every object store promises; each test runs against a folder and against real S3 servers, MinIO among them."""

import io
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refit.core import artifacts
from refit.core.addresses import BadKey
from refit.core.artifacts import describe
from refit.core.store import Conflict, NotFound, ObjectStore, open_store


def keys_of(store: ObjectStore, prefix: str = "") -> list[str]:
    return [listed.key for listed in store.list(prefix)]


def fill(store: ObjectStore, *keys: str) -> None:
    for key in keys:
        store.put(key, key.encode())


def test_a_stores_address_opens_it_again(store: ObjectStore) -> None:
    store.put("a", b"1")
    again = open_store(store.url)
    assert (again.url, again.get("a")) == (store.url, b"1")


def test_an_empty_store_reads_as_empty(store: ObjectStore) -> None:
    assert keys_of(store) == []
    assert list(store.list_folders("")) == []
    assert not store.exists("a/b")
    store.delete("a/b")
    for read in (store.get, store.entry):
        with pytest.raises(NotFound, match="a/b is not in"):
            read("a/b")


@pytest.mark.parametrize("body", [b"", b"x", b"\x00\xff" * 500_000], ids=["empty", "byte", "megabyte"])
def test_what_was_put_is_read(store: ObjectStore, body: bytes, tmp_path: Path) -> None:
    assert store.put("a/b", body) == describe("a/b", body)
    assert store.get("a/b") == body
    assert store.entry("a/b").body == body
    assert store.exists("a/b")
    store.download("a/b", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == body


def test_a_put_object_is_replaced_by_the_next(store: ObjectStore) -> None:
    store.put("a", b"1")
    store.put("a", b"2")
    assert store.get("a") == b"2"


def test_a_name_is_created_once(store: ObjectStore) -> None:
    tag = store.create("runs/r/run.json", b"mine")
    assert store.entry("runs/r/run.json").tag == tag
    with pytest.raises(Conflict, match=r"runs/r/run\.json was written by another process first"):
        store.create("runs/r/run.json", b"theirs")
    assert store.get("runs/r/run.json") == b"mine"


def test_creating_the_same_again_is_taken_for_a_lost_answer(store: ObjectStore) -> None:
    assert store.create("a", b"mine") == store.create("a", b"mine")


def test_a_deleted_name_can_be_created_again(store: ObjectStore) -> None:
    store.create("a/b/c", b"1")
    store.delete("a/b/c")
    store.delete("a/b/c")
    assert keys_of(store) == []
    assert list(store.list_folders("")) == []
    store.create("a/b/c", b"2")
    assert store.get("a/b/c") == b"2"


def test_swap_replaces_what_has_the_tag_and_nothing_else(store: ObjectStore) -> None:
    first = store.swap("refs/champion.json", b"1", None)
    second = store.swap("refs/champion.json", b"2", first)
    for tag in (first, None, '"0"'):
        with pytest.raises(Conflict):
            store.swap("refs/champion.json", b"3", tag)
    assert store.entry("refs/champion.json").tag == second
    assert store.get("refs/champion.json") == b"2"


def test_swap_of_an_object_that_is_gone_is_refused(store: ObjectStore) -> None:
    tag = store.swap("a", b"1", None)
    store.delete("a")
    with pytest.raises(Conflict):
        store.swap("a", b"2", tag)
    assert not store.exists("a")


def test_swapping_the_same_again_is_taken_for_a_lost_answer(store: ObjectStore) -> None:
    first = store.swap("a", b"1", None)
    second = store.swap("a", b"2", first)
    assert store.swap("a", b"2", first) == second
    assert store.swap("a", b"2", None) == second


def test_age_is_counted_by_the_stores_clock(store: ObjectStore) -> None:
    store.put("a", b"1")
    assert 0 <= store.entry("a").age_seconds < 5
    time.sleep(1.2)
    older = store.entry("a").age_seconds
    assert 1 <= older < 10  # S3 tells whole seconds
    store.swap("a", b"2", store.entry("a").tag)
    assert store.entry("a").age_seconds < older


def test_a_stream_appears_whole_at_its_end(store: ObjectStore, tmp_path: Path) -> None:
    chunk = bytes(range(256)) * 4096
    with store.writer("data/part") as writer:
        for _ in range(20):
            assert writer.write(chunk) == len(chunk)
        assert not store.exists("data/part")
        assert keys_of(store) == []
    assert writer.artifact == describe("data/part", chunk * 20)
    assert store.get("data/part") == chunk * 20
    assert artifacts.fetch(store, writer.artifact, tmp_path).read_bytes() == chunk * 20


def test_streams_in_and_out_take_flat_memory(store: ObjectStore, tmp_path: Path) -> None:
    chunk = bytes(1 << 20)
    tracemalloc.start()
    try:
        with store.writer("data/part") as writer:
            for _ in range(48):
                writer.write(chunk)
        store.download("data/part", tmp_path / "copy")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "copy").stat().st_size == 48 << 20
    assert peak < 26 << 20


@pytest.mark.parametrize("size", [0, 10, 9 << 20], ids=["empty", "small", "several parts"])
def test_a_stream_that_fails_leaves_nothing(store: ObjectStore, size: int) -> None:
    def stop() -> None:
        with store.writer("data/part") as writer:
            writer.write(bytes(size))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert keys_of(store) == []
    assert not store.exists("data/part")
    assert store.sweep(timedelta(0)) == 0


def test_a_stream_can_be_closed_by_what_writes_to_it(store: ObjectStore) -> None:
    with store.writer("text") as writer:
        assert isinstance(writer, io.RawIOBase)
        text = io.TextIOWrapper(io.BufferedWriter(writer), encoding="utf-8")
        text.write("ü" * 10_000)
        text.close()
        with pytest.raises(ValueError, match="closed"):
            writer.write(b"more")
    assert store.get("text") == "ü".encode() * 10_000


def test_listing_goes_in_key_order_and_says_size_and_time(store: ObjectStore) -> None:
    keys = ["a-b/1", "a.json", "a/1", "a/b/2", "a/é", "a0", "b/10", "b/9", "B"]
    fill(store, *keys)
    assert keys_of(store) == sorted(keys, key=str.encode)
    listed = next(iter(store.list("a/é")))
    assert listed.size == len("a/é".encode())
    assert listed.modified_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - listed.modified_at) < timedelta(seconds=10)


def test_listing_takes_folders_and_starts_of_names(store: ObjectStore) -> None:
    fill(store, "runs/2026-a/run.json", "runs/2026-b/run.json", "runs/2027-a/run.json", "runsome")
    assert keys_of(store, "runs/2026") == ["runs/2026-a/run.json", "runs/2026-b/run.json"]
    assert keys_of(store, "runs/2026-a/") == ["runs/2026-a/run.json"]
    assert keys_of(store, "runs/2026-a/run.json") == ["runs/2026-a/run.json"]
    assert keys_of(store, "runs") == [*keys_of(store, "runs/"), "runsome"]
    assert keys_of(store, "gone/") == []


def test_folders_are_those_with_objects_below(store: ObjectStore) -> None:
    fill(store, "runs/a-b/x/y/z", "runs/a/run.json", "runs/b/run.json", "runs/file", "top")
    assert list(store.list_folders("runs/")) == ["a-b", "a", "b"]  # in key order: `-` comes before `/`
    assert list(store.list_folders("")) == ["runs"]
    store.delete("runs/a-b/x/y/z")
    assert list(store.list_folders("runs/")) == ["a", "b"]
    assert list(store.list_folders("runs/a/")) == []


def test_a_store_under_a_prefix_sees_only_that(store: ObjectStore) -> None:
    flights = store.under("flights/")
    fill(flights, "runs/a")
    fill(store, "other/runs/b", "flights2/c")
    assert flights.url == f"{store.url}/flights"
    assert keys_of(flights) == ["runs/a"]
    assert list(flights.list_folders("")) == ["runs"]
    assert flights.under("runs/").get("a") == b"runs/a"
    assert store.get("flights/runs/a") == b"runs/a"


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "..", "a/../../b", "./a", "a\nb", "a\x00", "\ud800", "x" * 256, "y/" * 500 + "z"],
    ids=[
        "empty",
        "absolute",
        "folder",
        "double",
        "up",
        "far up",
        "here",
        "newline",
        "nul",
        "surrogate",
        "name",
        "long",
    ],
)
def test_a_key_that_names_no_object_is_refused_everywhere(store: ObjectStore, key: str, tmp_path: Path) -> None:
    for use in (
        store.get,
        store.entry,
        store.exists,
        store.delete,
        store.local_path,
        lambda key: store.put(key, b""),
        lambda key: store.create(key, b""),
        lambda key: store.swap(key, b"", None),
        lambda key: store.download(key, tmp_path / "x"),
        lambda key: store.writer(key).__enter__(),
    ):
        with pytest.raises(BadKey, match="cannot name an object"):
            use(key)


@pytest.mark.parametrize("prefix", ["../", "/", "a", "a//"])
def test_a_prefix_that_names_no_folder_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(BadKey):
        store.under(prefix)
    with pytest.raises(BadKey):
        list(store.list_folders(prefix))


def test_downloading_nothing_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        store.download("a", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_names_with_blanks_and_signs_are_kept(store: ObjectStore) -> None:
    keys = ["a b/c+d", "a%20b", "ä/ö", "q?x=1#y", "🛫.json", "back\\slash"]
    fill(store, *keys)
    assert sorted(keys_of(store)) == sorted(keys)
    for key in keys:
        assert store.get(key) == key.encode()
