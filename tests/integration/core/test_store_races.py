"""16 racing writers, in 4 processes with 4 threads each: conditional writes have one winner."""

import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack

import pytest

from refit.core.store import ObjectStore
from tests.fixtures import racer

PROCESSES = 4
THREADS = 4


def race(store: ObjectStore, kind: str, rounds: int) -> list[str]:
    """What all the writers say that they won."""
    with ExitStack() as stack:
        racers = []
        for number in range(PROCESSES):
            command = [sys.executable, racer.__file__, store.url, kind, str(THREADS), str(rounds), f"p{number}"]
            pipes = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            racers.append(stack.enter_context(pipes))
        for started in racers:
            assert started.stdout is not None
            assert started.stdout.readline() == "ready\n"
        for ready in racers:
            assert ready.stdin is not None
            ready.stdin.write("go\n")
            ready.stdin.flush()
        won: list[str] = []
        for running in racers:
            output, _ = running.communicate(timeout=120)
            assert running.returncode == 0
            won += json.loads(output)
    return won


def test_of_16_writers_one_creates(store: ObjectStore) -> None:
    rounds = 5
    won = race(store, "create", rounds)
    assert Counter(line.split()[0] for line in won) == {str(number): 1 for number in range(rounds)}
    for line in won:
        number, name = line.split()
        assert store.get(f"once/{number}") == name.encode()


def test_n_successful_swaps_make_exactly_n_generations(store: ObjectStore) -> None:
    rounds = 2
    won = race(store, "count", rounds)
    generations = sorted(int(line.split()[0]) for line in won)
    assert generations == list(range(1, PROCESSES * THREADS * rounds + 1))
    assert store.get("refs/count").decode() == max(won, key=lambda line: int(line.split()[0]))


pytestmark = pytest.mark.timeout(150)
