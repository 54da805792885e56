"""Pairs of commands at once: one stops before each of its effects in turn, while the other runs whole.

After each pair every move of the champion is one generation, what is referred to stands, and who came second was told.
"""

from pathlib import Path

import pytest

from refit.core import keys, registry
from refit.core.domain import LockRef
from tests.faults.case import THIRD, Case
from tests.faults.conftest import LIVED
from tests.faults.gates import Gate, Turnstile
from tests.faults.test_retention import age
from tests.fixtures import invariants, loans
from tests.fixtures.calls import Called, call

LOCKED: dict[str, tuple[str, ...]] = {
    "run": ("run", "@file", "--as-of", loans.at(THIRD).isoformat()),
    "rerun": ("rerun", "loans"),
    "gc": ("gc", "loans"),
    "delete": ("delete", "loans", "--yes"),
}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "refit.yaml"
    path.write_bytes(LIVED)
    return str(path)


def asked(case: Case, *words: str) -> Called:
    return call(*words, "--store", case.url)


def is_held(case: Case) -> bool:
    key = keys.ref("lock")
    return case.store.exists(key) and LockRef.from_json(case.store.get(key), key).holder is not None


def kind_of(effect: str) -> str:
    """The effect; of deletions in one folder all are alike."""
    return effect.partition("/")[0] if effect.startswith("delete") else effect


def state(case: Case) -> dict[str, bytes]:
    """All of the pipeline's store but its lock, which is renewed."""
    return {one.key: case.store.get(one.key) for one in case.store.list("") if one.key != keys.ref("lock")}


@pytest.mark.parametrize("first", LOCKED)
def test_while_one_works_the_others_give_way_and_change_nothing(lived: Case, file: str, first: str) -> None:
    words = {name: [file if word == "@file" else word for word in told] for name, told in LOCKED.items()}
    if first == "gc":  # the second one has more to do
        assert asked(lived, "gc", "loans").code == 0
        age(lived, 366)
    gate = Turnstile(lived.scratch)
    calling = lived.calls(*words[first], inject=gate.inject)
    refused, last = 0, ""
    for effect in gate.stops(lambda: not calling.process.is_alive()):
        kind, last = last, kind_of(effect)
        if last == kind or not is_held(lived):
            continue
        before = state(lived)
        for second, told in words.items():
            assert asked(lived, *told, "--wait", "0").code == 79, (first, effect, second)
            refused += 1
        assert state(lived) == before, (first, effect)
    assert calling.done().code == 0
    assert refused >= 2 * len(words)
    invariants.check(lived.store)


@pytest.mark.parametrize(
    ("first", "second", "code", "moves"),
    [
        pytest.param("rerun", "rerun", 64, 2, id="rerun, rerun"),  # there is nothing to repeat any more
        pytest.param("rerun", "gc", 0, 2, id="rerun, gc"),
        pytest.param("gc", "rerun", 0, 2, id="gc, rerun"),
        pytest.param("run", "run", 0, 3, id="run, run"),
        pytest.param("run", "delete", 0, 1, id="run, delete"),
        pytest.param("delete", "rerun", 0, 0, id="delete, rerun"),
    ],
)
def test_who_comes_second_finds_what_the_first_one_left(
    lived: Case, file: str, first: str, second: str, code: int, moves: int
) -> None:
    words = {name: [file if word == "@file" else word for word in told] for name, told in LOCKED.items()}
    gate = Gate(lived.scratch, "before swap refs/lock")
    calling = lived.calls(*words[first], inject=gate.inject)
    gate.wait_until_reached()
    between = lived.calls(*words[second]).done()
    assert between.code == 0, between
    gate.open()
    ended = calling.done()
    assert ended.code == code, ended
    invariants.check(lived.store)
    assert len(registry.read_history(lived.store)) == moves
    assert first != "delete" or not list(lived.store.list(""))
