"""kubectl on one namespace, and waiting for what it shows."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

Object = dict[str, Any]
Found = TypeVar("Found")
PATIENCE: Final = 120.0
"""Seconds; a Job became Complete 37 s after its container had ended, once the API server was away."""


class NotSeen(AssertionError):
    """What was waited for did not come."""


def until(
    seen: Callable[[], Found | None], what: str, seconds: float = PATIENCE, pause: float = 0.3, tell: Any = ""
) -> Found:
    """The first answer of `seen` that is neither None nor False.

    Args:
        tell: Asked, where it can be, for what to say when nothing comes.

    Raises:
        NotSeen: there was none in time.
    """
    end = time.monotonic() + seconds
    while True:
        found = seen()
        if found is not None and found is not False:
            return found
        if time.monotonic() > end:
            raise NotSeen(f"no {what} within {seconds:.0f} s\n{tell() if callable(tell) else tell}")
        time.sleep(pause)


@dataclass(frozen=True)
class Kubectl:
    """Commands on a namespace of the cluster that KUBECONFIG names; the test fails where one does, but for `tried`."""

    namespace: str

    def __call__(self, *words: str, given: str | None = None) -> str:
        """What the command printed."""
        done = self.tried(*words, given=given)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def tried(self, *words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", "--namespace", self.namespace, "--request-timeout", "20s", *words]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False)

    def apply(self, *objects: Object) -> None:
        self("apply", "--filename", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def everything(self, kind: str, *selector: str) -> list[Object]:
        """The objects of a kind, or those with all these labels, as name=value; oldest first."""
        items: list[Object] = json.loads(self("get", kind, "--selector", ",".join(selector), "--output", "json"))[
            "items"
        ]
        return sorted(items, key=lambda item: str(item["metadata"]["creationTimestamp"]))

    def of_run(self, kind: str, run_id: str, step: str = "") -> list[Object]:
        """The objects of a run, or of one step of it, oldest first."""
        labels = [f"refit.dev/run-id={run_id}", *([f"refit.dev/step={step}"] if step else [])]
        return self.everything(kind, *labels)

    def get(self, kind: str, name: str) -> Object | None:
        """The object; None where there is none."""
        text = self("get", kind, name, "--ignore-not-found", "--output", "json")
        found: Object | None = json.loads(text) if text else None
        return found

    def pods_of(self, job: str) -> list[Object]:
        """The pods of the Job that are there, oldest first."""
        return self.everything("pods", f"batch.kubernetes.io/job-name={job}")

    def ending(self, job: str) -> tuple[str, str] | None:
        """Type and reason of the condition that ended the Job; None where it goes on."""
        found = self.get("job", job) or {}
        for condition in found.get("status", {}).get("conditions", []):
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                return condition["type"], condition.get("reason", "")
        return None
