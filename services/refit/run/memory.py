"""Whether the kernel ended processes for want of memory: a counter that it keeps, read before and after.

The control group's own counter comes first: the machine's counts what happened to others too. Linux only; all these
files are open to every user.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_NAME: Final = "oom_kill"


def oom_kills(system: Path = Path("/")) -> int | None:
    """How many processes the kernel has ended for want of memory so far; None where it does not tell.

    Args:
        system: The root of /proc and /sys.
    """
    for path in (*_of_group(system), system / "proc/vmstat"):
        with suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == _NAME:
                    return int(count)
    return None


def _of_group(system: Path) -> Iterator[Path]:
    """Where the control group of this process counts, if it does (cgroups(7), version 2 and version 1)."""
    with suppress(OSError, ValueError):
        for line in (system / "proc/self/cgroup").read_text().splitlines():
            number, controllers, group = line.split(":", 2)
            if number == "0":
                yield system / "sys/fs/cgroup" / group.lstrip("/") / "memory.events"
            elif controllers == "memory":
                yield system / "sys/fs/cgroup/memory" / group.lstrip("/") / "memory.oom_control"
