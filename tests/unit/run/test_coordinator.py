"""A run whose steps are Jobs: what is left wherever its coordinator may die, and how the next pod goes on."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from refit.core import effects, keys
from refit.core.config import parse_pipeline
from refit.core.domain import (
    Failure,
    HolderJob,
    LockRef,
    Manifest,
    Outcome,
    RunRecord,
    StepName,
    Termination,
)
from refit.core.errors import Sigterm, TerminatedError
from refit.core.lock import LockBusy, this_process
from refit.core.owner import OtherOwner
from refit.core.refs import read_ref
from refit.core.runs import read_outcome, run_ids
from refit.core.store import ObjectStore, open_store
from refit.run.cluster import ClusterAway, ClusterDenied
from refit.run.events import Event, StepFailed
from refit.run.executor import Place, pause_left
from refit.run.identity import Identity, JobUnknown, of_job
from refit.run.kubernetes import KubernetesExecutor
from refit.run.request import Request
from refit.run.rerun import Rerun
from refit.run.runner import Runner
from tests.fixtures.cluster import BEGIN, FakeCluster, Play
from tests.fixtures.records import (
    FILE,
    evaluate_manifest,
    extract_manifest,
    publish_manifest,
    put_manifest,
    train_manifest,
)

MAKERS: dict[str, Callable[[str], Manifest]] = {
    "extract": extract_manifest,
    "train": train_manifest,
    "evaluate": evaluate_manifest,
    "publish": publish_manifest,
}
OWN_JOB = "fd-29381640"
OWNER = "kubernetes/ns/fd"


class Died(BaseException):
    """The coordinator's process ended at once."""


class World:
    """A cluster and a store, and coordinators that come and go."""

    def __init__(self, store: ObjectStore) -> None:
        self.root, self.store = store, store.under("loans/")
        self.cluster = FakeCluster(otherwise=self.done)
        self.cluster.put({"metadata": {"name": OWN_JOB, "ownerReferences": [{"kind": "CronJob", "name": "fd"}]}})
        self.events: list[Event] = []
        self.pauses: list[float] = []

    def done(self, cluster: FakeCluster, name: str) -> None:
        """The step of this Job has left its manifest, and ended well."""
        labels = cluster.documents[name]["metadata"]["labels"]
        hook, effects.hook = effects.hook, effects._nothing  # the step is another process
        try:
            put_manifest(self.store, MAKERS[labels["refit.dev/step"]](labels["refit.dev/run-id"]))
        finally:
            effects.hook = hook
        cluster.complete(name)

    def runner(self, job: str | None = OWN_JOB) -> Runner:
        """A new pod of the coordinator's Job, or a process of a laptop."""
        there = self.cluster
        identity = of_job(there, job, OWNER, None) if job else Identity(owner=OWNER)
        executor = KubernetesExecutor(
            there, self.root, "fd", leaves_jobs=job is not None, clock=there.clock, sleep=self.sleep, now=there.now
        )
        return Runner(self.root, executor, self.events.append, sleep=self.pauses.append, identity=identity)

    def sleep(self, seconds: float) -> None:
        self.cluster.elapsed += seconds

    def run(self, job: str | None = OWN_JOB) -> Outcome:
        return self.runner(job).run(request())

    @property
    def run_id(self) -> str:
        (found,) = run_ids(self.store)
        return found

    def jobs(self) -> list[str]:
        """The step Jobs that were made, without what their names have in common."""
        return [name.replace(f"-{self.run_id}", "").removeprefix("fd-") for name in self.cluster.created]

    def lock(self) -> LockRef:
        found = read_ref(self.store, "lock", LockRef)
        assert found is not None
        return found[0]


def request(**fields: Any) -> Request:
    return Request(parse_pipeline(FILE, "refit.yaml"), FILE, wait_seconds=0.0, **fields)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(open_store(f"file://{tmp_path}"))


@pytest.fixture
def dies() -> Iterator[Callable[..., None]]:
    """Sets the number of the effect at which the process dies, or is asked to end."""

    def at(number: int, how: type[BaseException] = Died) -> None:
        passed = 0

        def hook(moment: effects.Moment, name: str) -> None:
            nonlocal passed
            passed += 1
            if passed == number:
                raise how

        effects.hook = hook

    yield at
    effects.hook = effects._nothing


def fails(code: int, message: str = "") -> Play:
    return lambda cluster, name: cluster.fail(name, code, message)


ALL = ["extract-1", "train-1", "evaluate-1", "publish-1"]


def test_a_run_walks_its_jobs_and_is_the_run_of_the_coordinators_job(world: World) -> None:
    outcome = world.run()
    assert outcome.outcome == "promoted"
    assert world.jobs() == ALL
    record = RunRecord.from_json(world.store.get(keys.run_record(world.run_id)), "run.json")
    assert (record.created_by, record.why) == ("fd", "scheduled")
    assert record.run_id.startswith("20261120t070000-")
    assert record.environment["image of train"] == "refit-train:1"
    assert world.lock().holder is None


def test_a_laptop_that_is_the_releases_owner_takes_nothing_from_its_scheduled_runs(world: World) -> None:
    world.runner(None).run(request())  # the first run of all
    world.cluster.elapsed += 60
    assert world.runner().run(request()).exit_code == 0
    stranger = Runner(world.root, world.runner(None).executor, world.events.append, identity=Identity())
    with pytest.raises(OtherOwner, match=f"is run by '{OWNER}'"):
        stranger.run(request())


def test_an_attempts_place_stands_beside_its_log(world: World) -> None:
    world.run()
    place = Place.from_json(world.store.get(keys.attempt_place(world.run_id, "train", 1)), "train-1.json")
    assert place.job == f"fd-train-{world.run_id}-1"
    assert place.pod == f"{place.job}-0"


def count_effects(world: World, run: Callable[[], object]) -> int:
    passed = 0

    def hook(moment: effects.Moment, name: str) -> None:
        nonlocal passed
        passed += 1

    effects.hook = hook
    try:
        run()
    finally:
        effects.hook = effects._nothing
    return passed


@pytest.mark.parametrize("how", [Died, Sigterm], ids=["dies", "is asked to end"])
def test_a_coordinator_that_dies_anywhere_is_followed_by_one_that_ends_its_run(
    tmp_path: Path, dies: Callable[..., None], how: type[BaseException]
) -> None:
    def made(name: str) -> World:
        world = World(open_store(f"file://{tmp_path}/{name}"))
        world.cluster.plays["train", 1] = fails(75)
        return world

    whole = made("whole")
    total = count_effects(whole, whole.run)
    expected = ["extract-1", "train-1", "train-2", "evaluate-1", "publish-1"]
    assert whole.jobs() == expected
    assert total > 40
    for number in range(1, total + 1):
        world = made(str(number))
        dies(number, how)
        with suppress(how, TerminatedError):
            world.run()
        effects.hook = effects._nothing
        outcome = world.run()
        assert (outcome.outcome, outcome.exit_code) == ("promoted", 0), number
        assert outcome.attempts == {"done": 4, "dependency": 1}, number
        assert {event["reason"] for event in world.cluster.events_made} == {"Promoted"}, number
        assert world.jobs() == expected, number
        assert read_outcome(world.store, world.run_id) == outcome, number


def test_sigterm_leaves_jobs_lock_and_run_to_the_next_pod(world: World) -> None:
    world.cluster.plays["train", 1] = lambda cluster, name: cluster.pod(name, running={})
    runner = world.runner()
    assert isinstance(runner.executor, KubernetesExecutor)

    def sleep(seconds: float) -> None:
        raise Sigterm

    runner.executor.sleep = sleep
    with pytest.raises(TerminatedError, match="ended by SIGTERM") as ended:
        runner.run(request())
    assert ended.value.exit_code == 143
    assert "next pod" in ended.value.next
    assert read_outcome(world.store, world.run_id) is None
    assert world.cluster.changed == []
    holder = world.lock().holder
    assert holder is not None
    assert holder.run_id == world.run_id
    train = f"fd-train-{world.run_id}-1"
    world.cluster.pod_documents[train].clear()
    world.done(world.cluster, train)
    assert world.run().outcome == "promoted"
    assert world.jobs() == ALL


def test_a_pod_that_was_replaced_leaves_the_run_to_the_other(world: World) -> None:
    second = world.runner()

    def play(cluster: FakeCluster, name: str) -> None:
        """While the first pod follows extract, the second one takes the run up, and dies in train."""
        world.done(cluster, name)
        with pytest.raises(Died):
            second.run(request())

    def crash(cluster: FakeCluster, name: str) -> None:
        raise Died

    world.cluster.plays["extract", 1] = play
    world.cluster.plays["train", 1] = crash
    with pytest.raises(TerminatedError, match="another pod of this Job") as ended:
        world.run()
    assert ended.value.exit_code == 143  # any other code would fail the Job, and end the other pod too
    assert read_outcome(world.store, world.run_id) is None
    world.done(world.cluster, f"fd-train-{world.run_id}-1")
    assert world.run().outcome == "promoted"


def test_a_pod_that_was_replaced_ends_as_the_other_did(world: World) -> None:
    second, outcomes = world.runner(), list[Outcome]()

    def play(cluster: FakeCluster, name: str) -> None:
        world.done(cluster, name)
        outcomes.append(second.run(request()))

    world.cluster.plays["extract", 1] = play
    assert [world.run()] == outcomes
    assert outcomes[0].outcome == "promoted"
    assert world.jobs() == ALL


def dies_in_train(world: World, **fields: Any) -> None:
    """Another pod of the Job takes the run up, and dies in train."""

    def crash(cluster: FakeCluster, name: str) -> None:
        raise Died

    world.cluster.plays["train", 1] = crash
    with pytest.raises(Died):
        world.runner().run(replace(request(), **fields))


def test_a_pod_that_was_replaced_before_its_run_stood_leaves_the_other_ones_alone(world: World) -> None:
    newer = FILE + b"\n# of an upgrade meanwhile\n"
    first = world.runner()
    environment = first.executor.environment

    def while_the_server_is_away(pipeline: str, run_id: str) -> dict[str, str]:
        dies_in_train(world, file=newer)
        return environment(pipeline, run_id)

    first.executor.environment = while_the_server_is_away  # type: ignore[method-assign]
    with pytest.raises(TerminatedError, match="another pod of this Job") as ended:
        first.run(request())
    assert ended.value.exit_code == 143
    assert world.store.get(keys.pipeline_file(world.run_id)) == newer
    world.done(world.cluster, f"fd-train-{world.run_id}-1")
    assert world.run().outcome == "promoted"


@pytest.mark.parametrize("when", ["before its run stands", "in a step"])
def test_a_pod_that_was_replaced_and_fails_ends_neither_run_nor_job(world: World, when: str) -> None:
    first = world.runner()
    away = ClusterAway("the API server is away")

    def prepare(pipeline: str, run_id: str) -> dict[str, str]:
        dies_in_train(world)
        raise away

    def play(cluster: FakeCluster, name: str) -> None:
        world.done(cluster, name)
        if when == "in a step":
            dies_in_train(world)
            raise away

    world.cluster.plays["extract", 1] = play
    if when != "in a step":
        first.executor.environment = prepare  # type: ignore[method-assign]
    with pytest.raises(TerminatedError, match="another pod of this Job") as ended:
        first.run(request())
    assert ended.value.exit_code == 143
    assert read_outcome(world.store, world.run_id) is None
    world.done(world.cluster, f"fd-train-{world.run_id}-1")
    assert world.run().outcome == "promoted"


def both_live(world: World, number: int, second: Callable[[], object]) -> Outcome | None:
    """The first pod stands still at this effect while `second` happens; then its end: None where it left the run."""
    passed = 0

    def hook(moment: effects.Moment, name: str) -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            effects.hook = effects._nothing
            second()

    effects.hook = hook
    try:
        return world.run()
    except TerminatedError:  # 143: any other code would end the other pod too
        return None
    finally:
        effects.hook = effects._nothing


@pytest.mark.parametrize("does", ["ends", "dies"])
def test_wherever_a_pod_is_replaced_and_lives_on_the_run_is_made_once(tmp_path: Path, does: str) -> None:
    """The second pod ends the run, or dies in evaluate, while the first one stands still at each of its effects."""
    whole = World(open_store(f"file://{tmp_path}/whole"))
    for number in range(1, count_effects(whole, whole.run) + 1):
        world = World(open_store(f"file://{tmp_path}/{number}"))

        def second(world: World = world) -> None:
            if does == "ends":
                assert world.run().outcome == "promoted"
                return

            def crash(cluster: FakeCluster, name: str) -> None:
                raise Died

            world.cluster.plays["evaluate", 1] = crash
            with suppress(Died):
                world.run()
            evaluate = f"fd-evaluate-{world.run_id}-1"
            if not world.cluster.documents[evaluate]["status"]:
                world.done(world.cluster, evaluate)

        ended = both_live(world, number, second)
        assert ended is None or ended.outcome == "promoted", number
        assert world.run().outcome == "promoted", number
        assert sorted(world.jobs()) == sorted(ALL), number
        assert world.lock().holder is None, number


def test_sigterm_on_a_laptop_ends_the_job_and_the_run(world: World) -> None:
    world.cluster.plays["train", 1] = lambda cluster, name: cluster.pod(name, running={})
    runner = world.runner(None)
    assert isinstance(runner.executor, KubernetesExecutor)

    def sleep(seconds: float) -> None:
        raise KeyboardInterrupt

    runner.executor.sleep = sleep
    with pytest.raises(TerminatedError):
        runner.run(request())
    outcome = read_outcome(world.store, world.run_id)
    assert outcome is not None
    assert outcome.outcome == "failed"
    assert world.cluster.changed == [f"fd-train-{world.run_id}-1"]
    assert world.lock().holder is None


def test_a_run_that_has_its_outcome_ends_with_it_and_waits_for_nobody(world: World) -> None:
    first = world.run()
    other = LockRef(token="t", generation=99, holder=this_process("20261120t080000-othr"), ttl_seconds=60)
    world.store.swap(keys.ref("lock"), other.to_json(), world.store.entry(keys.ref("lock")).tag)
    assert world.run() == first
    assert world.jobs() == ALL


def test_passing_faults_are_tried_again_from_when_they_were_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.cluster.plays["train", 1] = fails(75)
    world.cluster.plays["train", 2] = fails(143)
    assert world.run().outcome == "promoted"
    assert world.jobs() == ["extract-1", "train-1", "train-2", "train-3", "evaluate-1", "publish-1"]
    pauses = [event.retry_seconds for event in world.events if isinstance(event, StepFailed)]
    assert pauses == [0.0, 0.0]  # these Jobs failed in 2026-11-20, long ago by the clock of this process


@pytest.mark.parametrize("method", ["create", "job"])
def test_an_api_server_that_is_away_for_long_is_waited_for_and_the_same_job_followed(world: World, method: str) -> None:
    runner = world.runner()
    world.cluster.faults[method] = [ClusterAway("the API server is away") for _ in range(2)]
    assert runner.run(request()).outcome == "promoted"
    assert world.jobs() == ALL
    failed = [event for event in world.events if isinstance(event, StepFailed)]
    assert [(event.step, event.number, event.retry_seconds) for event in failed] == [
        ("extract", 1, 5.0),
        ("extract", 1, 20.0),
    ]


def test_an_api_server_that_stays_away_ends_the_run_after_the_usual_tries(world: World) -> None:
    runner = world.runner()
    world.cluster.faults["job"] = [ClusterAway("the API server is away") for _ in range(3)]
    outcome = runner.run(request())
    assert (outcome.outcome, outcome.exit_code) == ("failed", 75)
    assert world.jobs() == ["extract-1"]


def test_a_pause_has_the_same_end_whoever_waits() -> None:
    def pause(seconds: float) -> float:
        return pause_left(BEGIN, 20.0, BEGIN + timedelta(seconds=seconds))

    assert pause(1.0) == 19.0
    assert pause(4.0) == 16.0
    assert pause(500.0) == 0.0
    assert pause(-500.0) == 20.0  # a clock that is behind


@pytest.mark.parametrize("code", [64, 65, 66, 70, 77, 79])
def test_a_lasting_fault_is_not_repeated(world: World, code: int) -> None:
    said = Failure(error_class="x", type="X", step="train", exit_code=code, message="it broke", next="mend it")
    words = Termination(step="train", run_id="r", attempt="t", number=1, failure=said, seconds=1.0, max_rss_bytes=1)
    world.cluster.plays["train", 1] = fails(code, words.to_json().decode())
    outcome = world.run()
    assert outcome.exit_code == code
    assert outcome.error is not None
    assert (outcome.error.message, outcome.error.next) == ("it broke", "mend it")
    assert world.jobs() == ["extract-1", "train-1"]


def test_a_deadline_is_not_repeated_and_the_run_ends_with_75(world: World) -> None:
    def play(cluster: FakeCluster, name: str) -> None:
        cluster.fail(name, 143)
        cluster.pod_documents[name][0]["status"]["reason"] = "DeadlineExceeded"

    world.cluster.plays["train", 1] = play
    outcome = world.run()
    assert outcome.error is not None
    assert (outcome.error.error_class, outcome.exit_code) == ("timeout", 75)
    assert world.jobs() == ["extract-1", "train-1"]


def test_a_secret_that_is_not_there_is_waited_for_once(world: World) -> None:
    world.cluster.plays["train", 1] = lambda cluster, name: cluster.pod(
        name, waiting={"reason": "CreateContainerConfigError", "message": 'secret "warehouse" not found'}
    )
    outcome = world.run()
    assert outcome.error is not None
    assert (outcome.error.error_class, outcome.exit_code) == ("start", 77)
    assert outcome.error.next == "create the secret warehouse, then: refit rerun NAME"
    assert world.jobs() == ["extract-1", "train-1"]


def test_a_step_that_never_starts_is_tried_three_times(world: World) -> None:
    for number in (1, 2, 3):
        world.cluster.plays["train", number] = lambda cluster, name: cluster.pod(
            name, waiting={"reason": "ErrImagePull", "message": "no such image"}
        )
    outcome = world.run()
    assert outcome.error is not None
    assert (outcome.error.error_class, outcome.exit_code) == ("start", 75)
    assert "ErrImagePull: no such image" in outcome.error.message
    assert world.jobs() == ["extract-1", "train-1", "train-2", "train-3"]


def test_a_right_that_is_missing_is_the_runs_end(world: World) -> None:
    denied = ClusterDenied("cannot create jobs", next="the Role needs the verb create on jobs")
    world.cluster.faults["create"] = [denied]
    outcome = world.run()
    assert outcome.error is not None
    assert (outcome.error.error_class, outcome.exit_code) == ("permission", 77)
    assert "verb create on jobs" in outcome.error.next


@pytest.mark.parametrize("steps", [["extract"], ["extract", "train"]], ids=["one step", "two steps"])
def test_steps_whose_jobs_were_pruned_are_judged_by_their_manifests(
    world: World, steps: list[StepName], dies: Callable[[int], None]
) -> None:
    following = {"extract": "train", "train": "evaluate"}[steps[-1]]

    def crash(cluster: FakeCluster, name: str) -> None:
        raise Died

    world.cluster.plays[following, 1] = crash
    with pytest.raises(Died):
        world.run()
    for step in steps:
        world.cluster.delete(f"fd-{step}-{world.run_id}-1")
    world.done(world.cluster, f"fd-{following}-{world.run_id}-1")
    assert world.run().outcome == "promoted"
    assert world.jobs() == ALL


def test_a_job_that_is_deleted_by_hand_is_followed_by_the_next_attempt(world: World) -> None:
    world.cluster.plays["train", 1] = lambda cluster, name: cluster.delete(name)
    assert world.run().outcome == "promoted"
    assert world.jobs() == ["extract-1", "train-1", "train-2", "evaluate-1", "publish-1"]


@pytest.mark.parametrize(
    ("step", "jobs"),
    [("extract", ["extract-1", "extract-2", *ALL[1:]]), ("train", ALL), ("evaluate", ALL), ("publish", ALL)],
)
def test_a_job_that_is_deleted_after_its_manifest_is_done_and_extract_makes_its_move_in_another(
    world: World, step: StepName, jobs: list[str]
) -> None:
    def play(cluster: FakeCluster, name: str) -> None:
        world.done(cluster, name)
        cluster.delete(name)

    world.cluster.plays[step, 1] = play
    assert world.run().outcome == "promoted"
    assert world.jobs() == jobs
    place = Place.from_json(world.store.get(keys.attempt_place(world.run_id, step, 1)), "place")
    assert (place.exit_code, place.reason) == (137, "JobGone")


def test_a_rerun_of_a_job_goes_on_after_its_coordinator_died(world: World, dies: Callable[[int], None]) -> None:
    said = Failure(error_class="data", type="X", step="train", exit_code=65, message="it broke")
    words = Termination(step="train", run_id="r", attempt="t", number=1, failure=said, seconds=1.0, max_rss_bytes=1)
    world.cluster.plays["train", 1] = fails(65, words.to_json().decode())
    first = world.run()
    world.cluster.plays.clear()
    world.cluster.elapsed += 60
    owner = {"kind": "CronJob", "name": "fd-rerun"}
    world.cluster.put({"metadata": {"name": "fd-rerun-1", "ownerReferences": [owner]}})

    def crash(cluster: FakeCluster, name: str) -> None:
        raise Died

    world.cluster.plays["evaluate", 1] = crash
    with pytest.raises(Died):
        world.runner("fd-rerun-1").rerun(Rerun("loans"))
    again = next(run_id for run_id in run_ids(world.store) if run_id != first.run_id)
    world.done(world.cluster, f"fd-evaluate-{again}-1")
    outcome = world.runner("fd-rerun-1").rerun(Rerun("loans"))
    assert (outcome.run_id, outcome.outcome, outcome.parent) == (again, "promoted", first.run_id)
    assert [name for name in world.cluster.created if again in name] == [
        f"fd-{step}-{again}-1" for step in ("train", "evaluate", "publish")
    ]


def held_by(world: World, job: str, uid: str, owner: str = OWNER) -> None:
    holder = this_process("20261120t060000-dead").model_copy(
        update={"host": "elsewhere", "job": HolderJob(owner=owner, name=job, uid=uid)}
    )
    ref = LockRef(token="t", generation=1, holder=holder, ttl_seconds=60)
    world.store.swap(keys.ref("lock"), ref.to_json(), None)


@pytest.mark.parametrize("state", ["gone", "another of its name", "ended"])
def test_the_lock_of_a_job_that_has_ended_is_taken_at_once(world: World, state: str) -> None:
    uid = "uid"
    if state != "gone":
        world.cluster.put({"metadata": {"name": "fd-old"}})
    if state == "ended":
        uid = world.cluster.documents["fd-old"]["metadata"]["uid"]
        world.cluster.complete("fd-old")
    held_by(world, "fd-old", uid)
    assert world.run().outcome == "promoted"


@pytest.mark.parametrize("owner", [OWNER, "another/cluster/fd"], ids=["of a Job that goes on", "of another cluster"])
def test_the_lock_of_who_may_live_is_waited_for(world: World, owner: str) -> None:
    world.cluster.put({"metadata": {"name": "fd-old"}})
    held_by(world, "fd-old", world.cluster.documents["fd-old"]["metadata"]["uid"], owner)
    with pytest.raises(LockBusy):
        world.run()


def test_a_coordinator_whose_job_is_not_there_is_told_so(world: World) -> None:
    with pytest.raises(JobUnknown, match="no Job nothing in namespace ns"):
        world.run("nothing")
    assert os.environ.get("REFIT_JOB") is None
