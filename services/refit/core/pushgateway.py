"""The Pushgateway that REFIT_PUSHGATEWAY names. A push that fails changes nothing but its record.

Each group of series (https://github.com/prometheus/pushgateway#url) is a pipeline's step, or its runs. POST replaces
metrics of the same name and keeps the others: a failed run must not erase when the last one went well.

What talks HTTP, core/push.py, is imported when something is pushed: it costs as much as the rest of a command.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from refit.core.deadline import within
from refit.core.effects import effect
from refit.core.metrics import GROUPS, Group, Sample

SETTING: Final = "REFIT_PUSHGATEWAY"
TIMEOUT_SECONDS: Final = 5.0
"""From the look-up of the name to the last byte of the answer."""


@dataclass(frozen=True)
class Pushgateway:
    """Where one pipeline's samples go.

    Attributes:
        url: http or https, with a path where a proxy has one; may hold user and password.
    """

    url: str = field(repr=False)
    pipeline: str
    timeout_seconds: float = TIMEOUT_SECONDS

    def push(self, group: Group, samples: Iterable[Sample]) -> str:
        """The samples are in the group; returns why they are not, in words without secrets, or nothing."""
        return self._send(group, samples)

    def forget(self) -> str:
        """Nothing of the pipeline is there; returns why something may be, or nothing."""
        return next((why for group in GROUPS if (why := self._send(group, None))), "")

    def _send(self, group: Group, samples: Iterable[Sample] | None) -> str:
        def work() -> str:
            from refit.core.push import send

            return send(self.url, {"pipeline": self.pipeline, "step": group}, samples, self.timeout_seconds)

        with effect(f"{'forget' if samples is None else 'push'} {group}"):
            return within(self.timeout_seconds, work, "refit-push")


def at(url: str | None, pipeline: str) -> Pushgateway | None:
    """Where the pipeline's samples go; None where nobody wants them."""
    return Pushgateway(url, pipeline) if url and pipeline else None


def url_of(environment: Mapping[str, str]) -> str:
    """The address that the environment names; empty: none. A Secret made of a file ends with a line end."""
    return environment.get(SETTING, "").strip()
