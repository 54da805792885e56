"""A search for parameters: rounds of trials, each on more rows and with fewer combinations, until the time is over.

    round 1   all combinations on the folds of a ninth of the rows
    round 2   the best third on the folds of a third
    round 3   the best third of these on the folds of all rows

So it goes where it fits (`rounds`); elsewhere one round has all combinations on all rows. Successive halving with
factor 3: Jamieson & Talwalkar 2016, Non-stochastic best arm identification and hyperparameter optimization. The file's
own params are in every round, so that by its own measure a search never chooses worse than no search would.

What is chosen follows from scores alone, whatever order answers come in and however many workers give them; only the
end of the time budget makes a difference, and is told.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import Final

from refit.core.errors import DataError
from refit.ml.estimator import BadParameter, UnfitRows
from refit.ml.trial import Answer, Ground, Trial, means_something

FACTOR: Final = 3
LEAST_ROWS: Final = 10_000
LEAST_SURVIVORS: Final = 2
OWN: Final = 0


class NoFolds(DataError):
    """The training rows cannot be cut into folds that mean something."""


@dataclass(frozen=True)
class Time:
    """How long a search may take.

    Attributes:
        deadline: When it is over, by `clock`; None: never.
    """

    deadline: float | None = None
    clock: Callable[[], float] = time.monotonic

    def left(self) -> float | None:
        """Seconds; not below 0."""
        return None if self.deadline is None else max(self.deadline - self.clock(), 0.0)


@dataclass(frozen=True)
class Resources:
    """What a search may use.

    Attributes:
        submit: Begins a trial.
        at_once: So many trials are begun and not answered at most.
        tell: Takes a line of progress for each combination that ends.
    """

    submit: Callable[[Trial], Future[Answer]]
    at_once: int
    time: Time = Time()
    tell: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True)
class Measured:
    """A combination in a round that it ended.

    Attributes:
        mean, std: Of its scores on the folds.
        seconds: Of all its fits, one after the other.
    """

    mean: float
    std: float
    seconds: float


@dataclass
class Round:
    """What is known of a round so far.

    Attributes:
        rows: That its folds are made of.
        size: Combinations that it begins with.
        measured: The combinations that have a score on every fold.
        failed: Why the others have none.
    """

    rows: int
    size: int
    measured: dict[int, Measured] = field(default_factory=dict)
    failed: dict[int, Answer] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Each of its combinations has ended."""
        return len(self.measured) + len(self.failed) == self.size

    def best(self) -> list[int]:
        """The measured combinations, the best first; of equal ones the earlier."""
        return sorted(self.measured, key=lambda number: (-self.measured[number].mean, number))


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        chosen: A combination's number.
        chosen_in: Number of the round that decided, from 0 on; None where the time sufficed for nothing.
        is_cut: The time was over before the last round was whole.
    """

    rounds: tuple[Round, ...]
    chosen: int
    chosen_in: int | None
    is_cut: bool

    @property
    def tried(self) -> int:
        """Combinations that were measured or failed."""
        return len({number for one in self.rounds for number in (*one.measured, *one.failed)})


def usable_folds(ground: Ground, rows: int) -> list[int]:
    """The folds of so many rows that can be learned from and scored."""
    return [fold for fold in range(ground.folds.count) if means_something(ground, fold, rows)]


def rounds(ground: Ground, folds: Sequence[int]) -> tuple[int, ...]:
    """Rows of each round; one round where halving does not fit.

    It fits while the first round has 10,000 rows, all folds of all rows mean something on them, and two combinations
    reach the last.
    """
    whole = len(ground.y)
    limits = [whole]
    while True:
        part = FACTOR ** len(limits)
        rows = -(-whole // part)
        if rows < LEAST_ROWS or len(ground.combinations) // part < LEAST_SURVIVORS:
            break
        if usable_folds(ground, rows) != list(folds):
            break
        limits.append(rows)
    return tuple(reversed(limits))


def run(ground: Ground, folds: Sequence[int], limits: Sequence[int], resources: Resources) -> Found:
    """The best combination, as far as the time allows.

    Args:
        folds: Those that mean something.
        limits: Rows of each round.

    Raises:
        BadParameter, UnfitRows: no combination could be fitted and scored.
    """
    done: list[Round] = []
    standing = list(range(len(ground.combinations)))
    for limit in limits:
        current = Round(limit, len(standing))
        done.append(current)
        head = f"search, round {len(done)} of {len(limits)}:" if len(limits) > 1 else "search"
        trials = [Trial(number, fold, limit) for number in standing for fold in folds]
        for _ in _play(current, trials, len(folds), resources):
            resources.tell(_progress(head, ground.scoring, current, resources.time))
        if not current.is_whole or not current.measured:
            break
        survivors = current.best()[: max(-(-len(standing) // FACTOR), LEAST_SURVIVORS)]
        standing = sorted({*survivors, *([OWN] if OWN in current.measured else [])})
    return _choose(tuple(done), len(limits))


def _play(current: Round, trials: Iterable[Trial], folds: int, resources: Resources) -> Iterator[int]:
    """Fills the round; yields each combination that has ended, until all have or the time is over."""
    answers: dict[int, dict[int, Answer]] = {}
    waiting, running = iter(trials), dict[Future[Answer], Trial]()
    while resources.time.left() != 0.0:
        for trial in waiting:
            if trial.combination not in current.failed:
                running[resources.submit(trial)] = trial
            if len(running) >= resources.at_once:
                break
        if not running:
            return
        ended, _ = wait(running, timeout=resources.time.left(), return_when=FIRST_COMPLETED)
        for future in ended:
            trial = running.pop(future)
            number, of_one = trial.combination, answers.setdefault(trial.combination, {})
            of_one[trial.fold] = answer = future.result()
            if number in current.failed:
                continue
            if answer.score is None:
                current.failed[number] = answer
                yield number
            elif len(of_one) == folds:
                current.measured[number] = _measured([of_one[fold] for fold in sorted(of_one)])
                yield number


def _measured(answers: Sequence[Answer]) -> Measured:
    scores = [answer.score for answer in answers if answer.score is not None]
    return Measured(fmean(scores), pstdev(scores), sum(answer.seconds for answer in answers))


def _choose(done: tuple[Round, ...], planned: int) -> Found:
    """By the last whole round that measured something; in the first also by what was measured of it."""
    is_cut = len(done) < planned or not done[-1].is_whole
    if any(one.is_whole and not one.measured for one in done[:1]):
        raise _nothing_works(done[0])
    if done[-1].is_whole and not done[-1].measured:
        is_cut = False
    deciding = [number for number, one in enumerate(done) if one.measured and (one.is_whole or number == 0)]
    if not deciding:
        if OWN in done[0].failed:
            raise _nothing_works(done[0])
        return Found(done, OWN, None, True)
    return Found(done, done[deciding[-1]].best()[0], deciding[-1], is_cut)


def _nothing_works(first: Round) -> BadParameter | UnfitRows:
    number = min(first.failed)
    answer = first.failed[number]
    which = "the file's own params" if number == OWN else f"combination {number}"
    told = (
        f"model.search: none of {len(first.failed)} combinations could be fitted and scored; {which}: {answer.failure}"
    )
    if all(one.blames == "rows" for one in first.failed.values()):
        return UnfitRows(told, next="look at the rows, or try the model without model.search")
    return BadParameter(told, next="try the model without model.search, then mend params or the space")


def _progress(head: str, scoring: str, current: Round, time: Time) -> str:
    ended, best, left = len(current.measured) + len(current.failed), current.best(), time.left()
    score = f", best {scoring} {current.measured[best[0]].mean:.4g}" if best else ""
    return f"{head} {ended}/{current.size}{score}{f', {_words(left)} left' if left is not None else ''}"


def _words(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
