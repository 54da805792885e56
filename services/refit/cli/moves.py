"""`refit promote`, `rollback`, `release`: the champion, moved by hand."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from refit.cli.answer import paint, say, say_json, talk
from refit.cli.notices import tell_of_move
from refit.cli.options import example, json_option, name_argument, reason_option, store_option
from refit.cli.place import Place, find
from refit.core import artifacts, environment, hand, pushgateway, registry, samples
from refit.core.domain import FitOn, Move, TrainManifest
from refit.core.environment import created_by
from refit.core.errors import SupersededError
from refit.core.metrics import Sample
from refit.core.runs import recorded_runs
from refit.core.store import Conflict, ObjectStore
from refit.run.recollection import push_latest
from refit.run.standing import known, read_standing


class Overtaken(SupersededError):
    """Another run or person moved the champion at the same moment."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the champion of {name} was moved by another run or person at this moment; nothing was changed",
            next=f"look at it with refit history {name}, then repeat the command",
        )


@click.command(epilog=example("refit promote flight-delays 20130405t000000-k3fw --reason 'agreed with the airline'"))
@name_argument
@click.argument("version", metavar="VERSION")
@click.option("--evaluated", is_flag=True, help="Its evaluated model, also where it was fitted again on all rows.")
@reason_option
@store_option
@json_option
def promote(target: str, version: str, evaluated: bool, reason: str, store: str | None, as_json: bool) -> None:
    """Makes VERSION the champion of pipeline NAME, whatever its verdict; lifts a hold.

    Where publish.fit_on is all, accepted candidates were fitted again on all rows, and that model is taken.
    """
    place = find(target, store)
    fit_on: FitOn | None = "evaluated" if evaluated else None
    with _overtaken(place.name):
        move = hand.promote(place.store, version, who=created_by(), why=reason, now=datetime.now(UTC), fit_on=fit_on)
    verdict = registry.read_version(place.store, version).verdict
    if verdict.result != "accepted":
        talk(f"note: its verdict was {verdict.result}: {verdict.reason}")
    _tell(place.name, move, as_json=as_json)
    _push(place)
    _notify(place, move)
    _note_changes(place.store, version)
    talk(f"next: refit status {place.name}; to take it back: refit rollback {place.name} --reason '…'")


@click.command(epilog=example("refit rollback flight-delays --reason 'late flights are missed'"))
@name_argument
@click.option("--to", metavar="VERSION", help="The version to go to; default: the champion before this one.")
@reason_option
@store_option
@json_option
def rollback(target: str, to: str | None, reason: str, store: str | None, as_json: bool) -> None:
    """Goes back to an earlier champion of pipeline NAME.

    The version it leaves is barred, and promotions wait for approval until `refit release` or `refit promote`.
    """
    place = find(target, store)
    with _overtaken(place.name):
        move = hand.rollback(place.store, to, who=created_by(), why=reason, now=datetime.now(UTC))
    _tell(place.name, move, as_json=as_json)
    _push(place)
    _notify(place, move)
    _note_changes(place.store, move.version)
    talk(f"promotions are on hold now; next, when that is settled: refit release {place.name} --reason '…'")


@click.command(epilog=example("refit release flight-delays --reason 'the join is mended'"))
@name_argument
@reason_option
@store_option
@json_option
def release(target: str, reason: str, store: str | None, as_json: bool) -> None:
    """Lifts the hold on promotions of pipeline NAME; the champion stays."""
    place = find(target, store)
    with _overtaken(place.name):
        move = hand.release(place.store, who=created_by(), why=reason, now=datetime.now(UTC))
    _tell(place.name, move, as_json=as_json)
    _push(place)
    _notify(place, move)
    talk("accepted candidates are promoted by themselves again; next: refit run FILE")


@contextmanager
def _overtaken(name: str) -> Iterator[None]:
    try:
        yield
    except Conflict as error:
        raise Overtaken(name) from error


def _note_changes(store: ObjectStore, version: str) -> None:
    """Says what differs here from where the version was fitted, unless nothing fits models here."""
    if "scikit-learn" not in environment.versions():
        return
    artifact = registry.read_version(store, version).train
    train = TrainManifest.from_json(artifacts.read(store, artifact), artifact.key)
    if changed := environment.changes(train.environment):
        talk(f"note: since it was fitted, {'; '.join(changed)} here; the next run asks whether it says what it said")


def _push(place: Place) -> None:
    """Prometheus learns of the move, where the environment names a Pushgateway; one that fails is a note."""
    gateway = pushgateway.at(pushgateway.url_of(os.environ), place.name)
    newest = known(lambda: next(recorded_runs(place.store), None))
    if gateway is None or newest is None:
        return

    def read() -> list[Sample]:
        return list(samples.of_production(read_standing(place.store, newest.file, datetime.now(UTC))))

    if why := push_latest(gateway, place.store, read):
        talk(f"note: the metrics were not pushed: {why}; later: refit metrics {place.name} --push")


def _notify(place: Place, move: Move) -> None:
    """The file's webhook learns of the move; one that fails is a warning."""
    if untold := tell_of_move(place.store, move, os.environ):
        talk(f"{paint('warning', 'odd', err=True)}  nobody was told of the move: {untold}")


def _tell(name: str, move: Move, *, as_json: bool) -> None:
    if as_json:
        say_json({"format": 1, "pipeline": name, "move": move.model_dump(mode="json", by_alias=True)})
    elif move.kind == "release":
        say(f"the hold on {name} is lifted; its champion stays {move.version}")
    else:
        was = f" (was {move.previous})" if move.previous and move.previous != move.version else ""
        again = ", the model fitted again on all rows" if move.fit_on == "all" else ""
        say(f"the champion of {name} is now {move.version}{again}{was}")
