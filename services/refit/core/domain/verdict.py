"""What a comparison found (gate.md)."""

from typing import Literal

from refit.core.domain.base import Instant, Result, Value

Line = Literal["min", "max", "min_gain", "max_loss"]


class Check(Value):
    """One line of the gate, judged. Figures are None where they could not be computed."""

    name: str
    score: str
    line: Line
    limit: float
    against: str | None = None
    """`champion`, `anchor` or `dummy` for the lines that compare; None for floors."""
    result: Result
    candidate: float | None = None
    baseline: float | None = None
    gain: float | None = None
    interval: tuple[float, float] | None = None
    alpha: float | None = None
    se: float | None = None
    df: float | None = None
    rows: int | None = None
    entities: int | None = None
    blocks: int | None = None
    effective_rows: float | None = None
    detectable: float | None = None
    """The gain found 4 times in 5 with this many rows (D of gate.md section 6)."""
    reason: str
    hints: tuple[str, ...] = ()


class SliceCheck(Value):
    """The candidate beside the champion on the rows of one value of a column."""

    column: str
    value: str
    score: str
    rows: int
    candidate: float | None = None
    baseline: float | None = None
    gain: float | None = None
    p: float | None = None
    """Chance of such a gain on a slice whose true loss is `evaluate.max_slice_loss`; None: the rows cannot tell."""
    blocks: bool = False
    """Proven worse, the number of slices taken into account."""
    reason: str


class Verdict(Value):
    """What the gate says of a candidate, with a reason in plain words."""

    result: Result
    reason: str
    checks: tuple[Check, ...] = ()
    slices: tuple[SliceCheck, ...] = ()
    """The worst first; empty without a champion or without `evaluate.slices`."""
    needs_approval: str | None = None
    """Why a person must decide (shifted labels, a champion that cannot be used); None in ordinary runs."""


class Promise(Value):
    """A promoted version's gain over another one: when it was judged, and on rows newer than both.

    It decides nothing.
    """

    version: str
    over: str
    promised: Check
    found: Check | None = None
    """`promised` judged anew, `accepted` where it holds; None where the newer rows say nothing."""
    reason: str


class Look(Value):
    """One evaluate that computed an interval; looks share the year's budget of false promotions."""

    as_of: Instant
    days: float | None
    alpha: float


class Reference(Value):
    """How well a model ranked on clean rows when it was judged; later extracts are held against it."""

    score: Literal["roc_auc", "r2"]
    value: float
    se: float
    rows: int


class ShiftCheck(Value):
    """The champion's score on one extract's rows, held against its reference."""

    run_id: str
    rows: int
    value: float | None = None
    se: float | None = None
    drop: float | None = None
    shifted: bool = False


class Opponent(Value):
    """How a version of the registry took part in a comparison. Its warnings stand with the others of the run."""

    version: str
    role: Literal["champion", "anchor"]
    state: Literal["stored", "rebuilt", "unusable"]
    """Its model file as it is; a stand-in, fitted again for this comparison alone; nothing."""
    changes: tuple[str, ...] = ()
    """What differs from the day on which it was fitted: versions, its own code, what its loader warned of."""
    asked_rows: int | None = None
    """Rows that were stored with the model file and of which it says what it said then; None: it was not known."""
    reason: str = ""
    """Why it was rebuilt or cannot be used."""
    without: tuple[str, ...] = ()
    """Columns that the stand-in does not take, as today's rows do not have them."""
