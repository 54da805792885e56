"""The table of who may write what (architecture.md section 5) holds for the keys that the code spells."""

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import get_args

import pytest

from refit.core import keys
from refit.core.domain import STEPS
from refit.core.rights import RIGHTS, RUN, Who
from refit.core.runs import new_run_id

RUN_ID = new_run_id(datetime(2026, 11, 21, 22, 0, tzinfo=UTC))
TOKEN = "0123456789abcdef"
COORDINATORS = {"run", "operator"}


def writers(key: str) -> set[Who]:
    """fnmatch knows `*` and `?` as S3 policies do, and sets in brackets, which no pattern has."""
    return {who for who, rights in RIGHTS.items() if any(fnmatchcase(key, pattern) for pattern in rights.writes)}


def test_everybody_has_a_row() -> None:
    assert list(RIGHTS) == list(get_args(Who))
    assert not any(set("[]") & set(pattern) for rights in RIGHTS.values() for pattern in rights.writes)


def test_the_pattern_of_a_run_is_as_long_as_its_id() -> None:
    assert fnmatchcase(RUN_ID, RUN)
    assert not fnmatchcase(RUN_ID + "x", RUN)
    assert not fnmatchcase(RUN_ID[:-1], RUN)


@pytest.mark.parametrize(
    ("key", "who"),
    [
        pytest.param(keys.run_record(RUN_ID), COORDINATORS, id="run.json"),
        pytest.param(keys.pipeline_file(RUN_ID), COORDINATORS, id="refit.yaml"),
        pytest.param(f"runs/{RUN_ID}/templates.json", COORDINATORS, id="templates.json"),
        pytest.param(keys.attempt_log(RUN_ID, "train", 2), COORDINATORS, id="an attempt's log"),
        pytest.param(keys.outcome(RUN_ID), COORDINATORS | {"cleaner"}, id="outcome.json"),
        pytest.param(keys.ref("lock"), COORDINATORS | {"cleaner"}, id="the lock"),
        pytest.param(keys.ref("owner"), COORDINATORS, id="the owner"),
        pytest.param(keys.data(RUN_ID, TOKEN, "part-00000.parquet"), {"extract"}, id="a part"),
        pytest.param(keys.ref("snapshot"), {"extract"}, id="the snapshot"),
        pytest.param(keys.checkpoint(RUN_ID, 3), {"train"}, id="a checkpoint"),
        pytest.param(keys.version(RUN_ID), {"publish", "operator", "cleaner"}, id="a version"),
        pytest.param(keys.history(7), {"publish", "operator"}, id="a move's entry"),
        pytest.param(keys.ref("champion"), {"publish", "operator"}, id="the champion"),
        pytest.param(keys.ref("verdict"), {"publish"}, id="the verdict"),
        pytest.param(keys.ref("exclusions"), {"operator"}, id="exclusions"),
        pytest.param(keys.ref("quarantine"), {"operator"}, id="quarantine"),
        pytest.param(f"{keys.PREDICTIONS}{RUN_ID}/{TOKEN}/p.parquet", {"predict"}, id="predictions"),
        *(
            pytest.param(keys.manifest(RUN_ID, step), COORDINATORS | {step}, id=f"the manifest of {step}")
            for step in STEPS
        ),
        *(
            pytest.param(keys.artifact(RUN_ID, step, TOKEN, "attempt.json"), {step}, id=f"an artifact of {step}")
            for step in STEPS
        ),
    ],
)
def test_a_key_is_written_by_these_and_nobody_else(key: str, who: set[Who]) -> None:
    assert writers(key) == who


@pytest.mark.parametrize("step", STEPS)
def test_an_artifact_cannot_pass_for_a_document_of_another_step(step: str) -> None:
    """A star also stands for slashes: no pattern may reach below a step's folder from outside."""
    for name in ("outcome.json", "run.json", *(f"{other}.json" for other in STEPS)):
        assert writers(keys.artifact(RUN_ID, step, TOKEN, name)) == {step}


def test_only_who_collects_may_delete_and_nobody_else_ends_uploads_of_others() -> None:
    assert {who for who, rights in RIGHTS.items() if rights.deletes or rights.sweeps} == {"cleaner"}


def test_who_tries_a_store_may_race_in_it() -> None:
    assert {who for who, rights in RIGHTS.items() if rights.probes} == {"run", "extract", "operator"}
