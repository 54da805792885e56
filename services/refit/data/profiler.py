"""Makes the profile of rows that pass by: one running summary per column. data/profile.py says what is in it."""

import math
import sys
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from refit.data.profile import Bin, ColumnProfile, Frequent, Profile
from refit.data.standing import microseconds_of

GAMMA: Final = 1.1
TOP_VALUES: Final = 50
TRACKED_VALUES: Final = 1_000
VALUE_CHARACTERS: Final = 100
MAX_BINS: Final = 512
WIDE: Final = 100_000  # a range of bins that is counted by sorting
_QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TINY: Final = 1e-12  # numbers nearer to zero share one bin
_LARGEST: Final = math.log(sys.float_info.max)
_DAY: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Profiler:
    """Batches in, a Profile out."""

    def __init__(self, schema: pa.Schema, sensitive: Collection[str] = ()) -> None:
        self._rows = 0
        self._columns = [_summary(column, column.name in sensitive) for column in schema]

    def add(self, batch: pa.RecordBatch) -> None:
        """The rows are in the profile."""
        self._rows += len(batch)
        for summary, values in zip(self._columns, batch.columns, strict=True):
            summary.add(values)

    def profile(self) -> Profile:
        """The profile of all rows so far."""
        return Profile(rows=self._rows, columns=tuple(summary.profile() for summary in self._columns))


def _summary(column: pa.Field, is_sensitive: bool) -> "Counts":
    kind = column.type
    if is_sensitive:
        return Counts(column)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Instants(column)
    return Values(column) if pa.types.is_string(kind) or pa.types.is_boolean(kind) else Numbers(column)


class Counts:
    """What every column has."""

    def __init__(self, column: pa.Field) -> None:
        self.column, self.count, self.nulls = column, 0, 0

    def add(self, values: pa.Array) -> None:
        self.count += len(values)
        self.nulls += values.null_count

    def profile(self) -> ColumnProfile:
        return ColumnProfile(name=self.column.name, type=str(self.column.type), count=self.count, nulls=self.nulls)


class Numbers(Counts):
    def __init__(self, column: pa.Field) -> None:
        super().__init__(column)
        self.not_finite = self.seen = 0
        self.mean = self.squares = 0.0
        self.low, self.high = np.inf, -np.inf
        self.bins: dict[int, int] = {}

    def add(self, values: pa.Array) -> None:
        super().add(values)
        numbers = values.drop_null().cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        finite = numbers[np.isfinite(numbers)]
        self.not_finite += len(numbers) - len(finite)
        if not len(finite):
            return
        self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
        with np.errstate(over="ignore", invalid="ignore"):
            self._add_moments(finite)
        _tally(self.bins, _bin_numbers(finite))

    def _add_moments(self, finite: np.ndarray) -> None:
        """Chan, Golub & LeVeque 1979, Updating formulae and a pairwise algorithm for computing sample variances."""
        count, mean = len(finite), float(finite.mean())
        change, total = mean - self.mean, self.seen + count
        self.squares += float(((finite - mean) ** 2).sum()) + change * change * self.seen * count / total
        self.mean += change * count / total
        self.seen = total

    def profile(self) -> ColumnProfile:
        plain = super().profile().model_copy(update={"not_finite": self.not_finite})
        if not self.seen:
            return plain
        spread = float(np.sqrt(self.squares / self.seen))
        edges = {number: _edges(number) for number in sorted(self.bins)}
        return plain.model_copy(
            update={
                "min": self.low,
                "max": self.high,
                "mean": self.mean if np.isfinite(self.mean) else None,
                "std": spread if np.isfinite(spread) else None,
                "quantiles": {f"{share:g}": self._quantile(share) for share in _QUANTILES},
                "bins": tuple(Bin(low=low, high=high, count=self.bins[n]) for n, (low, high) in edges.items()),
            }
        )

    def _quantile(self, share: float) -> float:
        rank, passed = share * (self.seen - 1), 0
        for number in sorted(self.bins):
            passed += self.bins[number]
            if passed > rank:
                low, high = _edges(number)
                return float(min(max((low + high) / 2, self.low), self.high))
        return self.high


class Instants(Counts):
    def __init__(self, column: pa.Field) -> None:
        super().__init__(column)
        self.width = 1
        self.bins: dict[int, int] = {}
        self.low, self.high = 2**63, -(2**63)

    def add(self, values: pa.Array) -> None:
        super().add(values)
        at = microseconds_of(values.drop_null())
        if not len(at):
            return
        self.low, self.high = min(self.low, int(at.min())), max(self.high, int(at.max()))
        _tally(self.bins, at // (_DAY * self.width))
        while len(self.bins) > MAX_BINS:
            self.width *= 2
            wider: dict[int, int] = {}
            for number, count in self.bins.items():
                wider[number // 2] = wider.get(number // 2, 0) + count
            self.bins = wider

    def profile(self) -> ColumnProfile:
        if not self.bins:
            return super().profile()
        span = _DAY * self.width
        bins = (
            Bin(low=_iso(number * span), high=_iso((number + 1) * span), count=count)
            for number, count in sorted(self.bins.items())
        )
        found = {"min": _iso(self.low), "max": _iso(self.high), "bins": tuple(bins)}
        return super().profile().model_copy(update=found)


class Values(Counts):
    def __init__(self, column: pa.Field) -> None:
        super().__init__(column)
        self.counts: dict[Any, int] = {}
        self.missed = self.length = self.longest = 0

    def add(self, values: pa.Array) -> None:
        super().add(values)
        values = values.drop_null()
        if pa.types.is_string(values.type) and len(values):
            lengths = pc.utf8_length(values)
            self.length += pc.sum(lengths).as_py()
            self.longest = max(self.longest, pc.max(lengths).as_py())
            values = pc.utf8_slice_codeunits(values, 0, VALUE_CHARACTERS)
        counted = values.value_counts()
        found, counts = counted.field("values"), counted.field("counts").to_numpy()
        if len(counts) > 2 * TRACKED_VALUES and counts.max() == 1:
            self.missed += 1  # nothing is frequent here
            return
        if len(counts) > 2 * TRACKED_VALUES:
            order = np.argpartition(-counts, TRACKED_VALUES)  # the most frequent first, then the next one
            self.missed += int(counts[order[TRACKED_VALUES]])
            found, counts = found.take(pa.array(order[:TRACKED_VALUES])), counts[order[:TRACKED_VALUES]]
        for value, count in zip(found.to_pylist(), counts.tolist(), strict=True):
            self.counts[value] = self.counts.get(value, 0) + count
        if len(self.counts) > 4 * TRACKED_VALUES:
            entries = sorted(self.counts.items(), key=lambda entry: -entry[1])
            self.missed += entries[TRACKED_VALUES][1]
            self.counts = dict(entries[:TRACKED_VALUES])

    def profile(self) -> ColumnProfile:
        top = sorted(self.counts.items(), key=lambda entry: (-entry[1], str(entry[0])))[:TOP_VALUES]
        seen = self.count - self.nulls
        is_text = pa.types.is_string(self.column.type)
        return (
            super()
            .profile()
            .model_copy(
                update={
                    "frequent": tuple(Frequent(value=value, count=count) for value, count in top),
                    "missed": self.missed,
                    "distinct": None if self.missed else len(self.counts),
                    "mean_length": self.length / seen if is_text and seen else None,
                    "max_length": self.longest if is_text and seen else None,
                }
            )
        )


def _tally(bins: dict[int, int], numbers: np.ndarray) -> None:
    """Adds how often each number occurs."""
    least = int(numbers.min())
    if int(numbers.max()) - least < WIDE:
        counts = np.bincount(numbers - least)
        found = np.flatnonzero(counts)
        found, counts = found + least, counts[found]
    else:
        found, counts = np.unique(numbers, return_counts=True)
    for number, count in zip(found.tolist(), counts.tolist(), strict=True):
        bins[number] = bins.get(number, 0) + count


def _bin_numbers(finite: np.ndarray) -> np.ndarray:
    """0 for about zero; ±n for GAMMA^(n−1) ≤ |value| / _TINY < GAMMA^n."""
    size = np.abs(finite)
    with np.errstate(divide="ignore"):
        numbers = np.floor((np.log(size) - np.log(_TINY)) / np.log(GAMMA)) + 1
    return np.where(size < _TINY, 0, np.copysign(numbers, finite)).astype(np.int64)


def _edges(number: int) -> tuple[float, float]:
    if number == 0:
        return -_TINY, _TINY
    powers = (math.log(_TINY) + n * math.log(GAMMA) for n in (abs(number) - 1, abs(number)))
    near, far = (math.exp(power) if power < _LARGEST else sys.float_info.max for power in powers)
    return (near, far) if number > 0 else (-far, -near)


def _iso(microseconds: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:  # the end of the last bin of year 9999
        return "9999-12-31T23:59:59.999999+00:00"
