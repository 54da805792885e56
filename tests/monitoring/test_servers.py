"""What is pushed with refit's own code is what Prometheus has after the next scrape."""

from refit.core import metrics as m
from refit.core.pushgateway import Pushgateway
from tests.fixtures.prometheus import Watched


def test_pushed_samples_are_scraped_with_their_own_labels(watched: Watched) -> None:
    samples = [m.RUN_START.at(1e9), m.RUN_EXIT.at(65, "data")]
    assert Pushgateway(watched.gateway.url, "loans").push("run", samples) == ""
    own = {"job": "refit", "pipeline": "loans", "step": "run"}
    (start,) = watched.prometheus.wait_for(m.RUN_START.name)
    assert (start.labels, start.value) == ({"__name__": m.RUN_START.name, **own}, 1e9)
    (code,) = watched.prometheus.query(m.RUN_EXIT.name)
    assert (code.labels, code.value) == ({"__name__": m.RUN_EXIT.name, "class": "data", **own}, 65)
