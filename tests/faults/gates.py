"""Places at which a run's process waits for the test, by files that both see."""

import os
import threading
import time
from collections.abc import Callable, Iterator
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


@dataclass(frozen=True)
class Turnstile:
    """Before each effect the processes of a command, one after the other, wait until the test lets them pass."""

    folder: Path

    @property
    def inject(self) -> Callable[[Moment, str], None]:
        return partial(_wait_each_time, self.folder / "at", self.folder / "pass")

    def stops(self, has_ended: Callable[[], bool]) -> Iterator[str]:
        """Each effect, while the process waits before it; it goes on when the next one is asked for."""
        last, at = -1, self.folder / "at"
        while True:
            wait_until(partial(_is_later, at, last, has_ended), "the next effect is reached")
            if _number(at) <= last:
                return
            last = _number(at)
            yield at.read_text().partition(" ")[2]
            _write(self.folder / "pass", str(last))


def _number(path: Path) -> int:
    return int(path.read_text().partition(" ")[0]) if path.exists() else -1


def _is_later(at: Path, last: int, has_ended: Callable[[], bool]) -> bool:
    return _number(at) > last or has_ended()


def _write(path: Path, text: str) -> None:
    """At once, so that nobody reads a part."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def _wait_each_time(at: Path, allowed: Path, moment: Moment, name: str) -> None:
    if moment == "before" and threading.current_thread() is threading.main_thread():  # another one renews the lock
        number = _number(at) + 1
        _write(at, f"{number} {name}")
        wait_until(partial(_is_later, allowed, number - 1, _never), "the test lets it pass")


def _never() -> bool:
    return False


def _in_steps(inject: Callable[[Moment, str], None], moment: Moment, name: str) -> None:
    if "REFIT_ATTEMPT" in os.environ:
        inject(moment, name)


def _wait_at(effect: str, reached: Path, opened: Path, moment: Moment, name: str) -> None:
    if effect in f"{moment} {name}" and not opened.exists():
        _write(reached, str(os.getpid()))
        wait_until(opened.exists, "the test opens the gate")


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """It holds. Fails when it does not within half a minute."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.003)


def has_ended(process: int) -> bool:
    """No such process runs; one that nobody has asked about yet counts as ended."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
