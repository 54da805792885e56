"""`refit status`: what is in production and what comes next."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import click

from refit.cli import words
from refit.cli.answer import is_terminal, paint, say, say_json, talk
from refit.cli.failure import completed, describe, error_document
from refit.cli.options import example, json_option, optional_name_argument, store_option
from refit.cli.overview import Champion, Overview, read_overview
from refit.cli.place import find, names, open_root
from refit.cli.runs import why
from refit.cli.story import OUTCOME_TONES
from refit.core.errors import RefitError
from refit.core.store import ObjectStore

HEAD: Final = ("PIPELINE", "CHAMPION", "AGE", "OBJECTIVE", "SCORE", "LAST RUN", "NEXT")
LABEL_WIDTH: Final = 11
AT_ONCE: Final = 8  # botocore keeps ten connections


@click.command(epilog=example("refit status", "refit status flight-delays", "refit status refit.yaml --json"))
@optional_name_argument
@store_option
@json_option
def status(target: str | None, store: str | None, as_json: bool) -> None:
    """Shows champion, age, score, last run and next action: of all pipelines in a line each, or of NAME in full.

    AGE counts from the verdict that last confirmed or replaced the champion; OBJECTIVE is slo.max_age of the file, and
    OLD where it is broken. A pipeline whose documents are damaged is
    told below the others, and gives the exit code.
    """
    now = datetime.now(UTC)
    if target is None:
        _show_all(open_root(store), now, as_json=as_json)
        return
    place = find(target, store)
    overview = read_overview(place.store, place.name, now)
    if as_json:
        say_json(overview.document())
    else:
        for line in lines(overview, local=is_terminal(sys.stdout)):
            say(line)


def _show_all(root: ObjectStore, now: datetime, *, as_json: bool) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:  # each waits for a bucket most of the time
        found = list(pool.map(lambda name: (name, _try(root, name, now)), names(root)))
    broken = {name: completed(describe(one), None, name) for name, one in found if isinstance(one, RefitError)}
    if as_json:
        documents = [
            one.document() if isinstance(one, Overview) else {"pipeline": name} | error_document(broken[name])
            for name, one in found
        ]
        say_json({"format": 1, "pipelines": documents})
    elif found:
        say(_painted(words.table(HEAD, [_row(name, one) for name, one in found])))
    else:
        talk(f"no pipeline is in {root.url} yet; start one: refit run FILE")
    for name, failure in broken.items():
        talk(f"{name} is broken: {failure.message}")
        talk(f"  next  {failure.next}")
    if broken:
        sys.exit(max(failure.exit_code for failure in broken.values()))


def _try(root: ObjectStore, name: str, now: datetime) -> Overview | RefitError:
    """One broken pipeline does not hide the others."""
    try:
        return read_overview(root.under(f"{name}/"), name, now)
    except RefitError as error:
        return error


def _row(name: str, found: Overview | RefitError) -> tuple[str, ...]:
    if isinstance(found, RefitError):
        return (name, "broken", "-", "-", "-", "-", f"refit status {name}")
    champion = found.champion
    return (
        name,
        champion.move.version if champion else "none yet",
        words.age(champion.age_seconds(found.at), short=True) if champion else "-",
        found.objective() or "-",
        champion.headline() if champion else "-",
        _last_run(found),
        found.next(),
    )


def _painted(table: str) -> str:
    """The table with broken objectives in colour where that is shown."""
    return table.replace("  OLD  ", f"  {paint('OLD', 'bad')}  ")


def _last_run(found: Overview) -> str:
    last = found.last_run
    if last is None:
        return "-"
    ended = last.outcome.finished_at if last.outcome else last.run.created_at if last.run else None
    ago = f"  {words.age((found.at - ended).total_seconds(), short=True)} ago" if ended else ""
    return f"{last.state.replace('_', ' ')}{ago}"


def lines(found: Overview, *, local: bool) -> Iterator[str]:
    """The pipeline in full."""
    yield found.name
    if found.champion:
        yield from _champion_lines(found.champion, found.at, local=local)
    else:
        yield _labelled("champion", "none yet")
    if found.max_age is not None:
        yield _labelled("objective", _objective(found))
    if found.watermark:
        yield _labelled("watermark", words.instant(found.watermark, local=local))
    if last := found.last_run:
        state = paint(_last_run(found), OUTCOME_TONES[last.state])
        yield _labelled("last run", f"{last.run_id}  {state}")
        yield _labelled("", words.one_line(why(last), 160))
    if found.held:
        until = words.instant(found.held.expires_at, local=local)
        yield _labelled("lock", f"{found.held.holder.run_id}, until {until} unless renewed")
    if found.schedule:
        yield _labelled("schedule", f"{found.schedule.cron} ({found.schedule.timezone}), next {found.due()}")
    if action := found.action():
        yield _labelled("next", action)


def _objective(found: Overview) -> str:
    """Whether it is met, and how long it was of late."""
    assert found.max_age is not None
    limit = words.age(found.max_age.total_seconds())
    if found.champion is None:
        return f"confirmed within {limit}; it counts from the first champion"
    state = paint("OLD", "bad") if found.is_old else paint("ok", "good")
    share = f", {_percent(found.fresh_share)} of the last 28 days" if found.fresh_share is not None else ""
    return f"confirmed within {limit}: {state}{share}"


def _percent(share: float) -> str:
    """Cut, never rounded up: 100 % is all of the time."""
    return f"{int(share * 1000) / 10:g} %"


def _champion_lines(champion: Champion, now: datetime, *, local: bool) -> Iterator[str]:
    promoted = words.age((now - champion.promoted_at).total_seconds())
    confirmed = f", confirmed {words.age(champion.age_seconds(now))} ago" if champion.confirmed_at else ""
    again = ", fitted again on all rows" if champion.move.fit_on == "all" else ""
    move = f"(move {champion.move.generation})"
    yield _labelled("champion", f"{champion.move.version}{again}  for {promoted} {move}{confirmed}")
    if champion.version is None:
        yield _labelled("", paint("its version's document is gone or malformed", "bad"))
    else:
        scores = words.GAP.join(f"{name} {words.figure(value)}" for name, value in champion.version.scores.items())
        yield _labelled("scores", scores or "none")
    if hold := champion.move.hold:
        yield _labelled("hold", f"since {words.instant(hold.since, local=local)} by {hold.who}: {hold.why}")
    if champion.move.barred:
        yield _labelled("barred", ", ".join(champion.move.barred))


def _labelled(label: str, text: str) -> str:
    return f"  {label:<{LABEL_WIDTH}}{text}".rstrip()
