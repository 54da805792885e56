"""What is pushed with refit's own code reaches Prometheus, and a person, through real servers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitoring import rules
from refit.core import metrics as m
from refit.core.metrics import Sample
from refit.core.pushgateway import Pushgateway
from tests.fixtures import prometheus as servers
from tests.fixtures.prometheus import INTERVAL, Prometheus, Receiver, Watched, until
from tests.fixtures.pushgateway import served

NOW = 1.8e9
Push = Callable[..., None]


def test_pushed_samples_are_scraped_with_their_own_labels(watched: Watched) -> None:
    samples = [m.RUN_START.at(NOW), m.RUN_EXIT.at(65, "data")]
    assert Pushgateway(watched.gateway.url, "loans").push("run", samples) == ""
    own = {"job": "refit", "pipeline": "loans", "step": "run"}
    (start,) = watched.prometheus.wait_for(m.RUN_START.name)
    assert (start.labels, start.value) == ({"__name__": m.RUN_START.name, **own}, NOW)
    (code,) = watched.prometheus.query(m.RUN_EXIT.name)
    assert (code.labels, code.value) == ({"__name__": m.RUN_EXIT.name, "class": "data", **own}, 65)


@pytest.fixture
def alarmed(tmp_path: Path) -> Iterator[tuple[Push, Prometheus, Receiver]]:
    """What pushes for a pipeline, the Prometheus with refit's rules that sees it, and who gets the alerts."""
    folders = [tmp_path / name for name in ("pushgateway", "alertmanager", "prometheus")]
    for folder in folders:
        folder.mkdir()
    path = tmp_path / "refit.rules.yaml"
    path.write_text(rules.prometheus(rules.ALL, intervals=(INTERVAL, INTERVAL)))
    with (
        served(folders[0]) as gateway,
        servers.receiver() as receiver,
        servers.alertmanager(folders[1], servers.sends_at_once(receiver)) as alertmanager,
        servers.prometheus(folders[2], gateway, [path], [alertmanager]) as prometheus,
    ):

        def push(*samples: Sample) -> None:
            assert Pushgateway(gateway.url, "loans").push("run", samples) == ""

        yield push, prometheus, receiver


def test_a_failed_run_reaches_a_person_and_a_success_resolves_it(
    alarmed: tuple[Push, Prometheus, Receiver],
) -> None:
    push, prometheus, receiver = alarmed
    push(m.RUN_START.at(NOW), m.RUN_SUCCESS.at(NOW + 60), m.RUN_EXIT.at(0, m.DONE))
    prometheus.wait_for("pipeline:refit_run_last_success_timestamp_seconds:last")
    push(m.RUN_START.at(NOW + 600), m.RUN_FAILURE.at(NOW + 660), m.RUN_EXIT.at(65, "data"))
    (alert,) = until(lambda: receiver.alerts("RunFailed", "firing"), "no alert came")
    assert alert["labels"] == {"alertname": "RunFailed", "pipeline": "loans", "class": "data", "severity": "warning"}
    assert alert["annotations"]["summary"] == "loans: the last run failed (data)"
    assert "The rows break their contract" in alert["annotations"]["description"]
    assert "config" not in alert["annotations"]["description"]
    push(m.RUN_START.at(NOW + 1200), m.RUN_SUCCESS.at(NOW + 1260), m.RUN_EXIT.at(0, m.DONE))
    until(lambda: receiver.alerts("RunFailed", "resolved"), "the alert was not resolved")
    assert {rule["health"] for rule in prometheus.rules()} == {"ok"}
    assert {alert["labels"]["alertname"] for body in receiver.bodies for alert in body["alerts"]} == {"RunFailed"}
