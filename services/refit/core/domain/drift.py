"""How far the rows read last lie from those read before, column by column."""

from refit.core.domain.base import Value


class ColumnDrift(Value):
    """One column."""

    column: str
    nulls: float
    """Share of NULLs among the rows read last."""
    index: float
    """Population stability index; 0: nothing changed."""
    chance: float
    """What the index is on average where nothing changed, for so many rows and groups of values."""


class Drift(Value):
    """The columns that drifted most, the most drifted first."""

    rows: int
    """Rows read last."""
    rows_before: int
    """Rows that they are held against."""
    reads: int
    """The runs that had read those."""
    columns: tuple[ColumnDrift, ...]
