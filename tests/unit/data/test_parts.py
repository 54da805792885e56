"""Writing parts: sizes, encodings, what a failure leaves."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refit.core.writer import ArtifactWriter
from refit.data import parts
from refit.data.parts import PartWriter
from refit.data.standing import INSTANT
from tests.fixtures.shelf import at

SCHEMA = pa.schema([("at", INSTANT), ("word", pa.string()), ("token", pa.string())])


class Folder:
    """An object appears when its block has ended well, as in a store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left = 0

    @contextmanager
    def open(self, name: str) -> Iterator[ArtifactWriter]:
        chunks: list[bytes] = []
        self.left += 1
        try:
            yield ArtifactWriter(name, lambda chunk: chunks.append(bytes(chunk)))
        finally:
            self.left -= 1
        (self.path / name).write_bytes(b"".join(chunks))


def batch(rows: int, start: int = 0) -> pa.RecordBatch:
    numbers = range(start, start + rows)
    return pa.RecordBatch.from_pylist(
        [{"at": at(n), "word": ["red", "blue", None][n % 3], "token": f"token {n}"} for n in numbers], SCHEMA
    )


def test_parts_are_bounded_and_say_what_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GROUP_ROWS", 50)
    monkeypatch.setattr(parts, "PART_ROWS", 100)
    folder = Folder(tmp_path)
    with PartWriter(folder.open, SCHEMA, "at") as writer:
        for start in range(0, 260, 20):
            writer.write(batch(20, start))
        writer.write(batch(0))
    assert [part.rows for part in writer.parts] == [120, 120, 20]
    assert [part.cursor_min for part in writer.parts] == [at(0), at(120), at(240)]
    assert writer.parts[0].cursor_max == at(119)
    assert writer.parts[2].null_counts == {"word": 6}
    assert [part.artifact.key for part in writer.parts] == [f"part-0000{n}.parquet" for n in range(3)]
    assert pq.read_table(tmp_path / "part-00001.parquet").num_rows == 120
    assert writer.parts[1].artifact.size == (tmp_path / "part-00001.parquet").stat().st_size


def test_large_rows_end_a_row_group_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GROUP_BYTES", 2_000)
    with PartWriter(Folder(tmp_path).open, SCHEMA, "at") as writer:
        for start in range(0, 400, 100):
            writer.write(batch(100, start))
    assert pq.ParquetFile(tmp_path / "part-00000.parquet").num_row_groups == 4


def test_only_text_with_few_distinct_values_has_a_dictionary(tmp_path: Path) -> None:
    with PartWriter(Folder(tmp_path).open, SCHEMA, "at") as writer:
        writer.write(batch(500))
    group = pq.ParquetFile(tmp_path / "part-00000.parquet").metadata.row_group(0)
    assert [group.column(index).has_dictionary_page for index in range(3)] == [False, True, False]
    assert {group.column(index).compression for index in range(3)} == {"ZSTD"}


def test_no_rows_make_no_part(tmp_path: Path) -> None:
    with PartWriter(Folder(tmp_path).open, SCHEMA, "at") as writer:
        pass
    assert writer.parts == [] and list(tmp_path.iterdir()) == []


def test_failure_leaves_no_object_and_no_open_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GROUP_ROWS", 10)
    folder = Folder(tmp_path)
    with suppress(ZeroDivisionError), PartWriter(folder.open, SCHEMA, "at") as writer:
        writer.write(batch(10))
        assert folder.left == 1
        raise ZeroDivisionError
    assert folder.left == 0 and list(tmp_path.iterdir()) == []


def test_failure_of_the_last_group_closes_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GROUP_ROWS", 10)
    folder = Folder(tmp_path)

    def fail(_: object, __: pa.Table) -> None:
        raise OSError("disk full")

    writer = PartWriter(folder.open, SCHEMA, "at")
    writer.write(batch(10))
    writer.write(batch(5))
    monkeypatch.setattr(parts.ParquetStream, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        writer.__exit__(None, None, None)
    assert folder.left == 0 and list(tmp_path.iterdir()) == []
