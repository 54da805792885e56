"""Where the steps of a run run, and who coordinates it, as the call and the environment say."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Final

from refit.cli.place import Place
from refit.core.addresses import Bucket, parse_url
from refit.core.errors import ConfigError
from refit.run.executor import Executor
from refit.run.identity import LOCAL, Identity, of_job, release_owner
from refit.run.jobs import check_release
from refit.run.local import LocalExecutor

_DIGITS: Final = 9
"""Of a number of seconds: more than thirty years."""


class NotReached(ConfigError):
    """Steps in pods cannot come to the store."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"{url} is a folder of this machine, which steps in pods cannot reach",
            next="name the bucket that the release uses: REFIT_STORE=s3://BUCKET/PREFIX",
        )


class BadTimeout(ConfigError):
    """REFIT_START_TIMEOUT is no number of seconds."""

    def __init__(self, text: str) -> None:
        super().__init__(f"REFIT_START_TIMEOUT is {text[:40]!r}", next="give seconds, like 120, or leave it out")


def owner(environment: Mapping[str, str]) -> str:
    """Who may run a pipeline on this machine."""
    return environment.get("REFIT_OWNER") or LOCAL


@contextmanager
def opened(kind: str, place: Place) -> Iterator[tuple[Executor, Identity]]:
    """What makes the attempts, and who coordinates.

    Args:
        kind: `local` or `kubernetes`.

    Raises:
        NotReached, BadRelease, BadTimeout: the settings do not suit steps in pods.
        RefitError: the cluster cannot be asked.
    """
    if kind == "kubernetes":
        yield _on_cluster(place, os.environ)
        return
    with closing(LocalExecutor()) as steps:
        yield steps, Identity(owner=owner(os.environ))


def _on_cluster(place: Place, environment: Mapping[str, str]) -> tuple[Executor, Identity]:
    from refit.run.kube import Kube  # local runs need no lightkube, and do not pay for it
    from refit.run.kubernetes import START_SECONDS, KubernetesExecutor

    if not isinstance(parse_url(place.root.url), Bucket):
        raise NotReached(place.root.url)
    release = check_release(environment.get("REFIT_RELEASE") or place.name)
    start_seconds = _seconds(environment.get("REFIT_START_TIMEOUT"), START_SECONDS)
    job = environment.get("REFIT_JOB")
    cluster = Kube(environment.get("REFIT_NAMESPACE") or None, is_known=bool(job))
    # A laptop that named another owner would keep the release from its own pipeline.
    mine = environment.get("REFIT_OWNER") or release_owner(cluster, release)
    named = environment.get("REFIT_CREATED_BY") or None
    identity = of_job(cluster, job, mine, named) if job else Identity(owner=mine)
    steps = KubernetesExecutor(cluster, place.root, release, start_seconds, leaves_jobs=identity.run_id is not None)
    return steps, identity


def _seconds(text: str | None, default: float) -> float:
    if not text:
        return default
    if not text.isdecimal() or len(text) > _DIGITS or int(text) < 1:
        raise BadTimeout(text)
    return float(text)
