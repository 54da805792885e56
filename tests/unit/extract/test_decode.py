"""COPY's CSV as Arrow, row by row where a row is bad."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refit.extract.columns import SourceColumn
from refit.extract.decode import BadRow, Decoder, split


def column(name: str, type_: pa.DataType, guard: Any = "none") -> SourceColumn:
    return SourceColumn(name, "any", type_, guard)


DECODER = Decoder(
    [column("n", pa.int16()), column("t", pa.string(), "size"), column("at", pa.date32(), "date")],
)


def decode(*rows: bytes) -> tuple[list[dict[str, Any]], list[BadRow]]:
    batch, bad = DECODER.decode(rows)
    return batch.to_pylist(), bad


def test_null_and_empty_text_stay_apart() -> None:
    good, bad = decode(b",1,,\n", b',2,"",\n')
    assert [row["t"] for row in good] == [None, ""] and bad == []


def csv_cell(cell: str | None) -> str:
    return "" if cell is None else '"' + cell.replace('"', '""') + '"'


@settings(max_examples=60)
@given(st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=8))
def test_every_text_survives(texts: list[str | None]) -> None:
    rows = [f",7,{csv_cell(text)},\n".encode() for text in texts]
    good, bad = decode(*rows)
    assert [row["t"] for row in good] == texts and bad == []
    assert [split(row)[2] for row in rows] == texts


def test_rows_that_arrow_refuses_are_set_apart_with_their_column() -> None:
    rows = [b",%d,x,\n" % n for n in range(500)]
    rows[17], rows[300], rows[499] = b",99999,x,\n", b",1,\xff\xfe,\n", b",1,x,2013-02-30\n"
    good, bad = decode(*rows)
    assert [row["n"] for row in good] == [n for n in range(500) if n not in (17, 300, 499)]
    assert [one.reasons for one in bad] == [
        ("n: does not fit int16",),
        ("t: is not UTF-8",),
        ("at: does not fit date32[day]",),
    ]
    assert bad[1].cells == ["1", "\\xff\\xfe", None]


def test_all_rows_bad_give_an_empty_batch() -> None:
    good, bad = decode(b",99999,x,\n", b",99999,x,\n")
    assert good == [] and len(bad) == 2 and decode() == ([], [])


def test_faults_that_the_database_found_are_put_in_words() -> None:
    assert DECODER.faulty(b"1 2,5,,infinity\n") == BadRow(
        ["5", None, "infinity"],
        ("t: is larger than max_row_bytes", "at: is infinite or not of the years 1 to 9999"),
    )


def test_oversize_rows_keep_their_cells() -> None:
    assert DECODER.oversize(b',5,"a,b",\n').cells == ["5", "a,b", None]


@pytest.mark.parametrize("name", ['we"ird', "a,b", "ü", ""])
def test_names_of_columns_mean_nothing(name: str) -> None:
    batch, _ = Decoder([column(name, pa.int64()), column("0", pa.int64())]).decode([b",1,2\n"])
    assert batch.schema.names == [name, "0"] and batch.to_pylist() == [{name: 1, "0": 2}]
