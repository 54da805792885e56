"""Half a month of three pipelines, made once for all tests of this folder that ask for it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fixtures.programs import program
from tests.fixtures.prometheus import Prometheus
from tests.monitoring.history import History, lived


@dataclass(frozen=True)
class Month:
    """What has happened, and a Prometheus that saw it."""

    history: History
    prometheus: Prometheus


@pytest.fixture(scope="session")
def month(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    """Skips where Prometheus or Pushgateway are not installed."""
    for name in ("promtool", "prometheus", "prometheus-pushgateway"):
        program(name)
    with lived(request.getfixturevalue("postgres"), tmp_path_factory.mktemp("month")) as (prometheus, history):
        yield Month(history, prometheus)
