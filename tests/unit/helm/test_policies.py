"""The policies that are kept are those of the table, and say to a server what it says."""

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import pytest

from refit.core import keys
from refit.core.domain import STEPS
from refit.core.rights import RIGHTS, Who
from tests.fixtures.scripts import script

policies = script("helm/policies.py")
RUN_ID = "20261120t070000-k3fw"
MANAGED_POLICY_CHARACTERS = 6144  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
SERVERS = ("aws", "minio")


def policy(server: str, who: Who, prefix: str = "team") -> dict[str, Any]:
    made: dict[str, Any] = policies.policy(server, RIGHTS[who], "models", prefix, "loans")
    return made


def allows(policy: dict[str, Any], action: str, resource: str, prefix: str | None = None) -> bool:
    """As servers decide where every statement allows: action, resource and each condition must fit."""
    return any(
        action in statement["Action"]
        and any(fnmatchcase(f"arn:aws:s3:::{resource}", pattern) for pattern in statement["Resource"])
        and all(_holds(name, values, prefix) for name, values in statement.get("Condition", {}).items())
        for statement in policy["Statement"]
    )


def _holds(name: str, values: dict[str, list[str]], prefix: str | None) -> bool:
    if prefix is None:
        return name.endswith("IfExists")
    return any(fnmatchcase(prefix, pattern) for pattern in values["s3:prefix"])


def test_the_files_are_fresh() -> None:
    assert policies.stale(policies.kept()) == []


def test_a_stale_file_and_a_strange_one_are_seen(tmp_path: Path) -> None:
    files = {tmp_path / name: body for name, body in policies.bodies("aws", "b", "", "p").items()}
    policies.write(files)
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "nobody.json").write_text("{}")
    assert policies.stale(files) == [tmp_path / "nobody.json", tmp_path / "run.json"]
    policies.write(files)
    assert policies.stale(files) == []


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("who", get_args(Who))
def test_a_policy_allows_what_the_table_says(server: str, who: Who) -> None:
    made, rights = policy(server, who), RIGHTS[who]
    for key in every_key():
        writes = any(fnmatchcase(key, pattern) for pattern in rights.writes)
        assert allows(made, "s3:PutObject", f"models/team/loans/{key}") == writes, key
        assert allows(made, "s3:GetObject", f"models/team/loans/{key}"), key
        assert allows(made, "s3:DeleteObject", f"models/team/loans/{key}") == (who == "cleaner"), key
        assert not allows(made, "s3:PutObject", f"models/team/churn/{key}"), key
        assert not allows(made, "s3:PutObject", f"other/team/loans/{key}"), key
    assert allows(made, "s3:ListBucket", "models", "team/loans/runs/")
    assert allows(made, "s3:ListBucket", "models", "team/") == rights.lists_pipelines
    assert not allows(made, "s3:ListBucket", "models", "")


def every_key() -> list[str]:
    refs = [keys.ref(name) for name in get_args(keys.RefName)]
    runs = [
        keys.run_record(RUN_ID),
        keys.pipeline_file(RUN_ID),
        keys.outcome(RUN_ID),
        keys.attempt_log(RUN_ID, "train", 1),
    ]
    steps = [key for step in STEPS for key in (keys.manifest(RUN_ID, step), keys.artifact(RUN_ID, step, "t", "a"))]
    return [*refs, *runs, *steps, keys.data(RUN_ID, "t", "p"), keys.version(RUN_ID), keys.history(1), "site/index.html"]


@pytest.mark.parametrize("who", get_args(Who))
def test_races_are_run_below_the_root_of_the_store_by_those_who_try_it(who: Who) -> None:
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert allows(policy("minio", who), action, "models/team/.probe/0123/race") == RIGHTS[who].probes
    if RIGHTS[who].probes:
        assert allows(policy("minio", who), "s3:GetObject", "models/team/.probe/result.json")


def test_a_writer_may_end_its_own_uploads() -> None:
    made = policy("aws", "extract")
    assert allows(made, "s3:AbortMultipartUpload", f"models/team/loans/data/{RUN_ID}/t/part-00000.parquet")
    assert not allows(made, "s3:AbortMultipartUpload", f"models/team/loans/runs/{RUN_ID}/train/t/model.skops")


def test_aws_tells_who_may_only_list_a_part_that_an_object_is_missing() -> None:
    """It asks for s3:ListBucket without a prefix then, and answers 403 to who has it with one only."""
    assert all(allows(policy("aws", who), "s3:ListBucket", "models", None) for who in get_args(Who))


def test_a_store_at_the_root_of_its_bucket_has_no_empty_part_in_its_keys() -> None:
    for who in get_args(Who):
        assert "models//" not in json.dumps(policy("minio", who, prefix=""))
    assert allows(policy("minio", "reader", prefix=""), "s3:ListBucket", "models", "")


@pytest.mark.parametrize("who", get_args(Who))
def test_a_policy_fits_into_one_of_aws(who: Who) -> None:
    made = policies.policy("aws", RIGHTS[who], "b" * 63, "p" * 40, "n" * 28)
    assert len(json.dumps(made, separators=(",", ":"))) <= MANAGED_POLICY_CHARACTERS


def test_policies_are_written_for_a_bucket_of_ones_own(tmp_path: Path) -> None:
    asked = [
        "--server",
        "aws",
        "--bucket",
        "models",
        "--prefix",
        "team",
        "--pipeline",
        "loans",
        "--into",
        str(tmp_path),
    ]
    assert policies.main(asked) == 0
    assert json.loads((tmp_path / "train.json").read_text()) == policy("aws", "train")
