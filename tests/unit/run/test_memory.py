"""Whose counter of kills for want of memory is read."""

from pathlib import Path

import pytest

from refit.run.memory import oom_kills

MACHINE = {"proc/vmstat": "nr_free_pages 5170013\noom_kill 7\nballoon_inflate 0\n"}
VERSION_2 = {
    "proc/self/cgroup": "0::/user.slice/app.scope\n",
    "sys/fs/cgroup/user.slice/app.scope/memory.events": "low 0\nhigh 0\nmax 31\noom 2\noom_kill 1\noom_group_kill 0\n",
}
CONTAINER = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.events": "max 0\noom 0\noom_kill 3\n"}
VERSION_1 = {
    "proc/self/cgroup": "5:pids:/\n4:memory:/a:b\n0::/\n",
    "sys/fs/cgroup/memory/a:b/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(MACHINE | VERSION_2, 1, id="the group's, version 2"),
        pytest.param(MACHINE | CONTAINER, 3, id="a container's"),
        pytest.param(MACHINE | VERSION_1, 2, id="the group's, version 1"),
        pytest.param(MACHINE | {"proc/self/cgroup": "0::/\n"}, 7, id="the machine's where no group counts"),
        pytest.param({"proc/self/cgroup": "strange"}, None, id="nobody's"),
        pytest.param({}, None, id="another system"),
    ],
)
def test_the_nearest_counter_is_read(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert oom_kills(tmp_path) == expected
