"""Each alert fires when it should and is silent otherwise, by promtool on days and weeks of what runs push."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf, nan, sin, tau
from pathlib import Path

import pytest

from monitoring import rules
from monitoring.alerts import Setting, alerts
from refit.core import metrics as m
from tests.monitoring.lives import BEGIN, END, OBJECTIVE, begins, daily, ends, fails, steps
from tests.monitoring.promtool import DAY, HOUR, WEEK, Firing, World

Expected = Mapping[float, Sequence[Firing]]
RECORDED = rules.ALL
INLINE = replace(RECORDED, series=replace(RECORDED.series, is_recorded=False))
"""As in Grafana, for a Prometheus that has no rules of refit's."""
TEMPLATE = "0 0 31 2 *"
PAGE = Firing("ModelNotConfirmed")
OVERDUE = Firing("RunOverdue")
MISSING = Firing("MetricsMissing")


def failed(error_class: str) -> Firing:
    return Firing("RunFailed", {"class": error_class})


def skipped_runs(world: World) -> Expected:
    """Runs go well and find nothing new, until one has a verdict."""
    daily(world, range(2))
    confirmed_at = DAY + END
    for day in range(2, 5):
        begins(world, day * DAY + BEGIN)
        ends(world, day * DAY + END, "skipped", m.CHAMPION_CONFIRMED.at(confirmed_at))
    daily(world, range(5, 6))
    late = confirmed_at + OBJECTIVE
    return {3 * DAY: [], late: [], late + 2 * HOUR: [PAGE], 5 * DAY: [PAGE], 5 * DAY + END: []}


def failed_run(world: World) -> Expected:
    """A second failure of another class is another alert; a run that goes on changes nothing; success resolves it."""
    daily(world, range(1))
    at = DAY + BEGIN
    begins(world, at)
    fails(world, at + HOUR, "dependency", 75)
    begins(world, at + 3 * HOUR)
    fails(world, at + 5 * HOUR, "data", 65)
    begins(world, at + 7 * HOUR)
    ends(world, at + 9 * HOUR, "rejected")
    return {
        at: [],
        at + HOUR: [failed("dependency")],
        at + 4 * HOUR: [failed("dependency")],
        at + 5 * HOUR: [failed("data")],
        at + 8 * HOUR: [failed("data")],
        at + 9 * HOUR: [],
    }


def first_run_fails(world: World) -> Expected:
    """Nothing has ever gone well, and there is no champion."""
    begins(world, DAY)
    fails(world, DAY + HOUR, "permission", 77)
    return {DAY: [], DAY + HOUR: [failed("permission")]}


def no_run_begins(world: World) -> Expected:
    """Somebody deleted the CronJob. The page comes when the objective breaks."""
    daily(world, range(1))
    due, late = DAY + BEGIN, END + OBJECTIVE
    return {due + 2 * HOUR: [], due + 4 * HOUR: [OVERDUE], late + 2 * HOUR: [OVERDUE, PAGE]}


def suspended(world: World) -> Expected:
    """The same, but somebody suspended it and nobody wants runs. The page comes all the same."""
    cronjob = {"namespace": "ml", "cronjob": "loans"}
    world.kubernetes(0, "kube_cronjob_info", 1, schedule="0 5 * * *", **cronjob)
    world.kubernetes(0, "kube_cronjob_spec_suspend", 0, **cronjob)
    daily(world, range(1))
    world.kubernetes(DAY, "kube_cronjob_spec_suspend", 1, **cronjob)
    world.kubernetes(4 * DAY, "kube_cronjob_spec_suspend", 0, **cronjob)
    return {2 * DAY: [], END + OBJECTIVE: [], END + OBJECTIVE + 2 * HOUR: [PAGE], 4 * DAY + 2 * HOUR: [PAGE, OVERDUE]}


def template_of_the_same_name(world: World) -> Expected:
    """The suspended template of another release's step silences no pipeline that is called like it."""
    cronjob = {"namespace": "ml", "cronjob": "loans"}
    world.kubernetes(0, "kube_cronjob_info", 1, schedule=TEMPLATE, **cronjob)
    world.kubernetes(0, "kube_cronjob_spec_suspend", 1, **cronjob)
    daily(world, range(1))
    return {DAY + 9 * HOUR: [OVERDUE]}


def refused_run(world: World) -> Expected:
    """It could not begin, for the database's rights are gone: that it failed is enough to know."""
    daily(world, range(1))
    fails(world, DAY + BEGIN + HOUR, "permission", 77)
    return {DAY + BEGIN: [], DAY + 12 * HOUR: [failed("permission")], 2 * DAY + 12 * HOUR: [failed("permission")]}


def slow_run(world: World) -> Expected:
    """The next moment passes while a run goes on; after a day it may as well be dead."""
    daily(world, range(2))
    at = 2 * DAY + BEGIN
    begins(world, at, every=10 * HOUR)
    ends(world, at + 30 * HOUR, "promoted")
    world.push(at + 30 * HOUR, "run", m.RUN_NEXT.at(at + 2 * DAY))
    return {at + 14 * HOUR: [], at + 24 * HOUR: [], at + 27 * HOUR: [OVERDUE], at + 30 * HOUR: []}


def dead_run(world: World) -> Expected:
    """Its process was killed without a word, and by the schedule the next run begins only in a week."""
    begins(world, 0, every=WEEK)
    ends(world, HOUR, "promoted", m.SLO_MAX_AGE.at(nan))
    begins(world, DAY, every=WEEK)
    begins(world, 5 * DAY, every=nan)
    ends(world, 5 * DAY + HOUR, "promoted", m.SLO_MAX_AGE.at(nan))
    begins(world, 6 * DAY, every=nan)
    return {DAY: [], 2 * DAY: [], 2 * DAY + 2 * HOUR: [OVERDUE], 5 * DAY: [], 7 * DAY: [], 8 * DAY: [OVERDUE]}


def first_install(world: World) -> Expected:
    """The first run goes on for hours; then there is a champion."""
    begins(world, DAY)
    steps(world, DAY + HOUR)
    ends(world, DAY + 8 * HOUR, "promoted")
    return {DAY: [], DAY + 7 * HOUR: [], DAY + 8 * HOUR: [], 2 * DAY + HOUR: []}


def awaiting_approval(world: World) -> Expected:
    """A person promotes it half a day later."""
    daily(world, range(1))
    begins(world, DAY + BEGIN)
    ends(world, DAY + END, "awaiting_approval", m.AWAITING_APPROVAL.at(1), m.CHAMPION_CONFIRMED.at(END))
    decided = DAY + END + 12 * HOUR
    world.push(decided, "run", m.AWAITING_APPROVAL.at(0), m.CHAMPION_CONFIRMED.at(decided))
    waits = Firing("AwaitingApproval")
    return {DAY + BEGIN: [], DAY + END: [waits], decided - HOUR: [waits], decided: []}


def nothing_confirmed(world: World) -> Expected:
    """Run after run has too few clean rows to judge by, and the file has no objective."""
    for day in range(6):
        begins(world, day * DAY + BEGIN)
        inconclusive = m.RUNS_UNCONFIRMED.at(day), m.SLO_MAX_AGE.at(nan), m.CHAMPION_CONFIRMED.at(0)
        ends(world, day * DAY + END, "rejected", *inconclusive)
    daily(world, range(6, 7))
    stuck = Firing("NothingPromotedOrConfirmed")
    return {5 * DAY + BEGIN: [], 5 * DAY + END: [stuck], 6 * DAY + BEGIN: [stuck], 6 * DAY + END: []}


def bad_rows(world: World) -> Expected:
    """1 % fails a read; 0.7 % is a ticket, 0.4 % is not, and no row at all says nothing."""
    daily(world, range(1))
    for hour, bad in ((7, 4), (8, 7), (9, 4)):
        steps(world, hour * HOUR, quarantined=bad)
    world.push(10 * HOUR, "extract", m.ROWS.at(0, "read"), m.ROWS.at(0, "quarantined"))
    return {7 * HOUR: [], 8 * HOUR: [Firing("QuarantineHigh")], 9 * HOUR: [], 10 * HOUR: []}


def much_memory(world: World) -> Expected:
    """One step comes near its limit, another has none."""
    daily(world, range(1))
    steps(world, 8 * HOUR, rss_bytes=3.7e9)
    world.push(8 * HOUR, "evaluate", m.STEP_MEMORY.at(9e9), m.STEP_MEMORY_LIMIT.at(inf))
    steps(world, 9 * HOUR, rss_bytes=3.5e9)
    return {7 * HOUR: [], 8 * HOUR: [Firing("MemoryNearLimit", {"step": "train"})], 9 * HOUR: []}


def conditions_lost(world: World) -> Expected:
    """A run is refused; then the store is as it was."""
    daily(world, range(1))
    at = DAY + BEGIN
    world.push(at, "run", m.STORE_CONDITIONS.at(0), m.RUN_FAILURE.at(at), m.RUN_EXIT.at(64, "config"))
    begins(world, at + 2 * HOUR)
    ends(world, at + 3 * HOUR, "rejected")
    lost = Firing("StoreConditionsLost")
    return {at - HOUR: [], at: [lost, failed("config")], at + 2 * HOUR: [failed("config")], at + 3 * HOUR: []}


def gateway_forgets(world: World) -> Expected:
    """All is well when its file is lost; the next run brings everything back."""
    daily(world, range(2))
    world.forget(DAY + 12 * HOUR)
    daily(world, range(2, 3))
    return {DAY + 12 * HOUR: [], DAY + 14 * HOUR: [MISSING], 2 * DAY: [MISSING], 2 * DAY + BEGIN: [], 2 * DAY + END: []}


def gateway_forgets_what_fires(world: World) -> Expected:
    """The page and the failure's class outlive it, and a run that begins."""
    daily(world, range(1))
    begins(world, DAY + BEGIN)
    fails(world, DAY + END, "oom", 75)
    forgot = END + OBJECTIVE + 4 * HOUR
    world.forget(forgot)
    begins(world, forgot + 10 * HOUR)
    ends(world, forgot + 12 * HOUR, "promoted")
    before = [OVERDUE, failed("oom"), PAGE]
    return {
        forgot - HOUR: before,
        forgot: before,
        forgot + 2 * HOUR: [*before, MISSING],
        forgot + 11 * HOUR: [failed("oom"), PAGE],
        forgot + 12 * HOUR: [],
    }


def overtaken(world: World) -> Expected:
    """A run that another one overtook neither failed nor went well: the failure before it stands, with its class."""
    begins(world, 0)
    fails(world, HOUR, "bug", 70)
    begins(world, 2 * HOUR)
    world.push(3 * HOUR, "run", m.RUN_EXIT.at(79, "superseded"))
    return {HOUR: [failed("bug")], 3 * HOUR: [failed("bug")], 20 * HOUR: [failed("bug")]}


def missed_scrapes(world: World) -> Expected:
    """The Pushgateway is not scraped for a moment."""
    begins(world, 0)
    fails(world, HOUR, "disk", 74)
    world.is_away(5 * HOUR, 6 * HOUR)
    return {hour * HOUR: [failed("disk")] for hour in range(1, 10)}


def gateway_in_a_new_pod(world: World) -> Expected:
    """Its series have another label `pod` then: what the old ones said last is over."""
    world.push(0, "run", m.RUN_START.at(0), m.AWAITING_APPROVAL.at(1), m.RUNS_UNCONFIRMED.at(9), pod="a")
    world.forget(5 * HOUR)
    world.push(5 * HOUR, "run", m.RUN_START.at(0), m.AWAITING_APPROVAL.at(0), m.RUNS_UNCONFIRMED.at(0), pod="b")
    before = [Firing("AwaitingApproval"), Firing("NothingPromotedOrConfirmed")]
    return {HOUR: before, 5 * HOUR: [], DAY: []}


def gateway_in_new_pods_forgets(world: World) -> Expected:
    """It has no file: what the last of its pods said counts, and not the most that one of them said."""
    told = m.RUN_START.at(0), m.AWAITING_APPROVAL.at(1), m.RUNS_UNCONFIRMED.at(9), m.RUN_NEXT.at(DAY)
    world.push(0, "run", *told, pod="a")
    world.push(0, "extract", m.ROWS.at(1000, "read"), m.ROWS.at(90, "quarantined"), pod="a")
    world.forget(5 * HOUR)
    settled = m.AWAITING_APPROVAL.at(0), m.RUNS_UNCONFIRMED.at(0), m.RUN_NEXT.at(nan), m.QUARANTINE_LIMIT.at(0.1)
    world.push(5 * HOUR, "run", m.RUN_START.at(0), m.RUN_SUCCESS.at(4 * HOUR), *settled, pod="b")
    world.push(5 * HOUR, "extract", m.ROWS.at(1000, "read"), m.ROWS.at(1, "quarantined"), pod="b")
    world.forget(10 * HOUR)
    return {9 * HOUR: [], 10 * HOUR: [], 12 * HOUR: [MISSING], 2 * DAY: [MISSING]}


def deleted(world: World) -> Expected:
    """A pipeline of which nothing was heard for two weeks is taken for deleted."""
    begins(world, 0, every=nan)
    ends(world, HOUR, "promoted", m.SLO_MAX_AGE.at(nan))
    world.forget(4 * HOUR)
    return {6 * HOUR: [MISSING], 13 * DAY: [MISSING], 14 * DAY + 6 * HOUR: []}


def seasons(world: World) -> Expected:
    """Fifty-two weeks in which covariates drift wildly, every other candidate is refused, and the model does well."""
    for week in range(52):
        at = week * WEEK
        begins(world, at, every=WEEK)
        psi = abs(12 * sin(tau * week / 52))
        world.push(at, "extract", m.COLUMN_DRIFT.at(psi, "temp"), m.COLUMN_NULLS.at(psi / 12, "wind_speed"))
        world.push(at, "evaluate", m.MARGIN.at(-0.01 if week % 2 else 0.01, "roc_auc min_gain against champion"))
        ends(world, at + HOUR, "rejected" if week % 2 else "promoted", m.SLO_MAX_AGE.at(10 * DAY))
    return {at: [] for at in range(0, 52 * WEEK, 3 * DAY)}


def without_objective(world: World) -> Expected:
    """NaN for what the file does not say: no schedule, no objective, no interval."""
    begins(world, 0, every=nan)
    ends(world, HOUR, "promoted", m.SLO_MAX_AGE.at(nan), m.SLO_FRESH.at(nan), m.QUARANTINE_LIMIT.at(nan))
    steps(world, HOUR, quarantined=900)
    world.push(HOUR, "evaluate", m.SCORE_LOWER.at(nan, "candidate", "roc_auc"), m.GAIN.at(nan, "roc_auc min"))
    return {DAY: [], 9 * DAY: []}


def two_pipelines(world: World) -> Expected:
    """One fails while the other does well."""
    daily(world, range(2))
    begins(world, DAY, name="churn")
    fails(world, DAY + HOUR, "start", 75, name="churn")
    return {DAY: [], DAY + HOUR: [Firing("RunFailed", {"class": "start"}, "churn")]}


Case = Callable[[World], Expected]
FIRES: Sequence[Case] = (
    skipped_runs,
    failed_run,
    first_run_fails,
    no_run_begins,
    suspended,
    template_of_the_same_name,
    refused_run,
    slow_run,
    dead_run,
    awaiting_approval,
    nothing_confirmed,
    bad_rows,
    much_memory,
    conditions_lost,
    gateway_forgets,
    gateway_in_a_new_pod,
    two_pipelines,
)
REMEMBERS: Sequence[Case] = (gateway_forgets_what_fires, gateway_in_new_pods_forgets, overtaken, missed_scrapes)
"""Of which class the failure was, and which of several pods spoke last, is remembered only where it is recorded."""
SILENT: Sequence[Case] = (first_install, without_objective)


def named(case: Case) -> str:
    return case.__name__


@pytest.mark.parametrize("case", [*FIRES, *REMEMBERS, *SILENT], ids=named)
def test_alerts_fire_when_they_should_and_at_no_other_time(tmp_path: Path, case: Case) -> None:
    world = World()
    world.check(tmp_path, rules.prometheus(RECORDED), case(world))


@pytest.mark.parametrize("case", FIRES, ids=named)
def test_alerts_of_grafana_fire_then_too(tmp_path: Path, case: Case) -> None:
    world = World()
    world.check(tmp_path, rules.prometheus(INLINE), case(world))


@pytest.mark.parametrize(
    ("case", "hours"),
    [pytest.param(seasons, 12, id="52 weeks of seasons"), pytest.param(deleted, 2, id="deleted")],
)
def test_alerts_stay_right_for_long(tmp_path: Path, case: Case, hours: int) -> None:
    world = World(step_seconds=hours * HOUR)
    world.check(tmp_path, rules.prometheus(RECORDED), case(world))


def test_pipelines_of_one_name_are_kept_apart_by_a_label_of_their_pushgateways(tmp_path: Path) -> None:
    """By name alone the newer confirmation would speak for both."""
    world = World()
    for team, confirmed_at in (("a", 0), ("b", 4 * DAY)):
        samples = m.RUN_START.at(0), m.CHAMPION_CONFIRMED.at(confirmed_at), m.SLO_MAX_AGE.at(OBJECTIVE)
        world.push(0, "run", *samples, team=team)
        world.push(0, "run", m.RUN_SUCCESS.at(1), m.RUN_FAILURE.at(2), m.RUN_EXIT.at(65, "data"), team=team)
    apart = replace(RECORDED, series=replace(RECORDED.series, by=("pipeline", "team")))
    failures = [Firing("RunFailed", {"class": "data", "team": team}) for team in ("a", "b")]
    page = Firing("ModelNotConfirmed", {"team": "a"})
    world.check(tmp_path, rules.prometheus(apart), {OBJECTIVE: failures, OBJECTIVE + 2 * HOUR: [*failures, page]})


def test_every_alert_fires_in_one_case_and_is_silent_in_another() -> None:
    fired = [{each.name for now in case(World()).values() for each in now} for case in FIRES]
    for alert in alerts(Setting()):
        assert any(alert.name in names for names in fired), alert.name
        assert not all(alert.name in names for names in fired), alert.name
