"""The warehouse has the flights of the demo, moved by whole weeks so that they land until months from today.

What lies in the future is not read before its time: every hour brings new rows, as a warehouse in use does. A second
call changes nothing. A user `reader` may read, and nothing else.

Environment: LOADER_DSN of a user that may create tables and roles; READER_PASSWORD.
"""

import os
import time
from contextlib import closing
from typing import Final

import psycopg2
from psycopg2 import extensions, sql

from refit.core.errors import DependencyError
from refit.demo.flights import load

FIRST_DAY: Final = "2013-05-06"
"""The day of the data that becomes the first of this week: four months of it are past then, and eight are to come."""
SECONDS: Final = 180.0

MOVED: Final = """
CREATE TABLE IF NOT EXISTS flights_now AS
SELECT flight_id, landed_at + (date_trunc('week', now()) - date_trunc('week', timestamptz %(first)s)) AS landed_at,
  carrier, origin, dest, distance, dep_hour, temp, wind_speed, late
FROM flights
"""


def main() -> None:
    dsn = os.environ["LOADER_DSN"]
    rows = loaded(dsn)
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")
        cursor.execute(MOVED, {"first": FIRST_DAY})
        cursor.execute("CREATE INDEX IF NOT EXISTS flights_now_landed_at ON flights_now (landed_at)")
        make_reader(cursor, os.environ["READER_PASSWORD"])
        cursor.execute("ANALYZE flights_now")
        cursor.execute("SELECT count(*) FILTER (WHERE landed_at <= now()) FROM flights_now")
        past = (cursor.fetchone() or (0,))[0]
    print(f"{rows} flights stand in the warehouse, {past} of them have landed")


def loaded(dsn: str) -> int:
    """The flights stand; waits for the server."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            return load(dsn)
        except DependencyError as error:
            if time.monotonic() > until:
                raise
            print(error.message)
            time.sleep(2)


def make_reader(cursor: extensions.cursor, password: str) -> None:
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'reader'")
    verb = "ALTER" if cursor.fetchone() else "CREATE"
    cursor.execute(sql.SQL(verb + " ROLE reader LOGIN PASSWORD {}").format(sql.Literal(password)))
    cursor.execute("GRANT SELECT ON flights, flights_now TO reader")


if __name__ == "__main__":
    main()
