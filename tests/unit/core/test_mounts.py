"""A folder's file system is found in the kernel's table, and network ones are refused."""

from pathlib import Path

import pytest

from refit.core.local_store import LocalStore, NetworkFolder
from refit.core.mounts import NETWORK_TYPES, file_system, mount_table

TABLE = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:40 / /mnt/team rw,relatime shared:2 master:1 - nfs4 server:/export rw,vers=4.2
31 30 0:41 / /mnt/team/scratch rw - tmpfs tmpfs rw
32 22 0:42 / /mnt/my\040share rw - cifs //server/share rw
33 22 0:43 / /mnt/twice rw - nfs server:/a rw
34 22 0:44 / /mnt/twice rw - ext4 /dev/vdb rw
35 22 0:45 / /mnt/ssh rw - fuse.sshfs me@host: rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/home/me", "ext4"),
        ("/mnt/team", "nfs4"),
        ("/mnt/team/refit/store", "nfs4"),
        ("/mnt/teamwork", "ext4"),
        ("/mnt/team/scratch/x", "tmpfs"),
        ("/mnt/my share/x", "cifs"),
        ("/mnt/twice/x", "ext4"),
        ("/mnt/ssh", "fuse.sshfs"),
    ],
)
def test_the_deepest_and_newest_mount_counts(folder: str, kind: str) -> None:
    assert file_system(Path(folder), TABLE) == kind


def test_without_a_table_the_type_is_unknown() -> None:
    assert file_system(Path("/home"), "") == ""


def test_this_machines_table_knows_the_root() -> None:
    table = mount_table()
    assert not table or file_system(Path("/proc/self"), table) == "proc"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "lustre", "9p", "ext4", "xfs"])
def test_only_file_systems_of_several_machines_count_as_network(kind: str) -> None:
    assert (kind in NETWORK_TYPES) is (kind not in ("9p", "ext4", "xfs"))


def test_a_store_on_a_network_file_system_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    table = f"1 0 0:1 / {tmp_path} rw - nfs4 server:/export rw\n"
    with pytest.raises(NetworkFolder, match=r"network file system \(nfs4\)") as caught:
        LocalStore(tmp_path / "store", table=lambda: table)
    assert caught.value.exit_code == 64
    assert "s3://" in caught.value.next
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_network_file_system_is_followed(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    table = f"1 0 0:1 / {tmp_path}/share rw - nfs4 server:/export rw\n"
    with pytest.raises(NetworkFolder):
        LocalStore(tmp_path / "link", table=lambda: table)
