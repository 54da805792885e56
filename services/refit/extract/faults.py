"""What PostgreSQL's refusals mean: each psycopg2 error is mapped here, once, to one of ours.

    connecting   BadDsn 64, DatabaseAway 75, LoginRefused 77
    reading      by SQLSTATE (PostgreSQL's appendix A), longest prefix first; see _BY_STATE

Messages never hold the connection string, nor values of rows.
"""

import re
from typing import Final

import psycopg2

from refit.core.errors import AccessError, ConfigError, DataError, DependencyError, RefitError
from refit.core.logs import WITHHELD, are_withheld

CHECK_DSN: Final = "check REFIT_SOURCE_DSN, or the file that REFIT_SOURCE_DSN_FILE names"


class BadDsn(ConfigError):
    """The connection string is missing, or not one that PostgreSQL's client can read."""

    def __init__(self, what: str) -> None:
        super().__init__(what, next=CHECK_DSN)


class DatabaseAway(DependencyError):
    """The server cannot be reached, refuses for now, or went away."""


class StatementTimeout(DependencyError):
    """A statement took longer than `source.statement_timeout`, or was cancelled by hand."""


class ReadConflict(DependencyError):
    """A replica's recovery or another transaction ended ours; reading again may help at once."""


class LoginRefused(AccessError):
    """The server knows the user or the password otherwise."""


class ReadForbidden(AccessError):
    """The user may not read what the query names."""


class UnknownRelation(DataError):
    """A table or column that the query names does not exist."""


class RowsUnreadable(DataError):
    """The database cannot compute or encode a value of the query's result."""


class QueryRefused(ConfigError):
    """PostgreSQL cannot read the query, or it does more than read."""


_WAIT: Final = "it is tried again; if it stays so, look at the database"
_BY_STATE: Final[dict[str, tuple[type[RefitError], str, str]]] = {
    "08": (DatabaseAway, "the database went away", _WAIT),
    "21": (RowsUnreadable, "a subquery gives more than one row", "correct the query"),
    "22": (RowsUnreadable, "the database cannot compute a value", "correct the query or the rows"),
    "25006": (QueryRefused, "the query writes", "source.query may only read"),
    "28": (LoginRefused, "the database refuses the login", CHECK_DSN),
    "3D": (BadDsn, "", ""),
    "3F": (UnknownRelation, "a schema is gone", "correct the query, or restore the schema"),
    "40": (ReadConflict, "the database ended the transaction", _WAIT),
    "42": (QueryRefused, "PostgreSQL refuses the query", "correct source.query"),
    "42501": (ReadForbidden, "the database user may not read", "GRANT SELECT to the user of the connection string"),
    "42703": (UnknownRelation, "a column is gone", "correct the query, or restore the column"),
    "42P01": (UnknownRelation, "a table is gone", "correct the query, or restore the table"),
    "53": (DatabaseAway, "the database is short of resources", _WAIT),
    "55": (DatabaseAway, "the database is not ready for the query", _WAIT),
    "57": (DatabaseAway, "the database shuts down or starts", _WAIT),
    "57014": (StatementTimeout, "the database ended the statement", "raise source.statement_timeout, or add an index"),
    "58": (DatabaseAway, "the database has a system error", _WAIT),
    "XX": (DatabaseAway, "the database has an internal error", _WAIT),
}
_MAY_QUOTE: Final = frozenset({"21", "22", "23", "P0", "XX"})  # a value of a row, the last three outside quotes
_REFUSED_LOGIN: Final = re.compile(
    r"authentication failed|no pg_hba\.conf entry|role .* does not exist|no password supplied"
    r"|is not permitted to log in|permission denied for database|pg_hba\.conf rejects"
)
_WRONG_DSN: Final = re.compile(r"database .* does not exist|invalid .*(value|number|option)|does not support SSL")


def connecting(error: psycopg2.Error) -> RefitError:
    """The error that a failed connection means. libpq gives no SQLSTATE then, so its words decide.

    Words of another language than English are taken for a server that is away.
    """
    words = " ".join(str(error).split())
    if _REFUSED_LOGIN.search(words):
        return LoginRefused(f"the database refuses the login: {words}", next=CHECK_DSN)
    if _WRONG_DSN.search(words):
        return BadDsn(f"the connection string is wrong: {words}")
    return DatabaseAway(f"the database cannot be reached: {words}", next="check host, port and that the server is up")


def reading(error: psycopg2.Error, sql: str = "", timeout_seconds: float | None = None) -> RefitError:
    """The error that a failed statement means.

    Args:
        sql: The statement, whose second line is the first of the user's query.
        timeout_seconds: The limit that the statement ran under.
    """
    words = " ".join((error.diag.message_primary or str(error)).split())
    state = error.pgcode or ""
    if state == "57014" and timeout_seconds is not None and "statement timeout" in words:
        words = f"{words} (source.statement_timeout is {timeout_seconds:g} s)"
    if are_withheld() and state[:2] in _MAY_QUOTE:
        words = f"SQLSTATE {state} {WITHHELD}"
    elif state.startswith("22"):
        words = re.sub(r'"[^"]*"', '"…"', words)  # it may be a value
    if state.startswith("3D"):
        return BadDsn(words)
    for prefix in (state, state[:2]):
        if prefix in _BY_STATE:
            kind, what, next_ = _BY_STATE[prefix]
            return kind(f"{what}: {words}{_place(error, sql)}", next=next_)
    if state:
        return QueryRefused(f"PostgreSQL refuses the query: {words} (SQLSTATE {state})", next="correct source.query")
    return DatabaseAway(f"the connection to the database broke: {words}", next=_WAIT)


def _place(error: psycopg2.Error, sql: str) -> str:
    position = error.diag.statement_position
    if not position or not sql:
        return ""
    return f" (line {max(sql[: int(position) - 1].count(chr(10)), 1)} of source.query)"
