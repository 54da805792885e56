"""The log of a pod that runs, look by look."""

import pytest

from refit.run.following import AWAY_SECONDS, MARGIN_SECONDS, Following, after, timed
from tests.fixtures.cluster import FakeCluster

POD = "fd-train-1-abcde"
T = "2026-11-20T07:00:00.000000001Z"
U = "2026-11-20T08:00:00.000000002+01:00"


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def log(cluster: FakeCluster, told: list[str]) -> Following:
    return Following(cluster, told.append, cluster.clock)


def test_each_line_is_told_once_and_in_order(cluster: FakeCluster, log: Following, told: list[str]) -> None:
    for look in range(20):
        cluster.write(POD, *(f"line {3 * look + place}" for place in range(3)))
        log.look(POD)
        log.look(POD)
        cluster.sleep(0.5)
    assert told == [f"line {number}" for number in range(60)]


def test_a_look_asks_only_for_what_came_since_the_last_that_was_answered(cluster: FakeCluster, log: Following) -> None:
    log.look(POD)
    cluster.sleep(4.5)
    log.look(POD)
    cluster.is_node_away = True
    cluster.sleep(5.0)
    log.look(POD)
    cluster.is_node_away = False
    cluster.sleep(AWAY_SECONDS)
    log.look(POD)
    assert cluster.asked_for == [(POD, None), *((POD, seconds + MARGIN_SECONDS) for seconds in (5, 5, 35))]


def test_a_log_that_cannot_be_read_is_left_alone_for_a_while_and_then_told_whole(
    cluster: FakeCluster, log: Following, told: list[str]
) -> None:
    cluster.is_node_away = True
    cluster.write(POD, "a")
    for _ in range(10):
        log.look(POD)
        cluster.sleep(1)
    assert len(cluster.asked_for) == 1
    cluster.is_node_away = False
    cluster.write(POD, "b")
    log.look(POD, at_the_end=True)
    assert told == ["a", "b"]


def test_of_a_flood_the_last_lines_are_told(cluster: FakeCluster, log: Following, told: list[str]) -> None:
    cluster.at_once = 3
    for look in range(2):
        cluster.write(POD, *(f"{look}.{number}" for number in range(10)))
        log.look(POD)
    assert told == ["0.7", "0.8", "0.9", "1.7", "1.8", "1.9"]


def test_the_pod_that_replaces_an_evicted_one_is_told_from_its_beginning(
    cluster: FakeCluster, log: Following, told: list[str]
) -> None:
    cluster.write(POD, "a", "b")
    log.look(POD)
    cluster.write("fd-train-1-vwxyz", "a", "c")
    log.look("fd-train-1-vwxyz")
    assert told == ["a", "b", "a", "c"]
    assert cluster.asked_for[-1] == ("fd-train-1-vwxyz", None)


def test_no_secret_of_this_process_is_told(
    cluster: FakeCluster, log: Following, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-word")
    cluster.write(POD, "it is s3cr3t-word")
    log.look(POD)
    assert told == ["it is ***"]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        pytest.param([f"{T} a b", f"{U} c"], [(T, "a b"), (U, "c")], id="zones"),
        pytest.param([f"{T} ", T], [(T, ""), (T, "")], id="empty"),
        pytest.param([f"{T} a", "b", f"{U} c"], [(T, "a b"), (U, "c")], id="a line that was broken on its way"),
        pytest.param(["b", f"{U} c"], [("", "b"), (U, "c")], id="the rest of one"),
        pytest.param([f"{T} {U} a"], [(T, f"{U} a")], id="a time of its own"),
        pytest.param([], [], id="none"),
    ],
)
def test_lines_are_told_from_their_times(lines: list[str], found: list[tuple[str, str]]) -> None:
    assert list(timed(lines)) == found


@pytest.mark.parametrize(
    ("until", "left"),
    [("", "abcd"), ("1", "bcd"), ("2", "d"), ("3", ""), ("0", "abcd")],
    ids=["nothing told", "the first", "two at one time", "all", "long ago"],
)
def test_what_comes_after_the_line_told_last_is_new(until: str, left: str) -> None:
    lines = [("1", "a"), ("2", "b"), ("2", "c"), ("3", "d")]
    assert "".join(text for _, text in after(until, lines)) == left
