"""How many processors this process may use."""

import os

from refit.core.cores import cores


def test_a_process_that_is_tied_to_one_processor_has_one() -> None:
    before = os.sched_getaffinity(0)
    assert 1 <= cores() <= len(before)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
