from pathlib import Path

import pytest

from refit.core.config import parse_pipeline
from refit.core.store import open_store
from refit.demo.folder import PIPELINE, Folder


def test_pipeline_file_is_kept_as_the_user_changed_it_until_fresh(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    place.set_up(fresh=False)
    shipped = place.file.read_bytes()
    assert parse_pipeline(shipped, "file").name == PIPELINE
    place.file.write_text("name: mine")
    place.set_up(fresh=False)
    assert place.file.read_text() == "name: mine"
    place.set_up(fresh=True)
    assert place.file.read_bytes() == shipped


def test_fresh_forgets_the_runs_of_the_demo_and_no_others(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    store = open_store(place.store_url)
    store.put(f"{PIPELINE}/runs/a/run.json", b"{}")
    store.put("churn/runs/b/run.json", b"{}")
    place.set_up(fresh=True)
    assert [listed.key for listed in store.list("") if not listed.key.startswith(".")] == ["churn/runs/b/run.json"]


def test_connection_string_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    place.set_up(fresh=False)
    place.dsn.write_text("old, and open")
    place.write_dsn("postgresql://u:secret@/d")
    assert place.dsn.stat().st_mode & 0o777 == 0o600
    assert place.dsn.read_text() == "postgresql://u:secret@/d"


def test_example_is_the_file_that_the_demo_runs() -> None:
    example = Path(__file__).parents[3] / "examples" / PIPELINE / "refit.yaml"
    assert example.read_bytes() == Path(str(_shipped())).read_bytes()


def _shipped() -> Path:
    import refit.demo

    return Path(refit.demo.__file__).with_name(f"{PIPELINE}.yaml")


@pytest.mark.parametrize("name", ["flights.sql", "nycflights13.sql", f"{PIPELINE}.yaml"])
def test_what_the_demo_reads_lies_beside_its_modules(name: str) -> None:
    assert _shipped().with_name(name).is_file()
