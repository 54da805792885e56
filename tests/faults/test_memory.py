"""The memory is used up: the kernel ends a step, or an allocation fails, once or every time."""

import resource
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from refit.core.effects import Moment
from tests.faults.case import FIRST, Case, edited, failed_as
from tests.faults.test_killed import INSIDE
from tests.fixtures import invariants
from tests.fixtures.memory_limit import memory_limit
from tests.fixtures.own_package import put_on_path, write_package

MIB = 1 << 20
LIMIT_BYTES = 256 * MIB


@pytest.fixture
def limited() -> Iterator[Callable[[], None]]:
    with memory_limit(LIMIT_BYTES) as join:
        yield join


def use_up(effect: str, flag: Path | None, moment: Moment, name: str) -> None:
    """The step that comes to the effect takes more than there is; once, if there is a flag."""
    if effect in f"{moment} {name}" and not (flag and flag.exists()):
        if flag:
            flag.touch()
        taken = []
        while True:
            taken.append(bytearray(16 * MIB))


def test_a_step_that_the_kernel_ends_for_want_of_memory_is_told_apart_and_tried_three_times(
    case: Case, limited: Callable[[], None]
) -> None:
    before = case.champion_body
    done = case.run(begin=limited, inject=partial(use_up, INSIDE["train"], None))
    failed_as(done, 75, "oom OutOfMemory", "used up; its last progress: saves the model", "model.sample")
    assert done.failure is not None
    assert done.outcome is not None
    assert (done.failure.step, done.failure.exit_code) == ("train", 137)
    assert done.outcome.steps["train"].attempts == 3
    assert case.champion_body == before
    invariants.check(case.store)
    assert case.again().code == 0


def test_a_step_that_had_too_little_memory_once_is_repeated(case: Case, limited: Callable[[], None]) -> None:
    outcome = case.good(begin=limited, inject=partial(use_up, INSIDE["extract"], case.scratch / "flag"))
    assert outcome.steps["extract"].attempts == 2


def less_memory(package: str) -> None:
    """No allocation of this process and its children takes 4 GiB more."""
    put_on_path(package)
    (used,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmSize" in line)
    resource.setrlimit(resource.RLIMIT_AS, (int(used) * 1024 + 4096 * MIB,) * 2)


def test_a_fit_whose_allocation_fails_is_told_as_out_of_memory(empty: Case) -> None:
    package = write_package(empty.scratch / "package")
    file = edited(model={"estimator": "acmebank.models:careful", "params": {"fails": "memory"}})
    done = empty.refused(
        75,
        "oom MemoryError",
        "out of memory after",
        "model.sample",
        days=FIRST,
        file=file,
        begin=partial(less_memory, str(package)),
    )
    assert done.outcome is not None
    assert done.outcome.steps["train"].attempts == 3
