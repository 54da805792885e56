"""The log of a pod that still runs, told while its step works.

Each look asks for the newest lines with their times. What is given is always an end of the log, so that all after the
line that was told last is new, whatever the clocks say.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from refit.core.logs import redact
from refit.run.cluster import Cluster

AWAY_SECONDS: Final = 30.0
"""How long nobody asks again for a log that could not be read: its node may be away, and each try takes a while."""
MARGIN_SECONDS: Final = 5
"""How much further back than the last look a look asks: too many lines cost little, and too few would be lost."""
_TIMED: Final = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) ?(.*)", re.DOTALL)


@dataclass
class Following:
    """What was told of the logs of one Job's pods, one after the other.

    Attributes:
        tell: Gets each line once, in order; one that stood before the first look of this process too.
    """

    cluster: Cluster
    tell: Callable[[str], None]
    clock: Callable[[], float]
    _pod: str = ""
    _told_until: str = ""
    _asked_at: float | None = None
    _not_before: float = 0.0

    def look(self, pod: str, *, at_the_end: bool = False) -> None:
        """What the pod wrote since the last look is told, if it can be read now.

        Args:
            at_the_end: No look comes after this one, so that it also asks for a log that could not be read just now.
        """
        now = self.clock()
        if pod != self._pod:
            self._pod, self._told_until, self._asked_at, self._not_before = pod, "", None, now
        if now < self._not_before and not at_the_end:
            return
        back = None if self._asked_at is None else math.ceil(now - self._asked_at) + MARGIN_SECONDS
        found = self.cluster.recent_log(pod, back)
        if found is None:
            self._not_before = self.clock() + AWAY_SECONDS
            return
        self._asked_at = now
        for at, line in after(self._told_until, tuple(timed(found))):
            self._told_until = at
            self.tell(redact(line))


def timed(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Time and text of each line; one without a time goes on with the line before it."""
    at, text = "", None
    for line in lines:
        if found := _TIMED.fullmatch(line):
            if text is not None:
                yield at, text
            at, text = found[1], found[2]
        else:
            text = line if text is None else f"{text} {line}"
    if text is not None:
        yield at, text


def after(at: str, lines: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """The lines after the last one of this time; all where there is none, for then it lies before them."""
    places = [place for place, (time, _) in enumerate(lines) if time == at]
    return lines[places[-1] + 1 :] if places else lines
