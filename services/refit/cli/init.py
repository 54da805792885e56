"""`refit init`: a first pipeline file from a live table."""

import os
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from refit.cli.answer import say, say_json, talk
from refit.cli.options import example, json_option
from refit.core.disk import disk
from refit.core.errors import ConfigError

FILE: Final = "refit.yaml"
SURVEY_TIMEOUT: Final = timedelta(minutes=2)


class FileStands(ConfigError):
    """There is a file already; it is never overwritten."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists already", next="name another folder, or move the file away")


@click.command(epilog=example("refit init --dsn postgresql://reader@warehouse/db --table loans --target defaulted"))
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--dsn", metavar="DSN", help="Where the table is; default REFIT_SOURCE_DSN. Not kept in the file.")
@click.option("--table", required=True, metavar="TABLE", help="A table or view, with its schema where needed.")
@click.option("--target", required=True, metavar="COLUMN", help="The column to predict.")
@click.option("--key", metavar="A,B", help="Columns that identify a row; default: the primary key or a unique index.")
@click.option("--cursor", metavar="COLUMN", help="The column that tells which rows are new; default: the likeliest.")
@click.option("--name", metavar="NAME", help="The pipeline's name; default: after the table.")
@json_option
def init(
    folder: Path,
    dsn: str | None,
    table: str,
    target: str,
    key: str | None,
    cursor: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Writes a commented refit.yaml into DIR from what a live table says about itself.

    Looks at types, keys, indexes and the first rows; writes nothing to the database, and no value of a row to the file
    but the range of numbers.
    """
    from refit.cli.first_file import Wanted, first_file
    from refit.core.config import parse_pipeline
    from refit.extract.database import open_database, read_dsn
    from refit.extract.survey import survey

    path = folder / FILE
    if path.exists():
        raise FileStands(path)
    with open_database(dsn or read_dsn(os.environ), "refit/init", SURVEY_TIMEOUT) as database:
        found = survey(database, table)
    keys = tuple(part.strip() for part in key.split(",")) if key else None
    text = first_file(found, Wanted(target, keys, cursor, name)).replace("{}", shlex.quote(str(path)), 1)
    pipeline = parse_pipeline(text, str(path))
    with disk("write the file", str(path)):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    if as_json:
        say_json(
            {
                "format": 1,
                "file": str(path),
                "pipeline": pipeline.name,
                "task": pipeline.task,
                "key": list(pipeline.source.key),
                "cursor": pipeline.source.cursor,
                "rows": found.rows,
            }
        )
    else:
        source = pipeline.source
        say(f"{path}: {pipeline.target}, {pipeline.task}; key {', '.join(source.key)}; cursor {source.cursor}")
    talk(f"next: refit check {shlex.quote(str(path))} --connect")
