"""The memory that a container may use."""

from pathlib import Path

import pytest

from refit.core.memory_limit import memory_limit_bytes


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("memory.max", "1073741824\n", 1 << 30),
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", "1073741824\n", 1 << 30),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        ("other", "1\n", None),
    ],
    ids=["version 2", "version 2 without", "version 1", "version 1 without", "no control group"],
)
def test_the_limit_is_that_of_the_control_group(tmp_path: Path, name: str, text: str, expected: int | None) -> None:
    file = tmp_path / "sys/fs/cgroup" / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert memory_limit_bytes(tmp_path) == expected
