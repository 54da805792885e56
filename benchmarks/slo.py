"""A year of outages under the derived number of tries and under fixed ones: breaches, wasted attempts, time to alert.

    python benchmarks/slo.py [--years 40] [--out FILE.json]

A simulation with refit's own policy (`refit.core.objective`) and a clock of its own: nothing sleeps, and no model is
fitted. Each year is drawn anew from a seed of its own, and every policy lives through the same years.

The pipeline runs on Mondays at 05:00 and takes 40 minutes, of which extract takes 10. Its objective is 10 days. An
attempt begins with extract, which fails within a minute while the database is away; an outage that begins during
extract fails it too. A run that reads bad data fails at once with 65, which no policy repeats, until somebody mends the
data; so the bad days cost all policies the same.

A year has on average 50 blips of 10 seconds to 10 minutes, 12 maintenance windows of 2 to 6 hours, half of them in the
night to Monday, 4 long outages of 6 hours to 4 days, and 3 spells of bad data. A person who is alerted (the run failed,
or the objective broke) sees it in working hours, 09:00 to 17:00 on weekdays; once the cause is gone, they start a run
by hand within the hour. The second half of the rows is without that person: the next run is the scheduled one.
"""

import argparse
import json
import platform
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, Final

from refit.core.cron import next_time
from refit.core.objective import Patience, patience

CRON: Final = "0 5 * * 1"
MAX_AGE: Final = timedelta(days=10)
START: Final = datetime(2024, 1, 1, tzinfo=UTC)
YEAR: Final = timedelta(days=364)
EXTRACT, RUN, FAILS = timedelta(minutes=10), timedelta(minutes=40), timedelta(minutes=1)
TAKES: Final = timedelta(minutes=62)
"""What refit reserves for a run of 40 minutes."""
JITTER: Final = 0.25
FIXED: Final = (0, 3, 6)
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Year:
    """When the database was away, and when the data were bad."""

    away: Sequence[Span]
    bad: Sequence[Span]

    def fails(self, begin: datetime, end: datetime) -> bool:
        return any(begin < until and since < end for since, until in self.away)

    def is_bad(self, at: datetime) -> bool:
        return any(since <= at < until for since, until in self.bad)


@dataclass
class Tally:
    """What a policy came to in a year.

    Attributes:
        breaches: How often the objective broke.
        hours: How long it was broken.
        wasted: Attempts that failed.
        by_hand: Runs that a person had to start.
        alerted: Hours from the cause to the first alert of it, where it outlived a run.
    """

    breaches: int = 0
    hours: float = 0.0
    wasted: int = 0
    by_hand: int = 0
    alerted: list[float] = field(default_factory=list)


def drawn(seed: int) -> Year:
    """The year of this seed."""
    chance = random.Random(seed)
    away = [
        *_spans(chance, 50, timedelta(seconds=10), timedelta(minutes=10)),
        *_spans(chance, 4, timedelta(hours=6), timedelta(days=4)),
        *_spans(chance, 6, timedelta(hours=2), timedelta(hours=6)),
    ]
    for week in chance.sample(range(52), 6):
        since = START + timedelta(weeks=week, hours=chance.uniform(0, 4))
        away.append((since, since + timedelta(hours=chance.uniform(2, 6))))
    return Year(sorted(away), list(_spans(chance, 3, timedelta(days=1), timedelta(days=5))))


def _spans(chance: random.Random, mean: int, shortest: timedelta, longest: timedelta) -> list[Span]:
    """About so many, anywhere in the year, of lengths that are uniform on a scale of logarithms."""
    found = []
    for _ in range(sum(chance.random() < 0.5 for _ in range(2 * mean))):
        since = START + YEAR * chance.random()
        length = shortest * (longest / shortest) ** chance.random()
        found.append((since, since + length))
    return found


Policy = Callable[[datetime, datetime, datetime], Patience]
"""Of when a run began, when the champion was confirmed, and when the next run is scheduled."""


def derived(begun_at: datetime, confirmed_at: datetime, next_at: datetime) -> Patience:
    return patience("retry", MAX_AGE, confirmed_at=confirmed_at, next_at=next_at, takes=TAKES, begun_at=begun_at)


def fixed(retries: int) -> Policy:
    """So many retries: 5 s apart, then four times as long each time."""
    return lambda _begun, _confirmed, _next: Patience(tuple(5.0 * 4**number for number in range(retries)))


def planned(found: Patience, number: int) -> float | None:
    """The pause after this attempt. Fixed ones are repeated whatever the class."""
    if found.until is None:
        return found.pauses[number - 1] if number <= len(found.pauses) else None
    return found.planned(number, "dependency")


def run(policy: Policy, year: Year, begun_at: datetime, confirmed_at: datetime, tally: Tally) -> tuple[datetime, bool]:
    """When the run ended, and whether well."""
    next_at = next_time(CRON, "Etc/UTC", begun_at)
    assert next_at is not None
    found, now, number = policy(begun_at, confirmed_at, next_at), begun_at, 1
    while True:
        if not year.fails(now, now + EXTRACT):
            if year.is_bad(now):
                tally.wasted += 1
                return now + EXTRACT, False
            return now + RUN, True
        tally.wasted += 1
        now += FAILS
        pause = planned(found, number)
        pause = None if pause is None else found.fitted(number, pause * (1 + JITTER / 2), now)
        if pause is None:
            return now, False
        now, number = now + timedelta(seconds=pause), number + 1


def seen(at: datetime) -> datetime:
    """When a person sees what was told at that moment."""
    while not (at.weekday() < 5 and 9 <= at.hour < 17):
        at = (at + timedelta(hours=1)).replace(minute=0, second=0)
    return at


def lived(policy: Policy, year: Year, *, attended: bool) -> Tally:
    """The year under this policy, with or without a person who starts runs by hand."""
    tally, confirmed, now = Tally(), START - timedelta(days=7) + timedelta(hours=5), START
    begins = next_time(CRON, "Etc/UTC", START - timedelta(seconds=1))
    while begins is not None and begins < START + YEAR:
        ended, well = run(policy, year, begins, confirmed, tally)
        following = next_time(CRON, "Etc/UTC", begins)
        assert following is not None
        if not well:
            told = min(ended, max(confirmed + MAX_AGE, begins))
            tally.alerted.append((told - begins).total_seconds() / 3600)
            if attended:
                ended, well = by_hand(year, seen(told), following, tally)
        if well:
            _confirmed(tally, confirmed, ended)
            confirmed = ended
        now, begins = ended, following
    _confirmed(tally, confirmed, max(now, START + YEAR))
    return tally


def by_hand(year: Year, seen_at: datetime, following: datetime, tally: Tally) -> tuple[datetime, bool]:
    """A person waits for the cause to go, and then starts a run, unless the schedule comes first."""
    at = seen_at
    while at < following - RUN:
        if not year.fails(at, at + EXTRACT) and not year.is_bad(at):
            tally.by_hand += 1
            return at + RUN, True
        at = seen(at + timedelta(hours=1))
    return at, False


def _confirmed(tally: Tally, before: datetime, after: datetime) -> None:
    """The time between two confirmations is counted."""
    broken = (after - before - MAX_AGE).total_seconds() / 3600
    if broken > 0:
        tally.breaches += 1
        tally.hours += broken


def measured(years: int) -> list[dict[str, Any]]:
    """A row for each policy: means of a year."""
    policies: dict[str, Policy] = {"derived": derived} | {f"{count} retries": fixed(count) for count in FIXED}
    worlds = [drawn(seed) for seed in range(years)]
    rows = []
    for attended, (name, policy) in product((True, False), policies.items()):
        tallies = [lived(policy, year, attended=attended) for year in worlds]
        alerts = [hours for tally in tallies for hours in tally.alerted]
        rows.append(
            {
                "policy": name,
                "attended": attended,
                "breaches": sum(tally.breaches for tally in tallies) / years,
                "hours_broken": sum(tally.hours for tally in tallies) / years,
                "failed_attempts": sum(tally.wasted for tally in tallies) / years,
                "failed_runs": len(alerts) / years,
                "runs_by_hand": sum(tally.by_hand for tally in tallies) / years,
                "median_hours_to_alert": median(alerts) if alerts else None,
                "longest_hours_to_alert": max(alerts, default=None),
            }
        )
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as docs/objective.md has them."""
    head = (
        "policy",
        "somebody acts",
        "breaches",
        "hours broken",
        "failed attempts",
        "failed runs",
        "runs by hand",
        "hours to alert",
    )
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        alert = f"{row['median_hours_to_alert']:.1f}, at most {row['longest_hours_to_alert']:.0f}"
        cells = (
            row["policy"],
            "yes" if row["attended"] else "no",
            f"{row['breaches']:.2f}",
            f"{row['hours_broken']:.1f}",
            f"{row['failed_attempts']:.1f}",
            f"{row['failed_runs']:.1f}",
            f"{row['runs_by_hand']:.1f}",
            alert,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=40)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = measured(given.years)
    print(table(rows))
    if given.out:
        document = {"benchmark": "slo", "years": given.years, "python": platform.python_version(), "policies": rows}
        given.out.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
