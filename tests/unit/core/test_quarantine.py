"""Stretches of the cursor that are read again, and decisions that are not lost to another writer."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refit.core import quarantine
from refit.core.domain import Batch, Decision, Stretch
from refit.core.quarantine import DecisionsMoved, decide, decisions, pending, stretches
from refit.core.store import open_store

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def release(run_id: str) -> Decision:
    return Decision(run_id=run_id, action="release", rows=1, at=START, who="a person", why="mended")


def test_the_widest_gaps_are_left_out() -> None:
    found = stretches([at(hour) for hour in (9, 1, 2, 9, 20, 22)], most=3)
    assert found == (
        Stretch(start=at(1), end=at(2)),
        Stretch(start=at(9), end=at(9)),
        Stretch(start=at(20), end=at(22)),
    )
    assert stretches([]) == ()


@given(st.lists(st.integers(0, 50), min_size=1), st.integers(1, 6))
def test_every_cursor_lies_in_a_stretch_and_every_end_is_a_cursor(hours: list[int], most: int) -> None:
    found = stretches([at(hour) for hour in hours], most)
    assert len(found) <= most
    assert all(any(one.start <= at(hour) <= one.end for one in found) for hour in hours)
    assert {edge for one in found for edge in (one.start, one.end)} <= {at(hour) for hour in hours}
    assert all(one.end < other.start for one, other in pairwise(found))


def test_what_a_batch_has_read_again_is_not_pending() -> None:
    batch = Batch(run_id="c", as_of=START, read=1, new=1, released=("a",))
    assert [one.run_id for one in pending([release("a"), release("b")], [batch])] == ["b"]


def test_of_two_at_once_the_second_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"file://{tmp_path}").under("loans/")
    monkeypatch.setattr(quarantine, "read_ref", lambda *_: None)
    decide(store, release("a"))
    with pytest.raises(DecisionsMoved):
        decide(store, release("b"))
    monkeypatch.undo()
    assert decisions(store) == (release("a"),)
