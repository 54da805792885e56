"""`refit demo`: eight weekly retraining runs on real flights, on this machine."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from refit.cli.answer import say, say_json, talk
from refit.cli.options import example, json_option
from refit.cli.place import address
from refit.cli.words import count, seconds
from refit.core import logs
from refit.core.errors import ConfigError
from refit.core.registry import read_champion
from refit.core.store import open_store
from refit.demo import advice, flights, weeks
from refit.demo.folder import PIPELINE, Folder
from refit.demo.postgres import database_of, server
from refit.demo.show import Show, document

WAREHOUSE: Final = "warehouse"


class NoDatabase(ConfigError):
    """There is nothing to load the flights into."""

    def __init__(self) -> None:
        super().__init__(
            "--load fills a database of yours, and REFIT_DEMO_DSN names none",
            next="set REFIT_DEMO_DSN to postgresql://USER:PASSWORD@HOST/DATABASE",
        )


@click.command(epilog=example("refit demo", "refit demo --weeks 4", "refit demo --fresh", "refit demo --database"))
@click.option("--weeks", "number", type=click.IntRange(1, 60), default=8, show_default=True, help="How many runs.")
@click.option("--fresh", is_flag=True, help="Forget all runs of the demo and start with the first week again.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Keep everything in DIR/.refit; default this folder.",
)
@click.option("--database", is_flag=True, help="Only keep the database up, for runs of your own, until Ctrl-C.")
@click.option("--load", is_flag=True, help="Only load the flights into the database that REFIT_DEMO_DSN names.")
@json_option
def demo(number: int, fresh: bool, folder: Path, database: bool, load: bool, as_json: bool) -> None:
    """Retrains a model of flight delays for eight simulated weeks of 2013, and promotes it when it can be trusted.

    Starts a PostgreSQL of its own, fills it with the flights that left New York in 2013, and makes a run as
    `refit run` does for each week. A second call goes on with the weeks that follow. Nothing is left running.

    REFIT_DEMO_DSN names another, empty database for the flights.
    """
    logs.configure()
    if load:
        _load(as_json=as_json)
        return
    place = Folder(folder)
    tell = talk if as_json else say
    started = time.monotonic()
    with _warehouse(place) as dsn:
        place.set_up(fresh=fresh)
        rows = flights.load(dsn)
        tell(f"{count(rows)} flights of 2013 stand in PostgreSQL ({seconds(time.monotonic() - started)})\n")
        if database:
            _keep_up(place, dsn, tell, as_json=as_json)
            return
        show = _run_weeks(place, dsn, number, tell, as_json=as_json)
    if as_json:
        say_json(document(show.done, place, show.following()))
    else:
        _tell_end(place, show)
    click.get_current_context().exit(show.exit_code)


def _load(*, as_json: bool) -> None:
    """The flights stand in the user's database. Raises NoDatabase."""
    dsn = os.environ.get("REFIT_DEMO_DSN")
    if not dsn:
        raise NoDatabase
    rows = flights.load(dsn)
    say_json({"format": 1, "rows": rows}) if as_json else say(f"{count(rows)} flights of 2013 stand in PostgreSQL")


def _run_weeks(place: Folder, dsn: str, number: int, tell: Callable[[str], None], *, as_json: bool) -> Show:
    with closing(Show(place, dsn, tell, err=as_json)) as show:
        show.run(number)
    if show.done and show.exit_code == 0 and show.done[-1].as_of:
        place.write_next_week(dsn, show.done[-1].as_of)
    return show


@contextmanager
def _warehouse(place: Folder) -> Iterator[str]:
    """The DSN of the database for the flights: the user's, else one on a server of our own."""
    if given := os.environ.get("REFIT_DEMO_DSN"):
        yield given
        return
    with server(place.kept) as dsn:
        yield database_of(dsn, WAREHOUSE)


def _keep_up(place: Folder, dsn: str, tell: Callable[[str], None], *, as_json: bool) -> None:
    """The database was up until Ctrl-C; meanwhile a file holds its connection string."""
    store = advice.store_option(place, os.environ, Path.cwd())
    as_of = Show(place, dsn, tell, err=as_json).following() or weeks.LAST
    place.write_dsn(dsn)
    try:
        if as_json:
            say_json({"format": 1, "dsn_file": str(place.dsn.absolute()), "file": str(place.file.absolute())})
        tell("The database is up until Ctrl-C. In another terminal, in this folder:")
        for line in advice.columns(advice.beside_database(place, advice.this_program(), store, as_of)):
            tell(line)
        with suppress(KeyboardInterrupt):
            while True:
                signal.pause()
    finally:
        place.dsn.unlink(missing_ok=True)


def _tell_end(place: Folder, show: Show) -> None:
    """What came of it, and what to type next."""
    following = show.following()
    if not show.done:
        say(f"The year is over: its last flights were used. To start again: {_again(place)} --fresh")
        return
    say(f"\n{advice.summary(show.done)}")
    last = show.done[-1]
    root = open_store(place.store_url)
    if last.report:
        say(f"report of the last week: {address(root, f'{PIPELINE}/{last.report}')}")
    store = advice.store_option(place, os.environ, Path.cwd())
    predictable = place.rows.exists() and read_champion(show.store) is not None
    say("\nnext")
    for line in advice.columns(
        advice.after_weeks(place, advice.this_program(), store, last, following, predictable=predictable)
    ):
        say(line)


def _again(place: Folder) -> str:
    return advice.demo_call(place, advice.this_program())
