"""The mutable documents of refs/ beside the champion."""

from refit.core.domain.base import Instant, Record, Value


class SnapshotRef(Record):
    """refs/snapshot.json: the snapshot that the next extract continues."""

    token: str
    generation: int
    run_id: str
    watermark: Instant | None
    source_digest: str
    refreshed_at: Instant


class VerdictRef(Record):
    """refs/verdict.json: the last verdict, and the last one that confirmed or replaced the champion."""

    token: str
    generation: int
    run_id: str
    as_of: Instant
    snapshot_run_id: str
    file_sha256: str
    environment_digest: str
    decided_at: Instant
    confirmed_at: Instant | None
    look_as_of: Instant | None
    """`as_of` of the last look; the next look's share of the budget counts from here."""


class HolderJob(Value):
    """The Job of the coordinator that holds the lock, for others of the same REFIT_OWNER to ask for."""

    owner: str
    name: str
    uid: str


class Holder(Value):
    """Who holds the lock: enough to see that a local process, or a coordinator's Job, is gone."""

    run_id: str
    host: str
    process: int
    process_started: str
    job: HolderJob | None = None


class LockRef(Record):
    """refs/lock.json; `holder` is None when free. Its age is judged by the store's clock."""

    token: str
    generation: int
    holder: Holder | None
    ttl_seconds: int


class OwnerRef(Record):
    """refs/owner.json: who may run the pipeline on this store (REFIT_OWNER)."""

    token: str
    generation: int
    owner: str
    since: Instant
    who: str


class ToldRef(Record):
    """refs/told.json: the state that the webhook was told of last."""

    token: str
    generation: int
    condition: str
    """fine, awaiting_approval, or failed and the class of the failure: `failed: data`."""
    champion_generation: int
    """The last move of the champion that was told; 0: none."""
    at: Instant | None
    """When the last run that was told of had ended; None: none was."""
