"""How much memory this process's container may use."""

from contextlib import suppress
from pathlib import Path
from typing import Final

_FILES: Final = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNLIMITED: Final = 2**60
"""Version 1 of control groups writes a number next to 2^63 for none."""


def memory_limit_bytes(system: Path = Path("/")) -> int | None:
    """The limit of this container's control group (cgroups(7), version 2 and version 1); None where there is none.

    Args:
        system: The root of /sys.
    """
    for name in _FILES:
        with suppress(OSError, ValueError):
            limit = int((system / name).read_text())
            return limit if limit < _UNLIMITED else None
    return None
