"""A run whose steps are done in containers, each by the image that is for it."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from refit.core import keys
from refit.core.addresses import file_url
from refit.core.config import parse_pipeline
from refit.core.domain import STEPS, StepName
from refit.core.runs import new_run_id
from refit.core.store import ObjectStore, open_store
from refit.demo.postgres import on_database
from refit.run.request import Maker, Request, new_run
from tests.fixtures import loans
from tests.fixtures.postgres import execute
from tests.images.containers import IMAGES, ROOT, Done, docker, named, start

EXAMPLE: Final = ROOT / "examples" / "flight-routes"
SOCKETS: Final = "/sockets"
"""Where containers, which have no network, find the server's Unix socket."""


@dataclass
class World:
    """A run in a store that containers may write to.

    Attributes:
        folder: The store.
        dsn: Of the source, as containers see it.
        done: How each step's container ended.
    """

    folder: Path
    sockets: Path
    dsn: str
    pipeline: str
    run_id: str
    done: dict[str, Done] = field(default_factory=dict)

    @property
    def store(self) -> ObjectStore:
        return open_store(file_url(self.folder)).under(f"{self.pipeline}/")

    def start(self, image: str, *command: str, **settings: str) -> Done:
        """The command has ended in the image, with store and source at hand."""
        known = {
            "REFIT_STORE": "file:///store",
            "REFIT_PIPELINE": self.pipeline,
            "REFIT_RUN_ID": self.run_id,
            "REFIT_SOURCE_DSN": self.dsn,
            "REFIT_LOG": "json",
            "OMP_NUM_THREADS": "1",
        }
        return start(image, *command, mounts={self.folder: "/store", self.sockets: SOCKETS}, settings=known | settings)

    def walk(self, images: Mapping[StepName, str]) -> "World":
        """All steps are done, each by its image; those after a failed one are not tried."""
        for step in STEPS:
            self.done[step] = self.start(images[step], "python", "-m", f"refit.{step}")
            if self.done[step].returncode:
                break
        return self


def begin(folder: Path, dsn: str, file: bytes, as_of: datetime) -> World:
    """A run is recorded, as its coordinator does before the first step."""
    pipeline = parse_pipeline(file, "refit.yaml")
    root = folder / "store"
    store = open_store(file_url(root)).under(f"{pipeline.name}/")
    maker = Maker("tests", lambda _name, _run_id: {"image of train": "refit-train"})
    run, body = new_run(Request(pipeline, file, as_of=as_of), new_run_id(datetime.now(UTC)), maker)
    store.put(run.file.key, body)
    store.create(keys.run_record(run.run_id), run.to_json())
    for place in (root, *root.rglob("*")):
        place.chmod(0o777 if place.is_dir() else 0o666)
    sockets = open_to_all(dsn)
    return World(root, sockets, inside(dsn), pipeline.name, run.run_id)


def open_to_all(dsn: str) -> Path:
    """The folder of the server's Unix socket, which any user can enter; who knows the password can log in."""
    (folder,) = parse_qs(urlsplit(dsn).query)["host"]
    Path(folder).chmod(0o755)
    for socket in Path(folder).glob(".s.PGSQL.*[0-9]"):
        socket.chmod(0o777)
    return Path(folder)


def inside(dsn: str) -> str:
    """The DSN as containers see it."""
    return urlsplit(dsn)._replace(query=f"host={quote(SOCKETS, safe='')}").geturl()


def end(world: World) -> None:
    """What containers wrote as another user can be deleted by ours."""
    world.start("refit-publish", "chmod", "-R", "a+rwX", "/store")
    shutil.rmtree(world.folder)


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """All images are there."""
    missing = [named(image) for image in IMAGES if docker("image", "inspect", named(image)).returncode]
    if missing:
        pytest.exit(f"docker has no {', '.join(missing)}: make images builds them", returncode=1)


@pytest.fixture(scope="module")
def small(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A run on some weeks of loans, all its steps done."""
    execute(postgres, "CREATE DATABASE small")
    dsn = on_database(postgres, "small")
    loans.load(dsn, days=42)
    world = begin(tmp_path_factory.mktemp("small"), dsn, loans.FILE, loans.at(42))
    yield world.walk({step: f"refit-{step}" for step in STEPS})
    end(world)


@pytest.fixture(scope="module")
def own_image() -> str:
    """The example with own code, built on refit-train."""
    built = docker(
        *("build", "--quiet", "--build-arg", f"REFIT_TRAIN={named('refit-train')}"),
        *("--tag", named("flight-routes"), str(EXAMPLE)),
    )
    assert built.returncode == 0, built.stderr
    return "flight-routes"


@pytest.fixture(scope="module")
def routes(flights: str, own_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A run of the example with own code, train and evaluate done by its image."""
    as_of = datetime(2013, 2, 8, tzinfo=UTC)
    world = begin(tmp_path_factory.mktemp("routes"), flights, (EXAMPLE / "refit.yaml").read_bytes(), as_of)
    yield world.walk({step: f"refit-{step}" for step in STEPS} | {"train": own_image, "evaluate": own_image})
    end(world)
