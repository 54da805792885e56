"""Networks and S3 servers on bad days, made real by a proxy; numbers are those of the project's list of faults."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refit.core import artifacts, keys
from refit.core.artifacts import WrongDigest
from refit.core.domain import LockRef
from refit.core.errors import AccessError, DependencyError, RefitError
from refit.core.lock import Lock, this_process
from refit.core.probe import probe
from refit.core.s3_connection import S3Connection
from refit.core.s3_errors import BucketMissing, StoreAway, StoreDenied, StoreFull
from refit.core.s3_store import S3Store
from refit.core.store import ConditionsIgnored, Conflict, NotFound
from refit.core.traffic import TRAFFIC
from tests.faults.gates import wait_until
from tests.fixtures.proxy import (
    Action,
    Exchange,
    Fault,
    Proxy,
    alter,
    answer,
    cut,
    drop_answer,
    drop_request,
    hang,
    shorten,
    strip,
    take_slowly,
    trickle,
)
from tests.fixtures.s3 import HASTY, SECRET_KEY

NOW = datetime(2026, 11, 20, 7, tzinfo=UTC)
MEGABYTE = os.urandom(1 << 20)

Use = Callable[[S3Store, Path], object]
USES: dict[str, Use] = {
    "get": lambda store, path: store.get("a"),
    "entry": lambda store, path: store.entry("a"),
    "exists": lambda store, path: store.exists("a"),
    "download": lambda store, path: store.download("a", path / "copy"),
    "list": lambda store, path: list(store.list("")),
    "list_folders": lambda store, path: list(store.list_folders("")),
    "put": lambda store, path: store.put("b", b"1"),
    "create": lambda store, path: store.create("b", b"1"),
    "swap": lambda store, path: store.swap("b", b"1", None),
    "delete": lambda store, path: store.delete("b"),
    "sweep": lambda store, path: store.sweep(timedelta(0)),
}
uses = pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
seconds = time.monotonic


@pytest.fixture
def store(patient_store: S3Store) -> S3Store:
    """Through the proxy, with patience; an object `a` stands."""
    patient_store.put("a", b"whole")
    return patient_store


@pytest.fixture
def hasty(store: S3Store, hasty_store: S3Store) -> S3Store:
    """The same through the same proxy, without patience."""
    return hasty_store


# --- 17: bursts of errors ---


@uses
@pytest.mark.parametrize("burst", [answer(503, "SlowDown"), drop_answer], ids=["slow down", "answer lost"])
def test_a_burst_of_errors_is_sat_out(store: S3Store, proxy: Proxy, use: Use, burst: Action, tmp_path: Path) -> None:
    before, seen = TRAFFIC.so_far, len(proxy.requests)
    proxy.add(Fault(burst, times=2))
    use(store, tmp_path)
    requests = TRAFFIC.so_far.since(before)
    assert requests.repeated == 2
    assert requests.sent == len(proxy.requests) - seen > 2


@pytest.mark.parametrize(
    "burst",
    [answer(500, "InternalError"), answer(429, "TooManyRequests"), answer(502, ""), drop_request],
    ids=["internal", "too many", "gateway", "request lost"],
)
def test_any_kind_of_burst_is_sat_out(store: S3Store, proxy: Proxy, burst: Action) -> None:
    proxy.add(Fault(burst, times=3))
    store.create("b", b"mine")
    proxy.add(Fault(burst, times=3))
    assert store.get("b") == b"mine"


@uses
def test_a_lasting_outage_is_a_dependency_error_in_time(hasty: S3Store, proxy: Proxy, use: Use, tmp_path: Path) -> None:
    proxy.add(Fault(answer(503, "SlowDown"), times=None))
    started = seconds()
    with pytest.raises(StoreAway, match="SlowDown") as caught:
        use(hasty, tmp_path)
    assert seconds() - started < 2
    assert caught.value.exit_code == 75


def test_a_burst_creates_one_manifest_only(store: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(answer(503, "SlowDown"), method="PUT", times=2))
    store.create("runs/r/train.json", b"mine")
    assert proxy.seen("PUT", "train.json") == 3
    assert [found.key for found in store.list("runs/")] == ["runs/r/train.json"]
    with pytest.raises(Conflict):
        store.create("runs/r/train.json", b"theirs")


def test_nobody_listening_is_a_dependency_error(monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{unused.getsockname()[1]}")
        store = S3Store(bucket, limits=HASTY)
        with pytest.raises(DependencyError, match=r"cannot read a in s3://.* nothing answers there"):
            store.get("a")


# --- 18: slow and hanging servers ---


@uses
def test_a_hanging_server_is_given_up_in_time(hasty: S3Store, proxy: Proxy, use: Use, tmp_path: Path) -> None:
    proxy.add(Fault(hang, times=None))
    started = seconds()
    with pytest.raises(StoreAway, match="the answer takes too long"):
        use(hasty, tmp_path)
    assert seconds() - started < 2


def test_a_server_that_hangs_once_is_asked_again(hasty: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(hang, method="GET"))
    assert hasty.get("a") == b"whole"


@pytest.mark.parametrize("name", ["get", "download"])
def test_a_body_at_a_kilobyte_a_second_is_given_up(hasty: S3Store, proxy: Proxy, name: str, tmp_path: Path) -> None:
    hasty.put("a", MEGABYTE)
    proxy.add(Fault(trickle(20_000), method="GET", times=None))  # 8 KiB, the size of a piece, takes 0.4 s
    started = seconds()
    with pytest.raises(StoreAway):
        USES[name](hasty, tmp_path)
    assert seconds() - started < 5
    assert not (tmp_path / "copy").exists()


def test_a_server_that_takes_a_body_too_slowly_is_given_up(hasty: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(take_slowly(20_000), method="PUT", times=None))
    started = seconds()
    with pytest.raises(StoreAway):
        hasty.put("b", MEGABYTE * 8)  # more than the sockets' buffers hold
    assert seconds() - started < 6


# --- 19: cut and altered answers ---


def test_a_cut_body_is_read_again(store: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(cut(3), method="GET"))
    assert store.get("a") == b"whole"
    assert proxy.seen("GET", "/a") == 2


def test_a_body_that_is_always_cut_is_a_dependency_error(hasty: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(cut(3), method="GET", times=None))
    with pytest.raises(StoreAway, match="the answer was cut"):
        hasty.get("a")


def test_a_cut_download_goes_on_where_it_stopped(store: S3Store, proxy: Proxy, tmp_path: Path) -> None:
    artifact = store.put("a", MEGABYTE)
    for kept in (300_000, 500_000):
        proxy.add(Fault(cut(kept), method="GET"))
    store.download("a", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == MEGABYTE
    assert proxy.seen("GET", "/a") == 3
    assert artifacts.fetch(store, artifact, tmp_path).read_bytes() == MEGABYTE


def test_a_cut_download_starts_over_where_the_server_knows_no_ranges(
    store: S3Store, proxy: Proxy, tmp_path: Path
) -> None:
    store.put("a", MEGABYTE)
    proxy.add(Fault(cut(300_000), method="GET"))
    proxy.add(Fault(strip("range"), method="GET", header="range", times=None))
    store.download("a", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == MEGABYTE


def test_a_download_of_an_object_that_changes_meanwhile_starts_over(
    store: S3Store, proxy: Proxy, bucket_store: S3Store, tmp_path: Path
) -> None:
    store.put("a", MEGABYTE)
    proxy.add(Fault(cut(300_000), method="GET"))

    def change(exchange: Exchange) -> None:
        store.put("a", MEGABYTE[::-1])
        exchange.send(exchange.forward())

    proxy.add(Fault(change, method="GET", header="range"))
    store.download("a", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == MEGABYTE[::-1]


@pytest.mark.parametrize("harm", [shorten(1000), alter], ids=["shortened", "altered"])
def test_a_body_with_a_wrong_digest_is_read_once_more(
    store: S3Store, proxy: Proxy, harm: Action, tmp_path: Path
) -> None:
    artifact = store.put("a", MEGABYTE)
    proxy.add(Fault(harm, method="GET"))
    assert artifacts.read(store, artifact) == MEGABYTE
    proxy.add(Fault(harm, method="GET"))
    assert artifacts.fetch(store, artifact, tmp_path).read_bytes() == MEGABYTE


@pytest.mark.parametrize("harm", [shorten(1000), alter], ids=["shortened", "altered"])
def test_a_body_with_a_wrong_digest_twice_is_an_artifact_error(
    store: S3Store, proxy: Proxy, harm: Action, tmp_path: Path
) -> None:
    artifact = store.put("a", MEGABYTE)
    proxy.add(Fault(harm, method="GET", times=None))
    with pytest.raises(WrongDigest, match=r"a in s3://.* is not what its manifest names"):
        artifacts.read(store, artifact)
    with pytest.raises(WrongDigest):
        artifacts.fetch(store, artifact, tmp_path)


# --- 20: the write succeeds, its answer is lost ---


def test_a_created_object_whose_answer_was_lost_is_ones_own(store: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(drop_answer, method="PUT"))
    tag = store.create("b", b"mine")
    assert store.entry("b").tag == tag
    assert proxy.seen("PUT", "/b") == 2


def test_a_swap_whose_answer_was_lost_is_ones_own(store: S3Store, proxy: Proxy) -> None:
    first = store.swap("b", b"1", None)
    proxy.add(Fault(drop_answer, method="PUT"))
    second = store.swap("b", b"2", first)
    assert (store.entry("b").tag, store.entry("b").body) == (second, b"2")


def test_a_lost_answer_does_not_hide_that_another_writer_won(store: S3Store, proxy: Proxy) -> None:
    tag = store.swap("b", b"1", None)

    def lose_to_another(exchange: Exchange) -> None:
        store.put("b", b"theirs")
        exchange.close()

    proxy.add(Fault(lose_to_another, method="PUT", header="if-match"))
    with pytest.raises(Conflict):
        store.swap("b", b"mine", tag)
    assert store.get("b") == b"theirs"


def test_a_lock_whose_renewals_answers_were_all_lost_is_held_on(
    hasty: S3Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> LockRef:
        return LockRef.from_json(hasty.get(keys.ref("lock")), "lock")

    monkeypatch.setattr("refit.core.lock.RENEW_SECONDS", 0.05)
    lock = Lock(hasty, this_process("r"), lambda dead: None)
    with lock.acquire(0, time.monotonic, time.sleep, lambda holder: None):
        proxy.add(Fault(drop_answer, method="PUT", path="lock", times=None))
        proxy.requests.clear()
        wait_until(lambda: proxy.seen("PUT", "lock") > 12, "a renewal has given up")
        lock.check()
        proxy.faults.clear()
        before = said().generation
        wait_until(lambda: said().generation > before + 1, "it is renewed further")
        lock.check()
    assert said().holder is None


@pytest.mark.parametrize(
    "lost",
    [("POST", "b?uploads"), ("PUT", "partNumber=1"), ("PUT", "partNumber=2"), ("POST", "b?uploadId")],
    ids=["begin", "first part", "last part", "complete"],
)
def test_a_stream_whose_answer_was_lost_appears_whole(store: S3Store, proxy: Proxy, lost: tuple[str, str]) -> None:
    fault = Fault(drop_answer, *lost)
    proxy.add(fault)
    with store.writer("b") as writer:
        writer.write(MEGABYTE * 10)
    assert fault.times == 0
    assert store.get("b") == MEGABYTE * 10


# --- 21: 409 ---


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "OperationAborted"])
def test_a_conditional_write_that_is_not_decided_is_tried_again(store: S3Store, proxy: Proxy, code: str) -> None:
    proxy.add(Fault(answer(409, code), method="PUT", times=2))
    store.create("b", b"mine")
    assert store.get("b") == b"mine"
    proxy.add(Fault(answer(409, code), method="PUT", times=2))
    store.swap("b", b"next", store.entry("b").tag)
    assert store.get("b") == b"next"


def test_a_conditional_write_that_is_never_decided_is_a_dependency_error(hasty: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(answer(409, "ConditionalRequestConflict"), method="PUT", times=None))
    with pytest.raises(StoreAway, match="ConditionalRequestConflict"):
        hasty.create("b", b"mine")


# --- 22: a server that ignores conditions ---


@pytest.mark.parametrize(
    ("headers", "seen"),
    [
        (("if-none-match", "if-match"), "raced to create the same object, 8 won"),
        (("if-none-match",), "raced to create the same object, 8 won"),
        (("if-match",), "raced to replace the same version, 8 won"),
    ],
    ids=["both", "if-none-match", "if-match"],
)
def test_a_store_without_conditions_is_refused(
    store: S3Store, proxy: Proxy, headers: tuple[str, ...], seen: str
) -> None:
    for header in headers:
        proxy.add(Fault(strip(*headers), method="PUT", header=header, times=None))
    with pytest.raises(ConditionsIgnored, match=seen) as caught:
        probe(store, now=NOW)
    assert caught.value.exit_code == 64
    assert "MinIO" in caught.value.next
    assert [found.key for found in store.list("")] == ["a"]


def test_a_store_that_does_not_know_conditions_is_refused(store: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(answer(501, "NotImplemented"), method="PUT", header="if-", times=None))
    with pytest.raises(RefitError, match="does not know such a request") as caught:
        probe(store, now=NOW)
    assert caught.value.exit_code == 64


def test_a_store_is_raced_for_once_per_server(store: S3Store, proxy: Proxy, bucket: str, s3_server: str) -> None:
    probe(store, now=NOW)
    written = proxy.seen("PUT")
    probe(store, now=NOW)
    assert proxy.seen("PUT") == written
    with Proxy(s3_server) as other:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL_S3", other.address)
            probe(S3Store(bucket), now=NOW)
        assert other.seen("PUT") >= 16


# --- 23: a server without checksums ---


def test_a_server_that_knows_no_checksums_gets_none(store: S3Store, proxy: Proxy, tmp_path: Path) -> None:
    for header in ("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer", "content-encoding"):
        proxy.add(Fault(answer(400, "InvalidArgument", "unknown checksum"), header=header, times=None))
    with store.writer("b") as writer:
        writer.write(MEGABYTE * 9)
    store.create("c", MEGABYTE)
    assert artifacts.fetch(store, writer.artifact, tmp_path).read_bytes() == MEGABYTE * 9
    assert store.get("c") == MEGABYTE


# --- 24: killed in the middle of a multipart upload ---

_KILLED = """
import os, signal, sys
from refit.core import effects
from refit.core.store import open_store
def kill(moment, name):
    if (moment, name.split()[0]) == (sys.argv[2], sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
effects.hook = kill
with open_store(sys.argv[1]).writer("b") as writer:
    writer.write(bytes(9 << 20))
"""


@pytest.mark.parametrize(
    ("moment", "name", "stands"),
    [("after", "begin", False), ("before", "complete", False), ("after", "complete", True)],
)
def test_a_killed_upload_shows_all_or_nothing(bucket_store: S3Store, moment: str, name: str, stands: bool) -> None:
    command = [sys.executable, "-c", _KILLED, bucket_store.url, moment, name]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    assert bucket_store.exists("b") is stands
    left = uploads_of(bucket_store, "b")
    assert left == (0 if stands else 1)
    swept = bucket_store.sweep(timedelta(0))
    assert swept == (0 if is_minio(bucket_store) else left)  # it lists uploads by whole key alone, see `S3Store.sweep`
    assert uploads_of(bucket_store, "b") == left - swept
    assert bucket_store.exists("b") is stands
    assert bucket_store.sweep(timedelta(0)) == 0


def uploads_of(store: S3Store, key: str) -> int:
    """How many uploads to a key were begun and not ended."""
    answer = store._client.list_multipart_uploads(Bucket=store._bucket, Prefix=f"{store._prefix}{key}")
    return len(answer.get("Uploads", ()))


def is_minio(store: S3Store) -> bool:
    return store._client.list_buckets()["ResponseMetadata"]["HTTPHeaders"]["server"] == "MinIO"


def test_an_upload_that_may_still_go_on_is_not_swept(store: S3Store, proxy: Proxy) -> None:
    began = datetime.now(UTC) - timedelta(hours=23)

    def date(exchange: Exchange) -> None:
        found = exchange.forward()
        body = re.sub(rb"(?<=<Initiated>)[^<]*", began.strftime("%Y-%m-%dT%H:%M:%S.000Z").encode(), found.body)
        exchange.send(replace(found, body=body))  # moto says that every upload began in 2010

    proxy.add(Fault(date, path="uploads", method="GET", times=None))
    with store.writer("b") as writer:
        writer.write(MEGABYTE * 10)
        assert store.sweep(timedelta(days=1)) == 0
    with suppress(KeyboardInterrupt), store.writer("c") as writer:
        writer.write(MEGABYTE * 10)
        assert store.sweep(timedelta(hours=22)) == 1
        raise KeyboardInterrupt


def test_a_failed_upload_is_aborted(store: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(answer(403, "AccessDenied"), path="partNumber=2", times=None))
    with pytest.raises(StoreDenied), store.writer("b") as writer:
        writer.write(MEGABYTE * 20)
    assert proxy.seen("DELETE", "uploadId") == 1
    assert not store._client.list_multipart_uploads(Bucket=store._bucket).get("Uploads")


def test_an_abort_that_fails_too_does_not_hide_the_error(store: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(answer(403, "AccessDenied", "first"), path="partNumber=2", times=None))
    proxy.add(Fault(answer(500, "InternalError"), method="DELETE", times=None))
    with pytest.raises(StoreDenied, match="first"), store.writer("b") as writer:
        writer.write(MEGABYTE * 20)


# --- 25, 26: credentials, permissions, a missing bucket ---


@uses
def test_refused_credentials_are_an_access_error_at_once(
    store: S3Store, proxy: Proxy, use: Use, tmp_path: Path
) -> None:
    proxy.add(Fault(answer(403, "ExpiredToken", f"the key {SECRET_KEY} is old"), times=None))
    before = len(proxy.requests)
    with pytest.raises(StoreDenied, match=r"the credentials are refused \(ExpiredToken\)") as caught:
        use(store, tmp_path)
    assert len(proxy.requests) == before + 1
    assert caught.value.exit_code == 77
    assert SECRET_KEY not in caught.value.message + caught.value.next


def test_what_was_written_before_credentials_expired_stays(store: S3Store, proxy: Proxy) -> None:
    artifact = store.put("runs/r/extract/t/part", MEGABYTE)
    expired = Fault(answer(400, "ExpiredToken"), times=None)
    proxy.add(expired)
    with pytest.raises(AccessError):
        store.create("runs/r/train.json", b"{}")
    expired.times = 0  # a rerun with new credentials
    assert artifacts.read(store, artifact) == MEGABYTE
    assert not store.exists("runs/r/train.json")


def test_no_credentials_at_all_are_an_access_error(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    store = S3Store(bucket)
    for use in USES.values():
        with pytest.raises(StoreDenied, match="no usable credentials") as caught:
            use(store, tmp_path)
        assert "AWS_ACCESS_KEY_ID" in caught.value.next


@uses
def test_a_missing_bucket_is_an_access_error(s3_connection: S3Connection, use: Use, tmp_path: Path) -> None:
    with pytest.raises(BucketMissing, match="the bucket does not exist") as caught:
        use(S3Store("no-such-bucket-anywhere", connection=s3_connection), tmp_path)
    assert caught.value.exit_code == 77


def test_a_denied_prefix_is_named(store: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(answer(403, "AccessDenied", "not for you"), path="/denied/", times=None))
    with pytest.raises(StoreDenied, match=r"cannot write b in s3://.*/denied at 127.*AccessDenied.*not for you"):
        store.under("denied/").put("b", b"1")
    store.put("b", b"1")


def test_a_read_only_store_is_an_access_error(store: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(answer(403, "AccessDenied"), method="PUT", times=None))
    with pytest.raises(AccessError):
        probe(store, now=NOW)
    assert store.get("a") == b"whole"


# --- 27: quota ---


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "QuotaExceeded"), (507, ""), (507, "XMinioStorageFull"), (400, "XMinioAdminBucketQuotaExceeded")],
)
def test_a_full_bucket_is_a_dependency_error_and_moves_no_pointer(
    store: S3Store, proxy: Proxy, status: int, code: str
) -> None:
    tag = store.swap("refs/champion.json", b"1", None)
    proxy.add(Fault(answer(status, code), method="PUT", times=None))
    before = proxy.seen("PUT")
    with pytest.raises(StoreFull, match="no room left") as caught:
        store.swap("refs/champion.json", b"2", tag)
    assert proxy.seen("PUT") == before + 1
    assert caught.value.exit_code == 75
    assert store.get("refs/champion.json") == b"1"


# --- the rest ---


def test_long_listings_come_in_pages(store: S3Store, proxy: Proxy) -> None:
    small = S3Store(store._bucket, limits=replace(HASTY, read_seconds=5, page_keys=3))
    keys = [f"runs/{number}/run.json" for number in range(10)]
    for key in keys:
        small.put(key, b"")
    assert [found.key for found in small.list("runs/")] == keys
    assert list(small.list_folders("runs/")) == [str(number) for number in range(10)]
    assert proxy.seen("GET", "list-type=2") == 8


def test_a_missing_object_is_not_asked_for_again(store: S3Store, proxy: Proxy, tmp_path: Path) -> None:
    before = len(proxy.requests)
    with pytest.raises(NotFound):
        store.get("gone")
    with pytest.raises(NotFound):
        store.download("gone", tmp_path / "copy")
    assert not store.exists("gone")
    assert len(proxy.requests) == before + 3


def test_a_page_that_is_no_s3_is_told_apart(store: S3Store, proxy: Proxy) -> None:
    proxy.add(Fault(answer(404, "Not S3", "welcome to our portal"), times=None, path="list-type"))
    with pytest.raises(RefitError, match="refused the request, Not S3"):
        list(store.list(""))
