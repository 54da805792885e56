"""The server of one's own: it keeps its data, keeps to itself, and never outlives its process."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from refit.core.errors import DependencyError
from refit.demo import binaries, cluster, postgres
from refit.demo.binaries import ON_PATH, PACKAGES, Binaries

EMBEDDED = PACKAGES[0]


def query(dsn: str, statement: str) -> object:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        (value,) = cursor.fetchone() or (None,)
        return value


@pytest.fixture(params=[ON_PATH, EMBEDDED])
def programs(request: pytest.FixtureRequest) -> Binaries:
    if request.param == ON_PATH and shutil.which("postgres") is None:
        pytest.skip("no postgres on PATH")
    return binaries.find(request.param)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    cluster.remove(tmp_path, cluster.owner())


def test_server_keeps_its_data_from_start_to_start(programs: Binaries, state: Path) -> None:
    with postgres.server(state, programs) as dsn, closing(psycopg2.connect(dsn)) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        password = dsn
    with postgres.server(state, programs) as dsn:
        assert query(dsn, "SELECT answer FROM kept") == 42
        assert dsn.split("@")[0] == password.split("@")[0]


def test_server_listens_on_its_socket_alone_and_asks_for_the_password(programs: Binaries, state: Path) -> None:
    with postgres.server(state, programs) as dsn:
        assert query(dsn, "SHOW listen_addresses") == ""
        assert query(dsn, "SELECT rolpassword LIKE 'SCRAM-SHA-256%' FROM pg_authid WHERE rolname = 'refit'") is True
        socket = Path(str(query(dsn, "SHOW unix_socket_directories")))
        assert socket.stat().st_mode & 0o077 == 0
        secret = dsn.split(":")[2].split("@")[0]
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(dsn.replace(secret, "guess"))
    assert (state / cluster.RECORD).stat().st_mode & 0o777 == 0o600
    assert not socket.exists()


def test_server_never_runs_as_root(state: Path) -> None:
    with postgres.server(state) as dsn:
        server = Path(str(query(dsn, "SHOW data_directory")), "postmaster.pid").read_text().split()[0]
        (uid,) = {line.split()[1] for line in _status(server) if line.startswith("Uid:")}
        assert int(uid) != 0
        assert os.geteuid() in (0, int(uid))


def test_no_folder_outside_is_changed(tmp_path: Path) -> None:
    """Even where the server's user cannot reach the programs: they are copied."""
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    source = binaries.find(EMBEDDED).folder.parent.parent
    for folder in (source, source.with_name(f"{source.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, closed / folder.name, copy_function=_linked)
    programs = Binaries(EMBEDDED, closed / source.name / "pginstall" / "bin")
    state = closed / "state"
    state.mkdir(mode=0o700)
    watched = [programs.folder, programs.folder.parent / "lib", state, *state.parents]
    before = [folder.stat().st_mode for folder in watched]
    with postgres.server(state, programs) as dsn:
        assert query(dsn, "SELECT 1") == 1
    assert [folder.stat().st_mode for folder in watched] == before
    cluster.remove(state, cluster.owner())


def _linked(source: str, target: str) -> None:
    """A hard link, or a copy where the file lies on another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def test_cluster_that_does_not_start_is_replaced_by_an_empty_one(state: Path) -> None:
    with postgres.server(state) as dsn:
        data = Path(str(query(dsn, "SHOW data_directory")))
    (data / "global" / "pg_control").write_bytes(b"torn")
    with postgres.server(state) as dsn:
        assert Path(str(query(dsn, "SHOW data_directory"))) != data
    assert not data.exists()


def test_server_that_cannot_start_says_why(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "SETTINGS", ("shared_buffers=plenty",))
    with pytest.raises(DependencyError, match="shared_buffers"), postgres.server(state):
        pass


def test_cluster_that_cannot_be_made_says_why_and_leaves_nothing(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PREFIX", f"refit-postgres-{tmp_path.name}-{os.getpid()}-")
    programs = Binaries(EMBEDDED, tmp_path / "package" / "pginstall" / "bin")
    programs.folder.mkdir(parents=True)
    for name, script in {"initdb": "echo no room >&2; exit 1", "postgres": "echo 'postgres (PostgreSQL) 99.0'"}.items():
        (programs.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs.folder / name).chmod(0o755)
    with pytest.raises(DependencyError, match="initdb failed: no room"), postgres.server(state, programs):
        pass
    for place in (state, Path(tempfile.gettempdir())):
        assert list(place.glob(f"{cluster.PREFIX}*")) == []


def test_second_process_is_told_that_the_folder_is_in_use(state: Path) -> None:
    with postgres.server(state), pytest.raises(postgres.InUse, match="another process"), postgres.server(state):
        pass


def test_temporary_server_leaves_nothing_behind() -> None:
    with postgres.temporary_server() as dsn:
        folder = Path(str(query(dsn, "SHOW data_directory"))).parent
        assert folder.is_dir()
    assert not folder.exists()


def _status(process: str) -> list[str]:
    return Path(f"/proc/{process}/status").read_text().splitlines()


HOLDER = """
import sys, time
from pathlib import Path
from refit.demo import binaries, postgres
programs = binaries.find(sys.argv[2])
with postgres.server(Path(sys.argv[1]), programs):
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_server_ends_when_its_process_does(state: Path, sent: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state), EMBEDDED], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        known = cluster.known(state, binaries.find(EMBEDDED), cluster.owner())
        assert known is not None
        record = known.data / "postmaster.pid"
        server = int(record.read_text().split()[0])
        process.send_signal(sent)
    until = time.monotonic() + 10
    while Path(f"/proc/{server}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(f"/proc/{server}").exists()
    assert not record.exists()


def test_next_process_waits_for_the_server_of_a_killed_one(state: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state), EMBEDDED], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.kill()
    known = cluster.known(state, binaries.find(EMBEDDED), cluster.owner())
    with postgres.server(state, binaries.find(EMBEDDED)) as dsn:
        assert known is not None
        assert Path(str(query(dsn, "SHOW data_directory"))) == known.data


def test_an_ordinary_user_with_the_package_alone_has_a_server(tmp_path: Path) -> None:
    """As on a fresh machine with only Python: no root, no postgres on PATH."""
    user, python = _ordinary_user(), _python_for_all()
    folder = Path(tempfile.mkdtemp(prefix="refit-ordinary-"))  # tmp_path lies where only its owner may enter
    os.chown(folder, user, -1)
    code = (
        "import os, sys, psycopg2; from pathlib import Path; from refit.demo import binaries, postgres\n"
        "assert os.geteuid() != 0\n"
        "programs = binaries.find(); print(programs.origin)\n"
        "with postgres.server(Path(sys.argv[1]), programs) as dsn: psycopg2.connect(dsn).close(); print('up')\n"
    )
    environment = {"PATH": "/nowhere", "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": str(folder)}
    try:
        done = subprocess.run(
            [python, "-c", code, "state"], env=environment, cwd=folder, capture_output=True, text=True,
            user=user if os.geteuid() == 0 else None, timeout=60, check=False,
        )  # fmt: skip
    finally:
        shutil.rmtree(folder)
    assert (done.stdout.split(), done.returncode) == ([EMBEDDED, "up"], 0), done.stderr


def _ordinary_user() -> int:
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()


def _python_for_all() -> str:
    """An interpreter of this version that another user can start."""
    if os.geteuid() != 0:
        return sys.executable
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for found in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        path = Path(found)
        if path.exists() and all(binaries.open_to_all(place.parent) for place in (path, path.resolve())):
            return found
    pytest.skip("no interpreter of this version that another user may start")
