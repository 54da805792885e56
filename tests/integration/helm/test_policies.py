"""On a real MinIO each user may do what the table says, and refit can tell what it may not do."""

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, get_args

import boto3
import pytest
from botocore.exceptions import ClientError

from refit.core import keys
from refit.core.domain import STEPS
from refit.core.errors import AccessError
from refit.core.probe import probe
from refit.core.rights import RIGHTS, Who
from refit.core.store import NotFound, ObjectStore, open_store
from tests.fixtures.minio import Minio

USERS: tuple[Who, ...] = ("run", "extract", "train", "evaluate", "publish", "operator", "cleaner", "reader")
RUN_ID = "20261120t070000-k3fw"
TOKEN = "0123456789abcdef"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEYS = [
    *(keys.ref(name) for name in get_args(keys.RefName)),
    *(keys.run_record(RUN_ID), keys.pipeline_file(RUN_ID), keys.outcome(RUN_ID), keys.attempt_log(RUN_ID, "train", 1)),
    *(keys.manifest(RUN_ID, step) for step in STEPS),
    *(keys.artifact(RUN_ID, step, TOKEN, "publish.json") for step in STEPS),
    *(keys.checkpoint(RUN_ID, 1), keys.data(RUN_ID, TOKEN, "part-00000.parquet"), keys.version(RUN_ID)),
    *(keys.history(1), "site/index.html"),
]


def store_of(minio: Minio, who: str, patch: pytest.MonkeyPatch) -> ObjectStore:
    minio.become(patch, who)
    return open_store("s3://refit")


def client_of_now() -> Any:
    """A client with the settings of this moment; boto3's own session would keep the first ones."""
    return boto3.session.Session().client("s3")


@pytest.mark.parametrize("who", USERS)
def test_a_user_writes_its_own_objects_and_no_others(minio: Minio, who: Who, monkeypatch: pytest.MonkeyPatch) -> None:
    minio.become(monkeypatch, who)
    client = client_of_now()
    for key in KEYS:
        expected = any(fnmatchcase(key, pattern) for pattern in RIGHTS[who].writes)
        assert _is_allowed(client, "put_object", f"flight-delays/{key}", Body=b"x") == expected, key
        assert not _is_allowed(client, "put_object", f"another/{key}", Body=b"x"), key
        assert _is_allowed(client, "delete_object", f"flight-delays/{key}") == bool(RIGHTS[who].deletes), key


def _is_allowed(client: Any, call: str, key: str, **options: bytes) -> bool:
    try:
        getattr(client, call)(Bucket="refit", Key=key, **options)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True


@pytest.mark.parametrize("who", USERS)
def test_a_user_reads_all_and_knows_what_is_missing(minio: Minio, who: Who, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store_of(minio, "run", monkeypatch).under("flight-delays/")
    run.put(keys.run_record(RUN_ID), b"a run")
    store = store_of(minio, who, monkeypatch).under("flight-delays/")
    assert store.get(keys.run_record(RUN_ID)) == b"a run"
    assert RUN_ID in list(store.list_folders(keys.RUNS))
    assert not store.exists(keys.history(99))
    with pytest.raises(NotFound):
        store.get(keys.version("20200101t000000-none"))


def test_a_refused_write_is_a_missing_right(minio: Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(minio, "train", monkeypatch).under("flight-delays/")
    with pytest.raises(AccessError) as refused:
        store.swap(keys.ref("champion"), b"{}", None)
    assert refused.value.exit_code == 77


@pytest.mark.parametrize("who", ["run", "extract", "operator"])
def test_who_tries_a_store_can(minio: Minio, who: Who, monkeypatch: pytest.MonkeyPatch) -> None:
    probe(store_of(minio, who, monkeypatch), now=NOW)
    minio.become(monkeypatch, "root")
    client = client_of_now()
    left = client.list_objects_v2(Bucket="refit", Prefix=keys.PROBE)["Contents"]
    assert [found["Key"] for found in left] == [f"{keys.PROBE}result.json"]
    client.delete_object(Bucket="refit", Key=f"{keys.PROBE}result.json")


def test_a_step_that_need_not_try_a_store_cannot(minio: Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccessError):
        probe(store_of(minio, "train", monkeypatch), now=NOW)


def test_a_large_part_is_sent_and_one_that_is_given_up_leaves_nothing(
    minio: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(minio, "extract", monkeypatch).under("flight-delays/")
    key, body = keys.data(RUN_ID, TOKEN, "part-00001.parquet"), b"0123456789abcdef" * (1 << 20)
    with store.writer(key) as writer:
        writer.write(body)
    assert store.get(key) == body
    given_up = keys.data(RUN_ID, TOKEN, "part-00002.parquet")
    with pytest.raises(KeyError):
        _give_up(store, given_up, body)
    assert not store.exists(given_up)


def _give_up(store: ObjectStore, key: str, body: bytes) -> None:
    with store.writer(key) as writer:
        writer.write(body)
        raise KeyError(key)


def test_a_cleaner_ends_what_killed_writers_left(minio: Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_of(minio, "cleaner", monkeypatch).sweep(timedelta(days=7)) == 0
    with pytest.raises(AccessError):
        store_of(minio, "extract", monkeypatch).sweep(timedelta(days=7))


def test_an_operator_sees_which_pipelines_there_are(minio: Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    store_of(minio, "run", monkeypatch).under("flight-delays/").put(keys.run_record(RUN_ID), b"a run")
    assert "flight-delays" in list(store_of(minio, "reader", monkeypatch).list_folders(""))
    with pytest.raises(AccessError):
        list(store_of(minio, "train", monkeypatch).list_folders(""))
