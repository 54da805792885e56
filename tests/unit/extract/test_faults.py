"""What PostgreSQL's refusals mean."""

import psycopg2
import psycopg2.errors
import pytest

from refit.core.errors import RefitError
from refit.extract import faults


def refusal(state: str | None, words: str = "words of the server") -> psycopg2.Error:
    error = psycopg2.errors.lookup(state)(words) if state else psycopg2.OperationalError(words)
    if state:
        error.__setstate__({"pgcode": state, "pgerror": words})  # type: ignore[no-untyped-call]  # as unpickling does
    return error


@pytest.mark.parametrize(
    ("state", "kind", "exit_code"),
    [
        ("08006", faults.DatabaseAway, 75),
        ("21000", faults.RowsUnreadable, 65),
        ("22012", faults.RowsUnreadable, 65),
        ("22P05", faults.RowsUnreadable, 65),
        ("25006", faults.QueryRefused, 64),
        ("28P01", faults.LoginRefused, 77),
        ("3D000", faults.BadDsn, 64),
        ("3F000", faults.UnknownRelation, 65),
        ("40001", faults.ReadConflict, 75),
        ("40P01", faults.ReadConflict, 75),
        ("42501", faults.ReadForbidden, 77),
        ("42601", faults.QueryRefused, 64),
        ("42703", faults.UnknownRelation, 65),
        ("42883", faults.QueryRefused, 64),
        ("42P01", faults.UnknownRelation, 65),
        ("53300", faults.DatabaseAway, 75),
        ("54001", faults.QueryRefused, 64),
        ("55P03", faults.DatabaseAway, 75),
        ("57014", faults.StatementTimeout, 75),
        ("57P01", faults.DatabaseAway, 75),
        ("58030", faults.DatabaseAway, 75),
        ("XX000", faults.DatabaseAway, 75),
        ("0A000", faults.QueryRefused, 64),
        (None, faults.DatabaseAway, 75),
    ],
)
def test_states(state: str | None, kind: type[RefitError], exit_code: int) -> None:
    found = faults.reading(refusal(state))
    assert type(found) is kind and found.exit_code == exit_code
    assert "words of the server" in found.message and found.next


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ('FATAL:  password authentication failed for user "me"', faults.LoginRefused),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "me"', faults.LoginRefused),
        ('FATAL:  role "me" does not exist', faults.LoginRefused),
        ("fe_sendauth: no password supplied", faults.LoginRefused),
        ('FATAL:  role "me" is not permitted to log in', faults.LoginRefused),
        ('FATAL:  permission denied for database "x"', faults.LoginRefused),
        ('FATAL:  database "x" does not exist', faults.BadDsn),
        ('invalid port number: "99999"', faults.BadDsn),
        ('invalid sslmode value: "maybe"', faults.BadDsn),
        ("server does not support SSL, but SSL was required", faults.BadDsn),
        ("connection refused\n\tIs the server running?", faults.DatabaseAway),
        ('could not translate host name "nowhere" to address', faults.DatabaseAway),
        ("timeout expired", faults.DatabaseAway),
        ("FATAL:  sorry, too many clients already", faults.DatabaseAway),
        ("FATAL:  the database system is starting up", faults.DatabaseAway),
        ("FATAL:  Passwort-Authentifizierung fehlgeschlagen", faults.DatabaseAway),
    ],
)
def test_connections(words: str, kind: type[RefitError]) -> None:
    found = faults.connecting(refusal(None, words))
    assert type(found) is kind and "\n" not in found.message


def test_statement_timeout_names_the_limit() -> None:
    found = faults.reading(refusal("57014", "canceling statement due to statement timeout"), timeout_seconds=90)
    assert "source.statement_timeout is 90 s" in found.message


def test_values_of_rows_are_not_shown() -> None:
    found = faults.reading(refusal("22P02", 'invalid input syntax for type integer: "4111 1111"'))
    assert "4111" not in found.message and "invalid input syntax for type integer" in found.message
