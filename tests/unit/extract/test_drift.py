"""Which of the earlier profiles are read."""

from collections import Counter

import pytest

from refit.core.domain import Artifact
from refit.extract.drift import READS, chosen


@pytest.mark.parametrize("count", [0, 1, READS, READS + 1, 50, 78, 1000])
def test_many_reads_are_stood_for_by_a_few(count: int) -> None:
    every = [Artifact(key=str(number), size=0, sha256="") for number in range(count)]
    found = [int(artifact.key) for artifact in chosen(every)]
    assert found == sorted(set(found))
    assert len(found) == min(count, READS)
    assert found[:1] == list(range(min(count, 1)))
    if count > 2 * READS:
        assert max(Counter(number % 7 for number in found).values()) <= READS // 2, "a weekday prevails"
        assert max(Counter(number * 4 // count for number in found).values()) <= READS // 2, "a time prevails"
