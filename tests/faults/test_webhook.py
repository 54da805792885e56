"""Whole runs that tell a webhook of their end, and webhooks that fail."""

import socket
import time
from collections.abc import Iterator

import pytest

from refit.core import keys
from refit.core.webhook import NotTold
from tests.faults.case import SECOND, THIRD, Case, edited
from tests.fixtures import loans
from tests.fixtures.webhook import Receiver, receiver

__all__ = ["receiver"]
VARIABLE = "REFIT_WEBHOOK_URL"
FILE = edited(notify={"webhook_env": VARIABLE}, slo={"max_age": "30d"})


@pytest.fixture
def told(case: Case, receiver: Receiver) -> Case:
    """A case whose runs tell."""
    case.settings[VARIABLE] = receiver.url
    return case


def test_a_run_that_fails_after_its_retries_is_told_once_and_so_is_its_repair(told: Case, receiver: Receiver) -> None:
    told.sql("ALTER TABLE loans RENAME TO away")
    for _ in range(2):
        told.refused(65, "data UnknownRelation", file=FILE)
    told.sql("ALTER TABLE away RENAME TO loans")
    outcome = told.again(file=FILE).outcome
    assert outcome is not None and outcome.outcome == "promoted"
    failed, repaired = receiver.texts
    assert failed.startswith("loans failed in extract (data): ")
    assert "objective 30 days: ok" in failed
    assert "Next: " in failed and "refit rerun loans 20" in failed
    assert repaired.startswith(f"loans is well again, after it had failed: data; promoted {outcome.version} (was ")


def test_tries_that_are_repeated_are_no_message(told: Case, receiver: Receiver) -> None:
    told.settings["PGCONNECT_TIMEOUT"] = "2"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dsn = f"postgresql://refit@127.0.0.1:{closed.getsockname()[1]}/loans"
        done = told.run(file=FILE, dsn=dsn)
    assert (done.code, len(receiver.texts)) == (75, 1)
    assert done.outcome is not None and done.outcome.steps["extract"].attempts == 3
    assert receiver.texts[0].startswith("loans failed in extract (dependency): ")


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address that takes connections and no word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/x"


@pytest.mark.parametrize("how", ["away", "deaf", "answers 400", "redirects", "unset"])
def test_a_webhook_that_fails_changes_no_outcome_and_is_recorded(
    told: Case, receiver: Receiver, deaf: str, how: str
) -> None:
    if how in ("away", "deaf"):
        told.settings[VARIABLE] = deaf if how == "deaf" else "http://127.0.0.1:1/x"
    elif how == "unset":
        del told.settings[VARIABLE]
    receiver.status = {"answers 400": 400, "redirects": 302}.get(how, 200)
    receiver.location = receiver.url if how == "redirects" else ""
    began = time.monotonic()
    outcome = told.good(days=SECOND, file=FILE)
    assert time.monotonic() - began < 30
    assert outcome.run_id is not None and outcome.exit_code == 0
    key = keys.untold(outcome.run_id)
    assert VARIABLE in NotTold.from_json(told.store.get(key), key).reason


def test_the_command_tells_the_webhook_and_warns_where_it_could_not(case: Case, receiver: Receiver) -> None:
    path = case.scratch / "refit.yaml"
    path.write_bytes(FILE)
    words = ("run", str(path), "--as-of")
    settings = {"REFIT_SOURCE_DSN": case.dsn, VARIABLE: receiver.url}
    done = case.calls(*words, loans.at(SECOND).isoformat(), settings=settings).done()
    assert (done.code, len(receiver.texts)) == (0, 1), done.err
    assert receiver.texts[0].startswith("loans promoted 20")
    receiver.status = 500
    done = case.calls(*words, loans.at(THIRD).isoformat(), settings=settings).done()
    assert done.code == 0
    assert f"nobody was told of the run's end: the webhook of {VARIABLE}: it answered 500" in done.err
    assert receiver.url not in done.err
