"""How far a fit over batches has come, so that the attempt after one that was killed goes on from there."""

from refit.core.domain.base import Artifact, Record


class Checkpoint(Record):
    """runs/<run_id>/train/checkpoint-<n>.json: create-once, written after its state; numbers have no gaps."""

    run_id: str
    number: int
    attempt: str
    """The one that wrote it."""
    basis: str
    """Digest of all that decides what the fit comes to: file, snapshot, code. A fit on another basis starts anew."""
    batches: int
    """Learned from so far, over all passes."""
    rows: int
    """In these batches; a row counts in each pass."""
    dropped: int
    """Of these rows, those left out as outliers."""
    warnings: tuple[str, ...] = ()
    state: Artifact
