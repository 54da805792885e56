"""What a Pushgateway is told beside the end of each run: that one began, that one could not, what a person did."""

import urllib.request
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from refit.cli import moves
from refit.core import pushgateway
from refit.core.domain import Move
from refit.core.effects import Moment
from tests.faults.case import THIRD, Case, edited
from tests.fixtures.calls import call
from tests.fixtures.pushgateway import Gateway, Labels, served

NONE: Labels = frozenset()
GROUPS = ("extract", "train", "evaluate", "publish", "run")
START, NEXT, SUCCESS, FAILURE = (
    f"refit_run_{word}_timestamp_seconds" for word in ("last_start", "next", "last_success", "last_failure")
)
WRITTEN_ANEW = {NEXT}
"""Counted from the moment of the push."""


@pytest.fixture
def watched(case: Case, gateway: Gateway) -> Case:
    """A case whose runs push."""
    case.settings["REFIT_PUSHGATEWAY"] = gateway.url
    return case


def look(url: str, place: Path, moment: Moment, name: str) -> None:
    """What the Pushgateway holds when train has done its work is kept in a file."""
    if moment == "before" and name.endswith("/train.json"):
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:  # noqa: S310  our own
            place.write_bytes(answer.read())


def test_while_a_run_goes_on_its_start_is_newer_than_any_end(watched: Case, gateway: Gateway, tmp_path: Path) -> None:
    watched.good()
    seen = tmp_path / "seen"
    scheduled = edited(schedule={"cron": "0 5 * * *"})
    watched.run(THIRD, scheduled, inject=partial(look, gateway.url, seen))
    families = text_string_to_metric_families(seen.read_text())
    found = {sample.name: sample.value for family in families for sample in family.samples if "run" in sample.name}
    assert found[START] > found[SUCCESS]
    assert found[START] < found[NEXT] <= found[START] + 86400
    ended = gateway.series("loans", "run")
    assert ended[SUCCESS][NONE] > ended[START][NONE] == found[START]


def test_what_was_forgotten_is_pushed_again_from_the_records(
    watched: Case, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.good()
    watched.run(THIRD, edited(source={"query": "SELECT * FROM nothing"}))
    before = {group: gateway.series("loans", group) for group in GROUPS}
    with served(tmp_path) as fresh:
        monkeypatch.setenv(pushgateway.SETTING, fresh.url)
        called = call("metrics", "loans", "--store", watched.url, "--push")
        assert called.code == 0, called.err
        after = {group: fresh.series("loans", group) for group in GROUPS}
    for group in GROUPS:
        for name in set(after[group]) - WRITTEN_ANEW:
            assert after[group][name] == pytest.approx(before[group][name], abs=1.0, nan_ok=True), name
        assert set(after[group]) == set(before[group])


def test_the_text_is_what_prometheus_would_scrape_and_json_is_the_same(watched: Case) -> None:
    watched.good()
    families = list(text_string_to_metric_families(call("metrics", "loans", "--store", watched.url).out))
    told = [sample for family in families for sample in family.samples]
    assert {sample.labels["pipeline"] for sample in told} == {"loans"}
    assert {sample.labels["step"] for sample in told} == set(GROUPS)
    document = call("metrics", "loans", "--store", watched.url, "--json").document
    assert len(document["metrics"]) == len(told)
    entry = next(one for one in document["metrics"] if one["name"] == "refit_champion_generation")
    assert entry == {"name": "refit_champion_generation", "step": "run", "labels": {}, "value": 2.0}


def test_a_push_needs_an_address_and_says_when_it_fails(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pushgateway.SETTING, raising=False)
    called = call("metrics", "loans", "--store", case.url, "--push")
    assert (called.code, "REFIT_PUSHGATEWAY is not set" in called.err) == (64, True)
    monkeypatch.setenv(pushgateway.SETTING, "http://127.0.0.1:9")
    called = call("metrics", "loans", "--store", case.url, "--push")
    assert called.code == 75
    assert "Connection refused" in called.err


def test_a_move_by_hand_is_told_and_leaves_how_the_last_run_ended(
    watched: Case, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = watched.good("awaiting_approval", file=edited(publish={"approval": "manual"}))
    before = gateway.series("loans", "run")
    assert before["refit_awaiting_approval"][NONE] == 1
    assert waiting.version is not None
    monkeypatch.setenv(pushgateway.SETTING, gateway.url)
    called = call("promote", "loans", waiting.version, "--store", watched.url, "--reason", "agreed")
    assert called.code == 0, called.err
    after = gateway.series("loans", "run")
    assert after["refit_awaiting_approval"][NONE] == 0
    assert after["refit_champion_generation"][NONE] == before["refit_champion_generation"][NONE] + 1
    assert after["refit_run_last_outcome"] == before["refit_run_last_outcome"]
    call("rollback", "loans", "--store", watched.url, "--reason", "bad")
    assert gateway.series("loans", "run")["refit_hold"][NONE] == 1


def test_a_move_by_hand_stands_where_the_pushgateway_is_away(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.good()
    monkeypatch.setenv(pushgateway.SETTING, "http://127.0.0.1:9")
    called = call("rollback", "loans", "--store", case.url, "--reason", "bad")
    assert called.code == 0
    assert "note: the metrics were not pushed" in called.err
    assert case.champion.hold is not None


def test_a_move_by_hand_stands_where_the_store_goes_away_after_it(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.good()
    call("rollback", "loans", "--store", case.url, "--reason", "bad")
    folder = tmp_path / "same"
    folder.symlink_to(case.folder.parent)

    def lose(_name: str, _move: Move, *, as_json: bool) -> None:
        folder.unlink()
        folder.symlink_to(folder)

    monkeypatch.setattr(moves, "_tell", lose)
    monkeypatch.setenv(pushgateway.SETTING, "http://127.0.0.1:9")
    called = call("release", "loans", "--store", f"file://{folder}", "--reason", "mended")
    assert called.code == 0, called.err
    assert case.champion.hold is None


def test_a_deleted_pipeline_is_heard_of_no_more(
    watched: Case, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.good()
    monkeypatch.setenv(pushgateway.SETTING, gateway.url)
    assert call("delete", "loans", "--store", watched.url, "--yes").code == 0
    assert all(gateway.series("loans", group) == {} for group in GROUPS)
