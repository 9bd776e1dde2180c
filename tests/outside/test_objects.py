"""Object storage by clients that nobody here wrote: swift, openstack, boto3 and, where it is installed, rclone."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.outside.clouds import Cloud

pytestmark = pytest.mark.slow
MIB = 1 << 20


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("objects").while_up("--simulated", "--empty")


@pytest.fixture(scope="module")
def address(cloud: Cloud) -> tuple[str, str]:
    """(storage URL, token) of the demo project."""
    token = cloud.demo.json("token", "issue")
    url = next(endpoint["url"] for entry in cloud.demo.json("catalog", "list") if entry["Type"] == "object-store"
               for endpoint in entry["Endpoints"] if endpoint["interface"] == "public")
    return url, token["id"]


@pytest.fixture(scope="module")
def pair(cloud: Cloud) -> dict[str, str]:
    """EC2 credentials."""
    made: dict[str, str] = cloud.demo.json("ec2", "credentials", "create")
    return made


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with files, some with names that are hard."""
    folder = tmp_path / "files"
    for name in ("a.txt", "deep/er/b.bin", "with space/ü☃.txt", "percent%2F.txt", "empty"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty" else os.urandom(2 * MIB if name.endswith("bin") else 1000))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_swift_uploads_in_segments(address: tuple[str, str], files: Path, tmp_path: Path) -> None:
    def swift(*words: str) -> str:
        program = str(Path(sys.executable).with_name("swift"))
        done = subprocess.run([program, "--os-storage-url", address[0], "--os-auth-token", address[1], *words], cwd=files, check=False,
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    big = files / "big"
    big.write_bytes(os.urandom(10 * MIB + 1))
    swift("upload", "-S", str(3 * MIB), "--use-slo", "segmented", "big")
    assert "X-Static-Large-Object: True" in swift("stat", "segmented", "big")
    swift("upload", "-S", str(4 * MIB), "--use-dlo", "dynamic", "big")
    assert "Manifest: dynamic_segments" in swift("stat", "dynamic", "big")
    swift("download", "dynamic", "big", "-o", str(tmp_path / "dynamic"))
    assert (tmp_path / "dynamic").read_bytes() == big.read_bytes()
    swift("upload", "plain", ".")
    back = tmp_path / "back"
    swift("download", "plain", "-D", str(back))
    swift("download", "segmented", "big", "-o", str(tmp_path / "big"))
    assert contents(back) == contents(files) and (tmp_path / "big").read_bytes() == big.read_bytes()
    archive = tmp_path / "files.tar.gz"
    with tarfile.open(archive, "w:gz") as packed: packed.add(files / "deep", "unpacked/deep")
    target, headers = address[0] + "?extract-archive=tar.gz", {"X-Auth-Token": address[1]}
    with urllib.request.urlopen(urllib.request.Request(target, archive.read_bytes(), headers, method="PUT")) as answer:
        assert b"Number Files Created: 1" in answer.read()
    swift("delete", "segmented", "big")
    assert swift("list", "segmented_segments") == ""


def test_openstack(cloud: Cloud, files: Path, tmp_path: Path) -> None:
    cloud.demo.run("container", "create", "cli")
    cloud.demo.run("object", "create", "cli", str(files / "a.txt"), "--name", "a.txt")
    assert [line["Name"] for line in cloud.demo.json("object", "list", "cli")] == ["a.txt"]
    cloud.demo.run("object", "save", "cli", "a.txt", "--file", str(tmp_path / "saved"))
    assert (tmp_path / "saved").read_bytes() == (files / "a.txt").read_bytes()
    cloud.demo.run("container", "delete", "cli", "--recursive")


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_boto3(address: tuple[str, str], pair: dict[str, str], tmp_path: Path, version: str) -> None:
    def client(secret: str) -> Any:
        return boto3.client("s3", endpoint_url=address[0].partition("/v1/")[0], aws_access_key_id=pair["access"],
                            aws_secret_access_key=secret, region_name="RegionOne",
                            config=Config(signature_version=version, s3={"addressing_style": "path"}))

    s3, bucket, key = client(pair["secret"]), f"bucket-{version}", "a/ü b"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=b"hello", Metadata={"color": "blue"})
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == b"hello" and {name.lower(): value for name, value in got["Metadata"].items()} == {"color": "blue"}
    big = tmp_path / "big"
    big.write_bytes(os.urandom(13 * MIB))
    s3.upload_file(str(big), bucket, "big", Config=TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=6 * MIB))
    assert {entry["Key"]: entry["Size"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]} == {key: 5, "big": 13 * MIB}
    s3.download_file(bucket, "big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == big.read_bytes()
    with urllib.request.urlopen(s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})) as answer:
        assert answer.read() == b"hello"
    s3.put_object(Bucket=bucket, Key="open", Body=b"for all", ACL="public-read")
    with urllib.request.urlopen(f"{address[0]}/{bucket}/open") as answer: assert answer.read() == b"for all"
    s3.put_object_acl(Bucket=bucket, Key="open", ACL="private")
    assert len(s3.get_object_acl(Bucket=bucket, Key="open")["Grants"]) == 1
    with pytest.raises(HTTPError, match="401"): urllib.request.urlopen(f"{address[0]}/{bucket}/open")
    s3.delete_object(Bucket=bucket, Key="open")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="v", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="v", Body=b"2")
    assert s3.get_object(Bucket=bucket, Key="v", VersionId=first)["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="v")
    held = s3.list_object_versions(Bucket=bucket)
    every = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in (*held["Versions"], *held["DeleteMarkers"])]
    assert len(every) == 6 and len(s3.delete_objects(Bucket=bucket, Delete={"Objects": every})["Deleted"]) == 6
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"): client("wrong").list_buckets()
    with pytest.raises(ClientError, match="NoSuchBucket"): s3.list_objects_v2(Bucket="nothing-here")


@pytest.mark.parametrize("kind", ["swift", "s3"])
def test_rclone_there_and_back(address: tuple[str, str], pair: dict[str, str], files: Path, tmp_path: Path, kind: str) -> None:
    program = os.environ.get("PILVI_TEST_RCLONE") or shutil.which("rclone")
    if program is None: pytest.skip("rclone is not installed")
    there = {"swift": {"type": "swift", "storage_url": address[0], "auth_token": address[1], "auth": "http://unused.invalid", "user": "-"},
             "s3": {"type": "s3", "provider": "Other", "endpoint": address[0].partition("/v1/")[0], "access_key_id": pair["access"],
                    "secret_access_key": pair["secret"], "region": "RegionOne"}}[kind]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RCLONE_CONFIG": str(tmp_path / "none")}
    environment |= {f"RCLONE_CONFIG_THERE_{name.upper()}": value for name, value in there.items()}
    for words in (("sync", str(files), f"there:clone-{kind}"), ("check", "--download", str(files), f"there:clone-{kind}"),
                  ("sync", f"there:clone-{kind}", str(tmp_path / "back"))):
        done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "back") == contents(files)
    listed = subprocess.run([program, "lsjson", "-R", "--files-only", f"there:clone-{kind}"], env=environment, capture_output=True,
                            text=True, timeout=300, check=True)
    assert {entry["Path"] for entry in json.loads(listed.stdout)} == contents(files).keys()
