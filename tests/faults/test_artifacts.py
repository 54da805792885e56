"""Stored objects that were cut, altered, forged or lost: what can be refused is refused before it is used."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import skops.io

from refit.core import hand, keys
from refit.core.effects import Moment
from tests.faults.case import FIRST, THIRD, Case, failed_as
from tests.faults.forgery import cut, flip, rewrite
from tests.fixtures import invariants, loans

CANARY = "TESTS_CANARY"


def change_all(pattern: str, change: Callable[[Path], None]) -> None:
    """Of the store that the process's run uses."""
    found = list(Path(os.environ["TESTS_STORE"]).glob(pattern))
    assert len(found) == 1, found
    change(found[0])


class Forged:
    """A type that nobody trusts; it says so when it is built."""

    def __init__(self) -> None:
        self.value = 1

    def __setstate__(self, state: dict[str, Any]) -> None:
        Path(os.environ[CANARY]).touch()


def forged(_body: bytes) -> bytes:
    return bytes(skops.io.dumps(Forged()))


def test_a_forged_champion_is_refused_before_anything_of_it_is_built(case: Case) -> None:
    expected = case.copied().good().scores
    rewrite(case, model=forged)
    invariants.champion_is_complete(case.store)  # all digests are right
    canary = case.scratch / "canary"
    case.settings[CANARY] = str(canary)
    outcome = case.good()  # it is rebuilt from its snapshot
    assert outcome.scores == expected
    assert any(all(word in text for word in ("ForbiddenType", "not allowed", "Forged")) for text in outcome.warnings)
    assert not canary.exists()


@pytest.mark.parametrize("harm", [flip, cut], ids=["bit flipped", "cut"])
@pytest.mark.parametrize(
    ("written", "pattern", "step"),
    [
        pytest.param("extract.json", "loans/data/{run}/*/part-00000.parquet", "train", id="part"),
        pytest.param("train.json", "loans/runs/{run}/train/*/model.skops", "evaluate", id="model"),
    ],
)
def test_what_one_step_wrote_is_verified_before_the_next_uses_it(
    case: Case, harm: Callable[[Path], None], written: str, pattern: str, step: str
) -> None:
    case.settings["TESTS_STORE"] = str(case.folder.parent)
    done = case.run(inject=partial(harm_after, written=written, pattern=pattern, harm=harm))
    failed_as(done, 66, "artifact WrongDigest", pattern.rpartition("/")[2], "sha256", "restore")
    assert done.failure is not None
    assert done.failure.step == step
    assert case.champion.as_of == loans.at(FIRST)
    case.harmed |= {
        str(path.relative_to(case.folder)) for path in case.folder.parent.glob(pattern.format(run=case.runs[-1]))
    }
    case.good(full_refresh=written == "extract.json")


def harm_after(moment: Moment, name: str, *, written: str, pattern: str, harm: Callable[[Path], None]) -> None:
    if moment == "after" and name.startswith("create") and name.endswith(f"/{written}"):
        change_all(pattern.format(run=name.split("/")[1]), harm)


@pytest.mark.parametrize(
    ("harm", "kind", "words"),
    [
        pytest.param(flip, "artifact WrongDigest", "is not what its manifest names", id="bit flipped"),
        pytest.param(cut, "artifact WrongDigest", "is not what its manifest names", id="cut"),
        pytest.param(Path.unlink, "artifact SnapshotGone", "--full-refresh", id="gone"),
    ],
)
def test_a_broken_part_of_the_snapshot_ends_the_run_until_it_is_restored(
    case: Case, harm: Callable[[Path], None], kind: str, words: str
) -> None:
    (path,) = case.folder.glob("data/*/*/part-00000.parquet")
    whole = path.read_bytes()
    harm(path)
    before, done = case.champion_body, case.run()
    failed_as(done, 66, kind, "part-00000.parquet", words)
    assert case.champion_body == before
    path.write_bytes(whole)
    case.good()


def test_a_part_that_is_lost_for_good_is_read_again_and_a_person_decides(case: Case) -> None:
    (path,) = case.folder.glob("data/*/*/part-00000.parquet")
    path.unlink()
    case.harmed.add(str(path.relative_to(case.folder)))
    # Without the champion's own rows nobody knows which of today's it has seen.
    case.promote(case.awaits("part-00000.parquet", full_refresh=True).version)
    case.good(days=THIRD)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        pytest.param(None, "artifact ChampionLost", "rollback NAME --to", id="gone"),
        pytest.param(b"", "artifact ArtifactError", "refs/champion.json is not a valid", id="empty"),
        pytest.param(b'{"format": 1, "to": 7}', "artifact ArtifactError", "is not a valid", id="malformed"),
        pytest.param(b'{"format": 9}', "artifact UnknownFormat", "reads format 1", id="of a later version"),
    ],
)
def test_a_broken_champion_ref_is_refused_until_a_rollback_repairs_it(
    case: Case, body: bytes | None, kind: str, words: str
) -> None:
    version, path = case.champion.version, case.folder / keys.ref("champion")
    if body is None:
        path.unlink()
    else:
        path.write_bytes(body)
    for _ in range(2):  # what the first leaves must not be in the way of the second
        done = case.run()
        failed_as(done, 66, kind, "refs/champion.json", words)
        invariants.runs_have_ended(case.store)
    now = datetime.now(UTC)
    hand.rollback(case.store, version, who="a person", why="champion.json was lost", now=now)
    invariants.check(case.store)
    assert (case.champion.version, case.champion.generation) == (version, 2)
    waiting = case.good("awaiting_approval")
    assert waiting.champion == version
    hand.release(case.store, who="a person", why="all is well", now=now)
    case.good(days=THIRD)
