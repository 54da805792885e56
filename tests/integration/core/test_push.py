"""A step's metrics in a real Pushgateway, and pushes that fail."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from refit.core.domain import Termination
from refit.core.metrics import STEP_DURATION
from refit.core.post import post
from refit.core.pushgateway import SETTING, Pushgateway, url_of
from refit.core.store import open_store
from tests.fixtures.pushgateway import Gateway, served
from tests.fixtures.records import put_run, run_record

RUN_ID = "20261120t070000-aaaa"
STEP = """
import os, signal, sys
from refit.core import step
from refit.core.domain import TrainManifest
from refit.core.errors import DataError
from tests.fixtures.records import train_manifest

def work(context):
    {ends}

sys.exit(step.attempt(step.Step("train", work, TrainManifest), os.environ))
"""
WELL = f"return train_manifest({RUN_ID!r})"
BADLY = "raise DataError('one class')"


def attempt(folder: Path, ends: str, address: str, pipeline: str = "loans") -> tuple[int, Termination, str]:
    """Exit code, last words and log of a real attempt of train, whose body is `ends`."""
    store = open_store(f"file://{folder}/store").under(f"{pipeline}/")
    put_run(store, run_record(RUN_ID, pipeline=pipeline))
    words = folder / "words"
    words.touch()
    settings = {
        "REFIT_STORE": f"file://{folder}/store",
        "REFIT_PIPELINE": pipeline,
        "REFIT_RUN_ID": RUN_ID,
        "REFIT_TERMINATION": str(words),
        "REFIT_PUSHGATEWAY": address,
    }
    done = subprocess.run(
        [sys.executable, "-c", STEP.replace("{ends}", ends)],
        env=os.environ | settings,
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
    return done.returncode, Termination.from_json(words.read_bytes(), "words"), done.stderr


def test_a_step_that_ended_well_has_pushed_how_it_was(gateway: Gateway, tmp_path: Path) -> None:
    before = time.time()
    code, said, _ = attempt(tmp_path, WELL, gateway.url, "well")
    assert (code, said.unpushed) == (0, "")
    found = {name: dict(series) for name, series in gateway.series("well", "train").items()}
    assert found["refit_step_last_exit_code"] == {frozenset({("class", "done")}): 0}
    plain = {name: series[frozenset()] for name, series in found.items() if frozenset() in series}
    assert before <= plain["refit_step_last_start_timestamp_seconds"]
    assert plain["refit_step_last_start_timestamp_seconds"] <= plain["refit_step_last_success_timestamp_seconds"]
    assert plain["refit_step_last_success_timestamp_seconds"] <= time.time()
    assert 0 < plain["refit_step_duration_seconds"] < 60
    assert 0 < plain["refit_step_cpu_seconds"] < 60
    assert plain["refit_step_max_rss_bytes"] > 1 << 20
    assert plain["refit_step_memory_limit_bytes"] > 0
    assert "refit_step_last_failure_timestamp_seconds" not in found


def test_a_failed_attempt_does_not_erase_when_the_step_last_went_well(gateway: Gateway, tmp_path: Path) -> None:
    assert attempt(tmp_path, WELL, gateway.url, "both")[0] == 0
    went_well = gateway.series("both", "train")["refit_step_last_success_timestamp_seconds"]
    (tmp_path / "store" / "both" / "runs" / RUN_ID / "train.json").unlink()
    (tmp_path / "store" / "both" / "runs" / RUN_ID / "run.json").unlink()
    code, said, _ = attempt(tmp_path, BADLY, gateway.url, "both")
    found = gateway.series("both", "train")
    assert (code, said.unpushed) == (65, "")
    assert found["refit_step_last_exit_code"] == {frozenset({("class", "data")}): 65}
    assert found["refit_step_last_success_timestamp_seconds"] == went_well
    assert found["refit_step_last_failure_timestamp_seconds"][frozenset()] > went_well[frozenset()]


@contextmanager
def answering(answer: bytes, *, every_seconds: float = 0.0) -> Iterator[str]:
    """A server that takes one request and answers it, byte by byte where it is slow; b"" hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as connection:
                connection.recv(65536)
                for byte in (answer[i : i + 1] for i in range(len(answer))):
                    connection.sendall(byte)
                    time.sleep(every_seconds)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # or what was not read would end the connection before the answer
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
    thread.join(0.01)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "every_seconds", "told"),
    [
        (b"", 0.0, "closed connection"),
        (OK, 0.2, "no answer within 1 s"),
        (MOVED, 0.0, "answered 302 Found"),
        (b"what?\r\n\r\n", 0.0, "what?"),
    ],
    ids=["hangs up", "answers in drops", "sends elsewhere", "speaks no HTTP"],
)
def test_a_push_without_an_answer_that_takes_it_says_why(answer: bytes, every_seconds: float, told: str) -> None:
    with answering(answer, every_seconds=every_seconds) as place:
        began = time.monotonic()
        assert told in Pushgateway(f"http://{place}", "loans", 1.0).push("train", [STEP_DURATION.at(1)])
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://127.0.0.1:9", "refused"),
        ("http://nobody.invalid:9091", ""),
        ("pushgateway:9091", "is no address like"),
        ("http://pushgateway:port", "is no address like"),
        ("http://[", "is no address like"),
        ("http://a..b:9091", "label empty"),
    ],
    ids=["nobody listens", "no such name", "no scheme", "no port", "no host", "no name"],
)
def test_an_address_that_leads_nowhere_is_told(address: str, told: str) -> None:
    unpushed = Pushgateway(address, "loans").push("train", [STEP_DURATION.at(1)])
    assert unpushed
    assert told in unpushed


@pytest.mark.parametrize("mark", ["/", "?", "#"])
def test_a_password_that_is_not_encoded_is_told_nowhere(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"http://me:hunter{mark}22@pushgateway:9091"
    monkeypatch.setenv(SETTING, address)
    unpushed = Pushgateway(address, "loans").push("train", [STEP_DURATION.at(1)])
    assert "is no address like" in unpushed
    assert "hunter" not in unpushed + post(address, {}, 1.0)


def test_an_address_from_a_file_may_end_a_line() -> None:
    assert url_of({SETTING: "http://pushgateway:9091 \n"}) == "http://pushgateway:9091"


def test_what_the_pushgateway_says_to_values_that_it_refuses_is_told(tmp_path: Path) -> None:
    with served(tmp_path) as gateway:
        other = b"# TYPE refit_step_duration_seconds counter\nrefit_step_duration_seconds 1\n"
        taken = Request(f"{gateway.url}/metrics/job/other", other, {"Content-Type": "text/plain"})  # noqa: S310
        with urlopen(taken, timeout=5):  # noqa: S310  our own
            pass
        code, said, log = attempt(tmp_path, WELL, gateway.url)
        assert code == 0
        assert "answered 400 Bad Request" in said.unpushed
        assert "refit_step_duration_seconds" in said.unpushed
        assert "metrics not pushed" in log


@pytest.mark.parametrize(("ends", "expected"), [(WELL, 0), (BADLY, 65)], ids=["ended well", "failed"])
def test_a_pushgateway_that_does_not_answer_costs_a_step_five_seconds_and_its_record_a_line(
    tmp_path: Path, ends: str, expected: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        code, said, log = attempt(tmp_path, ends, f"http://me:pass%20word@127.0.0.1:{silent.getsockname()[1]}")
        took = time.monotonic() - began
    kept = next((tmp_path / "store" / "loans" / "runs" / RUN_ID / "train").glob("*/attempt.json")).read_bytes()
    assert (code, said.unpushed) == (expected, "no answer within 5 s")
    assert Termination.from_json(kept, "attempt.json") == said
    assert (said.failure is None) == (expected == 0)
    assert 5 <= took < 15
    assert '"reason": "no answer within 5 s"' in log
    for secret in ("pass%20word", "pass word", "bWU6cGFzcyB3b3Jk"):
        assert secret not in log + said.to_json().decode()


def test_user_and_password_of_the_address_go_as_basic_authentication() -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                asked.append(connection.recv(65536))
                connection.sendall(OK)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://me:pass%20word@127.0.0.1:{server.getsockname()[1]}/push/"
        assert Pushgateway(url, "loans").push("train", [STEP_DURATION.at(1)]) == ""
        thread.join(5)
    assert asked[0].startswith(b"POST /push/metrics/job/refit/pipeline/loans/step/train HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Basic bWU6cGFzcyB3b3Jk\r\n" in asked[0]


LOADED = """
    import atexit
    atexit.register(lambda: print("loaded", {"prometheus_client", "refit.core.push"} & {*sys.modules}, file=sys.stderr))
"""


@pytest.mark.parametrize(
    ("address", "expected"),
    [("", "loaded set()"), ("http://127.0.0.1:9", "prometheus_client")],
    ids=["without a Pushgateway", "with one"],
)
def test_a_step_imports_what_pushes_only_where_it_pushes(tmp_path: Path, address: str, expected: str) -> None:
    code, _, log = attempt(tmp_path, f"{LOADED}    {WELL}", address)
    assert code == 0
    assert expected in log
