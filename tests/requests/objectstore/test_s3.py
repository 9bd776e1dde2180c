"""The S3 API, signed by botocore's own code with a TempAuth user's key; what is put by one API is read by the other."""
from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from botocore.auth import HmacV1Auth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

Ask = Callable[..., httpx.Response]
HOST = "http://cloud:5001"


class S3:
    """Signed requests."""

    def __init__(self, ask: Ask, signer: str, key: str = "testing") -> None:
        self.ask, self.signer, self.credentials = ask, signer, Credentials("test:tester", key)

    def __call__(self, method: str, path: str, content: bytes = b"", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest(method, HOST + path, named, content)
        request.context = {"payload_signing_enabled": True}
        if self.signer == "v4": S3SigV4Auth(self.credentials, "s3", "RegionOne").add_auth(request)
        else: HmacV1Auth(self.credentials).add_auth(request)
        sent = {name.replace("-", "_"): value for name, value in request.headers.items()}
        return self.ask(method, path, content, token=None, **sent)


@pytest.fixture(params=["v4", "v2"])
def s3(request: Any, ask: Ask) -> S3:
    return S3(ask, request.param)


def tags(reply: httpx.Response, name: str) -> list[str | None]:
    """The texts of all elements of a name."""
    return [element.text for element in ElementTree.fromstring(reply.content).iter() if element.tag.rpartition("}")[2] == name]


def test_both_apis_see_the_same(s3: S3, ask: Ask) -> None:
    assert s3("PUT", "/bucket").status_code == 200
    assert s3("PUT", "/bucket/dir/o%20%C3%BC", b"hello", x_amz_meta_color="blue", content_type="text/plain").status_code == 200
    token = ask("GET", "/auth/v1.0", token=None, x_auth_user="test:tester", x_auth_key="testing").headers["x-auth-token"]
    swift = ask("GET", "/v1/AUTH_test/bucket/dir/o%20%C3%BC", token=token)
    assert swift.content == b"hello" and swift.headers["x-object-meta-color"] == "blue"
    got = s3("GET", "/bucket/dir/o%20%C3%BC", range="bytes=1-2")
    assert (got.status_code, got.content, got.headers["x-amz-meta-color"]) == (206, b"el", "blue")
    assert tags(s3("GET", "/bucket?prefix=dir%2F"), "Key") == ["dir/o ü"]
    assert tags(s3("GET", "/bucket?delimiter=%2F&list-type=2"), "Prefix")[-1] == "dir/"
    assert tags(s3("GET", "/"), "Name") == ["bucket"]
    assert tags(s3("DELETE", "/bucket"), "Code") == ["BucketNotEmpty"]
    assert s3("DELETE", "/bucket/dir/o%20%C3%BC").status_code == s3("DELETE", "/bucket/none").status_code == 204
    assert s3("DELETE", "/bucket").status_code == 204


@pytest.mark.parametrize(("method", "path", "code"), [
    ("GET", "/none", "NoSuchBucket"), ("GET", "/bucket/none", "NoSuchKey"), ("PUT", "/bucket", "BucketAlreadyOwnedByYou"),
    ("PUT", "/_bad", "InvalidBucketName"), ("GET", "/bucket?policy", "NotImplemented"), ("GET", "/bucket?max-keys=x", "InvalidArgument"),
    ("PUT", "/bucket/a?partNumber=1&uploadId=none", "NoSuchUpload"), ("POST", "/bucket/a", "MethodNotAllowed")])
def test_errors(s3: S3, method: str, path: str, code: str) -> None:
    s3("PUT", "/bucket")
    assert tags(s3(method, path), "Code") == [code]


def test_wrong_signatures_and_hashes(s3: S3, ask: Ask) -> None:
    s3("PUT", "/bucket")
    assert tags(S3(ask, s3.signer, "wrong")("GET", "/"), "Code") == ["SignatureDoesNotMatch"]
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert tags(s3("PUT", "/bucket/a", b"hello", content_md5=md5), "Code") == ["BadDigest"]
    assert tags(s3("PUT", "/bucket/a", b"hello", x_amz_checksum_sha256="AAAA"), "Code") == ["BadDigest"]
    assert tags(s3("GET", "/bucket/a"), "Code") == ["NoSuchKey"]


def test_an_old_date_is_refused(ask: Ask) -> None:
    sent = {"authorization": "AWS test:tester:x", "date": "Sun, 22 Nov 2020 00:00:00 GMT"}
    assert tags(ask("GET", "/bucket", token=None, **sent), "Code") == ["RequestTimeTooSkewed"]


def test_presigned(ask: Ask) -> None:
    s3 = S3(ask, "v4")
    s3("PUT", "/bucket")
    s3("PUT", "/bucket/a", b"hello")
    request = AWSRequest("GET", HOST + "/bucket/a")
    S3SigV4QueryAuth(s3.credentials, "s3", "RegionOne", expires=60).add_auth(request)
    path = request.url.removeprefix(HOST)
    assert ask("GET", path, token=None).content == b"hello"
    assert ask("GET", path.replace("bucket/a", "bucket/b"), token=None).status_code == 403


def test_parts(s3: S3, ask: Ask) -> None:
    s3("PUT", "/bucket")
    upload = tags(s3("POST", "/bucket/big?uploads", x_amz_meta_color="blue"), "UploadId")[0]
    assert tags(s3("GET", "/bucket?uploads"), "UploadId") == [upload]
    pieces = [b"a" * 5 * 1024 * 1024, b"b" * 10]
    etags = [s3("PUT", f"/bucket/big?partNumber={n}&uploadId={upload}", piece).headers["etag"] for n, piece in enumerate(pieces, 1)]
    assert tags(s3("GET", f"/bucket/big?uploadId={upload}"), "PartNumber") == ["1", "2"]

    def complete(numbers: list[int]) -> httpx.Response:
        inner = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etags[n - 1]}</ETag></Part>" for n in numbers)
        return s3("POST", f"/bucket/big?uploadId={upload}", f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode())

    assert tags(complete([2, 1]), "Code") == ["InvalidPartOrder"]
    digest = hashlib.md5(b"".join(hashlib.md5(piece).digest() for piece in pieces)).hexdigest()
    assert tags(complete([1, 2]), "ETag") == tags(complete([1, 2]), "ETag") == [f'"{digest}-2"']
    got = s3("GET", "/bucket/big", range="bytes=5242879-5242880", if_match=f'"{digest}-2"')
    assert got.content == b"ab" and got.headers["x-amz-meta-color"] == "blue"
    assert tags(s3("GET", "/bucket"), "ETag") == [f'"{digest}-2"']
    assert tags(s3("GET", "/"), "Name") == ["bucket"]
    s3("DELETE", "/bucket/big")
    token = ask("GET", "/auth/v1.0", token=None, x_auth_user="test:tester", x_auth_key="testing").headers["x-auth-token"]
    assert ask("GET", "/v1/AUTH_test/bucket+segments", token=token).status_code == 204


def test_entities_are_refused(s3: S3) -> None:
    s3("PUT", "/bucket")
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><VersioningConfiguration><Status>&a;</Status></VersioningConfiguration>'
    assert tags(s3("PUT", "/bucket?versioning", bomb), "Code") == ["MalformedXML"]


def test_an_object_for_everybody(s3: S3, ask: Ask) -> None:
    everybody = "http://acs.amazonaws.com/groups/global/AllUsers"
    address = "/v1/AUTH_test/open/"
    s3("PUT", "/open")
    assert s3("PUT", "/open/o", b"hello", x_amz_acl="public-read", x_amz_meta_color="blue").status_code == 200
    assert s3("PUT", "/open/closed", b"mine").status_code == 200
    assert s3("PUT", "/open/odd", b"", x_amz_acl="authenticated-read").status_code == 501
    assert ask("GET", address + "o", token=None).content == b"hello" and ask("GET", address + "o", token="member-two").content == b"hello"
    assert [ask("GET", address + name, token=None).status_code for name in ("closed", "none", "")] == [401, 401, 401]
    assert [ask(verb, address + "o", token=None).status_code for verb in ("PUT", "POST", "DELETE")] == [401] * 3
    assert everybody in tags(s3("GET", "/open/o?acl"), "URI") and not tags(s3("GET", "/open/closed?acl"), "URI")
    assert s3("PUT", "/open/o?acl", x_amz_acl="private").status_code == 200
    assert ask("GET", address + "o", token=None).status_code == 401
    assert s3("GET", "/open/o").headers["x-amz-meta-color"] == "blue"
    assert s3("PUT", "/open/o?acl", x_amz_acl="public-read").status_code == 200 and ask("GET", address + "o", token=None).status_code == 200
    assert s3("PUT", "/open/copy", x_amz_copy_source="/open/o").status_code == 200
    assert ask("GET", address + "copy", token=None).status_code == 401


def test_an_upload_in_parts_for_everybody(s3: S3, ask: Ask) -> None:
    s3("PUT", "/parts")
    upload = tags(s3("POST", "/parts/big?uploads", x_amz_acl="public-read"), "UploadId")[0]
    etag = s3("PUT", f"/parts/big?partNumber=1&uploadId={upload}", b"part").headers["etag"]
    body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    assert s3("POST", f"/parts/big?uploadId={upload}", body.encode()).status_code == 200
    assert ask("GET", "/v1/AUTH_test/parts/big", token=None).content == b"part"
    assert ask("GET", f"/v1/AUTH_test/parts+segments/big/{upload}/1", token=None).status_code == 401


def test_addresses_that_last_too_long(ask: Ask) -> None:
    reply = ask("GET", f"/bucket/o?AWSAccessKeyId=test:tester&Expires={1 << 32}&Signature=x", token=None)
    assert tags(reply, "Message") == ["Invalid date (should be seconds since epoch)"]


def test_what_ends_says_when(s3: S3) -> None:
    s3("PUT", "/ending")
    s3("PUT", "/ending/o", b"x", x_delete_at="4102444800")
    assert 'expiry-date="Fri, 01 Jan 2100 00:00:00 GMT"' in s3("HEAD", "/ending/o").headers["x-amz-expiration"]


def test_an_upload_of_one_empty_part(s3: S3) -> None:
    s3("PUT", "/hollow")
    upload = tags(s3("POST", "/hollow/o?uploads"), "UploadId")[0]
    part = s3("PUT", f"/hollow/o?partNumber=1&uploadId={upload}", b"")
    body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part></CompleteMultipartUpload>"
    assert s3("POST", f"/hollow/o?uploadId={upload}", body.encode()).status_code == 200 and "last-modified" in part.headers
    got = s3("GET", "/hollow/o")
    assert (got.status_code, got.content) == (200, b"") and got.headers["etag"].endswith('-1"')
    assert s3("DELETE", "/hollow/o").status_code == s3("DELETE", "/hollow").status_code == 204
