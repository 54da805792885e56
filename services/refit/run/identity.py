"""Who coordinates a run: a process of some machine, or a Job of a cluster, whose pods may follow each other.

A run that a Job coordinates has its id from the Job, so that a pod that replaces a killed one finds the run, the lock
and the step Jobs, and goes on.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from refit.core import environment
from refit.core.domain import STEPS, Holder, HolderJob
from refit.core.errors import RefitError
from refit.core.lock import is_gone, this_process
from refit.run.cluster import Cluster, ClusterRefused, Job
from refit.run.jobs import owner_of, run_id_of, started_by, template_name

LOCAL: Final = "local"
"""The owner of runs whose place has no name."""


class JobUnknown(ClusterRefused):
    """REFIT_JOB names no Job of this namespace."""


@dataclass(frozen=True)
class Identity:
    """Who coordinates runs.

    Attributes:
        run_id: The one run that this coordinator makes; None: each run gets an id of its own when it begins.
        created_by: For the run's record.
        why: For the run's record, where the call gives no reason.
        owner: Who runs the pipelines of these runs; another one may not.
        holder: Who holds the lock of the run with this id.
        gone: Whether another holder of the lock is known to have ended.
    """

    run_id: str | None = None
    created_by: str = field(default_factory=environment.created_by)
    why: str = "by hand"
    owner: str = LOCAL
    holder: Callable[[str], Holder] = this_process
    gone: Callable[[Holder], bool] = is_gone


def of_job(cluster: Cluster, name: str, owner: str, created_by: str | None) -> Identity:
    """The identity of a coordinator in a pod of the Job.

    Args:
        owner: Of the release; Jobs are asked for only where the lock names the same.
        created_by: REFIT_CREATED_BY; None: the CronJob, or the Job that a person made.

    Raises:
        JobUnknown: there is no such Job.
    """
    job = cluster.job(name)
    if job is None:
        raise JobUnknown(
            f"there is no Job {name} in namespace {cluster.namespace}", next="REFIT_JOB is set by the chart; leave it"
        )
    who, why = started_by(job)
    mine = HolderJob(owner=owner, name=job.name, uid=job.uid)
    return Identity(
        run_id=run_id_of(job),
        created_by=created_by or who,
        why=why,
        owner=owner,
        holder=lambda run_id: this_process(run_id).model_copy(update={"job": mine}),
        gone=lambda holder: is_gone(holder) or _has_ended(cluster, owner, holder),
    )


def release_owner(cluster: Cluster, release: str) -> str:
    """Who runs the pipeline of the release, as its templates tell. Raises NoTemplate."""
    return owner_of(cluster.template(template_name(release, STEPS[0])), cluster.namespace, release)


def _has_ended(cluster: Cluster, owner: str, holder: Holder) -> bool:
    """Whether the holder's Job is known to be gone or ended; a pod of a Job that goes on may come yet."""
    if holder.job is None or holder.job.owner != owner:
        return False
    found: Job | None = None
    with suppress(RefitError):
        found = cluster.job(holder.job.name)
        return found is None or found.uid != holder.job.uid or found.is_going or found.ending is not None
    return False
