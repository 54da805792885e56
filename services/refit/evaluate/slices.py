"""Sub-populations: a candidate that is proven worse on one of them is blocked, whatever it wins elsewhere (gate.md 2).

Slices only block. On each, by the gate's first comparing score,

    p = P(T_df ≤ (Δ + max_slice_loss)/SE)        small when the gain lies provably below −max_slice_loss

and the p of all slices with enough rows are held against 5 % by Holm's steps (Holm 1979, A simple sequentially
rejective multiple test procedure): the smallest against .05/M, the next against .05/(M − 1), and so on to the first
that does not pass. So 10 or 50 slices block an equal candidate in 5 % of runs, and not in 40 or 92 %.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import stdtr

from refit.core.domain import Result, SliceCheck, Verdict
from refit.evaluate import reasons
from refit.evaluate.bench import LEAST_EFFECTIVE_ROWS
from refit.evaluate.influence import difference, influence
from refit.evaluate.interval import equal, spread
from refit.evaluate.rows import BlockKind, CleanRows, arrange
from refit.ml.scores import Responses, UnusableScore

LEVEL: Final = 0.05
"""Chance per run that any slice of an equal candidate blocks."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SliceSettings:
    """What of `evaluate` decides how slices are judged."""

    score: str
    max_loss: float
    least_rows: int
    block: BlockKind = "day"


def judge_slices(
    table: Mapping[str, pa.ChunkedArray],
    rows: CleanRows,
    candidate: Responses,
    champion: Responses,
    settings: SliceSettings,
) -> tuple[SliceCheck, ...]:
    """A check per value of each column that has enough rows, the worst first; the others are left out.

    Args:
        table: The columns to cut by, row by row as `rows` and the responses.

    Raises:
        NoCleanRows: rows of a slice weigh nothing or hold NaN.
        UnknownScore: as influence does.
    """
    found = [
        _compare(column, value, indices, rows, candidate, champion, settings)
        for column, values in table.items()
        for value, indices in _values(values)
        if len(indices) >= settings.least_rows
    ]
    judged = [check for check in found if check.p is not None]
    blocked = set(holm([check.p for check in judged if check.p is not None]))
    marked = [_marked(check, place in blocked, settings) for place, check in enumerate(judged)]
    marked.sort(key=lambda check: check.p if check.p is not None else 1.0)
    return (*marked, *(check for check in found if check.p is None))


def holm(ps: Sequence[float], level: float = LEVEL) -> list[int]:
    """Places of the hypotheses that are rejected at this level together (Holm 1979)."""
    rejected = []
    for step, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        if ps[place] > level / (len(ps) - step):
            break
        rejected.append(place)
    return rejected


def with_slices(verdict: Verdict, checks: tuple[SliceCheck, ...]) -> Verdict:
    """The verdict with its slices: rejected where one of them blocks."""
    blocking = [check for check in checks if check.blocks]
    if not blocking:
        return verdict.model_copy(update={"slices": checks})
    told = [check.reason for check in blocking] + ([verdict.reason] if verdict.result == "rejected" else [])
    result: Result = "rejected"
    return verdict.model_copy(update={"slices": checks, "result": result, "reason": "; ".join(told)})


def _values(column: pa.ChunkedArray) -> Iterator[tuple[str, Ints]]:
    """Each value of the column in words, with its row numbers; NULL is one of them."""
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    for code, value in enumerate(encoded.dictionary.to_pylist()):
        yield _word(value), order[starts[code] : starts[code + 1]]


def _word(value: Any) -> str:
    return "NULL" if value is None else str(value)


def _compare(
    column: str,
    value: str,
    indices: Ints,
    rows: CleanRows,
    candidate: Responses,
    champion: Responses,
    settings: SliceSettings,
) -> SliceCheck:
    """One slice, not yet held against the others; without p where its rows cannot tell."""
    score = settings.score
    bare = SliceCheck(column=column, value=value, score=score, rows=len(indices), reason="")
    sample, order = arrange(rows.take(indices), settings.block)
    try:
        mine, other = (influence(score, sample, said.take(indices[order])) for said in (candidate, champion))
    except UnusableScore as error:
        return bare.model_copy(update={"reason": error.message})
    gain = difference(mine, other)
    if not np.isfinite(gain.value):
        return bare.model_copy(update={"reason": f"{score} has no meaning on these rows alone"})
    figures = {"candidate": mine.value, "baseline": other.value, "gain": gain.value}
    told = spread(gain)
    if equal(gain, mine, other):
        return bare.model_copy(update=figures | {"p": 1.0})
    if not np.isfinite(told.se) or told.se == 0 or told.effective_rows < LEAST_EFFECTIVE_ROWS:
        reason = reasons.too_few_effective(score, told.effective_rows, LEAST_EFFECTIVE_ROWS, len(indices))
        return bare.model_copy(update=figures | {"reason": reason})
    p = float(stdtr(told.df, (gain.value + settings.max_loss) / told.se))
    return bare.model_copy(update=figures | {"p": p})


def _marked(check: SliceCheck, blocks: bool, settings: SliceSettings) -> SliceCheck:
    reason = reasons.of_slice(check, settings.max_loss, blocks)
    return check.model_copy(update={"blocks": blocks, "reason": reason})
