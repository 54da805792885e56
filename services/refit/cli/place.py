"""Where a command looks: the store, the pipeline in it, the run in that."""

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import click

from refit.cli.session import session
from refit.core.addresses import BadKey
from refit.core.config import Pipeline
from refit.core.errors import AccessError, ConfigError
from refit.core.logs import withhold
from refit.core.runs import run_ids
from refit.core.store import ObjectStore, default_url, open_store

LATEST: Final = "@latest"
_FILE_ENDINGS: Final = (".yaml", ".yml")


class NoSuchFile(ConfigError):
    """The pipeline file is not there, or is no file."""


class UnknownPipeline(ConfigError):
    """The store holds no pipeline of this name."""

    def __init__(self, name: str, known: list[str] | None, url: str, file: str | None) -> None:
        near = difflib.get_close_matches(name, known or (), n=1)
        if file:
            hint = "start its first run: refit run FILE"
        elif near:
            hint = f"did you mean {near[0]}?"
        elif known:
            hint = f"there are {', '.join(known[:8])}"
        elif known is None:
            hint = "start a first run with refit run FILE, or name another store with --store"
        else:
            hint = "the store is empty: start a first run with refit run FILE, or name another store with --store"
        super().__init__(f"no run of pipeline {name[:60]!r} is in {url}", next=hint)


class UnknownRun(ConfigError):
    """The pipeline has no run of this id."""

    def __init__(self, run_id: str, name: str, known: list[str]) -> None:
        near = difflib.get_close_matches(run_id, known, n=1)
        newest = f"did you mean {near[0]}?" if near else f"refit runs {name} lists them"
        super().__init__(f"{name} has no run {run_id[:60]!r}", next=newest)


@dataclass(frozen=True)
class Place:
    """A pipeline's place in a store."""

    name: str
    root: ObjectStore
    store: ObjectStore

    def report_path(self, key: str) -> str:
        """Where a person finds an object: a path on disk, else an address."""
        return address(self.root, f"{self.name}/{key}")


def open_root(store: str | None) -> ObjectStore:
    """The store that the call names, else REFIT_STORE, else `.refit/store` in this folder.

    Raises:
        ConfigError: another kind of address.
    """
    return open_store(store or default_url(os.environ, Path.cwd()))


def names(root: ObjectStore) -> Iterator[str]:
    """The pipelines of a store in order; refit's own folders begin with a dot."""
    return (name for name in root.list_folders("") if not name.startswith("."))


def find(target: str, store: str | None) -> Place:
    """The place of the pipeline that FILE or NAME means.

    Raises:
        UnknownPipeline: no run of it is in the store.
        ConfigError: the file has faults.
    """
    name, file = name_of(target)
    root = open_root(store)
    if not _stands(root, name):
        raise UnknownPipeline(name, _others(root), root.url, file)
    return Place(name, root, root.under(f"{name}/"))


def _stands(root: ObjectStore, name: str) -> bool:
    """Asked of the pipeline alone: who may read one pipeline of a bucket need not know of the others."""
    if name.startswith(".") or "/" in name:
        return False
    try:
        return next(root.under(f"{name}/").list_folders(""), None) is not None
    except BadKey:
        return False


def _others(root: ObjectStore) -> list[str] | None:
    """The pipelines that the store has; None where that may not be asked."""
    try:
        return list(names(root))
    except AccessError:
        return None


def name_of(target: str) -> tuple[str, str | None]:
    """The name that FILE or NAME means, and the file if it is one: a path that exists or ends in .yaml."""
    if target.endswith(_FILE_ENDINGS) or Path(target).is_file():
        name, file = read_file(target)[1].name, target
    else:
        name, file = target, None
    session().name = name
    return name, file


def read_file(path: str) -> tuple[bytes, Pipeline]:
    """The file's bytes and what they say; the session knows both names from now on.

    Raises:
        NoSuchFile: it is not there, or a folder.
        AccessError: it may not be read.
        ConfigError: it has faults.
    """
    from refit.core.config import parse_pipeline

    session().file = path
    try:
        body = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoSuchFile(f"there is no file {path}", next="name the pipeline file, like refit.yaml") from error
    except IsADirectoryError as error:
        raise NoSuchFile(
            f"{path} is a folder", next=f"name the file in it, like {Path(path) / 'refit.yaml'}"
        ) from error
    except PermissionError as error:
        raise AccessError(f"{path} may not be read by this user", next="change its permissions") from error
    pipeline = parse_pipeline(body, path)
    session().name = pipeline.name
    if pipeline.sensitive:
        withhold()
    return body, pipeline


def find_run(place: Place, run_id: str) -> str:
    """The run that RUN_ID means; `@latest` is the newest.

    Raises:
        UnknownRun: there is no such run.
    """
    known = list(run_ids(place.store))
    if run_id == LATEST and known:
        return known[-1]
    if run_id not in known:
        raise UnknownRun(run_id, place.name, known)
    return run_id


def address(root: ObjectStore, key: str) -> str:
    """Where a person finds an object: a path, relative where it lies below this folder, else the store's address."""
    parts = urlsplit(root.url)
    if parts.scheme != "file":
        return f"{root.url.rstrip('/')}/{key}"
    path = Path(unquote(parts.path)) / key
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def as_time(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """An ISO 8601 date or time; UTC unless it has an offset of its own."""
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{value[:40]!r} is no ISO date or time, like 2013-02-01 or 2013-02-01T05:00Z"
        ) from error
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
