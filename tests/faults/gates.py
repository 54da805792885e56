"""Places at which a run's process waits for the test, by files that both see."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from refit.core.effects import Moment

SECONDS = 30.0


@dataclass(frozen=True)
class Gate:
    """The process that comes to `effect` waits there until the test opens the gate.

    Attributes:
        effect: The beginning or a later piece of a moment and its effect, as in `before sql copy`.
    """

    folder: Path
    effect: str

    @property
    def inject(self) -> Callable[[Moment, str], None]:
        return partial(_wait_at, self.effect, self.folder / "reached", self.folder / "open")

    @property
    def inject_in_steps(self) -> Callable[[Moment, str], None]:
        """As `inject`, for effects whose names are also those of the run itself."""
        return partial(_in_steps, self.inject)

    def wait_until_reached(self) -> int:
        """The number of the process that waits now."""
        wait_until((self.folder / "reached").exists, f"{self.effect} is reached")
        return int((self.folder / "reached").read_text())

    def open(self) -> None:
        (self.folder / "open").touch()


def _in_steps(inject: Callable[[Moment, str], None], moment: Moment, name: str) -> None:
    if "REFIT_ATTEMPT" in os.environ:
        inject(moment, name)


def _wait_at(effect: str, reached: Path, opened: Path, moment: Moment, name: str) -> None:
    if effect in f"{moment} {name}" and not opened.exists():
        written = reached.with_suffix(".new")
        written.write_text(str(os.getpid()))
        written.rename(reached)
        wait_until(opened.exists, "the test opens the gate")


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """It holds. Fails when it does not within half a minute."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


def has_ended(process: int) -> bool:
    """No such process runs; one that nobody has asked about yet counts as ended."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
