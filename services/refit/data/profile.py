"""A binned summary of each column: the documents. data/profiler.py makes them, in one pass and with flat memory.

Bins do not depend on the data, so profiles of two extracts can be compared and added:

- numbers: logarithmic bins of 10 % width by sign, as in DDSketch (Masson et al. 2019, "DDSketch: a fast and
  fully-mergeable quantile sketch with relative-error guarantees", section 2); quantiles are right within 5 %
- dates and times: days; when there are more than MAX_BINS, spans of 2, 4, 8 … days from 1970-01-01 on
- text and bools: the most frequent values; rare ones are let go, and `missed` bounds how much a count may be too
  small for that

The profile of a sensitive column holds counts alone.
"""

from refit.core.domain import Record, Value


class Bin(Value):
    """Rows with low ≤ value < high (for negative numbers: low < value ≤ high); instants are ISO 8601."""

    low: float | str
    high: float | str
    count: int


class Frequent(Value):
    """A text (cut at 100 characters) or bool and how often it occurred, at least."""

    value: str | bool
    count: int


class ColumnProfile(Value):
    """One column; fields are None where they make no sense or the column is sensitive."""

    name: str
    type: str
    count: int
    nulls: int
    not_finite: int = 0
    """NaN and infinities of a float; they are in no other figure."""
    min: float | str | None = None
    max: float | str | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: dict[str, float] | None = None
    bins: tuple[Bin, ...] | None = None
    frequent: tuple[Frequent, ...] | None = None
    missed: int | None = None
    """Counts of `frequent` are too small by at most this; 0: they are exact."""
    distinct: int | None = None
    """Known only when no value was let go."""
    mean_length: float | None = None
    max_length: int | None = None


class Profile(Record):
    """profile.json: the rows that one extract read, column by column."""

    rows: int
    columns: tuple[ColumnProfile, ...]
