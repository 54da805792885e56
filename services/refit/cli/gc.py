"""`refit gc` and `refit delete`: what is not needed any more goes."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Final

import click

from refit.cli.answer import is_terminal, say, say_json, talk
from refit.cli.options import example, json_option, name_argument, store_option, wait_option
from refit.cli.place import Place, find
from refit.cli.words import plural, size
from refit.core import keys, pushgateway
from refit.core.config import Retention, parse_pipeline
from refit.core.errors import ConfigError
from refit.core.lock import Lock
from refit.core.retention import LEAST_AGE, Waste, clock_of, collect, everything, find_waste
from refit.core.runs import held, newest_file
from refit.core.store import Listed

_KINDS: Final = {keys.VERSIONS: "versions", keys.RUNS: "runs", keys.DATA: "data", keys.PREDICTIONS: "predictions"}


class NotConfirmed(ConfigError):
    """Nobody said yes."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was not deleted: nobody confirmed it", next=f"refit delete {name} --yes")


@click.command(epilog=example("refit gc flight-delays --dry-run", "refit gc flight-delays"))
@name_argument
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@wait_option
@store_option
@json_option
def gc(target: str, dry_run: bool, wait: int, store: str | None, as_json: bool) -> None:
    """Deletes what pipeline NAME does not need any more.

    `retention` of the pipeline's file says what is kept; nothing younger than a week goes, nor the champion, nor a
    version that a rollback may need, nor anything that these were built from. What a version was made of goes with
    the gc after the one that removed the version.
    """
    place = find(target, store)
    if dry_run:
        now = clock_of(place.store, keys.ref("lock")) if place.store.exists(keys.ref("lock")) else datetime.now(UTC)
        _tell(place, find_waste(place.store, _retention(place), now), dry_run=True, as_json=as_json)
        return
    with _held(place, wait) as lock:
        waste = find_waste(place.store, _retention(place), clock_of(place.store, keys.ref("lock")))
        with _counted(waste.objects) as done:
            collect(place.store, waste, lock.check, done)
        swept = place.root.sweep(LEAST_AGE)
    if swept:
        talk(f"{plural(swept, 'unfinished upload')} of killed processes removed from {place.root.url}")
    _tell(place, waste, dry_run=False, as_json=as_json)


@click.command(epilog=example("refit delete flight-delays --dry-run", "refit delete flight-delays --yes"))
@name_argument
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@wait_option
@store_option
@json_option
def delete(target: str, dry_run: bool, yes: bool, wait: int, store: str | None, as_json: bool) -> None:
    """Deletes pipeline NAME with all of its runs, data, versions and history. This cannot be undone."""
    place = find(target, store)
    found = everything(place.store)
    what = f"{place.name}: {plural(len(found), 'object')}, {size(sum(listed.size for listed in found))}"
    if not dry_run:
        if not yes and not (sys.stdin.isatty() and click.confirm(f"Delete {what}, for good?", err=True)):
            raise NotConfirmed(place.name)
        with _held(place, wait) as lock:
            found = everything(place.store)
            with _counted(found) as done:
                _delete_all(place, found, lock.check, done)
        _forget(place.name)
    if as_json:
        say_json({"format": 1, "pipeline": place.name, "dry_run": dry_run, "objects": len(found)})
    else:
        say(f"{'would go' if dry_run else 'deleted'}: {what}")


def _forget(name: str) -> None:
    """Prometheus hears no more of the pipeline, where the environment names a Pushgateway, which forgets nothing."""
    gateway = pushgateway.at(pushgateway.url_of(os.environ), name)
    if gateway is not None and (why := gateway.forget()):
        talk(f"note: the Pushgateway may still tell of {name}, and alerts with it: {why}")


def _delete_all(
    place: Place, found: Sequence[Listed], check: Callable[[], None], done: Callable[[Listed], None]
) -> None:
    """Nothing of the pipeline stands. The lock goes last, while it is still held: freed, it may be another's.

    Args:
        check: As `collect` calls it.
        done: Called after each deletion.
    """
    lock = keys.ref("lock")
    while rest := [listed for listed in found if listed.key != lock]:
        for listed in rest:
            check()
            place.store.delete(listed.key)
            done(listed)
        found = everything(place.store)  # a person may have moved the champion meanwhile
    check()
    place.store.delete(lock)


def _retention(place: Place) -> Retention:
    """As the file of the newest run says."""
    found = newest_file(place.store)
    return Retention() if found is None else parse_pipeline(found[1], found[0]).retention


def _held(place: Place, wait: int) -> AbstractContextManager[Lock]:
    """No run of the pipeline goes on during the block."""
    return held(place.store, wait, lambda holder: talk(f"run {holder.run_id} is going on; waiting up to {wait} s"))


@contextmanager
def _counted(found: Sequence[Listed]) -> Iterator[Callable[[Listed], None]]:
    """A bar on a terminal; nothing elsewhere."""
    with click.progressbar(
        length=len(found), label="deleting", file=sys.stderr, hidden=not is_terminal(sys.stderr)
    ) as bar:
        yield lambda _listed: bar.update(1)


def _tell(place: Place, waste: Waste, *, dry_run: bool, as_json: bool) -> None:
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for listed in waste.objects:
        kind = next(name for prefix, name in _KINDS.items() if listed.key.startswith(prefix))
        counts[kind] += 1
        sizes[kind] += listed.size
    if as_json:
        objects = {kind: {"objects": counts[kind], "bytes": sizes[kind]} for kind in _KINDS.values()}
        gone = {"runs": list(waste.runs), "versions": list(waste.versions), "objects": objects, "bytes": waste.size}
        say_json({"format": 1, "pipeline": place.name, "dry_run": dry_run, "gone": gone, "kept": waste.kept})
        return
    verb = "would go" if dry_run else "gone"
    if not waste.objects:
        say(f"{place.name}: nothing to delete; {plural(waste.kept, 'object')} are needed or younger than a week")
        return
    for kind in _KINDS.values():
        if counts[kind]:
            say(f"{kind:<12}{plural(counts[kind], 'object'):>14}{size(sizes[kind]):>12}")
    for name in waste.versions:
        say(f"version {name}")
    say(f"{verb}: {plural(len(waste.objects), 'object')}, {size(waste.size)}; {waste.kept:,} stay")
