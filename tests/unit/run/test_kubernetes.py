"""Attempts as Jobs of a cluster in memory."""

import json
from pathlib import Path
from typing import Any

import pytest

from refit.core import keys
from refit.core.domain import Failure, Outcome, Termination
from refit.core.errors import Sigterm
from refit.core.store import ObjectStore, open_store
from refit.run.cluster import ClusterDenied, NotAdmitted, NoTemplate
from refit.run.executor import LOG_LIMIT_BYTES, Attempt, failure_of, is_retried, jitter
from refit.run.jobs import Templates
from refit.run.kubernetes import NODE_SECONDS, KubernetesExecutor
from tests.fixtures.cluster import FakeCluster, cron_job
from tests.fixtures.records import NOW, put_manifest, train_manifest, verdict

RUN_ID = "20261120t070000-k3fw"
NAME = f"fd-train-{RUN_ID}-1"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}")


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def executor(cluster: FakeCluster, store: ObjectStore) -> KubernetesExecutor:
    return make(cluster, store)


def make(cluster: FakeCluster, store: ObjectStore, *, leaves_jobs: bool = False) -> KubernetesExecutor:
    return KubernetesExecutor(
        cluster, store, "fd", leaves_jobs=leaves_jobs, clock=cluster.clock, sleep=cluster.sleep, now=cluster.now
    )


def attempt(store: ObjectStore, number: int = 1) -> Attempt:
    return Attempt(store.url, "loans", RUN_ID, "train", number)


def failure(kind: str = "data", code: int = 65, message: str = "one class") -> Failure:
    return Failure(error_class=kind, type="X", step="train", exit_code=code, message=message, next="wait")


def last_words(said: Failure | None, progress: str = "") -> str:
    words = Termination(
        step="train",
        run_id=RUN_ID,
        attempt="t",
        number=1,
        failure=said,
        progress=progress,
        seconds=1.0,
        max_rss_bytes=1,
    )
    return words.to_json().decode()


def test_an_attempt_is_a_job_and_ends_as_its_pod_does(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    cluster.plays["train", 1] = lambda there, name: there.fail(name, 65, last_words(failure()))
    told: list[str] = []
    ended = executor.execute(attempt(store), told.append)
    assert cluster.created == [NAME]
    assert (ended.exit_code, ended.log) == (65, f"log of {NAME}\n".encode())
    assert failure_of(ended, "train") == failure()
    assert ended.place is not None
    assert (ended.place.job, ended.place.pod, ended.place.exit_code) == (NAME, f"{NAME}-0", 65)
    assert ended.place.last_words == ended.last_words
    assert json.loads(told[0]) == {"event": "pod", "text": f"Job {NAME} stands"}


def test_a_job_that_stands_is_followed_and_not_made_again(cluster: FakeCluster, store: ObjectStore) -> None:
    cluster.otherwise = lambda there, name: None
    first = make(cluster, store, leaves_jobs=True)
    cluster.faults["job"] = [ClusterDenied("away")]
    with pytest.raises(ClusterDenied):
        first.execute(attempt(store), print)
    cluster.complete(NAME)
    assert make(cluster, store).execute(attempt(store), print).exit_code == 0
    assert cluster.created == [NAME]


def test_what_an_attempt_waits_for_is_told_once(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    looks = 0

    def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        cluster.elapsed += seconds
        if looks == 5:
            cluster.pod_documents[NAME].clear()
            cluster.pod(NAME, running={})
        if looks == 8:
            cluster.complete(NAME)

    executor.sleep = sleep
    cluster.plays["train", 1] = lambda there, name: there.pod(name, waiting={"reason": "ErrImagePull", "message": "m"})
    told: list[str] = []
    executor.execute(attempt(store), told.append)
    assert [json.loads(line)["text"] for line in told] == [
        f"Job {NAME} stands",
        f"pod {NAME}-0 cannot start: ErrImagePull: m",
        f"pod {NAME}-0 runs",
    ]


@pytest.mark.parametrize("state", ["starts", "fails"])
def test_the_time_in_which_the_server_is_away_is_nobodys_delay(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore, state: str
) -> None:
    def play(there: FakeCluster, name: str) -> None:
        if state == "fails":
            there.condition(name, "FailureTarget", "PodFailurePolicy", "")

    def sleep(seconds: float) -> None:
        if cluster.elapsed == 0.0:
            cluster.elapsed += NODE_SECONDS + 100
        cluster.elapsed += seconds
        if cluster.elapsed > NODE_SECONDS + 101:
            cluster.complete(NAME)

    executor.sleep = sleep
    cluster.plays["train", 1] = play
    assert executor.execute(attempt(store), print).exit_code == 0
    assert cluster.changed == []


def lose_node(there: FakeCluster, name: str) -> None:
    """The Job met its deadline, and nobody hears of its pod any more."""
    there.pod(name, running={})
    there.condition(name, "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")


def test_a_job_whose_pod_never_ends_is_given_up_once_its_node_had_time_to_come_back(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    cluster.plays["train", 1] = lose_node
    ended = executor.execute(attempt(store), print)
    lost = failure_of(ended, "train")
    assert lost is not None
    assert (lost.error_class, lost.type, lost.exit_code) == ("timeout", "NodeLost", 75)
    assert not is_retried(lost)
    assert cluster.elapsed == pytest.approx(NODE_SECONDS + 30, abs=10)


def test_a_node_that_comes_back_tells_how_the_pod_ended(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    def sleep(seconds: float) -> None:
        cluster.elapsed += seconds
        if cluster.elapsed > NODE_SECONDS:
            cluster.pod_documents[NAME].clear()
            cluster.fail(NAME, 143)

    executor.sleep = sleep
    cluster.plays["train", 1] = lose_node
    assert executor.execute(attempt(store), print).exit_code == 143


def writes(cluster: FakeCluster, *lines: str) -> None:
    """The step's pod runs and writes a line at every look; after the last one it ends, and its Job two looks later."""
    left = list(lines)
    looks = 0

    def sleep(seconds: float) -> None:
        nonlocal looks
        cluster.elapsed += seconds
        if left:
            cluster.write(f"{NAME}-0", left.pop(0))
        else:
            looks += 1
        if looks == 2:
            cluster.pod_documents[NAME].clear()
            cluster.complete(NAME)

    cluster.sleep = sleep  # type: ignore[method-assign]
    cluster.plays["train", 1] = lambda there, name: there.pod(name, running={})


def test_a_steps_log_is_told_while_it_runs(cluster: FakeCluster, store: ObjectStore) -> None:
    writes(cluster, '{"event": "progress", "text": "reads its rows"}', "a warning", "a warning", "the end")
    told: list[tuple[float, str]] = []
    ended = make(cluster, store).execute(attempt(store), lambda line: told.append((cluster.elapsed, line)))
    lines = [(at, line) for at, line in told if '"pod"' not in line]
    assert [line for _, line in lines] == [
        '{"event": "progress", "text": "reads its rows"}', "a warning", "a warning", "the end",
    ]  # fmt: skip
    assert len({at for at, _ in lines}) == 4  # each at a look of its own
    assert ended.exit_code == 0


def test_what_a_step_wrote_last_is_told_after_its_end(cluster: FakeCluster, store: ObjectStore) -> None:
    def play(there: FakeCluster, name: str) -> None:
        there.fail(name, 65)
        there.write(f"{name}-0", "one class")

    cluster.plays["train", 1] = play
    told: list[str] = []
    ended = make(cluster, store).execute(attempt(store), told.append)
    assert told[-1] == "one class"
    assert ended.log == f"log of {NAME}\n".encode()


def test_a_log_that_cannot_be_read_fails_no_step(cluster: FakeCluster, store: ObjectStore) -> None:
    writes(cluster, "a", "b")
    cluster.is_node_away = True
    told: list[str] = []
    assert make(cluster, store).execute(attempt(store), told.append).exit_code == 0
    assert all('"pod"' in line for line in told)
    assert len(cluster.asked_for) == 2  # when it ran, and at the end


def test_a_coordinator_that_takes_a_job_up_tells_its_log_again(cluster: FakeCluster, store: ObjectStore) -> None:
    cluster.plays["train", 1] = lambda there, name: there.pod(name, running={})
    executor = make(cluster, store, leaves_jobs=True)

    def sleep(seconds: float) -> None:
        raise Sigterm

    executor.sleep = sleep
    told: list[str] = []
    cluster.write(f"{NAME}-0", "a")
    for _ in range(2):
        with pytest.raises(Sigterm):
            executor.execute(attempt(store), told.append)
    assert [line for line in told if '"pod"' not in line] == ["a", "a"]


def test_a_step_that_does_not_start_in_time_is_ended_with_the_pods_own_words(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    cluster.plays["train", 1] = lambda there, name: there.pod(
        name, waiting={"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}
    )
    found = failure_of(executor.execute(attempt(store), print), "train")
    assert found is not None
    assert (found.error_class, found.exit_code) == ("start", 77)
    assert "cannot get secrets x" in found.message
    assert 'secret "x" not found (waited 120 s)' in found.message
    assert cluster.changed == [NAME]
    assert 120 < cluster.elapsed < 130


def test_a_job_whose_end_is_not_admitted_is_ended_at_a_later_look(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    cluster.plays["train", 1] = lambda there, name: None
    cluster.faults["change"] = [NotAdmitted("failed calling webhook")] * 3
    found = failure_of(executor.execute(attempt(store), print), "train")
    assert found is not None
    assert found.error_class == "start"
    assert cluster.changed == [NAME]
    assert 130 < cluster.elapsed < 150


def test_a_pod_that_no_node_takes_may_wait_longer(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    cluster.plays["train", 1] = lambda there, name: there.pod(name)["status"].update(conditions=[condition])
    found = failure_of(executor.execute(attempt(store), print), "train")
    assert found is not None
    assert "0/3 nodes (waited 600 s)" in found.message
    assert 600 < cluster.elapsed < 610


def test_events_tell_why_there_is_no_pod(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    cluster.plays["train", 1] = lambda there, name: None
    event = {"metadata": {}, "type": "Warning", "reason": "FailedCreate", "message": "exceeded quota: pods"}
    cluster.said[NAME] = [event]
    found = failure_of(executor.execute(attempt(store), print), "train")
    assert found is not None
    assert "FailedCreate: exceeded quota: pods" in found.message


def test_a_replaced_pod_has_the_whole_time_to_start(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    def sleep(seconds: float) -> None:
        cluster.elapsed += seconds
        if 200 < cluster.elapsed < 210:
            (one,) = cluster.pod_documents[NAME]
            one["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
        if cluster.elapsed > 300 and len(cluster.pod_documents[NAME]) == 1:
            cluster.complete(NAME)

    executor.sleep = sleep
    cluster.plays["train", 1] = lambda there, name: there.pod(name, running={})
    assert executor.execute(attempt(store), print).exit_code == 0
    assert cluster.changed == []


def test_a_job_that_is_not_admitted_is_asked_for_again(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    cluster.faults["create"] = [NotAdmitted("exceeded quota: count/jobs.batch")] * 3
    told: list[str] = []
    assert executor.execute(attempt(store), told.append).exit_code == 0
    assert cluster.created == [NAME]
    assert ["exceeded quota" in line for line in told] == [True, False]


def test_a_job_that_is_not_admitted_for_too_long_did_not_start(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    cluster.faults["create"] = [NotAdmitted("exceeded quota: count/jobs.batch")] * 1000
    found = failure_of(executor.execute(attempt(store), print), "train")
    assert found is not None
    assert (found.error_class, found.exit_code) == ("start", 75)
    assert "exceeded quota: count/jobs.batch" in found.message
    assert cluster.created == []


def test_the_step_of_a_deleted_job_was_killed_whatever_it_left(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    put_manifest(store.under("loans/"), train_manifest(RUN_ID))
    cluster.plays["train", 1] = lambda there, name: there.delete(name)
    found = failure_of(executor.execute(attempt(store), print), "train")
    assert found is not None
    assert (found.error_class, found.type, found.exit_code) == ("killed", "JobGone", 137)


def test_what_the_cluster_saw_stands_beside_what_the_step_said(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    said = failure("dependency", 75, "a worker process of the fit was killed")
    cluster.plays["train", 1] = lambda there, name: there.fail(name, 75, last_words(said), "OOMKilled")
    found = failure_of(executor.execute(attempt(store), print), "train")
    assert found is not None
    assert (found.error_class, found.exit_code) == ("oom", 137)
    assert "512Mi" in found.message
    assert "it said: a worker process" in found.message


def test_a_step_that_the_kernel_killed_is_said_to_have_been_where_it_told(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    on_its_way = last_words(None, "fits on 12 rows")
    cluster.plays["train", 1] = lambda there, name: there.fail(name, 137, on_its_way, "OOMKilled")
    ended = executor.execute(attempt(store), print)
    found = failure_of(ended, "train")
    assert found is not None
    assert found.error_class == "oom"
    assert found.message.endswith("the limit of 512Mi was used up; its last progress: fits on 12 rows")
    assert ended.place is not None
    assert ended.place.last_words is not None
    assert ended.place.last_words.progress == "fits on 12 rows"


@pytest.mark.parametrize("said", [None, failure("killed", 143, "ended by SIGTERM")], ids=["stuck", "ended well"])
def test_a_step_that_met_its_deadline_is_said_to_have_been_where_it_told(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore, said: Failure | None
) -> None:
    def play(there: FakeCluster, name: str) -> None:
        there.fail(name, 143, last_words(said, "fits on 12 rows"))
        there.pod_documents[name][0]["status"]["reason"] = "DeadlineExceeded"

    cluster.plays["train", 1] = play
    found = failure_of(executor.execute(attempt(store), print), "train")
    assert found is not None
    assert found.error_class == "timeout"
    assert "took longer than its deadline" in found.message
    assert found.message.endswith("; its last progress: fits on 12 rows")


@pytest.mark.parametrize(("code", "kind"), [(65, "data"), (75, "dependency"), (1, "bug")])
def test_a_code_without_a_word_has_its_class(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore, code: int, kind: str
) -> None:
    cluster.plays["train", 1] = lambda there, name: there.fail(name, code, "the last lines of the log")
    found = failure_of(executor.execute(attempt(store), print), "train")
    assert found is not None
    assert found.error_class == kind


@pytest.mark.parametrize(
    "message",
    [
        last_words(failure("data", 0)),
        last_words(failure("data", 70_000)),
        last_words(failure())[1:],
        last_words(failure())[:200],
        "[" * 4096,
        '{"format": 1}',
        "null",
    ],
    ids=["code 0", "no code", "cut in front", "cut behind", "deep", "another's", "null"],
)
def test_a_message_that_is_no_steps_does_not_say_how_it_ended(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore, message: str
) -> None:
    cluster.plays["train", 1] = lambda there, name: there.fail(name, 65, message)
    found = failure_of(executor.execute(attempt(store), print), "train")
    assert found is not None
    assert (found.error_class, found.type, found.exit_code) == ("data", "Died", 65)


def test_the_log_is_bounded_and_without_secrets(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-word")

    def play(there: FakeCluster, name: str) -> None:
        there.complete(name)
        there.logs[f"{name}-0"] = b"x" * LOG_LIMIT_BYTES + b" s3cr3t-word \xff\n"

    cluster.plays["train", 1] = play
    log = executor.execute(attempt(store), print).log
    assert len(log) <= LOG_LIMIT_BYTES
    assert log.endswith(" *** �\n".encode())


@pytest.mark.parametrize("behind", [LOG_LIMIT_BYTES - 8, LOG_LIMIT_BYTES + 4096 - 8])
def test_a_log_that_is_cut_within_a_secret_keeps_no_part_of_it(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore, monkeypatch: pytest.MonkeyPatch, behind: int
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-word")

    def play(there: FakeCluster, name: str) -> None:
        there.complete(name)
        there.logs[f"{name}-0"] = b"x" * 9000 + b"s3cr3t-word" + b"x" * (behind - 1) + b"\n"

    cluster.plays["train", 1] = play
    log = executor.execute(attempt(store), print).log
    assert log.endswith(b"x\n")
    assert b"word" not in log


@pytest.mark.parametrize("leaves_jobs", [True, False])
def test_a_coordinator_that_is_asked_to_end_leaves_the_job_only_to_a_next_one(
    cluster: FakeCluster, store: ObjectStore, leaves_jobs: bool
) -> None:
    executor = make(cluster, store, leaves_jobs=leaves_jobs)

    def sleep(seconds: float) -> None:
        raise Sigterm

    executor.sleep = sleep
    cluster.plays["train", 1] = lambda there, name: there.pod(name, running={})
    with pytest.raises(Sigterm):
        executor.execute(attempt(store), print)
    assert cluster.changed == ([] if leaves_jobs else [NAME])


def test_a_run_keeps_the_templates_that_it_began_with(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    assert executor.environment("loans", RUN_ID)["image of train"] == "refit-train:1"
    upgraded = cron_job("train")
    upgraded["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] = "refit-train:2"
    cluster.cron_jobs["fd-train"] = upgraded
    later = make(cluster, store)
    assert later.environment("loans", RUN_ID)["image of train"] == "refit-train:1"
    later.execute(attempt(store), print)
    (container,) = cluster.documents[NAME]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "refit-train:1"
    kept = store.get("loans/" + keys.templates(RUN_ID))
    assert Templates.from_json(kept, "templates.json").release == "fd"


def test_without_its_release_no_run_begins(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    del cluster.cron_jobs["fd-publish"]
    with pytest.raises(NoTemplate, match="no CronJob fd-publish in namespace ns"):
        executor.environment("loans", RUN_ID)
    assert not store.exists("loans/" + keys.templates(RUN_ID))


def test_the_newest_attempt_of_a_run_is_found_by_labels(
    cluster: FakeCluster, executor: KubernetesExecutor, store: ObjectStore
) -> None:
    assert executor.begun(attempt(store)) == 0
    for number in (1, 2):
        cluster.plays["train", number] = lambda there, name: there.fail(name, 75)
        executor.execute(attempt(store, number), print)
    assert executor.begun(attempt(store)) == 2
    cluster.documents[f"fd-train-{RUN_ID}-2"]["metadata"]["deletionTimestamp"] = cluster.stamp()
    assert executor.begun(attempt(store)) == 2
    assert executor.execute(attempt(store, 2), print).seen is not None  # gone: the next one is due
    assert executor.begun(Attempt(store.url, "loans", RUN_ID, "extract", 1)) == 0


def test_the_jitter_of_an_attempt_is_its_own_and_always_the_same(store: ObjectStore) -> None:
    found = {jitter(attempt(store, number)) for number in range(1, 50)}
    assert len(found) == 49
    assert jitter(attempt(store, 7)) in found
    assert all(0 <= each < 0.25 for each in found)


ENDS = {
    "failed": ("RunFailed", "Warning", f"run {RUN_ID} failed in train (data): one class; next: wait"),
    "promoted": ("Promoted", "Normal", f"run {RUN_ID}: champion is now {RUN_ID}: better"),
    "rejected": ("Rejected", "Normal", f"run {RUN_ID} rejected: better; production stays as it is"),
    "awaiting_approval": (
        "AwaitingApproval",
        "Normal",
        f"run {RUN_ID} awaits approval: better; next: refit promote loans {RUN_ID} --reason '…'",
    ),
}


def ended(name: str, **fields: Any) -> Outcome:
    given = {"pipeline": "loans", "run_id": RUN_ID, "outcome": name, "as_of": NOW, "version": RUN_ID}
    judged = {"champion": RUN_ID, "verdict": verdict(reason="better"), "finished_at": NOW}
    return Outcome(**given | judged | {"error": failure() if name == "failed" else None} | fields)


@pytest.mark.parametrize("name", ENDS)
def test_the_end_of_a_run_is_an_event_on_the_cronjob(
    cluster: FakeCluster, executor: KubernetesExecutor, name: str
) -> None:
    executor.announce(ended(name))
    (event,) = cluster.events_made
    assert (event["reason"], event["type"], event["message"]) == ENDS[name]
    assert event["metadata"] == {"name": f"fd.{RUN_ID}", "namespace": "ns"}
    about = event["involvedObject"]
    assert (about["kind"], about["name"], about["namespace"], about["uid"]) == ("CronJob", "fd", "ns", "uid-of-fd")


@pytest.mark.parametrize("name", ["skipped", "superseded"])
def test_a_run_that_did_nothing_is_no_event(cluster: FakeCluster, executor: KubernetesExecutor, name: str) -> None:
    executor.announce(ended(name))
    assert cluster.events_made == []


def test_an_event_is_cut_to_what_the_server_takes_and_has_no_secrets(
    cluster: FakeCluster, executor: KubernetesExecutor
) -> None:
    executor.announce(ended("failed", error=failure(message="postgresql://me:hunter22@db " + "ä" * 3000)))
    (event,) = cluster.events_made
    assert "hunter22" not in event["message"]
    assert 900 < len(event["message"].encode()) <= 1024


def test_an_event_that_is_refused_or_has_no_cronjob_changes_nothing(
    cluster: FakeCluster, executor: KubernetesExecutor
) -> None:
    cluster.faults["say"] = [ClusterDenied("no")]
    executor.announce(ended("promoted"))
    del cluster.cron_jobs["fd"]
    executor.announce(ended("promoted"))
    assert cluster.events_made == []
