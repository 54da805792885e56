"""Addresses of stores say what, which and what next when they are wrong."""

from pathlib import Path

import pytest

from refit.core.addresses import BadStoreUrl, Bucket, default_url, file_url, parse_url
from refit.core.store import open_store


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://models", Bucket("models", "")),
        ("s3://models/", Bucket("models", "")),
        ("s3://models/a/b c/", Bucket("models", "a/b c/")),
        ("file:///srv/refit", Path("/srv/refit")),
        ("file://localhost/srv/refit", Path("/srv/refit")),
        ("file:///srv/./x/../refit/", Path("/srv/refit")),
        ("file:///srv/a b", Path("/srv/a b")),
        ("file:///srv/a%20b%25", Path("/srv/a b%")),
        ("file:////srv//refit", Path("/srv/refit")),
    ],
)
def test_an_address_names_a_place(url: str, place: Bucket | Path) -> None:
    assert parse_url(url) == place


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "neither an s3:// nor a file:// address"),
        ("/srv/refit", "perhaps file:///srv/refit"),
        ("http://minio:9000/models", "neither an s3:// nor a file:// address"),
        ("gs://models", "neither an s3:// nor a file:// address"),
        ("S3://models", "neither an s3:// nor a file:// address"),
        ("file://srv/refit", "the path must be absolute"),
        ("file://", "the path must be absolute"),
        ("file:///", "root of the file system"),
        ("file:///a\nb", "control characters"),
        ("file:///a%00b", "control characters"),
        ("s3://", "needs the name of a bucket"),
        ("s3:///prefix", "needs the name of a bucket"),
        ("s3://ab", "needs the name of a bucket"),
        ("s3://bücket", "needs the name of a bucket"),
        ("s3://models?region=eu", "AWS_DEFAULT_REGION"),
        ("s3://minio:9000/models", "a port"),
    ],
)
def test_a_wrong_address_is_told_with_what_to_do(url: str, words: str) -> None:
    with pytest.raises(BadStoreUrl, match=words) as caught:
        open_store(url)
    assert caught.value.exit_code == 64
    assert "REFIT_STORE" in caught.value.next
    assert repr(url) in caught.value.message


def test_a_relative_address_is_answered_with_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadStoreUrl, match=f"perhaps {file_url(tmp_path)}/store"):
        parse_url("store")
    with pytest.raises(BadStoreUrl, match=f"perhaps {file_url(tmp_path)}/store"):
        parse_url("file://store")


@pytest.mark.parametrize("url", ["s3://user:hunter22@models/x", "http://user:hunter22@minio/x", "s3://hunter22@models"])
def test_credentials_in_an_address_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(BadStoreUrl) as caught:
        parse_url(url)
    assert "hunter22" not in caught.value.message + caught.value.next


def test_the_default_is_a_folder_below_the_working_directory() -> None:
    assert default_url({}, Path("/home/me")) == "file:///home/me/.refit/store"
    assert default_url({"REFIT_STORE": ""}, Path("/home/me")) == "file:///home/me/.refit/store"
    assert default_url({"REFIT_STORE": "s3://models"}, Path("/home/me")) == "s3://models"


@pytest.mark.parametrize("folder", ["/home/me", "/home/50%25 off", "/home/a b#c?d", "/home/ä"])
def test_a_folders_address_leads_back_to_it(folder: str) -> None:
    assert parse_url(file_url(Path(folder))) == Path(folder)
    assert parse_url(default_url({}, Path(folder))) == Path(folder) / ".refit/store"


def test_opening_a_folder_loads_no_s3_client() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from refit.core.store import open_store; open_store('file:///tmp/x');"
        "sys.exit('botocore' in sys.modules or 'boto3' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
