"""Database clusters that `postgres.py` runs: where they lie, whose they are, how they are made.

    <state>/cluster.json           where the cluster is, its version and password; mode 0600
    <state, or a temporary folder>/refit-postgres-…/
        data/                      PostgreSQL's own
        log                        what the server wrote since it was started last
        package/                   the programs, where the server's user cannot reach them otherwise

PostgreSQL refuses to run as root. Started by root, a cluster belongs to the user `postgres` or `nobody`, and lies
where that user can reach it without a change to any folder outside: below the state folder, else in the
system's temporary one.
"""

import json
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from refit.core.errors import AccessError, DependencyError
from refit.demo.binaries import Binaries, copied, open_to_all

SUPERUSER: Final = "refit"
PREFIX: Final = "refit-postgres-"
RECORD: Final = "cluster.json"
INITDB_SECONDS: Final = 120
ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C"}
"""Of the programs; PGDATA, PGOPTIONS and their like stay outside."""


class PostgresFailed(DependencyError):
    """A program of PostgreSQL ended or did not answer in time; carries the end of what it wrote."""

    def __init__(self, what: str, written: str) -> None:
        super().__init__(f"{what} failed: {written.strip()[-1500:] or 'it left no word'}")


class NoOtherUser(AccessError):
    """Root may not act as another user here, and PostgreSQL does not run as root."""

    def __init__(self, owner: "Owner") -> None:
        super().__init__(
            f"PostgreSQL refuses to run as root, and this process may not act as the user {owner.name}",
            next="run the command as an ordinary user",
        )


@dataclass(frozen=True)
class Owner:
    """The user that the server runs as; without ids: our own."""

    name: str = ""
    uid: int | None = None
    gid: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        return None if self.uid is None else []

    def take(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True)
class Cluster:
    """A cluster as cluster.json keeps it. `programs` is the folder of the `postgres` that runs it."""

    folder: str
    programs: str
    version: str
    password: str

    @property
    def data(self) -> Path:
        return Path(self.folder, "data")

    @property
    def log(self) -> Path:
        return Path(self.folder, "log")


def owner() -> Owner:
    """The user that a server started by this process runs as."""
    if os.geteuid() != 0:
        return Owner()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(name, entry.pw_uid, entry.pw_gid)
    return Owner("65534", 65534, 65534)


def known(state: Path, binaries: Binaries, owner: Owner) -> Cluster | None:
    """The cluster that stands for `state` and that `binaries` can run; None when there is none."""
    cluster = _recorded(state)
    if cluster is None or cluster.version != binaries.version() or not Path(cluster.programs, "postgres").is_file():
        return None
    return cluster if _is_ours(Path(cluster.folder), owner) else None


def new(state: Path, binaries: Binaries, owner: Owner) -> Cluster:
    """A fresh cluster for `state`, in place of the one that stood there.

    Raises:
        PostgresFailed: initdb did, for instance because the disk is full.
        NoOtherUser: root is not allowed to become another user.
    """
    remove(state, owner)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_place(state, owner)))
    try:
        cluster = _made(folder, binaries, owner)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with os.fdopen(os.open(state / RECORD, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(cluster), file)
    return cluster


def _made(folder: Path, binaries: Binaries, owner: Owner) -> Cluster:
    version = binaries.version()
    if owner.uid is not None and not open_to_all(binaries.folder):
        binaries = copied(binaries, folder / "package")
    owner.take(folder)
    cluster = Cluster(str(folder), str(binaries.folder), version, secrets.token_urlsafe(24))
    _initdb(cluster, owner)
    return cluster


def remove(state: Path, owner: Owner) -> None:
    """No cluster stands for `state`; none of its processes may run."""
    before = _recorded(state)
    if before is not None and _is_ours(Path(before.folder), owner):
        shutil.rmtree(before.folder, ignore_errors=True)
    (state / RECORD).unlink(missing_ok=True)


def _recorded(state: Path) -> Cluster | None:
    try:
        return Cluster(**json.loads((state / RECORD).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):  # none, or not one that this version wrote
        return None


def _is_ours(folder: Path, owner: Owner) -> bool:
    """Whether `new` made the folder: a temporary folder is a place where others can write, too."""
    if not folder.name.startswith(PREFIX) or folder.is_symlink() or not folder.is_dir():
        return False
    return folder.stat().st_uid == (os.geteuid() if owner.uid is None else owner.uid)


def _place(state: Path, owner: Owner) -> Path:
    if owner.uid is None:
        return state
    places = (state, Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/tmp"))  # noqa: S108
    for place in places:
        if place.is_dir() and open_to_all(place):
            return place
    raise AccessError(
        f"the user {owner.name}, as whom PostgreSQL would run, can enter none of {', '.join(map(str, places))}",
        next="set TMPDIR to a folder that all users may enter",
    )


def _initdb(cluster: Cluster, owner: Owner) -> None:
    secret = Path(cluster.folder, "password")
    secret.touch(mode=0o600)
    secret.write_text(cluster.password)
    owner.take(secret)
    command: list[str | Path] = [
        Path(cluster.programs, "initdb"), "-D", cluster.data, "-U", SUPERUSER, "--auth=scram-sha-256",
        f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync",
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=cluster.folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            user=owner.uid, group=owner.gid, extra_groups=owner.extra_groups, timeout=INITDB_SECONDS, check=False,
        )  # fmt: skip
    except PermissionError as error:
        raise NoOtherUser(owner) from error
    except subprocess.TimeoutExpired as error:
        raise PostgresFailed("initdb", f"it did not end within {INITDB_SECONDS} seconds") from error
    secret.unlink()
    if done.returncode != 0:
        raise PostgresFailed("initdb", done.stderr or done.stdout)
