"""The rows that a run reads, as parts that later runs read too."""

from pydantic import Field

from refit.core.domain.base import Artifact, Instant, Value
from refit.core.domain.exclusion import Exclusion


class Rows(Value):
    """Row counts of a run; `train`, `holdout` and `clean` count labelled rows, None where not reached."""

    read: int | None = None
    new: int | None = None
    quarantined: int | None = None
    snapshot: int | None = None
    unlabelled: int | None = None
    train: int | None = None
    holdout: int | None = None
    clean: int | None = None
    refit: int | None = None
    """Rows that the model which goes out was fitted on again; None where what was evaluated goes out."""


class Column(Value):
    """A column of the query's result: PostgreSQL's type name and the Arrow type of the parts."""

    name: str
    database_type: str
    type: str


class Part(Value):
    """An immutable Parquet file of a batch; the cursor's bounds let readers pass over it."""

    artifact: Artifact
    rows: int
    cursor_min: Instant
    cursor_max: Instant
    null_counts: dict[str, int] = Field(default_factory=dict)
    """NULLs of each column that has any, so that rows can be counted without reading."""


class Batch(Value):
    """What one extract added to the snapshot."""

    run_id: str
    as_of: Instant
    read: int
    new: int
    parts: tuple[Part, ...] = ()
    updates: Artifact | None = None
    quarantine: Artifact | None = None
    profile: Artifact | None = None
    """Of the rows read; None where they were all bad, or by a refit that kept none here."""
    released: tuple[str, ...] = ()
    """Runs whose bad rows it read again, as a person asked for."""


class Snapshot(Value):
    """The parts and updates that a run trains on, oldest batch first."""

    batches: tuple[Batch, ...] = ()
    watermark: Instant | None = None
    source_digest: str
    """Digest of query, key, cursor, columns and what else asks for a fresh start when it changes."""
    refreshed_at: Instant
    """`as_of` of the run that read the whole window."""
    window_start: Instant | None = None
    """Rows at or before this cursor were not read; None: all were."""
    columns: tuple[Column, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    """Those that stood when it was made: whoever reads it leaves their rows out."""
