"""Writes the policies that give each user of a bucket the rights of services/refit/core/rights.py, and no more.

python helm/policies.py            writes helm/refit/policies/ and k8s/dev/policies/
python helm/policies.py --check    fails when they are stale
python helm/policies.py --server aws --bucket models --prefix team --pipeline flight-delays --into policies

BUCKET, PREFIX and PIPELINE stand for themselves in helm/refit/policies/.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

from refit.core import keys
from refit.core.rights import RIGHTS, Rights, Who

ROOT: Final = Path(__file__).parents[1]
# AWS looks for s3:ListBucket also when an object that is not there is read, and then there is no prefix to compare:
# without IfExists it would answer 403 where refit has to know 404. MinIO has no IfExists and answers 404 anyhow.
_LIKE: Final = {"aws": "StringLikeIfExists", "minio": "StringLike"}


def policy(server: str, rights: Rights, bucket: str, prefix: str, pipeline: str) -> dict[str, Any]:
    """The policy as the server takes it.

    Args:
        server: aws or minio.
        prefix: Of the store within the bucket; may be empty.
    """
    root = f"{prefix.strip('/')}/".lstrip("/")
    return {"Version": "2012-10-17", "Statement": list(_statements(server, rights, bucket, root, f"{root}{pipeline}/"))}


def _statements(server: str, rights: Rights, bucket: str, root: str, own: str) -> Iterator[dict[str, Any]]:
    probes = [f"{root}{keys.PROBE}*"] if rights.probes else []
    writes, deletes = (
        [f"{own}{pattern}" for pattern in patterns] + probes for patterns in (rights.writes, rights.deletes)
    )
    reads, listed = [f"{own}*", *probes], [f"{own}*"]
    if rights.lists_pipelines:  # and looks into each of them
        reads, listed = [f"{root}*"], [root, f"{root}*"]
    yield _allow("Read", ["s3:GetObject"], _objects(bucket, reads))
    yield _allow("List", ["s3:ListBucket"], [_arn(bucket)]) | {"Condition": {_LIKE[server]: {"s3:prefix": listed}}}
    if writes:
        yield _allow("Write", ["s3:PutObject", "s3:AbortMultipartUpload"], _objects(bucket, writes))
    if deletes:
        yield _allow("Delete", ["s3:DeleteObject"], _objects(bucket, deletes))
    if rights.sweeps:
        yield _allow("FindUploads", ["s3:ListBucketMultipartUploads"], [_arn(bucket)])
        yield _allow("EndUploads", ["s3:AbortMultipartUpload"], _objects(bucket, [f"{root}*"]))


def _allow(name: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resources}


def _objects(bucket: str, patterns: list[str]) -> list[str]:
    return [f"{_arn(bucket)}/{pattern}" for pattern in patterns]


def _arn(bucket: str) -> str:
    return f"arn:aws:s3:::{bucket}"


def bodies(server: str, bucket: str, prefix: str, pipeline: str) -> dict[str, str]:
    """The files of a folder with the policy of each user, by name."""
    return {
        f"{who}.json": json.dumps(policy(server, RIGHTS[who], bucket, prefix, pipeline), indent=2) + "\n"
        for who in get_args(Who)
    }


def kept() -> dict[Path, str]:
    """The files in the repository."""
    folders = {
        ROOT / "helm" / "refit" / "policies" / "aws": bodies("aws", "BUCKET", "PREFIX", "PIPELINE"),
        ROOT / "helm" / "refit" / "policies" / "minio": bodies("minio", "BUCKET", "PREFIX", "PIPELINE"),
        ROOT / "k8s" / "dev" / "policies": bodies("minio", "refit", "", "flight-delays"),
    }
    return {folder / name: body for folder, files in folders.items() for name, body in files.items()}


def write(files: dict[Path, str]) -> None:
    """The files stand, and no other JSON beside them."""
    for folder in {path.parent for path in files}:
        folder.mkdir(parents=True, exist_ok=True)
        for path in set(folder.glob("*.json")) - set(files):
            path.unlink()
    for path, body in files.items():
        path.write_text(body)


def stale(files: dict[Path, str]) -> list[Path]:
    """Files that are not as they should be, or should not be."""
    there = {path for folder in {path.parent for path in files} for path in folder.glob("*.json")}
    return sorted(path for path in there | set(files) if not path.exists() or files.get(path) != path.read_text())


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Policies for the users of refit's bucket.")
    parser.add_argument("--check", action="store_true", help="only say which files are stale")
    parser.add_argument("--server", choices=sorted(_LIKE))
    for name in ("--bucket", "--pipeline"):
        parser.add_argument(name)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--into", type=Path, help="a folder")
    asked = parser.parse_args(arguments)
    if asked.server:
        if not (asked.bucket and asked.pipeline and asked.into):
            parser.error("--server needs --bucket, --pipeline and --into")
        files = bodies(asked.server, asked.bucket, asked.prefix, asked.pipeline)
        write({asked.into / name: body for name, body in files.items()})
        return 0
    files = kept()
    if asked.check:
        found = stale(files)
        print(*(f"{path.relative_to(ROOT)} is stale: run python helm/policies.py" for path in found), sep="\n", end="")
        return 1 if found else 0
    write(files)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
