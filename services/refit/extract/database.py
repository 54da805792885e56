"""The source database: one read-only connection, one snapshot of it, every statement through the effects hook."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg2
import psycopg2.extensions
import stamina

from refit.core.effects import effect
from refit.core.errors import DependencyError
from refit.extract import faults

CONNECT_ATTEMPTS: Final = 5
CONNECT_SECONDS: Final = 20.0  # and one last try: together within the 30 s that a step may retry
_DEFAULTS: Final = {
    "connect_timeout": "8",
    "keepalives": "1",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# What the text of values depends on, and what makes the order of rows differ from run to run.
_SETTINGS: Final = (
    "SET LOCAL TIME ZONE 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; "
    "SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 3; SET LOCAL synchronize_seqscans = off; "
    "SET LOCAL statement_timeout = {milliseconds}"
)


class RowSink(Protocol):
    """Takes the stream of a COPY: one call per row."""

    def write(self, row: bytes, /) -> object: ...


@dataclass(frozen=True)
class ResultColumn:
    """A column of a statement's result; precision and scale only of a numeric that has them."""

    name: str
    type_oid: int
    precision: int | None
    scale: int | None


@dataclass(frozen=True)
class Database:
    """One transaction, in which every statement sees the same rows."""

    connection: psycopg2.extensions.connection
    timeout: timedelta

    def fetch(self, sql: str, name: str) -> tuple[list[tuple[Any, ...]], list[ResultColumn]]:
        """Rows and columns of a statement that gives few rows; `name` is for the effects hook.

        Raises:
            RefitError: as extract/faults.py maps what the server says.
        """
        with self._mapped(sql), effect(f"sql {name}"), self.connection.cursor() as cursor:
            cursor.execute(sql)
            columns = [_result_column(column) for column in cursor.description or ()]
            return (cursor.fetchall() if columns else []), columns

    def copy(self, sql: str, sink: RowSink) -> None:
        """The whole stream of a COPY TO STDOUT has gone to `sink`.

        Raises:
            RefitError: as extract/faults.py maps what the server says; the stream may have begun.
        """
        with self._mapped(sql), effect("sql copy"), self.connection.cursor() as cursor:
            cursor.copy_expert(sql, sink, 1 << 20)

    def cancel(self) -> None:
        """The running statement ends soon, if the server still listens. For other threads."""
        with suppress(psycopg2.Error):
            self.connection.cancel()

    @contextmanager
    def _mapped(self, sql: str) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            raise faults.reading(error, sql, self.timeout.total_seconds()) from error


def read_dsn(environ: Mapping[str, str] = os.environ) -> str:
    """The connection string of REFIT_SOURCE_DSN, or of the file that REFIT_SOURCE_DSN_FILE names.

    Raises:
        BadDsn: neither is set, or the file cannot be read.
    """
    if dsn := environ.get("REFIT_SOURCE_DSN"):
        return dsn
    path = environ.get("REFIT_SOURCE_DSN_FILE")
    if not path:
        raise faults.BadDsn("neither REFIT_SOURCE_DSN nor REFIT_SOURCE_DSN_FILE is set")
    try:
        dsn = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise faults.BadDsn(f"REFIT_SOURCE_DSN_FILE names {path}, which cannot be read as text") from error
    if not dsn:
        raise faults.BadDsn(f"REFIT_SOURCE_DSN_FILE names {path}, which is empty")
    return dsn


@contextmanager
def open_database(dsn: str, application_name: str, timeout: timedelta) -> Iterator[Database]:
    """A read-only transaction on one snapshot of the database, in UTC; it ends with the block.

    Args:
        application_name: As pg_stat_activity shows it; cut at 63 bytes by PostgreSQL.
        timeout: Of each statement.

    Raises:
        BadDsn, LoginRefused: at once.
        DatabaseAway: after tries for up to 30 s.
    """
    settings = _settings(dsn, application_name)
    with closing(_connected(settings)) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        database = Database(connection, timeout)
        settled = _SETTINGS.format(milliseconds=int(timeout.total_seconds() * 1000))
        if connection.get_parameter_status("server_encoding") == "SQL_ASCII":
            settled += "; SET LOCAL client_encoding = 'SQL_ASCII'"  # or one cell that is not UTF-8 ends the stream
        database.fetch(settled, "begin")
        yield database


def _ambiguous(dsn: str) -> bool:
    """True for a URL in which an @ follows the one that ends user and password, or the / that ends host and port."""
    scheme, _, rest = dsn.partition("://")
    if scheme not in ("postgresql", "postgres"):
        return False
    before_query = re.split(r"\?(?=\w+=)", rest)[0]
    return "@" in re.split("[@/]", before_query, maxsplit=1)[-1]


def _settings(dsn: str, application_name: str) -> dict[str, str]:
    try:
        given: dict[str, str] = psycopg2.extensions.parse_dsn(dsn)
    except psycopg2.Error:  # its words may quote the password, and so may the chain
        raise faults.BadDsn("the connection string is not one that PostgreSQL's client can read") from None
    if _ambiguous(dsn):  # libpq would take a piece of the password for host or port, and say so in its words
        raise faults.BadDsn(
            "the connection string has an @ or a / too many: in a URL a password's @ is written %40, and its / is %2F"
        )
    return _DEFAULTS | given | {"application_name": application_name, "client_encoding": "UTF8"}


def _connected(settings: dict[str, Any]) -> psycopg2.extensions.connection:
    """A block and no decorator, which would log its function's arguments, and the password with them."""
    for attempt in stamina.retry_context(
        on=DependencyError, attempts=CONNECT_ATTEMPTS, timeout=CONNECT_SECONDS, wait_initial=0.5
    ):
        with attempt:
            return _connect(settings)
    raise AssertionError("unreachable: the last attempt raises")


def _connect(settings: dict[str, Any]) -> psycopg2.extensions.connection:
    try:
        with effect("sql connect"):
            connection: psycopg2.extensions.connection = psycopg2.connect("", **settings)
            return connection
    except psycopg2.Error as error:
        raise faults.connecting(error) from error


def _result_column(column: psycopg2.extensions.Column) -> ResultColumn:
    precision, scale = column.precision, column.scale
    if precision is None or scale is None or precision == 65535:  # a numeric without precision
        return ResultColumn(column.name, column.type_code, None, None)
    return ResultColumn(
        column.name, column.type_code, precision, scale - 2048 if scale >= 1024 else scale
    )  # 11 bits, signed
