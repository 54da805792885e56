"""Which file system a folder lies on. Pure but for `mount_table`."""

import os
import re
from pathlib import Path
from typing import Final

# Locks and renames of other machines are not seen in order here, or not at all. Shares between a virtual machine
# and its host (9p, virtiofs, drvfs) are not listed: one kernel sees all that refit does on them.
NETWORK_TYPES: Final = frozenset(
    {
        *("afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs"),
        *("nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb", "smb2", "smb3", "smbfs"),
        *("fuse.blobfuse", "fuse.blobfuse2", "fuse.ceph", "fuse.ceph-fuse", "fuse.curlftpfs", "fuse.davfs"),
        *("fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.gvfsd-fuse", "fuse.hdfs"),
        *("fuse.juicefs", "fuse.mfs", "fuse.moosefs", "fuse.mountpoint-s3", "fuse.rclone", "fuse.s3fs"),
        *("fuse.seaweedfs", "fuse.smbnetfs", "fuse.sshfs"),
    }
)


def mount_table() -> str:
    """The kernel's table of mounts; empty on systems without one."""
    try:
        return os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    except OSError:
        return ""


def file_system(folder: Path, table: str) -> str:
    """The type of the file system that `folder`, which need not exist yet, lies on; empty when unknown.

    Args:
        folder: Absolute, without symbolic links.
        table: In the form of proc(5), /proc/pid/mountinfo; of equal mount points the last one counts.
    """
    found, length = "", -1
    for line in table.splitlines():
        fields, separator, rest = line.partition(" - ")
        if not separator:
            continue
        point = Path(_unescaped(fields.split(" ")[4]))
        if folder.is_relative_to(point) and len(point.parts) >= length:
            found, length = rest.split(" ")[0], len(point.parts)
    return found


def _unescaped(path: str) -> str:
    """Blank, tab, newline and backslash stand as octal numbers in the table."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)
