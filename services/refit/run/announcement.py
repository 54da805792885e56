"""What the cluster is told of a run's end: an Event on the CronJob that the schedule is. Pure."""

from typing import Any, Final

from refit.core.domain import Outcome
from refit.core.logs import redact
from refit.run.cluster import Document

_REASONS: Final = {
    "failed": "RunFailed",
    "promoted": "Promoted",
    "rejected": "Rejected",
    "awaiting_approval": "AwaitingApproval",
}
"""By outcome. Of runs that were skipped or overtaken there is nothing to tell."""
_MESSAGE_LIMIT: Final = 1000
"""The API server takes up to 1024 bytes of a note; characters of more than one byte are counted as such."""


def event_of_end(outcome: Outcome, cron_job: Document, namespace: str) -> dict[str, Any] | None:
    """An event of v1 about the CronJob; None where there is nothing to tell.

    Its name is that of the run, so that a coordinator that takes a run up does not tell it twice.
    """
    reason = _REASONS.get(outcome.outcome)
    if reason is None:
        return None
    metadata = cron_job["metadata"]
    at = outcome.finished_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"name": f"{metadata['name']}.{outcome.run_id}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": metadata["name"],
            "namespace": namespace,
            "uid": metadata["uid"],
        },
        "reason": reason,
        "message": _cut(redact(_message(outcome))),
        "type": "Warning" if reason == "RunFailed" else "Normal",
        "source": {"component": "refit"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def _message(outcome: Outcome) -> str:
    """One line: which run, what, why, and what next."""
    head = f"run {outcome.run_id}"
    if outcome.error is not None:
        step = f" in {outcome.error.step}" if outcome.error.step else ""
        following = f"; next: {outcome.error.next}" if outcome.error.next else ""
        return f"{head} failed{step} ({outcome.error.error_class}): {outcome.error.message}{following}"
    reason = outcome.verdict.reason if outcome.verdict else ""
    if outcome.outcome == "promoted":
        return f"{head}: champion is now {outcome.champion}: {reason}"
    if outcome.outcome == "awaiting_approval":
        asked = (outcome.verdict and outcome.verdict.needs_approval) or reason
        following = f"refit promote {outcome.pipeline} {outcome.version} --reason '…'"
        return f"{head} awaits approval: {asked}; next: {following}"
    return f"{head} rejected: {reason}; production stays as it is"


def _cut(text: str) -> str:
    return text.encode()[:_MESSAGE_LIMIT].decode(errors="ignore")
