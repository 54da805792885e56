"""The drift of what was read: held against what the snapshot's earlier reads found. It informs and never decides."""

from collections.abc import Sequence
from itertools import count
from math import sqrt
from typing import Final

from refit.core.context import Context
from refit.core.domain import Artifact, Batch, Drift
from refit.core.errors import ArtifactError
from refit.data.drift import drift, merge
from refit.data.profile import Profile

READS: Final = 12
"""At most so many earlier profiles are read, for each is a request."""
COLUMNS: Final = 20
GOLDEN: Final = (sqrt(5) - 1) / 2


def drift_since(context: Context, earlier: Sequence[Batch], now: Profile) -> tuple[Drift | None, tuple[str, ...]]:
    """The most drifted columns, None where no earlier read tells anything; and a warning where profiles are gone.

    Args:
        earlier: Batches of the snapshot that was there, oldest first.
    """
    known, lost = [], 0
    for artifact in chosen([batch.profile for batch in earlier if batch.profile]):
        try:
            known.append(Profile.from_json(context.read(artifact), artifact.key))
        except ArtifactError:  # nothing but a figure hangs on it
            lost += 1
    told = (
        (f"the drift is told without {lost} of the earlier reads' profiles, which are gone or altered",) if lost else ()
    )
    if not known:
        return None, told
    source, before = context.pipeline.source, merge(known)
    columns = drift(before, now, leave_out={*source.key, source.cursor}, late=context.pipeline.target)
    return Drift(rows=now.rows, rows_before=before.rows, reads=len(known), columns=tuple(columns[:COLUMNS])), told


def chosen(found: Sequence[Artifact]) -> list[Artifact]:
    """So many of them that they are READS at most, the first one among them, spread over all without a period.

    By multiples of the golden ratio, which lie evenly however many are taken: every seventh of daily reads would be
    of Mondays alone.
    """
    places: set[int] = set()
    for number in count():
        if len(places) == min(READS, len(found)):
            return [found[place] for place in sorted(places)]
        places.add(int(number * GOLDEN % 1 * len(found)))
    raise AssertionError("unreachable: the loop has no end of its own")
