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
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import psycopg2
from psycopg2 import sql

from refit.core.effects import effect
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
# input. The kernel closes the pipe however our own process ends, SIGKILL included. $0 is the socket's folder.
WATCHDOG: Final = """
exec 3<&0
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -INT $server; } & reader=$!
exec 3<&-
wait $server; code=$?
kill $reader 2>/dev/null
rmdir "$0" 2>/dev/null
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
    state = state.absolute()
    state.mkdir(parents=True, exist_ok=True)
    with _locked(state):
        running = _start_known(state, binaries, owner) or _start(clusters.new(state, binaries, owner), owner)
        try:
            yield running.dsn
        finally:
            _stop(running.process)


@contextmanager
def temporary_server(binaries: Binaries | None = None) -> Iterator[str]:
    """As `server`, with an empty cluster that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="refit-server-") as state:
        try:
            with server(Path(state), binaries) as dsn:
                yield dsn
        finally:
            clusters.remove(Path(state), clusters.owner())


def database_of(dsn: str, name: str) -> str:
    """The DSN of the server's database `name`, which stands afterwards. Superusers may make it."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if cursor.fetchone() is None:
            with effect(f"sql CREATE DATABASE {name}"):
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return on_database(dsn, name)


def on_database(dsn: str, name: str) -> str:
    """The DSN of another database on the same server."""
    return urlsplit(dsn)._replace(path=f"/{quote(name)}").geturl()


@dataclass(frozen=True)
class _Running:
    process: "subprocess.Popen[bytes]"
    dsn: str


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    with (state / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUse(state) from error
        yield


def _sockets(owner: Owner) -> Path:
    """A fresh folder for the socket, with a short path, that only the server's user and root can enter."""
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) > SOCKET_PATH_LIMIT - 40:
        place = "/tmp"  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix="refit-socket-", dir=place))
    owner.take(folder)
    return folder


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


def _start_known(state: Path, binaries: Binaries, owner: Owner) -> _Running | None:
    """The cluster of last time runs; None when there is none, or it does not start any more."""
    cluster = clusters.known(state, binaries, owner)
    if cluster is None:
        return None
    _wait_for_predecessor(cluster, state)
    try:
        return _start(cluster, owner)
    except PostgresFailed:
        return None


def _start(cluster: Cluster, owner: Owner) -> _Running:
    sockets = _sockets(owner)
    options = [part for setting in SETTINGS for part in ("-c", setting)]
    command = [str(Path(cluster.programs, "postgres")), "-D", str(cluster.data), "-k", str(sockets), *options]
    with cluster.log.open("wb") as log:
        try:
            process = subprocess.Popen(  # noqa: S603
                ["/bin/sh", "-c", WATCHDOG, str(sockets), *command],
                cwd=cluster.folder, env=clusters.ENVIRONMENT, stdin=subprocess.PIPE, stdout=log, stderr=log,
                user=owner.uid, group=owner.gid, extra_groups=owner.extra_groups,
                start_new_session=True,  # Ctrl-C is for us alone; the server ends after its clients
            )  # fmt: skip
        except PermissionError as error:
            sockets.rmdir()
            raise NoOtherUser(owner) from error
    secret = f"{clusters.SUPERUSER}:{cluster.password}"
    running = _Running(process, f"postgresql://{secret}@/postgres?host={quote(str(sockets), safe='')}")
    try:
        _wait_until_ready(running, cluster)
    except BaseException:
        _stop(process)
        raise
    return running


def _wait_until_ready(running: _Running, cluster: Cluster) -> None:
    until = time.monotonic() + START_SECONDS
    while running.process.poll() is None and time.monotonic() < until:
        with suppress(psycopg2.OperationalError):  # not there yet, or still starting up
            psycopg2.connect(running.dsn).close()
            return
        time.sleep(POLL_SECONDS)
    raise PostgresFailed("starting PostgreSQL", cluster.log.read_text(errors="replace"))


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ends the server at once and in order; its clients are cut off."""
    with suppress(BrokenPipeError):
        process.communicate(b"\n", timeout=STOP_SECONDS)
