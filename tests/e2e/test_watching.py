"""Who is told, and what of it may fail without a harm."""

import pytest

from tests.e2e.kubectl import Kubectl, Object, until
from tests.e2e.monitors import Monitors
from tests.e2e.release import NAME, Release, id_of


@pytest.fixture
def monitors(namespace: Kubectl, tag: str) -> Monitors:
    return Monitors(namespace, tag)


@pytest.mark.core
def test_a_failed_run_is_told_through_alertmanager_and_a_good_one_takes_it_back(
    release: Release, monitors: Monitors
) -> None:
    monitors.start()
    release.install("metrics.pushgateway=http://pushgateway:9091", columns={"amount": {"type": "float", "max": -100}})
    failed = release.failed(release.start(), 65, "data", "amount")
    alert = monitors.alert("RunFailed", "firing")
    assert alert["labels"]["pipeline"] == "loans"
    assert alert["labels"]["class"] == "data"
    assert "(data)" in alert["annotations"]["summary"]
    assert "refit runs loans --failed" in alert["annotations"]["description"]
    assert "#runfailed" in alert["annotations"]["runbook_url"]
    (event,) = _events(release, id_of(failed))
    assert (event["reason"], event["type"]) == ("RunFailed", "Warning")
    assert failed.error is not None
    assert failed.error.message.splitlines()[0][:60] in event["message"]

    release.upgrade(columns={})
    good = release.good()
    monitors.alert("RunFailed", "resolved")
    (event,) = _events(release, id_of(good))
    assert (event["reason"], event["type"]) == ("Promoted", "Normal")
    assert good.attempts == {"done": 4}


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1:9091", "Connection refused"),
        ("http://listener:8080/slow", "no answer within 5 s"),
        ("http://listener:8080/400", "answered 400"),
    ],
    ids=["down", "slow", "answers 400"],
)
def test_a_pushgateway_that_fails_changes_no_outcome(
    release: Release, monitors: Monitors, address: str, reason: str
) -> None:
    if "listener" in address:
        monitors.listen()
    release.install(f"metrics.pushgateway={address}")
    outcome = release.good()
    assert release.champion == outcome.version
    assert [text for text in outcome.warnings if "were not pushed" in text and reason in text], outcome.warnings


def _events(release: Release, run_id: str) -> list[Object]:
    """What the CronJob was told of the run, as soon as it was."""

    def look() -> list[Object] | None:
        found = release.kubectl.everything("events")
        return [event for event in found if event["metadata"]["name"] == f"{NAME}.{run_id}"] or None

    return until(look, f"event of {run_id}", tell=release.told)
