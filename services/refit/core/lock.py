"""One run per pipeline at a time: refs/lock.json.

The lock saves work; correctness rests on compare-and-swap alone. A holder renews it, and knows its own renewals by
their tokens, also where the answer was lost; its age is judged by the store's own clock. It is taken over when it is
older than its time to live, or has not changed for so long under the eyes of who waits for it, or at once when the
holder was a process of this machine that is gone. Who takes it from another run first settles that run.
"""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from refit.core import keys
from refit.core.domain import Holder, LockRef
from refit.core.errors import ArtifactError, RefitError, SupersededError, UnknownFormat
from refit.core.refs import move_ref, new_token, read_ref
from refit.core.store import Conflict, NotFound, ObjectStore

TTL_SECONDS: Final = 60
RENEW_SECONDS: Final = 15
POLL_SECONDS: Final = 1.0
_KEY: Final = keys.ref("lock")


class LockBusy(SupersededError):
    """Another run of the pipeline is going on."""

    def __init__(self, holder: Holder, waited_seconds: float) -> None:
        super().__init__(
            f"run {holder.run_id} is going on (waited {waited_seconds:.0f} s for it)",
            next="let it end, or wait longer with --wait SECONDS",
        )


class LockLost(SupersededError):
    """Another run took the lock: this one was thought dead."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} lost the lock to another run", next="nothing: the other run goes on")


class LockDamaged(ArtifactError):
    """refs/lock.json is no lock; whose it was cannot be known."""

    def __init__(self, why: ArtifactError, url: str) -> None:
        super().__init__(
            why.message,
            next=f"see that no run of the pipeline is going on, then delete {_KEY} in {url}: nothing else is lost",
        )


def this_process(run_id: str) -> Holder:
    """This process as the holder of a lock, told apart from a later process with the same number."""
    process = os.getpid()
    return Holder(run_id=run_id, host=_host(), process=process, process_started=_started(process))


def is_gone(holder: Holder) -> bool:
    """True when the holder was a process of this machine that has ended; False when that cannot be known."""
    return holder.host == _host() and _started(holder.process) != holder.process_started


class Lock:
    """The lock, held from `acquire` to the end of the `with` block and renewed in between.

    Args:
        store: The pipeline's store.
        holder: Who asks; `this_process(run_id)` locally.
        settle: Called with the run_id of a dead holder before its lock is taken.
        gone: Tells whether a holder is known to have ended.
    """

    def __init__(
        self,
        store: ObjectStore,
        holder: Holder,
        settle: Callable[[str], None],
        gone: Callable[[Holder], bool] = is_gone,
    ) -> None:
        self._store, self._holder, self._settle, self._gone = store, holder, settle, gone
        self._tag: str | None = None
        self._unanswered: set[str] = set()
        self._seen: tuple[str, float] = ("", 0.0)
        self._generation = 0
        self._lost = False
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="refit-lock", daemon=True)

    def acquire(
        self,
        wait_seconds: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        on_wait: Callable[[Holder], None],
    ) -> Self:
        """The lock is held. Waits at most `wait_seconds` for another holder.

        Raises:
            LockBusy: the other holder did not end in time.
        """
        started, told = clock(), False
        while (other := self._try(clock)) is not None:
            waited = clock() - started
            if waited >= wait_seconds:
                raise LockBusy(other, waited)
            if not told:
                on_wait(other)
                told = True
            sleep(min(POLL_SECONDS, max(0.05, wait_seconds - waited)))
        self._renewer.start()
        return self

    def _try(self, clock: Callable[[], float]) -> Holder | None:
        """Takes the lock and returns None, or returns the holder that stands in the way."""
        try:
            entry = self._store.entry(_KEY)
        except NotFound:
            return self._take(None, 0, clock)
        try:
            ref = LockRef.from_json(entry.body, _KEY)
        except UnknownFormat:
            raise
        except ArtifactError as error:
            raise LockDamaged(error, self._store.url) from error
        holder = ref.holder
        if holder is not None and holder.run_id != self._holder.run_id:
            age = max(entry.age_seconds, self._unchanged_seconds(entry.tag, clock()))
            if age <= ref.ttl_seconds and not self._gone(holder):
                return holder
            self._settle(holder.run_id)
        return self._take(entry.tag, ref.generation, clock)

    def _unchanged_seconds(self, tag: str, now: float) -> float:
        """How long this process has seen the lock as it is: after a clock was put back, it looks too young."""
        if tag != self._seen[0]:
            self._seen = (tag, now)
        return now - self._seen[1]

    def _take(self, tag: str | None, generation: int, clock: Callable[[], float]) -> Holder | None:
        self._tag, self._generation = tag, generation
        try:
            self._write(self._holder)
        except Conflict:
            found = read_ref(self._store, "lock", LockRef)
            other = found[0].holder if found else None
            if other is None or other.run_id == self._holder.run_id:
                return self._try(clock)  # freed at this moment, or taken by another process of this run
            return other
        return None

    def _write(self, holder: Holder | None) -> None:
        """The ref names `holder`. Raises Conflict when it was another's."""
        while True:
            ref = LockRef(token=new_token(), generation=self._generation + 1, holder=holder, ttl_seconds=TTL_SECONDS)
            self._unanswered.add(ref.token)
            try:
                self._know(ref, move_ref(self._store, "lock", ref, self._tag))
            except Conflict:
                if not self._finds_own_write(read_ref(self._store, "lock", LockRef)):
                    raise
            else:
                return

    def _know(self, ref: LockRef, tag: str) -> None:
        """The ref is known to stand so; no earlier write can come after it, as each asked for an earlier tag."""
        self._tag, self._generation = tag, ref.generation
        self._unanswered.clear()

    def _finds_own_write(self, found: tuple[LockRef, str] | None) -> bool:
        """Whether the ref is a renewal whose answer was lost: a token tells that no other lock wrote it.

        The holder's name would not: the restarted coordinator of a run has the run's name too.
        """
        if found is None or found[0].holder is None or found[0].token not in self._unanswered:
            return False
        self._know(*found)
        return True

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            with self._guard:
                if self._ended.is_set() or self._lost:
                    return
                try:
                    self._write(self._holder)
                except Conflict:
                    self._lost = True
                except RefitError:
                    continue  # the store is away for a while; `check` and the time to live decide

    def check(self) -> None:
        """Raises LockLost when another run holds the lock now."""
        with self._guard:
            found = None if self._lost else read_ref(self._store, "lock", LockRef)
            if found is None or (found[1] != self._tag and not self._finds_own_write(found)):
                self._lost = True
                raise LockLost(self._holder.run_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """The lock is free for others, unless it was lost, or an error left the run unsettled.

        Then it stays, so that whoever takes it over settles the run first.
        """
        if error is None:
            self.free()
        self._ended.set()

    def free(self) -> None:
        """The lock is free for others, unless it was lost."""
        self._ended.set()
        with self._guard:
            if not self._lost:
                with suppress(RefitError):  # it ages and is taken over; the run's own result stands
                    self._write(None)


def _host() -> str:
    """This machine and process namespace; process numbers mean nothing elsewhere."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(Path("/proc/self/ns/pid").readlink().name)
    return "/".join(parts)


def _started(process: int) -> str:
    """When the process started, in the kernel's words; empty when there is none, or on systems without /proc."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return "gone"
        except PermissionError:
            return ""
        return ""
    fields = stat.rpartition(")")[2].split()
    return "gone" if fields[0] == "Z" else fields[19]
