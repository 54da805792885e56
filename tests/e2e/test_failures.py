"""Steps that fail in their pods, and what is made of it."""

import pytest

from refit.core.domain import Termination
from tests.e2e.kubectl import until
from tests.e2e.release import Release, attempts, id_of
from tests.e2e.servers import FIRST

ENDLESS = {
    "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
    "params": {"max_iter": 10_000_000, "early_stopping": False},
}


def test_bad_rows_fail_a_run_at_once_and_all_that_was_seen_says_why(release: Release) -> None:
    release.install(columns={"amount": {"type": "float", "max": -100}})
    job = release.start()
    outcome = release.failed(job, 65, "data", "amount")
    assert outcome.error is not None
    (step,) = release.jobs(outcome)
    assert release.kubectl.ending(step["metadata"]["name"]) == ("Failed", "PodFailurePolicy")
    (pod,) = release.kubectl.pods_of(step["metadata"]["name"])
    (state,) = (found["state"]["terminated"] for found in pod["status"]["containerStatuses"])
    said = Termination.from_json(state["message"].encode(), "the termination message")
    assert said.failure == outcome.error
    assert release.place(outcome, "extract").last_words == said
    kept = release.refit("logs", "loans", id_of(outcome), "extract")
    assert outcome.error.message.splitlines()[0] in kept.stdout
    assert release.champion is None


def test_a_dependency_that_is_away_costs_two_attempts_and_then_the_run_goes_on(release: Release) -> None:
    release.install()
    release.sql(f"ALTER DATABASE {release.database} WITH CONNECTION LIMIT 0")
    job = release.start()
    run_id = release.run_id(job)
    until(lambda: len(release.jobs(run_id, "extract")) == 3 or None, "third attempt", 240, 1, release.told)
    release.sql(f"ALTER DATABASE {release.database} WITH CONNECTION LIMIT -1")
    outcome = release.as_expected(job)
    assert attempts(outcome) == {"extract": 3, "train": 1, "evaluate": 1, "publish": 1}
    for number in (1, 2):
        place = release.place(run_id, "extract", number)
        assert place.exit_code == 75
        assert place.last_words is not None
        assert place.last_words.failure is not None
        assert place.last_words.failure.error_class == "dependency"


def test_an_objective_keeps_a_run_trying_and_a_new_coordinator_goes_on_waiting(release: Release) -> None:
    release.install(slo={"max_age": "7d"})
    release.good()
    release.arrive(FIRST, FIRST + 7)
    release.sql(f"ALTER DATABASE {release.database} WITH CONNECTION LIMIT 0")
    job = release.start()
    run_id = release.run_id(job)
    until(lambda: len(release.jobs(run_id, "extract")) == 3 or None, "third attempt", 240, 1, release.told)

    def waits() -> bool:
        return "extract has failed 3 times" in release.refit("status", "loans").stdout

    until(waits, "words of the wait", 120, 1, release.told)
    (first,) = release.kubectl.pods_of(job)
    release.kubectl("delete", "pod", first["metadata"]["name"], "--wait=false")
    until(lambda: len(release.kubectl.pods_of(job)) == 1 and release.kubectl.pods_of(job) != [first], "next pod")
    release.sql(f"ALTER DATABASE {release.database} WITH CONNECTION LIMIT -1")
    outcome = release.as_expected(job, seconds=300)
    assert attempts(outcome) == {"extract": 4, "train": 1, "evaluate": 1, "publish": 1}
    assert outcome.attempts == {"dependency": 3, "done": 4}


@pytest.mark.core
def test_a_step_that_outgrows_its_memory_says_how_much_to_give(release: Release) -> None:
    release.install("steps.train.resources.limits.memory=90Mi")
    outcome = release.failed(release.start(), 75, "oom", "90Mi", "steps.train.resources.limits.memory", "180Mi")
    assert attempts(outcome) == {"extract": 1, "train": 3}
    assert release.place(outcome, "train", 3).reason == "OOMKilled"
    release.upgrade("steps.train.resources.limits.memory=512Mi")
    assert release.good(template="fd-rerun").version == release.champion


def test_a_step_that_never_ends_meets_its_deadline_once(release: Release) -> None:
    release.install("steps.train.deadlineSeconds=30", model=ENDLESS)
    outcome = release.failed(release.start(), 75, "timeout", "deadline", "steps.train.deadlineSeconds")
    assert attempts(outcome) == {"extract": 1, "train": 1}
    log = release.refit("logs", "loans", id_of(outcome), "train")
    assert log.returncode == 0, log.stderr
    assert log.stdout
