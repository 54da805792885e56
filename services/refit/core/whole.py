"""Whether the documents of a pipeline belong together: a store that was copied in part, or lost one of its refs, must
not pass for one in which little has happened yet.

What is missing below data/, runs/ and versions/ is found where it is used. A ref that is missing would be taken for
one that never was, so what tells of it is asked here, once before each run.
"""

from itertools import islice
from typing import Final

from refit.core import keys
from refit.core.context import read_manifest
from refit.core.domain import ExtractManifest, SnapshotRef
from refit.core.errors import ArtifactError
from refit.core.exclusions import read_exclusions
from refit.core.refs import read_ref
from refit.core.registry import read_champion, refuse_behind
from refit.core.runs import read_outcome, run_ids
from refit.core.store import ObjectStore

NEWEST_RUNS: Final = 5


class Incomplete(ArtifactError):
    """A document tells of another one that is not there."""


def refuse_incomplete(store: ObjectStore) -> None:
    """Every ref of the pipeline that others tell of is there, and no older than these.

    Raises:
        ChampionLost, ChampionBehind: champion.json is gone, or older than the history.
        Incomplete: champion.json is gone with the history, or exclusions.json is gone or older than the snapshot.
        ArtifactError: a ref is malformed.
    """
    if read_champion(store) is None:
        _refuse_without_champion(store)
    refuse_behind(store)
    _refuse_without_exclusions(store)


def _refuse_without_champion(store: ObjectStore) -> None:
    for run_id in islice(reversed(list(run_ids(store))), NEWEST_RUNS):
        outcome = read_outcome(store, run_id)
        if outcome is not None and outcome.champion is not None:
            raise Incomplete(
                f"{keys.ref('champion')} and history/ are gone: when run {run_id} ended, {outcome.champion} was the "
                "champion",
                next="copy the whole store again, or make it the champion by hand: "
                f"refit promote NAME {outcome.champion} --reason 'champion.json was lost'",
            )


def _refuse_without_exclusions(store: ObjectStore) -> None:
    """A snapshot names the exclusions that stood when it was made; refs/exclusions.json keeps all that ever did."""
    found = read_ref(store, "snapshot", SnapshotRef)
    manifest = read_manifest(store, found[0].run_id, "extract", ExtractManifest) if found else None
    if manifest is None or manifest.snapshot is None:
        return
    known = {one.where for one in read_exclusions(store)}
    for one in manifest.snapshot.exclusions:
        if one.where not in known:
            raise Incomplete(
                f"{keys.ref('exclusions')} does not know exclusion {one.number}, which left out rows of the last "
                f"snapshot: {one.where}",
                next="copy it again, or restore it from a backup, or make the exclusion again: "
                f'refit exclude NAME --where "{one.where}" --reason …, which refit exclude NAME --undo takes back',
            )
