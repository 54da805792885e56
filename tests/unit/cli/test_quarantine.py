"""`refit quarantine`: what it says where there is little to say; whole runs are in tests/faults."""

import pytest

from refit.core.store import ObjectStore
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import FIRST, SECOND, put_failed, put_promoted


@pytest.mark.parametrize("name", ["list", "show", "release", "drop"])
def test_each_part_has_help_with_an_example(name: str, call: Call) -> None:
    shown = call("quarantine", name, "--help")
    assert shown.code == 0
    assert f"refit quarantine {name}" in shown.out and "Example" in shown.out and "--json" in shown.out


def test_without_bad_rows_the_list_is_empty(store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    assert call("quarantine", "list", "loans", "--json").document == {"format": 1, "pipeline": "loans", "runs": []}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "loans", "nix"], "loans has no run 'nix'"),
        (["show", "loans", FIRST], "its extract did not end well"),
        (["release", "loans", SECOND, "--reason", "r"], "it found none"),
        (["drop", "loans", SECOND], "Missing option '--reason'"),
        (["shwo", "loans", SECOND], "No such command 'shwo'"),
    ],
    ids=["run", "failed", "none", "why", "command"],
)
def test_what_makes_no_sense_is_64(words: list[str], said: str, store: ObjectStore, call: Call) -> None:
    put_failed(store, FIRST)
    put_promoted(store, SECOND)
    called = call("quarantine", *words)
    assert called.code == 64
    assert said in called.err
