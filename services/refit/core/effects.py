"""The one hook that every external effect passes.

An external effect is an object write or delete, an SQL statement, later a Job creation or a metric push. Each
is wrapped in `effect(name)`. In production the hook does nothing. Tests replace it to end the process at
exactly one of these places, before or after, and then check what is left.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Moment = Literal["before", "after"]


def _nothing(moment: Moment, name: str) -> None:
    pass


hook: Callable[[Moment, str], None] = _nothing


@contextmanager
def effect(name: str) -> Iterator[None]:
    """The body changes the world outside this process; `name` says how, e.g. `create runs/…/train.json`."""
    hook("before", name)
    yield
    hook("after", name)
