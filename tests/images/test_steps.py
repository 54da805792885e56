"""Each image, alone, does the work that it is for."""

import json

import pytest

from refit.core import registry
from refit.core.context import read_manifest
from refit.core.domain import STEPS, StepName
from refit.core.runs import MANIFESTS
from tests.fixtures import invariants, loans
from tests.images.conftest import World, inside
from tests.images.containers import IMAGES, start

pytestmark = pytest.mark.timeout(600)


def is_done(world: World, step: StepName) -> None:
    """The step's container ended well, and its manifest stands."""
    done = world.done.get(step)
    assert done is not None, f"an earlier step failed: {list(world.done.values())[-1]}"
    assert done.returncode == 0, done.stderr
    assert read_manifest(world.store, world.run_id, step, MANIFESTS[step]) is not None


@pytest.mark.parametrize("step", STEPS)
def test_step_is_done_by_its_image(small: World, step: StepName) -> None:
    is_done(small, step)


def test_steps_of_four_images_make_one_whole_run(small: World) -> None:
    champion = registry.read_champion(small.store)
    assert champion is not None
    assert champion[0].version == small.run_id
    invariants.champion_is_complete(small.store)
    invariants.manifests_are_whole(small.store)
    invariants.history_is_linear(small.store)


@pytest.mark.parametrize("step", STEPS)
def test_step_with_own_code_is_done_by_an_image_built_on_that_of_train(routes: World, step: StepName) -> None:
    is_done(routes, step)


def test_coordinator_tells_what_is_in_production(small: World) -> None:
    told = small.start("refit-run", "refit", "status", small.pipeline, "--json")
    assert told.returncode == 0, told.stderr
    assert small.run_id in json.dumps(json.loads(told.stdout)["champion"])
    assert small.start("refit-run", "refit", "run", "--help").returncode == 0


def test_check_of_the_file_is_made_where_the_estimator_is(small: World) -> None:
    file = small.folder / "refit.yaml"
    file.write_bytes(loans.FILE)
    fast = small.start("refit-extract", "refit", "check", "--fast", "--connect", "/store/refit.yaml")
    assert fast.returncode == 0, fast.stderr
    at_once = small.start("refit-run", "refit", "check", "--fast", "/store/refit.yaml")
    assert at_once.returncode == 0, at_once.stderr
    full = small.start("refit-train", "refit", "check", "/store/refit.yaml")
    assert full.returncode == 0, full.stderr


def test_extract_without_a_source_says_what_is_missing(small: World) -> None:
    done = small.start(
        "refit-extract", "refit", "check", "--connect", "--fast", "/store/refit.yaml", REFIT_SOURCE_DSN=""
    )
    assert done.returncode == 64
    assert "REFIT_SOURCE_DSN" in done.stderr


def test_demo_loads_its_flights_into_the_given_database(small: World, database: str) -> None:
    loaded = small.start("refit-demo", "refit", "demo", "--load", REFIT_DEMO_DSN=inside(database))
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout == "327,346 flights of 2013 stand in PostgreSQL\n"


@pytest.mark.parametrize("image", IMAGES)
def test_says_what_it_can_when_started_without_a_command(image: str) -> None:
    shown = start(image)
    assert shown.returncode == 0, shown.stderr
    assert "First steps" in shown.stdout


def test_step_in_an_image_that_lacks_its_packages_says_which_image_has_them(small: World) -> None:
    done = small.start("refit-publish", "refit", "step", "train")
    assert done.returncode == 64
    assert "image of train" in done.stderr
