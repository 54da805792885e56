"""The gate: from what models say of the same clean rows to a verdict with a reason per check (gate.md section 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from refit.core.domain import Line, Look, Verdict
from refit.evaluate.rows import BlockKind, CleanRows
from refit.ml.scores import Responses


class GateLine(Protocol):
    """A line of the pipeline file's gate."""

    @property
    def score(self) -> str: ...
    @property
    def line(self) -> Line: ...
    @property
    def limit(self) -> float: ...


@dataclass(frozen=True)
class Settings:
    """What of `evaluate` decides how rows are judged."""

    block: BlockKind = "day"
    min_clean_rows: int = 200


@dataclass(frozen=True)
class Judgement:
    """What the gate found.

    Attributes:
        verdict: The result, its reason, one check per line and opponent.
        looked: Some comparison had enough data to accept: this evaluate is a look, and spent its share of the budget.
        becomes_anchor: The candidate is proven better than the anchor: promoted, it is the new one.
        scores: `candidate`, `baseline` (and `anchor`) → scorer name of the gate → value on the clean rows.
    """

    verdict: Verdict
    looked: bool
    becomes_anchor: bool
    scores: dict[str, dict[str, float | None]]


def judge(
    lines: Sequence[GateLine],
    rows: CleanRows,
    *,
    candidate: Responses,
    champion: Responses | None = None,
    anchor: Responses | None = None,
    dummy: Responses | None = None,
    look: Look | None,
    settings: Settings,
) -> Judgement:
    """The verdict on `candidate`; all responses are of `rows`, in their order.

    With a champion, `min_gain` compares with it, `max_loss` with it and with the anchor (None: the champion is the
    anchor). Without one, `dummy` is the baseline: `min_gain: 0` on the gate's first comparing score, and the floors.
    `look` is what looks.share returned; None makes every comparison inconclusive.

    Raises:
        NoCleanRows: there is no row that weighs anything (DataError, 65).
        UnscorableModel: a model says NaN or infinity, or a score of it is NaN (DataError, 65); names which.
        UnknownScore, UnusableScore: a line's score cannot be computed for this task (ConfigError, 64).
        ValueError: neither champion nor dummy was given.
    """
    raise NotImplementedError
