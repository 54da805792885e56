"""`refit quarantine list|show|release|drop`: bad rows by hand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import click

from refit.cli import words
from refit.cli.answer import say, say_json, talk
from refit.cli.options import example, json_option, name_argument, reason_option, run_id_argument, store_option
from refit.cli.place import Place, find, find_run
from refit.core import artifacts
from refit.core.context import read_manifest
from refit.core.domain import Artifact, Decision, ExtractManifest, Snapshot, SnapshotRef
from refit.core.environment import created_by
from refit.core.errors import ConfigError
from refit.core.quarantine import decide, decisions, stretches
from refit.core.refs import read_ref
from refit.core.runs import run_ids

HEAD: Final = ("RUN", "ROWS", "STATE", "MOST OFTEN")


class NothingInQuarantine(ConfigError):
    """The run kept no bad rows."""

    def __init__(self, run_id: str, why: str) -> None:
        super().__init__(f"run {run_id} keeps no bad rows: {why}", next="refit quarantine list NAME")


@dataclass(frozen=True)
class Kept:
    """The bad rows that one run keeps, and what became of them."""

    manifest: ExtractManifest
    decision: Decision | None
    read_by: str | None

    @property
    def state(self) -> str:
        if self.decision is None:
            return "open"
        if self.decision.action == "drop":
            return "dropped"
        return f"read again by {self.read_by}" if self.read_by else "released: the next run reads them"

    def document(self) -> dict[str, Any]:
        return {
            "run_id": self.manifest.run_id,
            "rows": self.manifest.rows.quarantined,
            "reasons": self.manifest.quarantine_reasons,
            "decision": self.decision.model_dump(mode="json") if self.decision else None,
            "read_again_by": self.read_by,
        }


@click.group(
    epilog=example(
        "refit quarantine list flight-delays",
        "refit quarantine show flight-delays @latest --json",
        "refit quarantine release flight-delays 20130405t000000-k3fw --reason 'mended in the source'",
    )
)
def quarantine() -> None:
    """Lists bad rows, shows them, has them read again (release), or lets them be (drop)."""


@quarantine.command("list", epilog=example("refit quarantine list flight-delays"))
@name_argument
@store_option
@json_option
def list_(target: str, store: str | None, as_json: bool) -> None:
    """Lists the runs of pipeline NAME that keep bad rows, the newest first."""
    place = find(target, store)
    found = list(_kept(place))
    if as_json:
        say_json({"format": 1, "pipeline": place.name, "runs": [one.document() for one in found]})
    elif found:
        say(words.table(HEAD, [_row(one) for one in found]))
    else:
        talk(f"no run of {place.name} keeps bad rows")


@quarantine.command("show", epilog=example("refit quarantine show flight-delays @latest --limit 5"))
@name_argument
@run_id_argument
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The most rows to show.")
@store_option
@json_option
def show(target: str, run_id: str, limit: int, store: str | None, as_json: bool) -> None:
    """Shows the bad rows that RUN_ID kept: key, reason and cells as the database spells them.

    RUN_ID may be @latest. Sensitive cells were not kept.
    """
    place = find(target, store)
    manifest, artifact = _quarantine_of(place, find_run(place, run_id))
    rows = _read(place, artifact, limit)
    if as_json:
        document = {"run_id": manifest.run_id, "rows": rows, "total": manifest.rows.quarantined}
        say_json({"format": 1, "pipeline": place.name} | document)
        return
    for row in rows:
        say(f"{row['key']}  {row['reason']}\n    {row['row']}")
    if (total := manifest.rows.quarantined or 0) > len(rows):
        talk(f"{total - len(rows):,} more: --limit {total}")


@quarantine.command(
    "release", epilog=example("refit quarantine release flight-delays @latest --reason 'mended in the source'")
)
@name_argument
@run_id_argument
@reason_option
@store_option
@json_option
def release(target: str, run_id: str, reason: str, store: str | None, as_json: bool) -> None:
    """Has the next run read the bad rows of RUN_ID again from the source.

    It looks where their cursor was. Those that fit the contract then are taken, the others are bad rows of that run.
    """
    place = find(target, store)
    manifest, artifact = _quarantine_of(place, find_run(place, run_id))
    cursors = [row["cursor"] for row in _read(place, artifact, None)]
    known = [at for at in cursors if at is not None]
    if not known:
        raise ConfigError(
            f"no bad row of {manifest.run_id} has a cursor by which it could be found again",
            next="correct the rows, then read the whole window: refit run FILE --full-refresh",
        )
    decision = _decide(place, manifest, "release", reason, known)
    if len(known) < len(cursors):
        rows = words.plural(len(cursors) - len(known), "row")
        talk(f"note: {rows} without a cursor can only be read by refit run FILE --full-refresh")
    _tell(
        place,
        decision,
        f"the next run reads the {words.plural(len(known), 'bad row')} of {manifest.run_id} again",
        as_json,
    )


@quarantine.command(
    "drop", epilog=example("refit quarantine drop flight-delays @latest --reason 'test bookings, not wanted'")
)
@name_argument
@run_id_argument
@reason_option
@store_option
@json_option
def drop(target: str, run_id: str, reason: str, store: str | None, as_json: bool) -> None:
    """Says that the bad rows of RUN_ID are not wanted; they are kept as long as the run is."""
    place = find(target, store)
    manifest, _ = _quarantine_of(place, find_run(place, run_id))
    decision = _decide(place, manifest, "drop", reason)
    _tell(place, decision, f"the bad rows of {manifest.run_id} are dropped", as_json)


def _decide(
    place: Place,
    manifest: ExtractManifest,
    action: Literal["release", "drop"],
    why: str,
    cursors: Sequence[datetime] = (),
) -> Decision:
    decision = Decision(
        run_id=manifest.run_id,
        action=action,
        rows=manifest.rows.quarantined or 0,
        at=datetime.now(UTC),
        who=created_by(),
        why=why,
        stretches=stretches(cursors),
    )
    decide(place.store, decision)
    return decision


def _tell(place: Place, decision: Decision, text: str, as_json: bool) -> None:
    if as_json:
        say_json({"format": 1, "pipeline": place.name, "decision": decision.model_dump(mode="json")})
    else:
        say(text)


def _kept(place: Place) -> Iterator[Kept]:
    """The runs that keep bad rows, the newest first."""
    by_run = {one.run_id: one for one in decisions(place.store)}
    readers = {done: batch.run_id for batch in _newest(place).batches for done in batch.released}
    for run_id in reversed(list(run_ids(place.store))):
        manifest = read_manifest(place.store, run_id, "extract", ExtractManifest)
        if manifest is not None and _artifact(manifest) is not None:
            yield Kept(manifest, by_run.get(run_id), readers.get(run_id))


def _newest(place: Place) -> Snapshot:
    """The snapshot that the next extract continues; an empty one where there is none."""
    ref = read_ref(place.store, "snapshot", SnapshotRef)
    manifest = read_manifest(place.store, ref[0].run_id, "extract", ExtractManifest) if ref else None
    empty = Snapshot(source_digest="", refreshed_at=datetime.now(UTC))
    return manifest.snapshot or empty if manifest is not None else empty


def _quarantine_of(place: Place, run_id: str) -> tuple[ExtractManifest, Artifact]:
    manifest = read_manifest(place.store, run_id, "extract", ExtractManifest)
    if manifest is None:
        raise NothingInQuarantine(run_id, "its extract did not end well")
    artifact = _artifact(manifest)
    if artifact is None:
        why = "it was skipped, and the next run reads them again" if manifest.rows.quarantined else "it found none"
        raise NothingInQuarantine(run_id, why)
    return manifest, artifact


def _artifact(manifest: ExtractManifest) -> Artifact | None:
    batches = manifest.snapshot.batches if manifest.snapshot else ()
    return next((batch.quarantine for batch in batches if batch.run_id == manifest.run_id), None)


def _read(place: Place, artifact: Artifact, limit: int | None) -> list[dict[str, Any]]:
    """The first rows, each with reason, key, cursor and row; instants as ISO text where `limit` is given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(artifacts.read(place.store, artifact)))
    if limit is None:
        return list(table.select(["cursor"]).to_pylist())
    rows = table.slice(0, limit).to_pylist()
    return [row | {"cursor": row["cursor"].isoformat() if row["cursor"] else None} for row in rows]


def _row(one: Kept) -> tuple[str, ...]:
    reasons = one.manifest.quarantine_reasons
    most = max(reasons, key=lambda reason: reasons[reason]) if reasons else "-"
    return (one.manifest.run_id, words.count(one.manifest.rows.quarantined), one.state, words.one_line(most))
