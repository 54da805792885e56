"""gc takes what nothing needs, whatever kills it and whoever moves the champion meanwhile; delete takes all."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from refit.core import effects, keys, registry
from refit.core.effects import Moment
from refit.core.lock import TTL_SECONDS, Lock, this_process
from refit.core.retention import everything
from refit.core.runs import held, new_run_id, recorded_runs
from tests.faults.case import SECOND, THIRD, Case, edited
from tests.faults.gates import Gate
from tests.fixtures import invariants
from tests.fixtures.calls import Called, call
from tests.fixtures.commands import Answer
from tests.fixtures.forked import Hook

FEW = edited(retention={"runs": "30d", "versions": 1}, publish={"approval": "manual"})


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


def age(case: Case, days: float) -> None:
    """All that stands was written so many days ago."""
    then = time.time() - timedelta(days=days).total_seconds()
    for path in case.folder.rglob("*"):
        os.utime(path, (then, then))


def gc(case: Case, *words: str) -> Called:
    return call("gc", "loans", "--store", case.url, "--json", *words)


def stands(case: Case) -> set[str]:
    """All keys but the lock's."""
    return {listed.key for listed in case.store.list("")} - {keys.ref("lock")}


def in_order(case: Case) -> list[str]:
    """The ids of all runs, oldest first, also of those that began in one second."""
    return [run.run_id for run in recorded_runs(case.store)][::-1]


@pytest.fixture
def old(case: Case) -> Case:
    """A champion, and two versions after it that wait, the newest one of a file that keeps few; all a year old."""
    case.good("awaiting_approval", days=SECOND, file=FEW)
    case.good("awaiting_approval", days=THIRD, file=FEW)
    age(case, 365)
    return case


@pytest.fixture
def hook() -> Iterator[Callable[[Hook], None]]:
    before = effects.hook
    yield lambda given: setattr(effects, "hook", given)
    effects.hook = before


def test_what_nothing_needs_goes_and_the_next_run_goes_on(old: Case) -> None:
    champion, (first, second, third) = old.champion.version, in_order(old)
    assert champion == first
    before = stands(old)
    would = gc(old, "--dry-run").document
    assert stands(old) == before
    done = gc(old).document
    assert done | {"dry_run": True} == would
    assert done["gone"]["versions"] == [second]
    invariants.check(old.store)

    age(old, 366)
    again = gc(old).document
    assert again["gone"]["runs"] == [second]
    assert not any(key.startswith(keys.DATA) for key in before - stands(old))
    assert in_order(old) == [first, third]
    invariants.check(old.store)
    assert gc(old).document["gone"]["bytes"] == 0
    outcome = old.run(days=THIRD + 7).outcome
    assert outcome is not None
    assert outcome.outcome in ("promoted", "rejected")
    invariants.check(old.store)


def test_parts_of_an_older_start_go_when_no_version_needs_them(case: Case) -> None:
    case.good("awaiting_approval", days=SECOND, file=FEW)
    waiting = case.good("awaiting_approval", days=THIRD, file=FEW, full_refresh=True)
    case.promote(waiting.version)
    first, second, third = in_order(case)
    move = registry.read_champion(case.store)
    assert move is not None
    assert move[0].anchor == first  # the anchor is needed
    for days in (365, 366):
        age(case, days)
        gc(case)
    assert in_order(case) == [first, third]
    assert not list(case.store.list(keys.data(second, "", "").rstrip("/") + "/"))
    invariants.check(case.store)


def test_the_champion_before_this_one_stays_for_a_rollback_also_where_one_version_is_kept(case: Case) -> None:
    first = case.champion.version
    second = case.good("awaiting_approval", days=SECOND, file=FEW)
    case.promote(second.version)
    case.promote(case.good("awaiting_approval", days=THIRD, file=FEW).version)
    age(case, 365)
    assert gc(case).code == 0
    assert call("rollback", "loans", "--reason", "x", "--store", case.url).code == 0
    assert case.champion.version == second.version != first
    invariants.check(case.store)


def test_nothing_younger_than_a_week_goes(old: Case) -> None:
    age(old, 6.9)
    assert gc(old).document["gone"]["bytes"] == 0


def test_a_gc_killed_at_any_deletion_leaves_a_whole_store_and_the_next_one_ends_it(
    old: Case, hook: Callable[[Hook], None]
) -> None:
    number = 0
    while True:
        copy = old.copied()
        for days in (365, 366, 367):
            age(copy, days)
            ended = _killed_at(copy, number, hook)
            invariants.champion_is_complete(copy.store)
            invariants.manifests_are_whole(copy.store)
            invariants.runs_have_ended(copy.store)
        for days in (368, 369):  # the versions, and what they were made of
            age(copy, days)
            assert gc(copy).code == 0
        age(copy, 370)
        assert gc(copy).document["gone"]["bytes"] == 0
        left = {key.split("/")[1] for key in stands(copy) if key.startswith(keys.RUNS)}
        assert len(left) == 2
        shutil.rmtree(copy.scratch)
        if ended:
            return
        number += 3


def _killed_at(case: Case, number: int, hook: Callable[[Hook], None]) -> bool:
    """A gc is killed before or after its deletion of this number; true when it had no so many."""
    passed = 0

    def kill(moment: Moment, name: str) -> None:
        nonlocal passed
        if name.startswith("delete"):
            passed += 1
            if passed > number:
                raise Killed

    hook(kill)
    try:
        gc(case)
    except Killed:
        return False
    finally:
        hook(lambda moment, name: None)
    return True


def test_a_version_that_is_promoted_while_it_goes_stays(old: Case, hook: Callable[[Hook], None]) -> None:
    going = in_order(old)[1]
    target = registry.read_version(old.store, going)

    def promote(moment: Moment, name: str) -> None:
        if (moment, name) == ("after", f"delete {keys.version(going)}"):
            hook(lambda moment, name: None)
            current = registry.read_champion(old.store)
            assert current is not None
            how: dict[str, Any] = {"anchor": current[0].anchor, "who": "me", "why": "x", "now": datetime.now(UTC)}
            move = registry.next_move(current[0], "promote", going, target.as_of, **how)
            registry.move_champion(old.store, current, move)  # its promote had read the version before it went

    hook(promote)
    called = gc(old)
    assert called.code == 79
    assert old.champion.version == going
    invariants.check(old.store)


def test_a_champion_that_cannot_be_told_keeps_all(old: Case) -> None:
    key = keys.manifest(old.champion.version, "extract")
    for harm, words in ((b"{", "is not a valid"), (None, "has no manifest of extract")):
        path = old.folder / key
        path.unlink() if harm is None else path.write_bytes(harm)
        before = stands(old)
        called = gc(old)
        assert called.code == 66
        assert words in called.document["error"]["message"]
        assert stands(old) == before


def test_gc_waits_for_a_run_and_then_gives_up(old: Case) -> None:
    lock = Lock(old.store, this_process(new_run_id(datetime.now(UTC))), lambda dead: None)
    with lock.acquire(0, time.monotonic, time.sleep, lambda holder: None):
        before = stands(old)
        assert gc(old, "--wait", "0").code == 79
        assert stands(old) == before


def stopped_and_replaced(case: Case, gate: Gate, *words: str) -> tuple[Answer, set[str]]:
    """How a command ends that stood still before an effect until another run took its lock, and what was gone then.

    The one effect that it was at is made when it goes on.
    """
    calling = case.calls(*words, inject=gate.inject)
    process = gate.wait_until_reached()
    os.kill(process, signal.SIGSTOP)
    long_ago = time.time() - TTL_SECONDS - 1
    os.utime(case.folder / keys.ref("lock"), (long_ago, long_ago))
    with held(case.store, 0, lambda holder: None) as lock:
        before = stands(case)
        gate.open()
        os.kill(process, signal.SIGCONT)
        done = calling.done()
        lock.check()
    return done, before - stands(case)


def test_a_gc_that_stood_still_until_a_run_took_its_lock_deletes_nothing_more(old: Case) -> None:
    assert gc(old).code == 0
    age(old, 366)
    done, gone = stopped_and_replaced(old, Gate(old.scratch, "before delete runs/"), "gc", "loans")
    assert done.code == 79
    assert "another run took the lock" in done.err
    assert len(gone) == 1
    invariants.check(old.store)
    assert gc(old).code == 0


def test_a_delete_that_stood_still_until_a_run_took_its_lock_deletes_nothing_more(old: Case) -> None:
    done, gone = stopped_and_replaced(old, Gate(old.scratch, "before delete data/"), "delete", "loans", "--yes")
    assert done.code == 79
    assert len(gone) == 1
    assert call("delete", "loans", "--yes", "--store", old.url).code == 0
    assert not list(old.store.list(""))


def test_delete_takes_all_when_it_is_confirmed_and_only_this_pipeline(old: Case) -> None:
    other = old.folder.parent / "other" / "runs" / "x" / "run.json"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"{}")
    asked: dict[str, Any] = json.loads(call("delete", "loans", "--store", old.url, "--json").out)
    assert (asked["error"]["exit_code"], asked["error"]["type"]) == (64, "NotConfirmed")
    assert call("delete", "loans", "--store", old.url, "--dry-run").code == 0
    assert len(stands(old)) > 20
    called = call("delete", "loans", "--store", old.url, "--yes")
    assert called.code == 0
    assert not list(old.store.list(""))
    assert other.exists()
    old.good(days=SECOND)


def test_a_delete_that_is_killed_leaves_no_champion_without_its_model(old: Case) -> None:
    order = [listed.key for listed in everything(old.store)]
    model = registry.read_version(old.store, old.champion.version).model.key
    places = [
        order.index(key) for key in (keys.history(1), keys.ref("champion"), keys.version(old.champion.version), model)
    ]
    assert places == sorted(places)
    assert order[-1] == keys.ref("lock")
    assert sorted(order) == sorted(stands(old) | {keys.ref("lock")})
