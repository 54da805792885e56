"""MinIO has the bucket, and a user for each file in /users, where there are any, with the policy of the same name.

MinIO's calls for single users take encrypted bodies that only its own client makes; its import of users and policies
takes a plain zip file, signed as any request for S3 (cmd/admin-handlers-users.go, ImportIAM). A second call changes
nothing.

Environment: AWS_* of the server's root user.
"""

import io
import json
import os
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET: Final = "refit"
POLICIES: Final = Path("/policies")
USERS: Final = Path("/users")
SECONDS: Final = 180.0


def main() -> None:
    make_bucket()
    there = USERS.iterdir() if USERS.is_dir() else ()
    users = sorted(path.name for path in there if path.is_file() and path.suffix != ".key")
    if users:
        keys = {who: ((USERS / who).read_text().strip(), (USERS / f"{who}.key").read_text().strip()) for who in users}
        import_iam(archive(keys, {who: json.loads((POLICIES / f"{who}.json").read_text()) for who in users}))
    print(f"bucket {BUCKET} stands, with users and policies for {', '.join(users) or 'nobody'}")


def make_bucket() -> None:
    """The bucket stands; waits for the server."""
    client = boto3.client("s3", config=Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}))
    until = time.monotonic() + SECONDS
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
        except client.exceptions.BucketAlreadyOwnedByYou:
            return
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > until:
                raise
            print(error)
            time.sleep(2)
        else:
            return


def archive(keys: dict[str, tuple[str, str]], policies: dict[str, Any], prefix: str = BUCKET) -> bytes:
    """The zip file that MinIO imports: each user has the policy of the same name.

    Args:
        keys: Access key and secret key of each user.
        policies: That of each user.
        prefix: Stands before the names of policies, which all buckets of a server share.
    """
    files: dict[str, Any] = {
        "policies.json": {f"{prefix}-{who}": policies[who] for who in keys},
        "users.json": {name: {"secretKey": secret, "status": "enabled"} for name, secret in keys.values()},
        "user_mappings.json": {
            name: {"version": 1, "policy": f"{prefix}-{who}", "updatedAt": "2026-01-01T00:00:00Z"}
            for who, (name, _) in keys.items()
        },
    }
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(f"iam-assets/{name}", json.dumps(content))
    return body.getvalue()


def import_iam(body: bytes) -> None:
    """MinIO knows users, policies and who has which."""
    credentials = boto3.session.Session().get_credentials()
    assert credentials is not None
    url = f"{os.environ['AWS_ENDPOINT_URL_S3']}/minio/admin/v3/import-iam"
    request = AWSRequest("PUT", url, data=body)
    S3SigV4Auth(credentials.get_frozen_credentials(), "s3", os.environ["AWS_DEFAULT_REGION"]).add_auth(request)
    prepared = request.prepare()
    sent = urllib.request.Request(url, data=body, method="PUT", headers=dict(prepared.headers))  # noqa: S310  http
    with urllib.request.urlopen(sent, timeout=30) as answer:  # noqa: S310  an address of the cluster
        answer.read()


if __name__ == "__main__":
    main()
