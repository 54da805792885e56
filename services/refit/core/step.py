"""The one main of every step: settings, logs, the step's function, its manifest, its metrics, its exit code.

    python -m refit.train            what a pod starts; the local executor calls `main` in a fork

Settings come from the environment: REFIT_STORE, REFIT_PIPELINE, REFIT_RUN_ID, REFIT_ATTEMPT, REFIT_TERMINATION
(a file for the last words, default /dev/termination-log where there is one), REFIT_ASKED_AT (when the attempt was asked
for, in seconds since 1970), and REFIT_PUSHGATEWAY.
"""

import errno
import faulthandler
import math
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from refit.core import artifacts, keys, logs, pushgateway, samples
from refit.core.config import parse_pipeline
from refit.core.context import Context, max_rss_bytes, read_manifest
from refit.core.domain import Failure, Manifest, RunRecord, StepName, Termination
from refit.core.errors import (
    ConfigError,
    DiskError,
    RefitError,
    Sigint,
    Sigterm,
    SupersededError,
    TerminatedError,
    WorkerKilled,
)
from refit.core.last_words import LastWords, message_file
from refit.core.metrics import Sample
from refit.core.pushgateway import Pushgateway
from refit.core.refs import new_token
from refit.core.store import Conflict, NotFound, ObjectStore, default_url, open_store

GRACE_SECONDS: Final = 10.0
_OUT_OF_MEMORY: Final = 137
_ASKED: Final = (signal.SIGTERM, signal.SIGINT)

StepFunction = Callable[[Context], Manifest]
Settle = Callable[[ObjectStore, Manifest], None]


@dataclass(frozen=True)
class Step:
    """A step as its package offers it.

    Attributes:
        run: Does the work and returns the manifest, which `main` stores last.
        kind: The manifest's type.
        settle: Makes the moves that the step owes once its manifest stands; safe to repeat.
    """

    name: StepName
    run: StepFunction
    kind: type[Manifest]
    settle: Settle | None = None


class RunUnknown(ConfigError):
    """The environment names no run that exists."""


class BadAttempt(ConfigError):
    """REFIT_ATTEMPT is no number of an attempt."""


def main(step: Step) -> NoReturn:
    """Runs one attempt of the step and ends the process with its exit code; a crash in native code leaves its place."""
    faulthandler.enable()
    sys.exit(attempt(step, os.environ))


@logs.one_call()
def attempt(step: Step, environment: Mapping[str, str]) -> int:
    """One try of the step; returns its exit code, and never raises."""
    started, token = datetime.now(UTC), new_token()
    run_id = environment.get("REFIT_RUN_ID", "")
    words = LastWords(message_file(environment), step.name, run_id, token)
    words.waited_seconds = _waited_seconds(environment, started)
    logs.configure(run_id=run_id, step=step.name)
    _end_when_asked()
    failure, store, manifest = None, None, None
    try:
        words.number = _number(environment)
        store = open_store(environment.get("REFIT_STORE") or default_url(environment, Path.cwd()))
        store = store.under(f"{_required(environment, 'REFIT_PIPELINE')}/")
        manifest = _run(step, store, _required(environment, "REFIT_RUN_ID"), words, started)
    except BaseException as error:  # noqa: BLE001  the one place where everything ends
        _listen_no_more()  # or a signal would end what is written here
        failure = describe(error, step.name)
        logs.logger().error(
            "failed", exit_code=failure.exit_code, message=failure.message, next=failure.next, exc_info=error
        )
    finally:
        _listen_no_more()
    last = words.end(failure)  # now, for it may be killed while it pushes
    if gateway := pushgateway.at(pushgateway.url_of(environment), environment.get("REFIT_PIPELINE", "")):
        last = _push(gateway, last, samples.of_attempt(started, datetime.now(UTC), last, manifest))
    words.keep(last, store)
    return failure.exit_code if failure else 0


def _push(gateway: Pushgateway, last: Termination, found: Iterable[Sample]) -> Termination:
    """The samples are pushed, or the last words say why not."""
    unpushed = gateway.push(last.step, found)
    if unpushed:
        logs.logger().warning("metrics not pushed", reason=unpushed)
    return last.model_copy(update={"unpushed": unpushed})


def _run(step: Step, store: ObjectStore, run_id: str, words: LastWords, started: datetime) -> Manifest:
    run = read_run(store, run_id)
    manifest = read_manifest(store, run_id, step.name, step.kind)
    if manifest is None:
        pipeline = parse_pipeline(artifacts.read(store, run.file), run.file.key)
        if pipeline.sensitive:
            logs.withhold()

        def report(text: str) -> None:
            words.tell(text)
            logs.logger().info("progress", text=text)

        with scratch(step.name) as folder:
            context = Context(
                store=store,
                pipeline=pipeline,
                run=run,
                step=step.name,
                attempt=words.attempt,
                number=words.number,
                folder=Path(folder),
                started_at=started,
                report=report,
            )
            manifest = record(store, step.run(context), step.kind)
    if step.settle:
        step.settle(store, manifest)
    return manifest


def record(store: ObjectStore, manifest: Manifest, kind: type[Manifest]) -> Manifest:
    """The step's manifest stands: this one, or the one that an earlier attempt wrote."""
    key = keys.manifest(manifest.run_id, manifest.step)
    try:
        store.create(key, manifest.to_json())
    except Conflict:
        return kind.from_json(store.get(key), key)
    return manifest


def scratch(name: str, below: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """A folder of one's own below the temporary folder, or another one, removed with the `with` block.

    Raises:
        DiskError: none can be made.
    """
    try:
        return tempfile.TemporaryDirectory(prefix=f"refit-{name}-", dir=below, ignore_cleanup_errors=True)
    except OSError as error:  # Python says ENOENT also where all temporary folders are full
        raise DiskError(
            f"no temporary folder takes files for {name}: {error.strerror or error}",
            next="make room there, or name another folder in TMPDIR",
        ) from error


def read_run(store: ObjectStore, run_id: str) -> RunRecord:
    """The run's record. Raises RunUnknown."""
    key = keys.run_record(run_id)
    try:
        return RunRecord.from_json(store.get(key), key)
    except NotFound as error:
        raise RunUnknown(
            f"there is no run {run_id} in {store.url}", next="start one with refit run FILE, or look at refit runs NAME"
        ) from error


def describe(error: BaseException, step: StepName | None = None) -> Failure:
    """The failure that an exception means, without secrets: class, exit code, message, next action."""
    known = _known(error)
    if known is not None:
        return Failure(
            error_class=known.error_class,
            type=type(known).__name__,
            step=step,
            exit_code=known.exit_code,
            message=logs.redact(known.message),
            next=known.next,
        )
    if isinstance(error, MemoryError):
        return Failure(
            error_class="oom",
            type="MemoryError",
            step=step,
            exit_code=_OUT_OF_MEMORY,
            message=f"out of memory after {max_rss_bytes() / 2**20:,.0f} MiB",
            next=more_memory(step),
        )
    return Failure(
        error_class="bug",
        type=type(error).__name__,
        step=step,
        exit_code=70,
        message=logs.redact(f"{type(error).__name__}: {logs.foreign(error)}")[:2000],
        next="this is a fault of refit: please report it with the log",
    )


def more_memory(step: StepName | None) -> str:
    """What helps a step that ran out of memory."""
    fewer = ", or train on a part of the rows: model.sample" if step == "train" else ""
    return f"give it more memory, or shorten the window{fewer}"


def _known(error: BaseException) -> RefitError | None:
    """The error of ours that `error` is or means; None for what is a bug."""
    if isinstance(error, Conflict):
        return SupersededError(error.message, next="run again")
    if isinstance(error, RefitError):
        return error
    if isinstance(error, Sigterm):
        return TerminatedError("ended by SIGTERM", next="run again")
    if isinstance(error, KeyboardInterrupt):
        return TerminatedError("interrupted")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
        return DiskError(f"the disk is full or fails: {error.strerror}: {error.filename}", next="make room")
    if type(error).__name__ == "TerminatedWorkerError":  # joblib's; core does not import it
        return WorkerKilled("a worker process of the fit was killed", next="give the step more memory")
    return None


def _number(environment: Mapping[str, str]) -> int:
    """The attempt's number: 1 where a person started the step by hand. Raises BadAttempt."""
    text = environment.get("REFIT_ATTEMPT") or "1"
    if not text.isdecimal() or int(text) < 1:
        raise BadAttempt(f"REFIT_ATTEMPT is {text[:40]!r}", next="attempts are numbered 1, 2, 3, …; or leave it out")
    return int(text)


def _waited_seconds(environment: Mapping[str, str], started: datetime) -> float | None:
    """From when the attempt was asked for until it began; clocks of two machines cannot make it less than nothing."""
    try:
        asked_at = float(environment.get("REFIT_ASKED_AT", ""))
    except ValueError:
        return None
    return max(0.0, started.timestamp() - asked_at) if math.isfinite(asked_at) else None


def _required(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name):
        return value
    raise RunUnknown(f"{name} is not set", next="steps are started by refit run; by hand: refit step STEP needs it")


def _end_when_asked() -> None:
    """The first SIGTERM raises Sigterm, the first SIGINT Sigint, and none comes after it.

    A process stuck in native code ends by itself after the grace.
    """

    def on_signal(number: int, _frame: FrameType | None) -> None:
        _listen_no_more()  # a second one would end what the first one closes: Ctrl-C, then the runner's SIGTERM
        raise Sigterm if number == signal.SIGTERM else Sigint

    for number in _ASKED:
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)
    if threading.current_thread() is not threading.main_thread():
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def watch() -> None:
        while not set(_ASKED) & set(os.read(read, 64)):
            pass
        # The kernel may have given it to a thread of a library, while the main thread waits on in a lock.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(143)

    threading.Thread(target=watch, name="refit-signals", daemon=True).start()


def _listen_no_more() -> None:
    """Signals are taken and do nothing; to ignore them outright makes Python complain of those under way."""
    for number in _ASKED:
        signal.signal(number, lambda _number, _frame: None)
