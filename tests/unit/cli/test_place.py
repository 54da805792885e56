"""FILE or NAME, store, run: how a call's words become places."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import click
import pytest

from refit.cli.place import NoSuchFile, UnknownPipeline, UnknownRun, address, as_time, find, find_run, name_of, names
from refit.core.errors import ConfigError
from refit.core.store import ObjectStore, open_store
from tests.fixtures.past_runs import FIRST, SECOND, put_failed, put_promoted
from tests.fixtures.records import FILE


@pytest.fixture
def two(store: ObjectStore) -> ObjectStore:
    put_promoted(store, FIRST)
    put_failed(store, SECOND)
    return store


def test_a_name_is_looked_up_in_the_store(two: ObjectStore) -> None:
    place = find("loans", None)
    assert (place.name, place.store.url) == ("loans", two.url)


def test_a_file_means_the_name_that_stands_in_it(two: ObjectStore) -> None:
    Path("any.yaml").write_bytes(FILE)
    assert find("any.yaml", None).name == "loans"
    Path("any").write_bytes(FILE)
    assert find("any", None).name == "loans"


def test_a_folder_with_a_pipelines_name_does_not_hide_the_pipeline(two: ObjectStore) -> None:
    Path("loans").mkdir()
    assert find("loans", None).name == "loans"


def test_the_flag_wins_over_the_environment(two: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(UnknownPipeline) as raised:
        find("loans", f"file://{tmp_path}/other")
    assert "the store is empty" in raised.value.next


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("loasn", "did you mean loans?"),
        ("zzz", "there are loans"),
        ("../loans", "did you mean loans?"),
        ("", "there are loans"),
    ],
    ids=["near", "far", "path", "empty"],
)
def test_an_unknown_name_names_the_nearest_or_all(two: ObjectStore, target: str, hint: str) -> None:
    with pytest.raises(UnknownPipeline) as raised:
        find(target, None)
    assert hint in raised.value.next
    assert raised.value.exit_code == 64


def test_a_file_without_a_run_is_told_how_to_start_one(root: ObjectStore) -> None:
    Path("any.yaml").write_bytes(FILE)
    with pytest.raises(UnknownPipeline) as raised:
        find("any.yaml", None)
    assert "refit run FILE" in raised.value.next


@pytest.mark.parametrize("target", ["gone.yaml", "here.yaml/x.yaml"])
def test_a_yaml_that_is_not_there_is_a_file_and_not_a_name(root: ObjectStore, target: str) -> None:
    Path("here.yaml").write_bytes(FILE)
    with pytest.raises(NoSuchFile, match="there is no file"):
        name_of(target)


def test_a_folder_is_no_pipeline_file(root: ObjectStore) -> None:
    Path("some.yaml").mkdir()
    with pytest.raises(NoSuchFile, match="is a folder"):
        name_of("some.yaml")


def test_a_file_with_faults_is_refused_by_every_command(two: ObjectStore) -> None:
    Path("bad.yaml").write_text("name: x\n")
    with pytest.raises(ConfigError):
        find("bad.yaml", None)


def test_folders_of_refit_itself_are_no_pipelines(root: ObjectStore, two: ObjectStore) -> None:
    root.put(".probe/x.json", b"{}")
    assert list(names(root)) == ["loans"]


def test_latest_is_the_newest_run(two: ObjectStore) -> None:
    place = find("loans", None)
    assert find_run(place, "@latest") == SECOND
    assert find_run(place, FIRST) == FIRST


@pytest.mark.parametrize(("run_id", "hint"), [(FIRST[:-1] + "b", "did you mean"), ("x", "refit runs loans")])
def test_an_unknown_run_is_refused_with_a_hint(two: ObjectStore, run_id: str, hint: str) -> None:
    with pytest.raises(UnknownRun) as raised:
        find_run(find("loans", None), run_id)
    assert hint in raised.value.next


def test_latest_of_a_pipeline_without_runs_is_unknown(root: ObjectStore) -> None:
    root.put("empty/refs/x.json", b"{}")
    with pytest.raises(UnknownRun):
        find_run(find("empty", None), "@latest")


def test_a_report_in_a_folder_is_a_path_relative_where_it_can_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = open_store(f"file://{tmp_path}/with%20blank")
    monkeypatch.chdir(tmp_path)
    assert address(store, "loans/r.html") == "with blank/loans/r.html"
    monkeypatch.chdir("/")
    assert address(store, "loans/r.html") == f"{tmp_path}/with blank/loans/r.html".lstrip("/")


def test_a_report_in_a_bucket_is_an_address() -> None:
    assert address(open_store("s3://bucket/prefix"), "loans/r.html") == "s3://bucket/prefix/loans/r.html"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2013-02-01", datetime(2013, 2, 1, tzinfo=UTC)),
        ("2013-02-01T05:30", datetime(2013, 2, 1, 5, 30, tzinfo=UTC)),
        ("2013-02-01T05:30Z", datetime(2013, 2, 1, 5, 30, tzinfo=UTC)),
        ("2013-02-01T05:30+02:00", datetime(2013, 2, 1, 5, 30, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_as_of_is_utc_unless_it_has_an_offset(text: str, at: datetime) -> None:
    parsed = as_time(click.Context(click.Command("x")), click.Option(["--as-of"]), text)
    assert parsed == at and parsed is not None and parsed.tzinfo is UTC
