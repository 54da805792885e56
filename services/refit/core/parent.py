"""Processes that must not outlive the one that began them."""

import ctypes
import os
import signal
import sys
from typing import Final

ORPHAN: Final = 137


def die_with_parent(parent: int) -> None:
    """The kernel kills this process with the one that began it (Linux; prctl(2), PR_SET_PDEATHSIG).

    Args:
        parent: The process id of the one that began it; where that is gone already, this process ends here.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(ORPHAN)
