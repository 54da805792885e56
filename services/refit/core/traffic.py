"""How many requests this process has sent to stores. Threads count at once; a fork goes on from its parent's count."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Final


@dataclass(frozen=True)
class Requests:
    """Of a process so far, or of a part of its time.

    Attributes:
        sent: To a server, repetitions included; operations on a store in a folder.
        repeated: Those of them that repeat one which failed.
    """

    sent: int = 0
    repeated: int = 0

    def since(self, before: "Requests") -> "Requests":
        """Those that came after `before`."""
        return Requests(self.sent - before.sent, self.repeated - before.repeated)


@dataclass
class Traffic:
    """Counts them."""

    so_far: Requests = Requests()
    _lock: Lock = field(default_factory=Lock)

    def count(self, *, sent: int = 0, repeated: int = 0) -> None:
        """So many more were sent."""
        with self._lock:
            self.so_far = Requests(self.so_far.sent + sent, self.so_far.repeated + repeated)


TRAFFIC: Final = Traffic()
"""Of this process, with all stores."""
