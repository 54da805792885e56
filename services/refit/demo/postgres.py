"""A PostgreSQL server of one's own, for the demo and for tests: on a Unix socket, gone when its process is gone.

It trades durability for speed (fsync is off): what it holds can be loaded again at any time. For the same
reason a cluster that does not start any more is replaced by an empty one.
"""

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import psycopg2

from refit.core.errors import SupersededError
from refit.demo import cluster as clusters
from refit.demo.binaries import Binaries, find
from refit.demo.cluster import Cluster, NoOtherUser, Owner, PostgresFailed

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.02
SOCKET_PATH_LIMIT: Final = 100
"""Bytes of a Unix socket's path; unix(7) allows 107 on Linux, other systems 103."""

SETTINGS: Final = (
    "listen_addresses=",  # the socket only
    "unix_socket_permissions=0700",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",  # COPY into a table of its own transaction writes no log
    "max_wal_senders=0",
    "max_parallel_workers_per_gather=0",  # needs no /dev/shm, which is small in containers
    "jit=off",
)

# The shell waits beside the server and stops it when a line or the end comes through the pipe at its standard
# input. The kernel closes the pipe however our own process ends, SIGKILL included.
WATCHDOG: Final = """
exec 3<&0
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -INT $server; } & reader=$!
exec 3<&-
wait $server; code=$?
kill $reader 2>/dev/null
exit $code
"""


class InUse(SupersededError):
    """Another process runs the server of this folder."""

    def __init__(self, state: Path) -> None:
        super().__init__(f"another process uses the database in {state}", next="wait until it has ended")


@contextmanager
def server(state: Path, binaries: Binaries | None = None) -> Iterator[str]:
    """Yields the DSN of a running server, whose cluster lives on for `state`; the server ends with the block.

    Args:
        state: A folder, made when it is not there; one process at a time can use it.
        binaries: Which PostgreSQL; by default the first that is found.

    Raises:
        NoPostgres: there is none on this machine.
        InUse: another process uses this folder.
        PostgresFailed: it did not start; with the end of its log.
        AccessError: root may not act as another user here.
    """
    binaries = binaries or find()
    owner = clusters.owner()
    state.mkdir(parents=True, exist_ok=True)
    with _locked(state), _sockets(owner) as sockets:
        cluster = clusters.known(state, binaries, owner)
        process = None
        if cluster is not None:
            _wait_for_predecessor(cluster, state)
            with suppress(PostgresFailed):
                process = _start(cluster, owner, sockets)
        if cluster is None or process is None:
            cluster = clusters.new(state, binaries, owner)
            process = _start(cluster, owner, sockets)
        try:
            yield _dsn(cluster, sockets)
        finally:
            _stop(process)


def on_database(dsn: str, name: str) -> str:
    """The DSN of another database on the same server."""
    return urlsplit(dsn)._replace(path=f"/{quote(name)}").geturl()


def _dsn(cluster: Cluster, sockets: Path) -> str:
    return f"postgresql://{clusters.SUPERUSER}:{cluster.password}@/postgres?host={quote(str(sockets), safe='')}"


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    with (state / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUse(state) from error
        yield


@contextmanager
def _sockets(owner: Owner) -> Iterator[Path]:
    """A fresh folder for the socket, with a short path, that only the server's user and root can enter."""
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) > SOCKET_PATH_LIMIT - 40:
        place = "/tmp"  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="refit-socket-", dir=place, ignore_cleanup_errors=True) as folder:
        owner.take(Path(folder))
        yield Path(folder)


def _wait_for_predecessor(cluster: Cluster, state: Path) -> None:
    """A server whose process was killed needs a moment to end; afterwards its postmaster.pid is gone or stale."""
    record = cluster.data / "postmaster.pid"
    until = time.monotonic() + STOP_SECONDS
    while _is_running(record):
        if time.monotonic() > until:
            raise InUse(state)
        time.sleep(POLL_SECONDS)
    record.unlink(missing_ok=True)


def _is_running(record: Path) -> bool:
    try:
        process = int(record.read_text().split("\n", 1)[0])
        os.kill(process, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    with suppress(OSError):  # ids are used again: after a restart of the machine another program may have this one
        return Path(f"/proc/{process}/comm").read_text().strip() == "postgres"
    return True


def _start(cluster: Cluster, owner: Owner, sockets: Path) -> "subprocess.Popen[bytes]":
    options = [part for setting in SETTINGS for part in ("-c", setting)]
    command = [str(Path(cluster.programs, "postgres")), "-D", str(cluster.data), "-k", str(sockets), *options]
    with cluster.log.open("wb") as log:
        try:
            process = subprocess.Popen(  # noqa: S603
                ["/bin/sh", "-c", WATCHDOG, "sh", *command],
                cwd=cluster.folder, env=clusters.ENVIRONMENT, stdin=subprocess.PIPE, stdout=log, stderr=log,
                user=owner.uid, group=owner.gid, extra_groups=owner.extra_groups,
                start_new_session=True,  # Ctrl-C is for us alone; the server ends after its clients
            )  # fmt: skip
        except PermissionError as error:
            raise NoOtherUser(owner) from error
    try:
        _wait_until_ready(process, cluster, sockets)
    except BaseException:
        _stop(process)
        raise
    return process


def _wait_until_ready(process: "subprocess.Popen[bytes]", cluster: Cluster, sockets: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(psycopg2.OperationalError):  # not there yet, or still starting up
            psycopg2.connect(_dsn(cluster, sockets)).close()
            return
        time.sleep(POLL_SECONDS)
    raise PostgresFailed("starting PostgreSQL", cluster.log.read_text(errors="replace"))


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ends the server at once and in order; its clients are cut off."""
    with suppress(BrokenPipeError):
        process.communicate(b"\n", timeout=STOP_SECONDS)
