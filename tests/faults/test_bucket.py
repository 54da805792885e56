"""Whole runs through a real S3 server that is away, refuses, forgets conditions, or goes in the middle of a run."""

import importlib
import os
from collections.abc import Iterator
from functools import partial

import pytest

from refit.core import keys
from refit.core.domain import Manifest, Termination
from refit.core.runs import read_outcome
from refit.core.s3_connection import Limits
from tests.faults.case import THIRD, Case, failed_as
from tests.faults.conftest import Bank
from tests.fixtures.proxy import Action, Exchange, Fault, Proxy, answer, drop_answer, drop_request, strip
from tests.fixtures.s3 import SECRET_KEY


@pytest.fixture
def proxy(s3_server: str) -> Iterator[Proxy]:
    with Proxy(s3_server) as proxy:
        yield proxy


@pytest.fixture
def stored(empty: Case, bank: Bank, bucket: str, proxy: Proxy) -> Case:
    """The champion's world in a bucket; runs reach it through the proxy, the test itself goes past it."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    case = Case(
        empty.dsn, f"s3://{bucket}/some/prefix", empty.scratch, settings | {"AWS_ENDPOINT_URL_S3": proxy.address}
    )
    folder = bank.folder / "loans"
    for path in folder.rglob("*"):
        if path.is_file():
            case.store.put(str(path.relative_to(folder)), path.read_bytes())
    return case


def be_hasty() -> None:
    """Calls to a server that is away end soon."""
    store = importlib.import_module("refit.core.s3_store")
    vars(store)["Limits"] = partial(Limits, connect_seconds=2, read_seconds=2, call_seconds=2.2, wait_seconds=0.05)


def last_words(case: Case, manifest: Manifest) -> Termination:
    key = keys.artifact(manifest.run_id, manifest.step, manifest.attempt, "attempt.json")
    return Termination.from_json(case.store.get(key), key)


def refused_before_it_starts(case: Case, code: int, kind: str, *words: str) -> None:
    runs = case.runs
    done = case.refused(code, kind, *words, begin=be_hasty)
    assert done.outcome is None
    assert case.runs == runs
    assert SECRET_KEY not in repr(done)


def test_a_bucket_that_cannot_be_used_starts_no_run_until_it_can(stored: Case, proxy: Proxy) -> None:
    reached = stored.settings["AWS_ENDPOINT_URL_S3"]
    stored.settings["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:1"
    refused_before_it_starts(stored, 75, "dependency StoreAway", "127.0.0.1:1", "nothing answers", "look at the server")
    stored.settings["AWS_ENDPOINT_URL_S3"] = reached

    proxy.add(Fault(answer(403, "AccessDenied"), method="PUT", times=None))
    refused_before_it_starts(stored, 77, "permission StoreDenied", "AccessDenied", "s3:PutObject")
    proxy.reset()

    proxy.add(Fault(answer(403, "InvalidAccessKeyId"), times=None))
    refused_before_it_starts(stored, 77, "permission StoreDenied", "InvalidAccessKeyId", "AWS_SECRET_ACCESS_KEY")
    proxy.reset()

    for header in ("if-none-match", "if-match"):
        proxy.add(Fault(strip("if-none-match", "if-match"), method="PUT", header=header, times=None))
    refused_before_it_starts(stored, 64, "config ConditionsIgnored", "8 won", "MinIO")
    proxy.reset()

    gone = Case(stored.dsn, "s3://no-such-bucket/prefix", stored.scratch, stored.settings)
    failed_as(gone.run(), 77, "permission BucketMissing", "does not exist", "REFIT_STORE")

    stored.good()


def test_bursts_of_errors_and_lost_answers_are_sat_out_and_move_the_champion_once(stored: Case, proxy: Proxy) -> None:
    for path in ("run.json", "part-00000", "train.json", "refs/verdict.json"):
        proxy.add(Fault(answer(503, "SlowDown"), method="PUT", path=path, times=2))
    for path in ("refs/lock.json", "evaluate.json", "refs/champion.json", "history/2.json", "outcome.json"):
        proxy.add(Fault(drop_answer, method="PUT", path=path))
    outcome = stored.good()
    assert all(step.attempts == 1 for step in outcome.steps.values())
    assert stored.champion.generation == 2
    words = {
        manifest.step: last_words(stored, manifest)
        for manifest in (stored.extract_of(outcome), stored.train_of(outcome), stored.evaluate_of(outcome))
    }
    assert {step: said.store_retries for step, said in words.items()} == {"extract": 2, "train": 2, "evaluate": 1}
    assert all(said.store_requests > 5 for said in words.values())
    assert all(fault.times == 0 for fault in proxy.faults)


def test_a_run_whose_credentials_expired_is_repeated_where_it_failed(stored: Case, proxy: Proxy) -> None:
    proxy.add(Fault(answer(403, "ExpiredToken"), method="PUT", path="versions/", times=None))
    failed = stored.run()
    assert (failed.code, failed.failure and failed.failure.step) == (77, "publish")
    proxy.reset()
    repeated = stored.again().outcome
    assert repeated is not None
    assert (repeated.outcome, repeated.parent) == ("promoted", failed.outcome and failed.outcome.run_id)
    assert [step for step, took in repeated.steps.items() if took.reused_from] == ["extract", "train", "evaluate"]


def then_nothing(first: Action, proxy: Proxy) -> Action:
    """The request is treated so, and the server is away from then on."""

    def act(exchange: Exchange) -> None:
        proxy.add(Fault(drop_request, times=None))
        first(exchange)

    return act


@pytest.mark.parametrize(
    ("path", "first", "ended"),
    [
        pytest.param("model.skops", drop_request, "failed", id="train"),
        pytest.param("refs/champion.json", drop_answer, "promoted", id="after the champion moved"),
    ],
)
def test_a_bucket_lost_in_the_middle_of_a_run_ends_it_and_the_next_run_settles_it(
    stored: Case, proxy: Proxy, path: str, first: Action, ended: str
) -> None:
    generation = stored.champion.generation
    proxy.add(Fault(then_nothing(first, proxy), method="PUT", path=path))
    failed_as(stored.run(begin=be_hasty), 75, "dependency StoreAway", "cannot", "AWS_ENDPOINT_URL_S3")
    assert stored.champion.generation == generation + (ended == "promoted")
    lost = stored.runs[-1]
    assert read_outcome(stored.store, lost) is None
    proxy.reset()
    stored.good(days=THIRD)
    outcome = read_outcome(stored.store, lost)
    assert outcome is not None
    assert outcome.outcome == ended
