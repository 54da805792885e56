"""The table of faults names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "faults.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_named_test_exists(path: str, name: str) -> None:
    assert f"\ndef {name}(" in (ROOT / path).read_text()


def test_every_fault_stands_once_or_is_said_to_belong_elsewhere() -> None:
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)]
    assert numbers == sorted(set(numbers))
    ranges = re.findall(r"(\d+)(?:\s+to\s+(\d+))?", TEXT.partition("\nElsewhere: ")[2])
    elsewhere = {number for first, last in ranges for number in range(int(first), int(last or first) + 1)}
    assert set(numbers) | elsewhere == set(range(1, max(numbers) + 1))
