"""What a step's process leaves for whoever started it: its termination message, which outlives a kill.

While the step works the message says how far it has come, so that one that is killed has said so; at the end it says
how the process ended. The file is REFIT_TERMINATION, default /dev/termination-log where there is one.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from refit.core import keys
from refit.core.context import max_rss_bytes
from refit.core.domain import Failure, StepName, Termination
from refit.core.errors import RefitError
from refit.core.logs import redact
from refit.core.memory_limit import memory_limit_bytes
from refit.core.store import ObjectStore
from refit.core.traffic import TRAFFIC, Requests

MESSAGE_BYTES: Final = 4096
"""What Kubernetes keeps of a termination message, counted from its end."""
PROGRESS_LENGTH: Final = 200


@dataclass
class LastWords:
    """The message of one process, as it is now.

    Attributes:
        file: Takes it; nothing is written where there is no such file.
        progress: How far the step last told to be.
        waited_seconds: From when the process was asked for until it began, where that is known.
    """

    file: Path
    step: StepName
    run_id: str
    attempt: str
    number: int = 1
    progress: str = ""
    waited_seconds: float | None = None
    _begun: float = field(default_factory=time.monotonic)
    _before: Requests = field(default_factory=lambda: TRAFFIC.so_far)

    def tell(self, progress: str) -> None:
        """The message says how far the step is."""
        self.progress = redact(progress)[:PROGRESS_LENGTH]
        self._write(self._now(None, self.progress).to_json())

    def end(self, failure: Failure | None) -> Termination:
        """The message says how the process ended."""
        last = self._now(failure, self.progress if failure else "")
        body, length = last.to_json(), 1000
        while failure and length and len(body) > MESSAGE_BYTES:  # a character has up to 6 bytes in JSON
            short = failure.model_copy(update={"message": failure.message[:length], "next": failure.next[:length]})
            last = last.model_copy(update={"failure": short})
            body, length = last.to_json(), length // 2
        self._write(body)
        return last

    def keep(self, last: Termination, store: ObjectStore | None) -> None:
        """The message, and where the store still answers attempt.json, say what `last` does."""
        body = last.to_json()
        if len(body) <= MESSAGE_BYTES:
            self._write(body)
        if store is not None and self.run_id:
            with suppress(RefitError):
                store.put(keys.artifact(self.run_id, self.step, self.attempt, "attempt.json"), body)

    def _now(self, failure: Failure | None, progress: str) -> Termination:
        requests = TRAFFIC.so_far.since(self._before)
        return Termination(
            step=self.step,
            run_id=self.run_id,
            attempt=self.attempt,
            number=self.number,
            failure=failure,
            progress=progress,
            at=datetime.now(UTC),
            seconds=time.monotonic() - self._begun,
            max_rss_bytes=max_rss_bytes(),
            cpu_seconds=sum(os.times()[:4]),
            store_requests=requests.sent,
            store_retries=requests.repeated,
            memory_limit_bytes=memory_limit_bytes(),
            waited_seconds=self.waited_seconds,
        )

    def _write(self, body: bytes) -> None:
        with suppress(OSError):
            if self.file.exists():
                self.file.write_bytes(body)


def message_file(environment: Mapping[str, str]) -> Path:
    """Where the message goes."""
    return Path(environment.get("REFIT_TERMINATION") or "/dev/termination-log")
