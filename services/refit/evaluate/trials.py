"""What a search tried, as the report draws it: the best first, each on the scale of those that are shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from refit.core.domain import Combination, SearchTable, Trial

SHOWN: Final = 20
MOST_COLUMNS: Final = 4
OWN: Final = "the file's own"
TOGETHER: Final = "parameters"


@dataclass(frozen=True)
class TrialFacts:
    """A combination in the last round that it ended.

    Attributes:
        cells: Its parameters, under the columns of the search.
        rows: That the round's folds were made of.
        is_chosen: It was taken.
        low, middle, high: Where its mean and one standard deviation of its folds to both sides lie, from 0 to 1.
    """

    cells: tuple[str, ...]
    trial: Trial
    rows: int
    is_chosen: bool
    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class SearchFacts:
    """A search as the report shows it.

    Attributes:
        columns: A head for each cell: a parameter's name, or one for all where there are many.
        shown: The best, at most 20.
        left_out: Combinations that ended a round too and are not shown.
        failures: Those that could not be fitted and scored, with the reason; at most 20.
        failed: How many there are of these.
        untried: Combinations that the time did not suffice for.
    """

    table: SearchTable
    columns: tuple[str, ...]
    shown: tuple[TrialFacts, ...]
    left_out: int
    failures: tuple[tuple[str, str], ...]
    failed: int
    untried: int


def search_facts(table: SearchTable) -> SearchFacts:
    """The table in the order and to the scale of the report."""
    ended = sorted((one for one in table.combinations if one.trials), key=_rank)
    chosen = [one for one in ended if one.number == table.chosen]
    failed = [one for one in table.combinations if one.failure]
    untried = [one for one in table.combinations if not one.trials and not one.failure]
    names = tuple(dict.fromkeys(name for one in table.combinations for name in one.params))
    columns = names if 0 < len(names) <= MOST_COLUMNS else (TOGETHER,)
    shown = [*chosen, *(one for one in ended if one.number != table.chosen)][:SHOWN]
    return SearchFacts(
        table,
        columns,
        tuple(_placed(shown, table, columns)),
        len(ended) - len(shown),
        tuple((words(one), one.failure) for one in failed[:SHOWN]),
        len(failed),
        len(untried),
    )


def words(combination: Combination) -> str:
    """The combination in words."""
    return ", ".join(f"{name} = {value}" for name, value in combination.params.items()) or OWN


def _rank(combination: Combination) -> tuple[int, float, int]:
    last = combination.trials[-1]
    return -last.round, -last.mean, combination.number


def _cells(combination: Combination, columns: tuple[str, ...]) -> tuple[str, ...]:
    if columns == (TOGETHER,):
        return (words(combination),)
    if not combination.params:
        return (OWN, *("–" for _ in columns[1:]))
    return tuple(str(combination.params[name]) for name in columns)


def _placed(shown: list[Combination], table: SearchTable, columns: tuple[str, ...]) -> Iterator[TrialFacts]:
    trials = [one.trials[-1] for one in shown]
    left = min((trial.mean - trial.std for trial in trials), default=0.0)
    width = max((trial.mean + trial.std for trial in trials), default=0.0) - left or 1.0
    for one, trial in zip(shown, trials, strict=True):
        low, middle, high = ((trial.mean + side * trial.std - left) / width for side in (-1, 0, 1))
        rows, is_chosen = table.rows[trial.round - 1], one.number == table.chosen
        yield TrialFacts(_cells(one, columns), trial, rows, is_chosen, low, middle, high)
